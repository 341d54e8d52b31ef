"""The supercells of a crystal, for fc3 and, with dim-fc2, for fc2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from phono3py_mlp_plugin.contracts import Dataset, Evaluation
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.ranges import Length, check_ranges
from phono3py_mlp_plugin.workflow.dataset import read_dataset
from phono3py_mlp_plugin.workflow.species import with_species

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

# Least number of pairs of random displacements (plus and minus). With eight, the noise
# of fc3 changes kappa of NaCl and MgO by 0.15 %.
LEAST_PAIRS = 8

# Equations per force constant from which the number of supercells is estimated.
EQUATIONS = 2.0


@dataclass(frozen=True, eq=False)
class CrystalSupercell:
    """A supercell of a crystal, whose displacements determine force constants.

    Attributes
    ----------
    name : str
        "fc3", or "dim-fc2" for the supercell that is used for fc2 only.
    orders : tuple of int
        Orders of the force constants that are computed in this supercell.
    supercell, primitive, symmetry
        Objects of phonopy.
    dataset : mapping or None
        Displacement dataset of phono3py.
    crystal : Phono3py or None
        The object in which forces are set.
    """

    name: Literal["fc3", "dim-fc2"]
    orders: tuple[int, ...]
    supercell: PhonopyAtoms
    primitive: Any
    symmetry: Any
    dataset: Mapping[str, Any] | None
    crystal: Phono3py | None = None

    def displaced(self) -> list[PhonopyAtoms | None]:
        """Return the supercells with displacements, or None for pairs beyond a cutoff.

        They have the species of the supercell, which phonopy does not transfer.

        Raises
        ------
        DatasetError
            If there are no displacements.
        """
        crystal = self.crystal
        assert crystal is not None
        cells: Sequence[PhonopyAtoms | None] | None = None
        if self.dataset is not None:
            cells = (
                crystal.supercells_with_displacements
                if self.name == "fc3"
                else crystal.phonon_supercells_with_displacements
            )
        if not cells:
            raise DatasetError(
                "there are no displacements; generate_displacements() first."
            )
        present = iter(
            with_species([cell for cell in cells if cell is not None], self.supercell)
        )
        return [None if cell is None else next(present) for cell in cells]

    def read_dataset(self) -> Dataset | None:
        """Return displacements and forces; None if there are no forces."""
        where = "dataset" if self.name == "fc3" else "dim-fc2 dataset"
        return read_dataset(self.dataset, self.supercell, where)

    def set_evaluation(self, evaluation: Evaluation) -> None:
        """Set the forces and energies of the displaced supercells."""
        crystal = self.crystal
        assert crystal is not None
        if self.name == "fc3":
            crystal.forces = evaluation.forces
            crystal.supercell_energies = evaluation.energies
        else:
            crystal.phonon_forces = evaluation.forces
            crystal.phonon_supercell_energies = evaluation.energies


def supercells_of(crystal: Phono3py) -> tuple[CrystalSupercell, ...]:
    """Return the supercell of fc3 and, with dim-fc2, that of fc2.

    Parameters
    ----------
    crystal : Phono3py
    """
    first = CrystalSupercell(
        "fc3",
        (2, 3),
        crystal.supercell,
        crystal.primitive,
        crystal.symmetry,
        crystal.dataset,
        crystal,
    )
    if crystal.phonon_supercell_matrix is None:
        return (first,)
    second = CrystalSupercell(
        "dim-fc2",
        (2,),
        crystal.phonon_supercell,
        crystal.phonon_primitive,
        crystal.phonon_supercell_symmetry,
        crystal.phonon_dataset,
        crystal,
    )
    return first, second


def fc2_dataset(crystal: Phono3py) -> Dataset | None:
    """Return the displacements and forces of dim-fc2, or None."""
    for part in supercells_of(crystal):
        if part.name == "dim-fc2":
            return part.read_dataset()
    return None


@dataclass(frozen=True)
class DisplacementOptions:
    """Displacements of the supercells that are evaluated by potentials.

    Attributes
    ----------
    number : int, "auto" or None
        Number of pairs of supercells with random displacements (plus and minus). With
        None, displacements are systematic ones of one and two atoms.
    amplitude : float
        Length of displacements (angstrom).
    seed : int or None
        Seed of random displacements.
    equations : float or None
        Equations per force constant from which "auto" estimates the number.
    at_least : int
        Smallest number of pairs for "auto".
    cutoff_pair : float or None
        Distance (angstrom) up to which pairs of atoms are displaced.
    number_fc2 : int, "auto" or None
        The same as ``number`` for the supercells of dim-fc2.
    amplitude_fc2 : float or None
        The same as ``amplitude`` for the supercells of dim-fc2. None means that the
        amplitudes are equal.
    """

    number: int | Literal["auto"] | None = "auto"
    amplitude: Length = 0.01
    seed: int | None = 0
    equations: float | None = EQUATIONS
    at_least: int = LEAST_PAIRS
    cutoff_pair: float | None = None
    number_fc2: int | Literal["auto"] | None = None
    amplitude_fc2: Length | None = None

    def __post_init__(self) -> None:
        check_ranges(self)


def displace(
    crystal: Phono3py, options: DisplacementOptions, *, keep_fc2: bool = False
) -> None:
    """Replace the displacements of a crystal by new ones, without forces.

    Parameters
    ----------
    crystal : Phono3py
    options : DisplacementOptions
    keep_fc2 : bool
        Whether the dataset of dim-fc2, which has first-principles forces, is kept.

    Raises
    ------
    DatasetError
        If no displacements could be generated.
    """

    def generate(number: int | str | None) -> None:
        try:
            crystal.generate_displacements(
                distance=options.amplitude,
                cutoff_pair_distance=options.cutoff_pair,
                is_plusminus=True,
                number_of_snapshots=number,
                random_seed=options.seed,
                number_estimation_factor=options.equations,
            )
        except ValueError as error:
            # phono3py gives no text if an atom has no image under a site symmetry.
            if number is not None or str(error):
                raise
            raise DatasetError(
                "-d: lattice and positions have their symmetry only nearly, to about "
                f"the tolerance of {crystal.symmetry.tolerance:g} angstrom: phono3py "
                "finds no systematic displacements. Give more digits, relax the "
                "crystal with its symmetry (phono3py-mlp kappa --relax), give "
                "another --tolerance, or use random displacements (--rd auto)."
            ) from error

    crystal.dataset = None
    generate(options.number)
    if options.number == "auto":
        assert crystal.dataset is not None
        number = len(crystal.dataset["displacements"]) // 2
        if number < options.at_least:
            generate(options.at_least)
    if crystal.phonon_supercell_matrix is not None and not keep_fc2:
        crystal.generate_fc2_displacements(
            distance=options.amplitude_fc2 or options.amplitude,
            is_plusminus=True,
            number_of_snapshots=options.number_fc2,
            random_seed=options.seed,
        )
    if not crystal.supercells_with_displacements:
        raise DatasetError("no supercells with displacements could be generated.")
