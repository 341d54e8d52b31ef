"""Exported force constants give the phonons and the scattering of phono3py.

What is compared lies between the wave vectors of the supercell, where wrong images,
orders of atoms and shares of triplets show.
"""

from __future__ import annotations

import itertools
import math

import h5py
import numpy as np
import phonopy
import pytest
from phono3py import Phono3py
from phono3py.file_IO import write_fc2_to_hdf5
from phono3py.phonon3.fc3 import compact_fc3_to_full_fc3
from phono3py.phonon3.real_to_reciprocal import RealToReciprocal
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.structure.atoms import PhonopyAtoms

from exports.readers import read_alamode, read_kaldo, read_shengbte, read_tdep
from phono3py_mlp_plugin.cli import main
from phono3py_mlp_plugin.errors import ParameterError, SolverError
from phono3py_mlp_plugin.exports import FORMATS, export
from spring_crystal import (
    CRYSTALS,
    force_constants,
    spring_crystal,
    write_spring_crystal,
)

MESH = 11
# In units of 1 / MESH: no point is a wave vector of a supercell.
WAVE_VECTORS = [(1, 3, 2), (4, -2, 5), (0, 1, 0)]
# Rounding of sums of thousands of terms, and fifteen digits of the files.
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
# Editions of the physical constants differ by 1e-8.
CLOSE_IN_BOHR = {"rtol": 5e-8, "atol": 1e-9}


def cubic(symbols, positions, edge, cutoff, dim=1):
    """Return a face-centred crystal in its cubic cell, with compact force constants."""
    ph3 = Phono3py(
        PhonopyAtoms(
            symbols=symbols, cell=edge * np.eye(3), scaled_positions=positions
        ),
        supercell_matrix=[dim] * 3,
        primitive_matrix="F",
    )
    fc2, fc3 = force_constants(ph3.supercell, cutoff)
    rows = ph3.primitive.p2s_map
    ph3.fc2, ph3.fc3 = fc2[rows], fc3[rows]
    return ph3


def any_force_constants(primitive, order):
    """Return random numbers that only have the symmetry that all force constants have.

    The components of springs can be exchanged, those of other forces cannot.
    """
    n = len(primitive.s2p_map)
    shape = (len(primitive), *[n] * (order - 1), *[3] * order)
    compact = np.random.default_rng(0).normal(size=shape)
    expand = compact_fc_to_full_fc if order == 2 else compact_fc3_to_full_fc3
    full = expand(primitive, compact)
    return sum(
        full.transpose(*axes, *(order + axis for axis in axes))
        for axes in itertools.permutations(range(order))
    )


FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def make(name):
    if name == "NaCl":
        positions = np.vstack([FACES, FACES + 0.5])
        return cubic(["Na"] * 4 + ["Cl"] * 4, positions, 5.6, 6.0, dim=2)
    if name == "Si":
        positions = np.vstack([FACES, FACES + 0.25])
        return cubic(["Si"] * 8, positions, 5.43, 4.0)
    if name == "interleaved":
        data = CRYSTALS["triclinic"]
        ph3 = Phono3py(
            PhonopyAtoms(
                symbols=["O", "Ga", "O"],
                cell=data["cell"],
                scaled_positions=np.array(data["positions"]) - [0.5, 0, 0],
                masses=[16, 69, 18],
            ),
            supercell_matrix=[2, 1, 1],
            phonon_supercell_matrix=[[2, 0, 0], [1, 2, 0], [0, 0, 1]],
            primitive_matrix=np.eye(3),
        )
        ph3.fc2 = any_force_constants(ph3.phonon_primitive, 2)
        ph3.fc3 = any_force_constants(ph3.primitive, 3)
        return ph3
    return spring_crystal(name)


NAMES = ["NaCl", "Si", "triclinic", "one atom", "interleaved"]


@pytest.fixture(scope="module", params=NAMES)
def crystal(request):
    return make(request.param)


def boxes(crystal):
    """Return multiples of primitive vectors that are vectors of the supercells."""
    found = []
    for cell in (crystal.phonon_supercell, crystal.supercell):
        to_supercell = crystal.primitive.cell @ np.linalg.inv(cell.cell)
        counts = []
        for row in to_supercell:
            n = 1
            while not np.allclose(n * row, np.rint(n * row), atol=1e-8):
                n += 1
            counts.append(n)
        found.append(tuple(counts))
    return found


def places_of(model, crystal):
    """Return the atom of the primitive cell that is each atom of a file."""
    np.testing.assert_allclose(model.lattice, crystal.primitive.cell, atol=1e-9)
    positions = crystal.primitive.scaled_positions
    offsets = model.positions[:, None] - positions
    offsets -= np.rint(offsets)
    atom, place = np.nonzero(np.abs(offsets).max(axis=2) < 1e-8)
    assert atom.tolist() == list(range(len(positions)))
    assert [crystal.primitive.symbols[i] for i in place] == model.symbols
    return place


def check_phonons(model, crystal, q, close=CLOSE):
    """Compare the dynamical matrix, and with it all frequencies."""
    place = places_of(model, crystal)
    primitive = crystal.phonon_primitive
    matrix = DynamicalMatrix(crystal.phonon_supercell, primitive, crystal.fc2)
    matrix.run(q)
    n = len(primitive)
    masses = np.sqrt(primitive.masses)
    phases = np.exp(2j * np.pi * model.positions @ q)
    ours = matrix.dynamical_matrix.reshape(n, 3, n, 3).transpose(0, 2, 1, 3)
    ours = ours * (masses[:, None] * masses)[:, :, None, None]
    # phonopy's phases are those of positions.
    expected = ours[np.ix_(place, place)] * (phases[:, None] / phases)[..., None, None]
    found = model.second(q)
    np.testing.assert_allclose(found, expected, **close)


def check_scattering(model, crystal, triplet, mesh, *, averaged=True, close=CLOSE):
    place = places_of(model, crystal)
    none = np.zeros((len(crystal.primitive), *crystal.fc3.shape[1:3]), dtype="byte")
    host = RealToReciprocal(
        crystal.fc3,
        crystal.primitive,
        np.array(mesh),
        make_r0_average=averaged,
        all_shortest=none,
    )
    host.run(np.array(triplet))
    expected = host.get_fc3_reciprocal()[np.ix_(place, place, place)]
    found = model.third(*np.array(triplet[1:]) / mesh)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, **close)


def triplet_of(first, second):
    return [tuple(-np.add(first, second)), first, second]


@pytest.mark.parametrize(
    ("name", "read"), [("shengbte", read_shengbte), ("tdep", read_tdep)]
)
def test_phonons_and_scattering_are_those_of_phono3py(crystal, tmp_path, name, read):
    written = export(crystal, name, tmp_path)
    assert [path.name for path in written] == list(FORMATS[name].files)
    model = read(tmp_path)
    for q in WAVE_VECTORS:
        check_phonons(model, crystal, np.array(q) / MESH)
    check_scattering(model, crystal, triplet_of(*WAVE_VECTORS[:2]), (MESH,) * 3)


def test_phonons_of_alamode_are_those_of_phono3py(crystal, tmp_path):
    export(crystal, "alamode", tmp_path)
    model = read_alamode(tmp_path, crystal.primitive.cell)
    for q in WAVE_VECTORS:
        check_phonons(model, crystal, np.array(q) / MESH, CLOSE_IN_BOHR)
    # Images of the files are those around the first atom.
    triplet = triplet_of(*WAVE_VECTORS[:2])
    check_scattering(
        model, crystal, triplet, (MESH,) * 3, averaged=False, close=CLOSE_IN_BOHR
    )


def test_kaldo_has_the_phonons_and_the_scattering_of_the_supercell(crystal, tmp_path):
    export(crystal, "kaldo", tmp_path)
    second, third = boxes(crystal)
    model = read_kaldo(tmp_path, second, third)
    for q in WAVE_VECTORS:
        check_phonons(model, crystal, np.array(q) / MESH)
    # In kALDo fc3 belongs to cells of the supercell, not to images: other wave vectors
    # are interpolated in its own way.
    first, last = (1, 0, 1), (0, 1, 1)
    vectors = np.linalg.inv(
        crystal.supercell.cell @ np.linalg.inv(crystal.primitive.cell)
    )
    first, last = (vectors @ v for v in (first, last))
    mesh = np.array([math.prod(third)] * 3)
    triplet = np.rint(triplet_of(first * mesh, last * mesh)).astype(int)
    check_scattering(model, crystal, [tuple(v) for v in triplet], mesh)


def test_phonopy_reads_force_constants_and_crystal(crystal, tmp_path):
    export(crystal, "phonopy", tmp_path)
    found = phonopy.load(
        tmp_path / "phonopy.yaml",
        force_constants_filename=tmp_path / "FORCE_CONSTANTS",
        is_nac=False,
        symmetrize_fc=False,
        log_level=0,
    )
    matrix = DynamicalMatrix(
        crystal.phonon_supercell, crystal.phonon_primitive, crystal.fc2
    )
    for q in WAVE_VECTORS:
        matrix.run(np.array(q) / MESH)
        found.dynamical_matrix.run(np.array(q) / MESH)
        np.testing.assert_allclose(
            found.dynamical_matrix.dynamical_matrix,
            matrix.dynamical_matrix,
            # Masses have six digits in phonopy.yaml.
            rtol=1e-7,
            atol=1e-9,
        )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the current folder, with a crystal and its force constants."""
    write_spring_crystal("triclinic", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", FORMATS)
def test_command_writes_all_files_and_keeps_old_ones(folder, capsys, name):
    assert main(["export", name]) == 0
    files = FORMATS[name].files
    printed = capsys.readouterr().out
    for file in files:
        assert (folder / name / file).stat().st_size > 0
        assert file in printed
    (folder / name / files[0]).write_text("edited")
    assert main(["export", name, "phono3py.yaml", "-o", name]) == 0
    assert (folder / name / f"{files[0]}.bak").read_text() == "edited"
    assert (folder / name / files[0]).read_text() != "edited"


def without(name):
    def spoil(folder):
        (folder / name).unlink()

    return spoil


def changed(name, change):
    def spoil(folder):
        with h5py.File(folder / name, "r+") as file:
            change(file)

    return spoil


def not_finite(file):
    file["fc3"][0, 0, 0, 0, 0, 0] = np.nan


def other_unit(file):
    file["physical_unit"] = np.bytes_(["Ry/au^2"])


def other_supercell(folder):
    write_fc2_to_hdf5(np.ones((8, 8, 3, 3)), filename=str(folder / "fc2.hdf5"))


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (without("phono3py.yaml"), [], "none of phono3py.yaml, phono3py_params.yaml"),
        (without("fc2.hdf5"), [], '"fc2.hdf5": is not found; expected fc2.'),
        (without("fc3.hdf5"), [], '"fc3.hdf5": is not found; expected fc3.'),
        (other_supercell, [], "Is it of another supercell?"),
        (changed("fc3.hdf5", not_finite), [], "fc3 = not finite; expected finite"),
        (changed("fc2.hdf5", other_unit), [], "physical_unit = Ry/au^2; expected eV/"),
        (lambda folder: None, ["--fc2", "x.hdf5"], '"x.hdf5": is not found'),
        (lambda folder: None, ["none.yaml"], '"none.yaml" is not found'),
    ],
)
def test_what_cannot_be_exported_is_an_error_on_one_line(
    folder, capsys, spoil, words, message
):
    spoil(folder)
    assert main(["export", "shengbte", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("ERROR: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "shengbte").exists()


def test_option_without_effect_is_refused(folder, capsys):
    assert main(["export", "phonopy", "--fc3", "fc3.hdf5"]) == 1
    assert "files of phonopy contain fc2 alone" in capsys.readouterr().err


def test_failed_export_leaves_no_file(folder, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("phono3py_mlp_plugin.exports.shengbte._write_triplets", fail)
    with pytest.raises(OSError, match="No space"):
        export(make("triclinic"), "shengbte", folder / "out")
    assert not list((folder / "out").iterdir())


def test_crystals_without_force_constants_are_refused(tmp_path):
    crystal = make("triclinic")
    with pytest.raises(ParameterError, match="Did you mean 'shengbte'"):
        export(crystal, "shengbt", tmp_path)
    crystal.fc3 = None
    with pytest.raises(SolverError, match="fc3: is missing"):
        export(crystal, "tdep", tmp_path)


def test_mass_of_an_atom_is_kept_where_the_element_has_several(tmp_path):
    export(make("interleaved"), "shengbte", tmp_path)
    text = (tmp_path / "CONTROL").read_text()
    assert 'elements="O" "Ga" "O",' in text
    assert "masses=16.00000000000000 69.00000000000000 18.00000000000000," in text


def test_born_charges_have_the_order_of_indices_of_the_program(tmp_path):
    crystal = make("triclinic")
    born = np.arange(27.0).reshape(3, 3, 3)
    crystal.nac_params = {"born": born, "dielectric": 2 * np.eye(3), "factor": 14.4}
    export(crystal, "shengbte", tmp_path)
    text = (tmp_path / "CONTROL").read_text()
    # The first index is that of the field, which is multiplied by the wave vector.
    numbers = " ".join(f"{x:.14f}" for x in (1, 4, 7))
    assert f"born(:,2,1)={numbers}," in text
    assert "nonanalytic=.TRUE." in text


def oblique():
    """Return a crystal with a supercell of which near images are far in its edges."""
    ph3 = Phono3py(
        PhonopyAtoms(symbols=["Cu"], cell=3 * np.eye(3), scaled_positions=[[0, 0, 0]]),
        supercell_matrix=[[2, 0, 0], [6, 2, 0], [0, 0, 1]],
        primitive_matrix=np.eye(3),
    )
    ph3.fc2 = any_force_constants(ph3.primitive, 2)
    ph3.fc3 = any_force_constants(ph3.primitive, 3)
    return ph3


def test_oblique_supercell_is_written_or_refused(tmp_path):
    crystal = oblique()
    export(crystal, "tdep", tmp_path)
    model = read_tdep(tmp_path)
    check_phonons(model, crystal, np.array(WAVE_VECTORS[0]) / MESH)
    check_scattering(model, crystal, triplet_of(*WAVE_VECTORS[:2]), (MESH,) * 3)
    with pytest.raises(SolverError, match="more than one supercell away"):
        export(crystal, "alamode", tmp_path / "alamode")
    assert not list((tmp_path / "alamode").iterdir())
