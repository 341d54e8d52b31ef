"""The supercells of a crystal: that of fc3, and that of fc2 where it has its own."""

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

# Of random displacements: fewer pairs plus and minus leave noise in fc3 (0.15 % of
# kappa of NaCl and MgO with eight).
LEAST_PAIRS = 8

# Equations per force constant that the number of supercells is estimated for.
EQUATIONS = 2.0


@dataclass(frozen=True, eq=False)
class CrystalSupercell:
    """A supercell of a crystal, from whose displacements force constants follow.

    Attributes
    ----------
    name : str
        "fc3", or "dim-fc2" for the supercell that serves fc2 alone.
    orders : tuple of int
        Orders of force constants that are solved for in it.
    supercell, primitive, symmetry
        Of the host.
    dataset : mapping or None
        The host's displacement dataset.
    crystal : Phono3py or None
        Where forces are set.
    """

    name: Literal["fc3", "dim-fc2"]
    orders: tuple[int, ...]
    supercell: PhonopyAtoms
    primitive: Any
    symmetry: Any
    dataset: Mapping[str, Any] | None
    crystal: Phono3py | None = None

    def displaced(self) -> list[PhonopyAtoms | None]:
        """Return the supercells with displacements; None is beyond a cutoff.

        Their species are those of the supercell, which the host loses.

        Raises
        ------
        DatasetError
            There are no displacements.
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
        """Return displacements with forces; None where there are no forces."""
        where = "dataset" if self.name == "fc3" else "dim-fc2 dataset"
        return read_dataset(self.dataset, self.supercell, where)

    def set_evaluation(self, evaluation: Evaluation) -> None:
        """Set forces and energies of the displaced supercells in the crystal."""
        crystal = self.crystal
        assert crystal is not None
        if self.name == "fc3":
            crystal.forces = evaluation.forces
            crystal.supercell_energies = evaluation.energies
        else:
            crystal.phonon_forces = evaluation.forces
            crystal.phonon_supercell_energies = evaluation.energies


def supercells_of(crystal: Phono3py) -> tuple[CrystalSupercell, ...]:
    """Return the supercell of fc3 and, where fc2 has its own (dim-fc2), that of fc2.

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
    """Return the displacements and forces of dim-fc2, where there are any."""
    for part in supercells_of(crystal):
        if part.name == "dim-fc2":
            return part.read_dataset()
    return None


@dataclass(frozen=True)
class DisplacementOptions:
    """Displacements of the supercells that potentials are asked for.

    Attributes
    ----------
    number : int, "auto" or None
        Of pairs of supercells with random displacements plus and minus; None:
        systematic displacements of one and two atoms.
    amplitude : float
        Length of displacements (angstrom).
    seed : int or None
        Of random displacements.
    equations : float or None
        Equations per force constant that "auto" estimates the number for.
    at_least : int
        Smallest number of pairs that "auto" gives.
    cutoff_pair : float or None
        Distance (angstrom) up to which pairs of atoms are displaced.
    number_fc2 : int, "auto" or None
        As ``number``, of the supercells of dim-fc2.
    amplitude_fc2 : float or None
        As ``amplitude``, of the supercells of dim-fc2; None: the same.
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
        Leave the dataset of dim-fc2: it has first-principles forces.

    Raises
    ------
    DatasetError
        No displacements could be generated.
    """

    def generate(number: int | str | None) -> None:
        crystal.generate_displacements(
            distance=options.amplitude,
            cutoff_pair_distance=options.cutoff_pair,
            is_plusminus=True,
            number_of_snapshots=number,
            random_seed=options.seed,
            number_estimation_factor=options.equations,
        )

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
