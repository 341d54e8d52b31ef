"""Calculators of libraries, and how each is called by hand through ASE."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.build import bulk
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.calculators.ase.libraries import LIBRARIES
from phono3py_mlp_plugin.workflow import evaluate, request_calculator

BY_NAME = {library.name: library for library in LIBRARIES}
ALUMINIUM = bulk("Al", cubic=True, a=3.99)
SILICON = bulk("Si", cubic=True, a=5.45)
# No shell of neighbours is near the cutoff of 6 angstrom of CHGNet.
SALT = bulk("NaCl", "rocksalt", cubic=True, a=5.69)


@dataclass(frozen=True)
class Case:
    """A calculator that can be called by its name and by hand.

    Attributes
    ----------
    library : str
        Name of the calculator.
    detail : str
        What distinguishes the row from others of the library.
    atoms : ase.Atoms
        Cell of which forces are compared.
    by_hand : callable
        From a model file to a calculator of ASE.
    options : str
    tolerance : float
        Largest difference of forces in eV/angstrom: rounding, in the precision of the
        library.
    make_model : callable or None
        Writes the model file.
    repeats : int
        The supercell that is examined has ``repeats^3`` cells.
    """

    library: str
    detail: str
    atoms: ase.Atoms
    by_hand: Callable[[Path], Any]
    options: str | None = None
    tolerance: float = 1e-12
    make_model: Callable[[Path], None] | None = None
    repeats: int = 2

    @property
    def name(self) -> str:
        """First cell of its row."""
        return f"`{self.library}`" + (f", {self.detail}" if self.detail else "")

    def is_installed(self) -> bool:
        """Return whether its package is here."""
        return importlib.util.find_spec(BY_NAME[self.library].module) is not None


def displaced(atoms: ase.Atoms, n: int = 3, scale: float = 0.03) -> list[PhonopyAtoms]:
    """Return cells with random displacements."""
    cells = []
    for k in range(n):
        shifts = np.random.default_rng(k).normal(scale=scale, size=(len(atoms), 3))
        cells.append(
            PhonopyAtoms(
                symbols=atoms.get_chemical_symbols(),
                cell=atoms.cell[:],
                positions=atoms.positions + shifts,
            )
        )
    return cells


def loaded(name: str, text: str | None = None, path: Path | None = None) -> Any:
    """Return the potential of a calculator by name."""
    request = request_calculator(name, text)
    return plugins.load(request.calculator, path, request.options)


def difference_from_ase(potential: Any, calculator: Any, atoms: ase.Atoms) -> float:
    """Return the largest difference of forces and stresses.

    In eV/angstrom and eV/angstrom^3. Energies must agree.
    """
    cells = displaced(atoms)
    result = evaluate("x", potential, cells)
    largest = 0.0
    for k, cell in enumerate(cells):
        alone = ase.Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True)
        alone.calc = calculator
        differences = (
            result.forces[k] - alone.get_forces(),
            result.stresses[k] - alone.get_stress(voigt=False),
        )
        largest = float(np.max([largest, *(np.abs(d).max() for d in differences)]))
        np.testing.assert_allclose(
            result.energies[k], alone.get_potential_energy(), rtol=1e-6
        )
    return largest


def _of(module: str, name: str, **arguments: Any) -> Callable[[Path], Any]:
    """Return a function that makes a calculator of a module."""

    def make(path: Path) -> Any:
        cls = getattr(importlib.import_module(module), name)
        given = {k: str(path) if v == "FILE" else v for k, v in arguments.items()}
        return cls(**given)

    return make


def save_random_mace(path: Path) -> None:
    """Write a small MACE model with random weights."""
    # Before e3nn, whose tables torch refuses to read unless MACE allows it.
    modules = importlib.import_module("mace.modules")
    import torch
    from e3nn import o3

    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    model = modules.ScaleShiftMACE(
        r_max=5.0,
        num_bessel=6,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=1,
        hidden_irreps=o3.Irreps("8x0e+8x1o"),
        MLP_irreps=o3.Irreps("8x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=np.array([-1.0]),
        avg_num_neighbors=12.0,
        atomic_numbers=[13],
        correlation=2,
        radial_type="bessel",
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    torch.save(model, path)
    torch.set_default_dtype(torch.float32)


def write_random_nep(path: Path) -> None:
    """Write a network of ten neurons over 25 descriptors, as in the format of GPUMD."""
    radial = angular = 5
    functions, highest, neurons = 9, 4, 10
    descriptors = radial + angular * highest
    count = (descriptors + 2) * neurons + 1 + (radial + angular) * functions
    numbers = np.random.default_rng(0).normal(scale=0.3, size=count)
    head = ["nep4 1 Al", "cutoff 6 5 50 40", "n_max 4 4", "basis_size 8 8"]
    head += [f"l_max {highest} 0 0", f"ANN {neurons} 0"]
    body = [f"{x:.8e}" for x in numbers] + ["1.0"] * descriptors
    path.write_text("\n".join(head + body) + "\n")


def fit_gap(path: Path) -> None:
    """Fit a GAP to six supercells of a Lennard-Jones potential."""
    from ase.calculators.lj import LennardJones
    from ase.io import write

    frames = []
    for cell in displaced(ALUMINIUM.repeat(2), 6, 0.1):
        atoms = ase.Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True)
        atoms.calc = LennardJones(sigma=2.6, epsilon=0.2, rc=6.0, smooth=True)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        atoms.info["energy"], atoms.arrays["force"] = energy, forces
        frames.append(atoms)
    folder = path.parent
    write(folder / "train.xyz", frames, format="extxyz")
    command = [
        Path(sys.executable).with_name("gap_fit"),
        "at_file=train.xyz",
        "gap={distance_2b cutoff=5.0 covariance_type=ard_se delta=0.5 "
        "theta_uniform=1.0 sparse_method=uniform n_sparse=15 add_species=T}",
        "energy_parameter_name=energy",
        "force_parameter_name=force",
        "default_sigma={0.001 0.01 0.0 0.0}",
        f"gp_file={path.name}",
        "sparse_separate_file=F",
        "e0=0.0",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


_MACE = ("mace.calculators", "MACECalculator")
_CHGNET = _of("chgnet.model.dynamics", "CHGNetCalculator", use_device="cpu")

CASES = (
    Case("emt", "Al", ALUMINIUM, _of("ase.calculators.emt", "EMT")),
    Case(
        "lj",
        "Al",
        ALUMINIUM,
        _of("ase.calculators.lj", "LennardJones", sigma=2.5, rc=5.0, smooth=True),
        options="sigma = 2.5, rc = 5.0",
    ),
    Case(
        "morse",
        "Al",
        ALUMINIUM,
        _of("ase.calculators.morse", "MorsePotential", epsilon=0.5, r0=2.9, rho0=4),
        options="epsilon = 0.5, r0 = 2.9, rho0 = 4",
    ),
    Case(
        "nep",
        "Al, random weights",
        ALUMINIUM,
        _of("calorine.calculators", "CPUNEP", model_filename="FILE"),
        make_model=write_random_nep,
    ),
    Case(
        "gap",
        "Al, fitted to 6 supercells",
        ALUMINIUM,
        _of("quippy.potential", "Potential", param_filename="FILE"),
        make_model=fit_gap,
    ),
    Case(
        "mace",
        "Al, float64, random weights",
        ALUMINIUM,
        _of(*_MACE, model_paths="FILE", device="cpu", default_dtype="float64"),
        options="device = cpu",
        make_model=save_random_mace,
    ),
    Case(
        "mace",
        "Al, float32, random weights",
        ALUMINIUM,
        _of(*_MACE, model_paths="FILE", device="cpu", default_dtype="float32"),
        options="device = cpu, dtype = float32",
        tolerance=1e-5,
        make_model=save_random_mace,
    ),
    # What is left of the convergence of charges.
    Case(
        "tblite",
        "Si, GFN1-xTB",
        SILICON,
        _of("tblite.ase", "TBLite", method="GFN1-xTB", verbosity=0, accuracy=1e-4),
        options="method = GFN1-xTB",
        tolerance=1e-6,
        repeats=1,
    ),
    Case(
        "tblite",
        "Si, GFN2-xTB",
        SILICON,
        _of("tblite.ase", "TBLite", method="GFN2-xTB", verbosity=0, accuracy=1e-4),
        tolerance=1e-6,
        repeats=1,
    ),
    # Single precision, in batches.
    Case("chgnet", "Si", SILICON, _CHGNET, options="device = cpu", tolerance=2e-5),
    Case("chgnet", "NaCl", SALT, _CHGNET, options="device = cpu", tolerance=2e-5),
    Case(
        "sevennet",
        "Si",
        SILICON,
        _of("sevenn.calculator", "SevenNetCalculator", model="7net-0", device="cpu"),
        options="device = cpu",
        tolerance=2e-5,
    ),
)
"""All calculators that can be tried without a download."""

TRIED = {case.library for case in CASES}
FAKED = tuple(library.name for library in LIBRARIES if library.name not in TRIED)
"""Calculators whose models would have to be downloaded."""
