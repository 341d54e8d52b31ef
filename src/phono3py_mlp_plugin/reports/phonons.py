"""Force constants of a run and their phonons."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import read_force_constants
from phono3py_mlp_plugin.reports.contents import Bands
from phono3py_mlp_plugin.reports.folder import RunFolder
from phono3py_mlp_plugin.workflow import (
    Check,
    band_path,
    check_phonons,
    force_constants_problem,
    harmonic_crystal,
    read_dataset,
    request_solver,
    supercells_of,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

# Number of supercells from which fc2 is fitted without fc3, which saves minutes and
# gigabytes for large cells. For NaCl this changes the bands by 0.0006 THz (rms) with
# twenty supercells, and by 0.010 THz with five.
_MANY = 20

# Points on each segment of the band path; mesh of the density of states.
_POINTS = 51
_DOS_MESH = 60.0  # angstrom, as the host's --mesh of one number


def force_constants_of(folder: RunFolder, order: int) -> FloatArray:
    """Return fc2 or fc3 of the run.

    Raises
    ------
    DatasetError
        If there is no such file.
    FileError
        If it does not belong to this crystal.
    """
    path, run = folder.path / f"fc{order}.hdf5", folder.run
    cell, primitive = run.supercell, run.primitive
    if order == 2 and run.phonon_supercell_matrix is not None:
        cell, primitive = run.phonon_supercell, run.phonon_primitive
    n = len(cell)
    if not path.is_file():
        raise DatasetError(f"No {path.name}: phono3py --pypolymlp --rd N makes it.")
    p2s_map = [int(i) for i in primitive.p2s_map]
    return read_force_constants(path, (*(n,) * order, *(3,) * order), p2s_map)


def fc2_data(folder: RunFolder) -> Dataset | None:
    """Return the first-principles dataset of dim-fc2, or None.

    Raises
    ------
    DatasetError
        If the dataset is invalid.
    """
    crystal = folder.crystal
    if crystal.phonon_supercell_matrix is None:
        return None
    return read_dataset(crystal.phonon_dataset, crystal.phonon_supercell)


def phonon_checks(
    folder: RunFolder, fc2: FloatArray, mesh: tuple[int, ...] | None
) -> list[Check]:
    """Return the checks of phonons, on the mesh of kappa if there is one."""
    harmonic = harmonic_crystal(folder.run, fc2)
    with warnings.catch_warnings():
        # The numbers of a generalised regular grid need not have the symmetry.
        warnings.filterwarnings("ignore", message="Mesh .* is incompatible")
        harmonic.run_mesh(
            _DOS_MESH if mesh is None or len(mesh) != 3 else mesh, is_gamma_center=True
        )
    on_mesh: Any = harmonic.mesh
    gamma = np.abs(on_mesh.qpoints).max(axis=1) < 1e-8
    frequencies = np.array(on_mesh.frequencies)
    return check_phonons(frequencies[~gamma], frequencies[gamma][0])


def bands_of(
    folder: RunFolder,
    fc2: FloatArray,
    direct: tuple[Phono3py, FloatArray] | None,
    data: Dataset | None,
) -> Bands:
    """Return the phonons of the run and, for comparison, those of first principles.

    Parameters
    ----------
    folder : RunFolder
    fc2 : ndarray
        In eV/angstrom^2, shape ``(N or N_p, N, 3, 3)``.
    direct : tuple or None
        As returned by `direct_fc2`.
    data : Dataset or None
        As returned by `fc2_data`.
    """
    sources = {"force constants": (folder.run, fc2)}
    if direct is not None:
        sources["first principles"] = direct
    return bands_of_sources(sources, _remark(folder, data))


def bands_of_sources(
    sources: Mapping[str, tuple[Phono3py, FloatArray]], remark: str = ""
) -> Bands:
    """Return phonons along the path of the first crystal, and densities of states.

    Parameters
    ----------
    sources : mapping
        Crystals and fc2 by source, as in `Bands`; fc2 in eV/angstrom^2, shape
        ``(N or N_p, N, 3, 3)``.
    remark : str
    """
    first, _ = next(iter(sources.values()))
    path = band_path(first.primitive)
    reciprocal = np.linalg.inv(first.primitive.cell)
    along = np.linspace(0, 1, _POINTS)
    lines = [s.start[1] + along[:, None] * (s.end[1] - s.start[1]) for s in path]
    frequencies, dos = {}, {}
    for name, (crystal, values) in sources.items():
        harmonic = harmonic_crystal(crystal, values)
        # Computed by segments, because phonons at Gamma depend on the direction.
        harmonic.run_band_structure(lines)
        bands: Any = harmonic.band_structure
        frequencies[name] = [np.sort(f, axis=1) for f in bands.frequencies]
        harmonic.run_mesh(_DOS_MESH)
        harmonic.run_total_dos()
        assert harmonic.total_dos is not None
        dos[name] = (
            np.array(harmonic.total_dos.frequency_points),
            np.array(harmonic.total_dos.dos),
        )
    distances = [
        along * np.linalg.norm(reciprocal @ (s.end[1] - s.start[1])) for s in path
    ]
    return Bands(path, distances, frequencies, dos, remark)


def direct_fc2(folder: RunFolder, data: Dataset | None) -> tuple[Phono3py, FloatArray]:
    """Return fc2 fitted to first-principles forces, and its crystal.

    Raises
    ------
    DatasetError
        If there are no such forces.
    """
    separate = data is not None
    crystal = folder.crystal if separate else _without_dim_fc2(folder.crystal)
    part = supercells_of(crystal)[-1]
    forces = part.read_dataset()
    if forces is None:
        raise DatasetError("No first-principles forces to compare with.")
    request = request_solver("symfc")
    orders = (2,) if separate or len(forces) >= _MANY else (2, 3)
    problem = force_constants_problem(part, request, orders, forces=forces.forces)
    return crystal, np.asarray(plugins.solve(request.solver, problem)[2])


def _remark(folder: RunFolder, data: Dataset | None) -> str:
    """Return an explanation of the comparison if there is a supercell of dim-fc2."""
    if folder.run.phonon_supercell_matrix is None:
        return ""
    if data is not None:
        return (
            "fc2.hdf5 itself comes from first-principles forces, those of dim-fc2: "
            "the two should coincide, and say nothing about the potential."
        )
    large, small = len(folder.run.phonon_supercell), len(folder.crystal.supercell)
    return (
        f"fc2.hdf5 is of the supercell of dim-fc2 ({large} atoms), first "
        f"principles of {small} atoms: the range of fc2 differs too."
    )


def _without_dim_fc2(crystal: Phono3py) -> Phono3py:
    """Return the crystal with one supercell for fc2 and fc3."""
    from phono3py import Phono3py

    if crystal.phonon_supercell_matrix is None:
        return crystal
    plain = Phono3py(
        crystal.unitcell,
        supercell_matrix=crystal.supercell_matrix,
        primitive_matrix=crystal.primitive_matrix,
        symprec=crystal.symmetry.tolerance,
    )
    plain.nac_params = crystal.nac_params
    if crystal.dataset is not None:
        plain.dataset = crystal.dataset
    return plain
