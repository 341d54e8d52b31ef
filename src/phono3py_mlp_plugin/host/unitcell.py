"""Reading of a unit cell from a file of any program."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from phono3py import Phono3py
from phono3py.interface.phono3py_yaml import Phono3pyYaml
from phonopy.interface.calculator import (
    PhonopyYamlStructureInfo,
    read_crystal_structure,
)
from phonopy.physical_units import get_calculator_physical_units
from phonopy.structure.atomic_data import get_atomic_data
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.errors import (
    DatasetError,
    ParameterError,
    PluginNotFound,
    one_line,
)
from phono3py_mlp_plugin.files import (
    Snapshot,
    check_input,
    read_poscar,
    read_snapshots,
)
from phono3py_mlp_plugin.host.output import show
from phono3py_mlp_plugin.host.reading import without_primitive_axes_warning
from phono3py_mlp_plugin.workflow import (
    Cell,
    check_crystal,
    check_equivalent_masses,
    check_lattice,
    check_ordered,
    check_vacuum,
    element_of,
)

# Files that phono3py reads if it is given the name of the calculator. ASE does not read
# them, or does not know them by this name.
_INTERFACES = (
    ("*POSCAR*", "vasp"),
    ("*CONTCAR*", "vasp"),
    ("*.vasp", "vasp"),
    ("*.yaml", "phonopy_yaml"),
    ("*.yaml.*", "phonopy_yaml"),
    ("*.yml", "phonopy_yaml"),
    ("*.inp", "cp2k"),
    ("*.fdf", "siesta"),
    ("*.cell", "castep"),
    ("geometry.in*", "aims"),
    ("elk*.in", "elk"),
    ("*.struct", "wien2k"),
    ("*.gen", "dftbp"),
    ("*STRU*", "abacus"),
    ("control", "turbomole"),
    ("*.config", "pwmat"),
    ("lammps*", "lammps"),
)


# Input files of any name. What phono3py does not read of them, ASE may.
_CONTENTS = ((b"znucl", "abinit"), (b"atomic_species", "qe"))
_ALSO_ASE = ("abinit", "qe", "wien2k", "aims", "castep", "dftbp")

_PEEK = 20_000


def read_unitcell(
    path: Path,
    dim: Sequence[int],
    primitive: str,
    symprec: float | None = None,
    moments: Sequence[str] | None = None,
) -> Phono3py:
    """Read a unit cell and return the crystal with its supercell.

    What is unexpected about the file is printed.

    Parameters
    ----------
    path : Path
        A file that phono3py or ASE reads.
    dim : sequence of int
        Supercell matrix: three diagonal elements, or all nine.
    primitive : str
        Primitive axes, as in ``--pa`` of phono3py.
    symprec : float, optional
        Tolerance of the symmetry search in angstrom (1e-5).
    moments : sequence of str, optional
        Magnetic moments of the atoms, as in ``--magmom`` of phono3py.

    Raises
    ------
    DatasetError, ParameterError, ResourceError, PluginNotFound
        If the file holds no crystal, or the supercell matrix is invalid.
    """
    if not path.is_file():
        raise DatasetError(f'"{path}" is not found.')
    check_input(path)
    matrix = _supercell_matrix(dim)
    unitcell = _unitcell(path)
    if moments is not None:
        _set_moments(unitcell, moments)
    check_ordered(unitcell, str(path))
    check_crystal(
        Cell(unitcell.cell, unitcell.scaled_positions, unitcell.masses),
        {"supercell_matrix": matrix},
        str(path),
    )
    return crystal_of(unitcell, dim, primitive, symprec)


def _supercell_matrix(dim: Sequence[int]) -> NDArray[np.int64]:
    if len(dim) not in (3, 9) or (len(dim) == 3 and min(dim) < 1):
        raise ParameterError(
            f"--dim {' '.join(map(str, dim))}; expected three positive numbers or nine."
        )
    return np.diag(dim) if len(dim) == 3 else np.reshape(dim, (3, 3))


def crystal_of(
    unitcell: PhonopyAtoms,
    dim: Sequence[int],
    primitive: str,
    symprec: float | None = None,
) -> Phono3py:
    """Return the crystal of a unit cell that has been checked; see `read_unitcell`."""
    try:
        with _warnings_as_notes():
            crystal = Phono3py(
                unitcell,
                supercell_matrix=_supercell_matrix(dim),
                primitive_matrix=primitive,
                symprec=1e-5 if symprec is None else symprec,
            )
    except (RuntimeError, ValueError) as error:
        # For auto, phono3py does not distinguish species such as Mn and Mn1.
        remedy = "" if primitive == "P" else " --pa P takes the unit cell as it is."
        reason = one_line(error).rstrip(".")
        raise ParameterError(f"--dim, --pa: {reason}.{remedy}") from error
    check_equivalent_masses(crystal.supercell, crystal.primitive)
    return crystal


@contextlib.contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Print the first sentence of each warning of phonopy about the crystal."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with without_primitive_axes_warning():
            yield
    texts = dict.fromkeys(" ".join(str(w.message).split()) for w in found)
    first = [text.removeprefix("Warning: ").partition(". ")[0] for text in texts]
    show([f"Note: {text.rstrip('.')}." for text in first], 1)


def _set_moments(unitcell: PhonopyAtoms, moments: Sequence[str]) -> None:
    """Set the magnetic moments of the command line."""
    try:
        unitcell.magnetic_moments = list(_each_moment(moments))
    except (RuntimeError, ValueError, TypeError) as error:
        raise ParameterError(
            f"--magmom {' '.join(moments)}; expected a number, or three, for each of "
            f"{len(unitcell)} atoms."
        ) from error


def _each_moment(moments: Sequence[str]) -> Iterator[float]:
    """Yield the moments in words such as ``3*1.5``, which stands for three of them.

    phono3py 4.4 does not know this form, which is that of VASP.
    """
    for word in " ".join(moments).split():
        number, repeated, moment = word.rpartition("*")
        if repeated and not (number.isascii() and number.isdigit() and int(number)):
            raise ValueError(word)
        for _ in range(int(number) if repeated else 1):
            yield float(moment)


def _unitcell(path: Path) -> PhonopyAtoms:
    """Return the unit cell in angstrom."""
    interface = _interface(path)
    if interface == "vasp":
        return _of_snapshot(read_poscar(path), path)
    if interface is not None and interface not in _ALSO_ASE:
        return _of_interface(path, interface)
    if interface is not None:
        with contextlib.suppress(DatasetError):
            return _of_interface(path, interface)
    snapshots = _snapshots(path)
    if not snapshots or not snapshots[-1].periodic:
        raise DatasetError(
            f"{path}: there is no periodic crystal in it. Give a file with lattice "
            'vectors that is periodic, such as POSCAR or CIF (XYZ: pbc="T T T").'
        )
    if len(snapshots) > 1:
        show([f"{path}: the last of {len(snapshots)} structures is used."], 1)
    return _of_snapshot(snapshots[-1], path)


def _snapshots(path: Path) -> list[Snapshot]:
    """Return the structures in a file of any format of ASE, or of VASP by any name."""
    try:
        return read_snapshots(path)
    except DatasetError as error:
        try:
            return [read_poscar(path)]
        except DatasetError as of_poscar:
            # A lattice and coordinates were found.
            if isinstance(of_poscar.__cause__, DatasetError):
                raise
        reason = one_line(error.__cause__ or error)
        raise DatasetError(
            f"{path}: no crystal is read from it by phono3py or ASE ({reason}). Give "
            "lattice vectors in full, and the file the usual name of its program, such "
            "as POSCAR, geometry.in, unitcell.cell or unitcell.inp."
        ) from error


def _of_snapshot(snapshot: Snapshot, path: Path) -> PhonopyAtoms:
    """Return the unit cell in a file, after checking its elements and its vacuum.

    Raises
    ------
    DatasetError
        If sites are occupied in part, an element is unknown, or vacuum is missing.
    """
    if snapshot.partial_site is not None:
        raise DatasetError(
            f"{path}: a site is occupied by {snapshot.partial_site}; expected one "
            "element with 1. Forces are those of ordered crystals: give a supercell "
            "in which each site has its element."
        )
    known = get_atomic_data().symbol_map
    unknown = [s for s in dict.fromkeys(snapshot.symbols) if element_of(s) not in known]
    if unknown:
        raise DatasetError(
            f"{path}: elements = {' '.join(unknown)}; expected chemical symbols, such "
            "as Al. Correct them."
        )
    check_lattice(snapshot.lattice, f"{path}: lattice")
    check_vacuum(snapshot.lattice, snapshot.positions, snapshot.pbc, str(path))
    return PhonopyAtoms(
        cell=snapshot.lattice,
        symbols=snapshot.symbols,
        positions=snapshot.positions,
        masses=snapshot.masses,
        magnetic_moments=snapshot.magnetic_moments,
    )


def _interface(path: Path) -> str | None:
    """Return the calculator of a file by its name, otherwise by its content."""
    for pattern, interface in _INTERFACES:
        if fnmatch(path.name, pattern):
            return interface
    with path.open("rb") as file:
        content = file.read(_PEEK).lower()
    return next((name for mark, name in _CONTENTS if mark in content), None)


def _of_interface(path: Path, interface: str) -> PhonopyAtoms:
    """Return the unit cell in angstrom, read by phono3py."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Some readers of phono3py leave the file open.
            warnings.simplefilter("ignore", ResourceWarning)
            unitcell, info = read_crystal_structure(
                path, interface_mode=interface, phonopy_yaml_cls=Phono3pyYaml
            )
    except ModuleNotFoundError as error:
        raise PluginNotFound(
            f"{path}: phono3py needs {error.name} to read it. "
            f"Install it by 'pip install {str(error.name).replace('_', '-')}'."
        ) from error
    except (Exception, SystemExit) as error:
        raise DatasetError(
            f"{path}: not a crystal of {interface} ({one_line(error)}). Is it complete?"
        ) from error
    if unitcell is None:
        raise DatasetError(f"{path}: there is no crystal of {interface} in it.")
    calculator: str | None = interface
    if isinstance(info, PhonopyYamlStructureInfo):
        calculator = None if info.phonopy_yaml is None else info.phonopy_yaml.calculator
    unitcell = unitcell.copy()
    scale = get_calculator_physical_units(calculator).distance_to_A
    unitcell.cell = unitcell.cell * scale
    return unitcell
