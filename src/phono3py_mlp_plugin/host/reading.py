"""Reading of input files by phono3py, with errors that name file and line."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from phono3py import Phono3py
from phono3py.cui.settings import Phono3pySettings
from phono3py.interface.phono3py_yaml import Phono3pyYaml
from phono3py.phonon3.dataset import (
    forces_in_dataset,
    get_displacements_and_forces_fc3,
)
from phonopy.cui.phonopy_script import store_nac_params
from phonopy.physical_units import get_calculator_physical_units, get_physical_units

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import (
    DatasetError,
    MLPError,
    ResourceError,
    one_line,
)
from phono3py_mlp_plugin.files import (
    UNREADABLE,
    PlainLoader,
    each_file_once,
    is_columnar,
    open_text,
)
from phono3py_mlp_plugin.host.output import show
from phono3py_mlp_plugin.host.units import set_born_factor
from phono3py_mlp_plugin.workflow import (
    Cell,
    check_crystal,
    check_masses,
    check_memory_of_mesh,
    shares_sites,
)

# Bytes of YAML above which HDF5 is recommended; it is read at about 1 MB/s.
_LARGE_YAML = 50e6

_ARRAYS = ("displacements", "forces")
_MATRICES = ("supercell_matrix", "primitive_matrix", "phonon_supercell_matrix")


def unreadable_input(path: Path, error: Exception) -> MLPError:
    """Return the error to raise if phono3py could not read its input file.

    For an invalid file, phono3py and its libraries raise nearly any exception.

    Parameters
    ----------
    path : Path
    error : Exception
        The error of phono3py, quoted if no better reason is found.
    """
    if isinstance(error, MLPError):
        return error
    if not path.is_file():
        return DatasetError(one_line(error))
    try:
        content = _content(path)
        reason = _format_error(content)
        if reason is None:
            _check_raw_crystal(content, path)
    except (DatasetError, ResourceError) as known_error:
        return known_error
    return DatasetError(
        f"{path}: "
        + (
            reason
            or f"not a phono3py.yaml-like file ({one_line(error)}). Is it complete?"
        )
    )


def _content(path: Path) -> Any:
    """Return the content of a YAML file, or of one in HDF5.

    Raises
    ------
    DatasetError
        If the file cannot be read, or contains tags that would execute code.
    """
    try:
        with open_text(path) as file:
            return yaml.load(file, Loader=PlainLoader)  # noqa: S506
    except yaml.constructor.ConstructorError as error:
        raise DatasetError(
            f"{path}{_line(error)}: {error.problem}; expected numbers, text, lists "
            "and mappings alone. Leave it out, and ask where the file comes from."
        ) from error
    except yaml.MarkedYAMLError as error:
        raise DatasetError(
            f"{path}{_line(error)}: not YAML ({error.problem}). Is the file complete?"
        ) from error
    except (*UNREADABLE, yaml.YAMLError) as error:
        raise DatasetError(f"{path}: cannot be read ({one_line(error)}).") from error


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    return "" if mark is None else f", line {mark.line + 1}"


def _check_raw_crystal(content: Mapping[str, Any], path: Path) -> None:
    """Check the crystal in the file, in the length unit of the calculator."""
    unitcell = content["unit_cell"]
    points = unitcell.get("points") or unitcell.get("atoms") or ()
    sites = [point for point in points if isinstance(point, Mapping)]
    masses = [point["mass"] for point in sites if "mass" in point]
    check_crystal(
        Cell(
            unitcell.get("lattice"),
            [site.get("coordinates", site.get("position")) for site in sites],
            masses,
            may_overlap=any("weight" in s or "mixture" in s for s in sites),
        ),
        {name: content.get(name) for name in _MATRICES},
        str(path),
    )


def _format_error(content: Any) -> str | None:
    """Return the error in the content of a phono3py.yaml-like file, or None."""
    if not isinstance(content, Mapping):
        kind = "empty" if content is None else f"a {type(content).__name__}"
        return f"{kind}; expected a phono3py.yaml-like file. Is it complete?"
    for key in ("unit_cell", "supercell"):
        if not isinstance(content.get(key), Mapping):
            return (
                f"there is no {key!r}. Is it a phono3py.yaml-like file, and complete?"
            )
    dataset = content.get("dataset")
    if not isinstance(dataset, Mapping):
        return None
    n_atoms = len(content["supercell"].get("points") or ())
    for key in _ARRAYS:
        for number, snapshot in enumerate(_items(dataset.get(key)), start=1):
            reason = _error_in_snapshot(snapshot, n_atoms)
            if reason:
                return f"{key}: snapshot {number}{reason}. Correct it or leave it out."
    energies = _items(dataset.get("supercell_energies"))
    for number, energy in enumerate(energies, start=1):
        if not _is_number(energy):
            return f"supercell_energies: snapshot {number} = {energy!r}; not a number."
    return None


def _items(values: Any) -> Any:
    """Return a list or array, empty for None."""
    return () if values is None else values


def _error_in_snapshot(snapshot: Any, n_atoms: int) -> str | None:
    if isinstance(snapshot, np.ndarray):
        snapshot = snapshot.tolist()
    if not isinstance(snapshot, Sequence) or len(snapshot) != n_atoms:
        n_given = len(snapshot) if isinstance(snapshot, Sequence) else "no"
        return f" has {n_given} atoms; expected {n_atoms}"
    for atom, vector in enumerate(snapshot, start=1):
        if (
            not isinstance(vector, Sequence)
            or len(vector) != 3
            or not all(map(_is_number, vector))
        ):
            return f", atom {atom}: {vector}; expected three numbers"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_content(path: Path) -> Mapping[str, Any]:
    """Return the content of a phono3py.yaml-like file, YAML or HDF5.

    Raises
    ------
    DatasetError
        If it cannot be read, or is something else.
    """
    if not path.is_file():
        raise DatasetError(f'"{path}" is not found.')
    content = _content(path)
    reason = _format_error(content)
    if reason is not None:
        raise DatasetError(f"{path}: {reason}")
    assert isinstance(content, Mapping)
    return content


def content_of_crystal(crystal: Phono3py) -> dict[str, Any]:
    """Return the content of a phono3py_params.yaml, with arrays.

    Only the arrays of datasets of displaced supercells of type 2 are not formatted and
    read again.
    """
    arrays = {
        "dataset": crystal.dataset,
        "phonon_dataset": crystal.phonon_dataset,
    }
    large = {
        key: dict(value)
        for key, value in arrays.items()
        if value is not None and "displacements" in value
    }
    # phono3py writes all datasets or none.
    is_formatted = any(arrays[key] is not None for key in arrays.keys() - large.keys())
    others = dict.fromkeys(("force_sets", "displacements"), is_formatted)
    with tempfile.TemporaryDirectory(prefix="phono3py-mlp-") as folder:
        path = Path(folder) / "phono3py_params.yaml"
        crystal.save(path, settings=others)
        return {**_content(path), **large}


@contextlib.contextmanager
def without_primitive_axes_warning() -> Iterator[None]:
    """Suppress the warning about the default of primitive_matrix, also if given."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="primitive_matrix defaulted")
        yield


def read_crystal(
    filename: Path,
    settings: Any | None = None,
    log_level: int = 0,
    *,
    with_datasets: bool = True,
) -> Phono3py:
    """Read crystal, datasets and Born charges as ``phono3py FILE`` does.

    Units are angstrom, eV and eV/angstrom for all calculators. As in phono3py, the
    files BORN, FORCES_FC3 and FORCES_FC2 of the current folder are read if the file
    has no Born charges or forces.

    Parameters
    ----------
    filename : Path
        A phono3py.yaml-like file.
    settings : Phono3pySettings, optional
        Settings from a command line; by default those of ``phono3py FILE``.
    log_level : int
        Log level of phono3py; 0 is silent.
    with_datasets : bool
        Whether to read displacements and forces.

    Raises
    ------
    DatasetError, ResourceError
        If a file cannot be read, or its content cannot be used.
    """
    if not filename.is_file():
        raise DatasetError(f'"{filename}" is not found.')
    from phono3py.cui import phono3py_script
    from phono3py.cui.create_supercells import get_cell_info

    if settings is None:
        settings = Phono3pySettings(load_phono3py_yaml=True)
    with without_primitive_axes_warning():
        info = read_cell_info(get_cell_info, settings, str(filename), log_level)
        ph3 = _crystal_from(info, settings, filename, log_level)
    yaml_of_host = info.phono3py_yaml
    if settings.is_nac:
        units = get_physical_units()
        read_born_charges(
            store_nac_params,
            ph3,
            settings,
            yaml_of_host,
            filename,
            log_level,
            nac_factor=units.Hartree * units.Bohr,
        )
    if with_datasets:
        read_datasets(
            phono3py_script._load_dataset_and_phonon_dataset,
            ph3,
            ph3py_yaml=yaml_of_host,
            phono3py_yaml_filename=filename,
            cutoff_pair_distance=settings.cutoff_pair_distance,
            calculator=info.interface_mode,
            log_level=log_level,
        )
    return ph3


def _crystal_from(info: Any, settings: Any, filename: Path, log_level: int) -> Phono3py:
    """Return the crystal in angstrom, without datasets."""
    from phono3py.cui import phono3py_script

    tolerance = settings.symmetry_tolerance
    try:
        ph3, _ = phono3py_script._init_phono3py_with_cell_info(
            settings,
            info,
            info.interface_mode,
            1e-5 if tolerance is None else tolerance,
            log_level,
        )
    except SystemExit as error:
        raise DatasetError(
            f"{filename}: the supercell is not what unit_cell and supercell_matrix "
            "make. Correct the matrix, or make the file anew."
        ) from error
    except Exception as error:
        raise unreadable_input(filename, error) from error
    return ph3


def read_cell_info(
    host: Callable[..., Any],
    settings: Any,
    filename: str | None,
    log_level: int,
    load_phonopy_yaml: bool = True,
) -> Any:
    """Return the result of ``get_cell_info`` of phono3py after checking it.

    Raises
    ------
    DatasetError, ResourceError
        If the file cannot be read, or the crystal is invalid.
    """
    path = Path(filename or "")
    show(_size_notes(path), log_level)
    try:
        with each_file_once(), np.errstate(all="ignore"):
            info = host(settings, filename, log_level, load_phonopy_yaml)
        units = get_calculator_physical_units(info.interface_mode)
    except Exception as error:
        raise unreadable_input(path, error) from error
    cell = info.unitcell
    check_crystal(
        Cell(
            cell.cell * units.distance_to_A,
            cell.scaled_positions,
            cell.masses,
            may_overlap=shares_sites(cell),
        ),
        {name: getattr(info, name) for name in _MATRICES},
        str(info.optional_structure_info.unitcell_filename),
    )
    check_masses(settings.masses, "--mass")
    if settings.mesh_numbers is not None:
        # Three numbers were checked before. The number of points that phono3py makes of
        # a length is larger for the primitive cell.
        check_memory_of_mesh(np.ravel(settings.mesh_numbers).tolist(), cell.cell)
    return info


def _size_notes(path: Path) -> list[str]:
    """Return a note on a large YAML file."""
    size = path.stat().st_size if path.is_file() else 0
    if size < _LARGE_YAML or is_columnar(path):
        return []
    return [
        f'Note: "{path}" has {size / 1e6:.0f} MB, which takes long to read. '
        f"'phono3py-mlp convert {path}' writes the same in HDF5, which all commands "
        "read at once."
    ]


def read_born_charges(
    host: Callable[..., Any],
    ph3: Phono3py,
    settings: Any,
    ph3py_yaml: Any,
    filename: str | os.PathLike[str],
    log_level: int,
    **options: Any,
) -> None:
    """Read Born charges with ``store_nac_params`` and set their unit factor.

    Raises
    ------
    DatasetError
        If the file BORN cannot be used, or the unit factor is unknown.
    """
    own = ph3py_yaml is not None and ph3py_yaml.nac_params is not None
    where = str(filename) if own else "BORN"
    try:
        host(ph3, settings, ph3py_yaml, filename, log_level, **options)
    except Exception as error:
        raise DatasetError(
            f"{where}: Born charges cannot be read ({one_line(error)}). Is it "
            "complete, and of this crystal?"
        ) from error
    note = set_born_factor(ph3, where)
    if note:
        show([f"Note: {note}"], log_level)


def read_datasets(host: Callable[..., Any], ph3: Phono3py, **options: Any) -> None:
    """Read datasets with ``_load_dataset_and_phonon_dataset`` of phono3py.

    Raises
    ------
    DatasetError
        If a file of forces cannot be read, or belongs to another supercell.
    """
    try:
        with warnings.catch_warnings():
            # Raised for an empty file, which is reported as an error.
            warnings.filterwarnings("ignore", message="loadtxt: input contained no")
            host(ph3, **options)
    except Exception as error:
        where = _forces_file(ph3, options.get("ph3py_yaml")) or options.get(
            "phono3py_yaml_filename"
        )
        raise DatasetError(
            f"{where}: forces cannot be read ({one_line(error)}). Is it complete, and "
            "of these displacements?"
        ) from error


def _forces_file(ph3: Phono3py, ph3py_yaml: Any) -> Path | None:
    """Return the force file that phono3py read last, None for the input file."""
    order = 2 if ph3.dataset is not None else 3
    dataset = (
        None
        if ph3py_yaml is None
        else (ph3py_yaml.dataset if order == 3 else ph3py_yaml.phonon_dataset)
    )
    if dataset is not None and forces_in_dataset(dataset):
        return None
    return next(iter(sorted(Path().glob(f"FORCES_FC{order}*"))), None)


def read_run_options(path: Path) -> dict[str, str]:
    """Return the options of the run that wrote a phono3py.yaml, if recorded.

    Raises
    ------
    DatasetError
        If the file is not a phono3py.yaml.
    """
    try:
        content = _content(path)
        settings = content["phono3py"].get("configuration") or {}
        return {str(name): str(value) for name, value in settings.items()}
    except Exception as error:
        raise unreadable_input(path, error) from error


def read_planned_displacements(path: Path) -> FloatArray | None:
    """Return the displacements in a phono3py.yaml-like file, None if there are none.

    Parameters
    ----------
    path : Path
        A file that `read_crystal` has read.

    Returns
    -------
    ndarray or None
        In angstrom, shape ``(n, N, 3)``.
    """
    content = Phono3pyYaml()
    content.read(path)
    if not content.dataset:
        return None
    displacements, _ = get_displacements_and_forces_fc3(content.dataset)
    units = get_calculator_physical_units(content.calculator)
    return np.asarray(displacements * units.distance_to_A)
