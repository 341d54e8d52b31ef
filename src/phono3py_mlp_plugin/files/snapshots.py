"""Structures, forces and energies of any program, in any format that ASE reads."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import (
    DatasetError,
    MLPError,
    ParameterError,
    PluginNotFound,
    did_you_mean,
    one_line,
)
from phono3py_mlp_plugin.files.program_output import PROGRAMS, Snapshot
from phono3py_mlp_plugin.files.regular import (
    COMPRESSED,
    UNREADABLE,
    check_input,
    open_bytes,
)

_PEEK = 100_000

# How files are known whose names can be any; ASE knows them by name alone.
_MARKS = {
    "vasp-xml": (b"<modeling>",),
    "castep-castep": (b"CASTEP version",),
    "aims-output": (b"Invoking FHI-aims",),
    "lammps-dump-text": (b"ITEM: TIMESTEP", b"ITEM: NUMBER OF ATOMS"),
    "traj": (b"- of Ulm", b"ASE-Trajectory"),
}

# Number of atoms, then keys of extended XYZ in the second line.
_EXTENDED_XYZ = re.compile(rb"\s*\d+[ \t]*\r?\n[^\n]*\b(Lattice|Properties)\s*=", re.I)

# Formats of ASE that need no file, or several.
_NOT_FILES = ("mysql", "postgresql", "bundletrajectory")

_DATABASES = ("db", "json")

# Smallest occupancy of a site that is full up to rounding.
_FULL = 0.99

# ASE gives zero for the energies that are not in these files.
_NO_ENERGIES = ("lammps-dump-text", "lammps-dump-binary")


def read_snapshots(path: Path, file_format: str | None = None) -> list[Snapshot]:
    """Read all configurations in a file.

    Parameters
    ----------
    path : Path
        It may be compressed (.gz, .bz2, .xz, .lzma).
    file_format : str, optional
        Name of the format, as in ASE; found from name and content by default.

    Raises
    ------
    DatasetError
        If the file cannot be read in this format, or the format is not found.
    ParameterError
        If the name of the format is unknown.
    PluginNotFound
        If ASE is needed and not installed.
    UnusableFile
        If the file is not a regular file, or too large.
    OSError
        If the file cannot be opened.
    """
    snapshots: list[Snapshot] = []
    with _uncompressed(path) as plain:
        if not plain.stat().st_size:
            raise DatasetError(f"{path}: empty. Is it complete?")
        known = file_format or _format_by_content(plain)
        try:
            if known in PROGRAMS:
                lines = plain.read_text(encoding="utf-8", errors="replace")
                snapshots += PROGRAMS[known].read(lines.splitlines())
            else:
                for atoms, name in _ase_images(plain, path, known):
                    snapshots.append(_snapshot(atoms, name not in _NO_ENERGIES))
        except MLPError as error:
            where = "" if str(error).startswith(str(path)) else f"{path}: "
            raise type(error)(f"{where}{error}") from error
        # Readers raise many types of errors for an invalid file.
        except Exception as error:
            raise DatasetError(
                f"{path}: cannot be read as {known or _ase_format(plain)!r} after "
                f"frame {len(snapshots)} ({one_line(error)}). Is it complete, and is "
                "this its format (--format)?"
            ) from error
    return snapshots


@contextlib.contextmanager
def _uncompressed(path: Path) -> Iterator[Path]:
    """Yield a path of the file without compression, after checking it."""
    check_input(path)
    if path.suffix not in COMPRESSED:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="phono3py-mlp-") as folder:
        plain = Path(folder) / path.stem
        try:
            with open_bytes(path) as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target)
        except MLPError:
            raise
        except UNREADABLE as error:
            if getattr(error, "errno", None):  # Such as no space on the disk.
                raise
            raise DatasetError(
                f"{path}: cannot be uncompressed ({one_line(error)}). Is it complete?"
            ) from error
        yield plain


def _format_by_content(path: Path) -> str | None:
    with path.open("rb") as file:
        content = file.read(_PEEK)
    for name, program in PROGRAMS.items():
        if all(mark in content for mark in program.marks):
            return name
    if _EXTENDED_XYZ.match(content):
        return "extxyz"
    head = content[:2000]
    if head.startswith(b" vasp."):
        return "vasp-out"
    for name, marks in _MARKS.items():
        if all(mark in head for mark in marks):
            return name
    return None


def _ase_format(path: Path) -> str:
    from ase.io.formats import filetype

    try:
        return str(filetype(str(path)))
    except Exception:
        return "?"


def _ase_images(
    plain: Path, path: Path, file_format: str | None
) -> Iterator[tuple[Any, str]]:
    """Yield the Atoms objects of a file, with the name of its format."""
    try:
        from ase.io import iread
        from ase.io.formats import ioformats
    except ImportError:
        raise PluginNotFound(
            f"{path}: reading it needs ASE. "
            "Install it by 'pip install \"phono3py-mlp-plugin[ase]\"'."
        ) from None
    name = file_format or _ase_format(plain)
    if name not in ioformats or name in _NOT_FILES or not ioformats[name].can_read:
        if file_format is None:
            raise DatasetError(
                f"{path}: its format is not known from its name and content. Name it "
                "by --format, such as vasp-xml or espresso-out."
            )
        hint = did_you_mean(name, [*PROGRAMS, *ioformats])
        raise ParameterError(
            f"--format {name}; expected a format that ASE reads, or one of "
            f"{', '.join(PROGRAMS)}.{hint}"
        )
    # Readers warn about what is not used here, such as occupations and symmetry.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = (
            _rows_of_database(plain, name)
            if name in _DATABASES
            else iread(str(plain), index=":", format=name, do_not_split_by_at_sign=True)
        )
        for atoms in images:
            yield atoms, name


def _rows_of_database(path: Path, file_format: str) -> Iterator[Any]:
    """Yield Atoms objects with the user's values, which iread leaves out."""
    from ase.db import connect

    with connect(str(path), type=file_format, serial=True) as database:
        for row in database.select():
            yield row.toatoms(add_additional_information=True)


def _snapshot(atoms: Any, with_energies: bool) -> Snapshot:
    """Return what is in an Atoms object, under all names."""
    # get_forces() would return zeros for atoms that are fixed in the file.
    results = {} if atoms.calc is None else atoms.calc.results
    in_database = {
        **atoms.info.get("key_value_pairs", {}),
        **atoms.info.get("data", {}),
    }
    return Snapshot(
        lattice=np.array(atoms.cell),
        symbols=list(atoms.symbols),
        positions=np.array(atoms.positions),
        periodic=bool(atoms.pbc.any()),
        forces={
            name: np.array(value, dtype="double")
            for name, value in {**atoms.arrays, **in_database, **results}.items()
            if name != "positions" and _are_vectors(value, len(atoms))
        },
        energies={
            name: float(value)
            for name, value in {**atoms.info, **in_database, **results}.items()
            if with_energies and _is_number(value)
        },
        stresses={
            name: _tensor(value)
            for name, value in {**atoms.info, **in_database, **results}.items()
            if ("stress" in name.lower() or "virial" in name.lower())
            and np.size(value) in (6, 9)
        },
        masses=np.array(atoms.arrays["masses"]) if "masses" in atoms.arrays else None,
        magnetic_moments=_moments(atoms),
        pbc=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        partial_site=_partial_site(atoms.info.get("occupancy")),
    )


def _tensor(value: Any) -> FloatArray:
    """Return a tensor of shape (3, 3), which ASE may give in the order of Voigt."""
    numbers = np.array(value, dtype="double")
    if numbers.size == 9:
        return numbers.reshape(3, 3)
    xx, yy, zz, yz, xz, xy = numbers.reshape(6)
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _moments(atoms: Any) -> FloatArray | None:
    """Return the magnetic moments that a file sets, None if all are zero."""
    moments = atoms.arrays.get("initial_magmoms")
    return None if moments is None or not np.any(moments) else np.array(moments)


def _partial_site(sites: Any) -> str | None:
    """Return the elements of a site of a CIF that is not occupied by one element.

    ASE keeps one of the elements, and ignores vacancies. Text stands for an unknown
    occupancy.
    """
    for elements in sites.values() if isinstance(sites, Mapping) else ():
        shares = [x for x in elements.values() if not isinstance(x, str)]
        if len(elements) != 1 or not all(share >= _FULL for share in shares):
            return ", ".join(f"{element} {x}" for element, x in elements.items())
    return None


def _are_vectors(value: Any, n_atoms: int) -> bool:
    return np.shape(value) == (n_atoms, 3) and np.asarray(value).dtype.kind in "fiu"


def _is_number(value: Any) -> bool:
    return np.size(value) == 1 and np.asarray(value).dtype.kind in "fiu"
