"""From potentials to force constants and thermal conductivity, many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    ForceConstantsProblem,
    Potential,
    SolveMany,
)
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.workflow.dataset import read_dataset
from phono3py_mlp_plugin.workflow.evaluate import evaluate
from phono3py_mlp_plugin.workflow.request import SolverRequest
from phono3py_mlp_plugin.workflow.species import with_species

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

# Pairs of supercells displaced by plus and minus: fewer leave noise in fc3 (0.15 % of
# kappa of NaCl and MgO with eight).
_LEAST_PAIRS = 8

# Equations per force constant that the number of supercells is estimated for.
_EQUATIONS = 2


@dataclass(frozen=True)
class DisplacementOptions:
    """Random displacements of the supercells that potentials are asked for.

    Attributes
    ----------
    number : int or None
        Of pairs plus and minus; None: twice as many equations as force constants, and
        at least eight.
    amplitude : float
        Length of displacements (angstrom).
    seed : int
    """

    number: int | None = None
    amplitude: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class TransportOptions:
    """What kappa is computed with, by the names of the host.

    Attributes
    ----------
    mesh : tuple
        Three numbers, or one length.
    temperatures : tuple of float
        In K.
    method : str
        "RTA" or "LBTE".
    sigma : float or None
        Width of Gaussian smearing (THz); None: tetrahedron method.
    isotope : bool
        Scattering by isotopes of natural abundance.
    boundary_mfp : float or None
        Mean free path of boundary scattering (micrometre).
    """

    mesh: tuple[float, ...] = (11.0, 11.0, 11.0)
    temperatures: tuple[float, ...] = (300.0,)
    method: Literal["RTA", "LBTE"] = "RTA"
    sigma: float | None = None
    isotope: bool = False
    boundary_mfp: float | None = None

    def __post_init__(self) -> None:
        if len(self.mesh) not in (1, 3) or not all(x > 0 for x in self.mesh):
            raise ParameterError(
                f"mesh = {' '.join(f'{x:g}' for x in self.mesh)}; expected three "
                "positive numbers, or one length."
            )
        if not self.temperatures or not all(t > 0 for t in self.temperatures):
            raise ParameterError("temperatures: expected positive ones.")

    @property
    def mesh_numbers(self) -> float | list[int]:
        """The mesh as the host takes it."""
        if len(self.mesh) == 1:
            return self.mesh[0]
        return [int(n) for n in self.mesh]


class ForceConstantsOf:
    """Force constants of potentials of one crystal, from the same displacements.

    Parameters
    ----------
    crystal : Phono3py
        Its dataset is replaced by random displacements. With a supercell of its own for
        fc2, the forces in its ``phonon_dataset`` are used where there are any.
    displacements : DisplacementOptions
    solver : SolverRequest
    name : str
        Of the force calculator, for messages.

    Raises
    ------
    DatasetError
        Displacements could not be generated.
    """

    def __init__(
        self,
        crystal: Phono3py,
        displacements: DisplacementOptions,
        solver: SolverRequest,
        name: str,
    ) -> None:
        self._solver = solver
        self._name = name
        number = _displace(crystal, displacements)
        self._cells = with_species(
            _present(crystal.supercells_with_displacements), crystal.supercell
        )
        own_fc2 = crystal.phonon_supercell_matrix is not None
        self._solve_many = self._prepare(
            crystal.dataset["displacements"],
            crystal.supercell,
            crystal.primitive,
            crystal.symmetry,
            (2, 3),
        )
        self._fc2: FloatArray | None = None
        self._solve_many_fc2: SolveMany | None = None
        if not own_fc2:
            return
        data = read_dataset(crystal.phonon_dataset, crystal.phonon_supercell, "dim-fc2")
        if data is None:
            crystal.generate_fc2_displacements(
                distance=displacements.amplitude,
                number_of_snapshots=number,
                is_plusminus=True,
                random_seed=displacements.seed,
            )
            self._fc2_cells = with_species(
                _present(crystal.phonon_supercells_with_displacements),
                crystal.phonon_supercell,
            )
        solve_many = self._prepare(
            crystal.phonon_dataset["displacements"]
            if data is None
            else data.displacements,
            crystal.phonon_supercell,
            crystal.phonon_primitive,
            crystal.phonon_supercell_symmetry,
            (2,),
        )
        if data is None:
            self._solve_many_fc2 = solve_many
        else:
            (found,) = solve_many(data.forces[None])
            self._fc2 = found[2]

    @property
    def n_supercells(self) -> int:
        """Number of displaced supercells that potentials are asked for."""
        return len(self._cells)

    def solve(self, potentials: Sequence[Potential]) -> Iterator[ForceConstants]:
        """Yield fc2 and fc3 of each potential."""
        found = self._solve_many(self._forces(self._cells, potentials))
        if self._solve_many_fc2 is None:
            for fcs in found:
                yield fcs if self._fc2 is None else {**fcs, 2: self._fc2}
            return
        own = self._solve_many_fc2(self._forces(self._fc2_cells, potentials))
        for fcs, fc2 in zip(found, own, strict=True):
            yield {**fcs, 2: fc2[2]}

    def _forces(
        self, cells: Sequence[PhonopyAtoms], potentials: Sequence[Potential]
    ) -> FloatArray:
        return np.array([evaluate(self._name, p, cells).forces for p in potentials])

    def _prepare(
        self,
        displacements: FloatArray,
        supercell: PhonopyAtoms,
        primitive: Any,
        symmetry: Any,
        orders: tuple[int, ...],
    ) -> SolveMany:
        problem = ForceConstantsProblem(
            supercell=supercell,
            primitive=primitive,
            symmetry=symmetry,
            displacements=np.ascontiguousarray(displacements),
            forces=np.zeros_like(displacements),
            orders=orders,
            cutoff={k: v for k, v in self._solver.cutoff.items() if k in orders},
            options=self._solver.options,
        )
        return plugins.prepare(self._solver.solver, problem)


def _displace(crystal: Phono3py, options: DisplacementOptions) -> int:
    """Generate random displacements; return the number of pairs."""

    def generate(number: int | str) -> None:
        crystal.generate_displacements(
            distance=options.amplitude,
            is_plusminus=True,
            number_of_snapshots=number,
            random_seed=options.seed,
            number_estimation_factor=_EQUATIONS,
        )

    crystal.dataset = None
    generate(options.number or "auto")
    number = len(crystal.dataset["displacements"]) // 2
    if options.number is None and number < _LEAST_PAIRS:
        generate(_LEAST_PAIRS)
        number = _LEAST_PAIRS
    return number


def _present(cells: Sequence[PhonopyAtoms | None] | None) -> list[PhonopyAtoms]:
    found = [cell for cell in cells or () if cell is not None]
    if not found:
        raise DatasetError("no supercells with displacements could be generated.")
    return found


def thermal_conductivity(
    crystal: Phono3py, force_constants: ForceConstants, options: TransportOptions
) -> FloatArray:
    """Return kappa in W/m-K, xx yy zz yz xz xy, shape ``(n_temperatures, 6)``.

    Parameters
    ----------
    crystal : Phono3py
        Gets the force constants.
    force_constants : dict
        fc2 and fc3 by order.
    options : TransportOptions
    """
    crystal.fc2 = force_constants[2]
    crystal.fc3 = force_constants[3]
    crystal.mesh_numbers = options.mesh_numbers
    crystal.sigmas = None if options.sigma is None else [options.sigma]
    crystal.init_phph_interaction()
    crystal.run_thermal_conductivity(
        is_LBTE=options.method == "LBTE",
        temperatures=list(options.temperatures),
        is_isotope=options.isotope,
        boundary_mfp=options.boundary_mfp,
    )
    kappa = np.array(crystal.thermal_conductivity.kappa, dtype="double")
    return kappa.reshape(len(options.temperatures), 6)
