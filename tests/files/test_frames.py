"""Structures, forces and energies come out of any file with their names and units."""

import bz2
import gzip
import lzma

import numpy as np
import pytest

import program_output
from phono3py_mlp_plugin.errors import DatasetError, ParameterError, PluginNotFound
from phono3py_mlp_plugin.files import Frame, read_energy, read_frames, read_snapshots
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.workflow.join import frames_of_dataset

ase_io = pytest.importorskip("ase.io")

_, NACL = nacl_dataset(2, repeats=1)
FRAMES = frames_of_dataset(NACL, "a")


def atoms_of(frame, pbc=True, **more):
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = Atoms(frame.symbols, frame.positions, cell=frame.lattice, pbc=pbc)
    atoms.calc = SinglePointCalculator(
        atoms, forces=frame.forces, energy=frame.energy, **more
    )
    return atoms


def with_names(frame, energies, forces):
    """An Atoms object whose energies and forces have names of the user."""
    atoms = atoms_of(frame)
    atoms.calc = None
    for name in energies:
        atoms.info[name] = frame.energy
    for name in forces:
        atoms.arrays[name] = frame.forces
    return atoms


def assert_same(found: Frame, expected: Frame, length=1e-8, force=1e-8, energy=1e-8):
    assert found.symbols == expected.symbols
    np.testing.assert_allclose(found.lattice, expected.lattice, atol=length)
    np.testing.assert_allclose(found.positions, expected.positions, atol=length)
    np.testing.assert_allclose(found.forces, expected.forces, atol=force)
    assert found.energy == pytest.approx(expected.energy, abs=energy)


@pytest.mark.parametrize(
    ("write", "length", "force", "energy"),
    [
        # Half a unit of the last digit that the program prints.
        (program_output.cp2k, 6e-7, 3e-7, 1e-9),
        (program_output.cp2k_2025, 6e-7, 3e-7, 1e-9),
        (lambda f: program_output.siesta(f, "Ang"), 6e-9, 6e-7, 6e-7),
        (lambda f: program_output.siesta(f, "Bohr"), 6e-9, 6e-7, 6e-7),
        (lambda f: program_output.siesta(f, "fractional"), 1e-7, 6e-7, 6e-7),
    ],
    ids=["cp2k", "cp2k 2025", "siesta", "siesta bohr", "siesta fractional"],
)
def test_programs_without_a_reader_in_ase(tmp_path, write, length, force, energy):
    path = tmp_path / "any-name.out"
    path.write_text(write(FRAMES[0]))
    (found,) = read_frames(path)
    assert_same(found, FRAMES[0], length, force, energy)
    assert read_energy(path) == found.energy


def test_steps_of_siesta_have_energies_of_one_name(tmp_path):
    path = tmp_path / "md.out"
    path.write_text("".join(program_output.siesta(frame) for frame in FRAMES))
    found = read_frames(path)
    assert [frame.energy_name for frame in found] == ["energy", "energy"]
    for one, expected in zip(found, FRAMES, strict=True):
        np.testing.assert_allclose(one.forces, expected.forces, atol=6e-7)
        assert one.energy == pytest.approx(expected.energy + 0.001, abs=6e-5)


def test_dump_of_lammps_has_forces_and_no_energy(tmp_path):
    path = tmp_path / "force.0"
    path.write_text(program_output.lammps(FRAMES[0]))
    (found,) = read_frames(path)
    assert found.energy is None
    np.testing.assert_allclose(found.forces, FRAMES[0].forces, atol=1e-11)
    np.testing.assert_allclose(found.positions, FRAMES[0].positions, atol=1e-11)
    assert read_energy(path) is None


def test_second_step_without_positions_is_refused(tmp_path):
    text = program_output.cp2k(FRAMES[0])
    path = tmp_path / "md.out"
    path.write_text(text + text[text.index(" ENERGY|") :])
    with pytest.raises(DatasetError, match=r"md.out: forces of a second step"):
        read_frames(path)


@pytest.mark.parametrize("name", ["a.traj", "a.db", "a.json", "a.extxyz", "a.xyz"])
def test_several_frames_in_files_of_ase(tmp_path, name):
    path = tmp_path / name
    ase_io.write(path, [atoms_of(frame) for frame in FRAMES])
    found = read_frames(path)
    assert [frame.where for frame in found] == [
        f"{path}, frame {number}" for number in (1, 2)
    ]
    for one, expected in zip(found, FRAMES, strict=True):
        assert_same(one, expected, 1e-7, 1e-7, 1e-7)


@pytest.mark.parametrize("file_format", ["extxyz", "traj", "lammps"])
@pytest.mark.parametrize("name", ["scf-1.out", "result.log", "run.json", "results"])
def test_files_are_recognised_by_their_content_whatever_their_name(
    tmp_path, file_format, name
):
    path = tmp_path / name
    if file_format == "lammps":
        path.write_text(program_output.lammps(FRAMES[0]))
    else:
        ase_io.write(path, atoms_of(FRAMES[0]), format=file_format)
    (found,) = read_frames(path)
    # Extended XYZ has eight digits.
    np.testing.assert_allclose(found.positions, FRAMES[0].positions, atol=1e-7)
    np.testing.assert_allclose(found.forces, FRAMES[0].forces, atol=1e-7)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
@pytest.mark.parametrize("name", ["a.traj", "a.db", "a.xyz", "scf.out"])
def test_compressed_files(tmp_path, name, suffix, compress):
    plain = tmp_path / name
    if name == "scf.out":
        plain.write_text(program_output.cp2k(FRAMES[0]))
    else:
        ase_io.write(plain, atoms_of(FRAMES[0]))
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(compress(plain.read_bytes()))
    (found,) = read_frames(path)
    assert found.where == f"{path}, frame 1"
    assert_same(found, FRAMES[0], 1e-6, 1e-6, 1e-6)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DatasetError, match=r"cannot be uncompressed .* complete"):
        read_frames(path)


def test_free_energy_is_used_where_there_is_one(tmp_path):
    path = tmp_path / "a.traj"
    ase_io.write(path, atoms_of(FRAMES[0], free_energy=-7.5))
    (found,) = read_frames(path)
    assert (found.energy, found.energy_name) == (-7.5, "free_energy")
    (found,) = read_frames(path, energy_key="energy")
    assert found.energy == FRAMES[0].energy
    (found,) = read_frames(path, energy_key="none")
    assert found.energy is None
    assert not found.unused


@pytest.mark.parametrize("name", ["a.extxyz", "a.db"])
def test_names_of_energies_and_forces(tmp_path, name):
    path = tmp_path / name
    if name == "a.db":
        from ase.db import connect

        with connect(path) as database:
            database.write(
                with_names(FRAMES[0], [], []),
                key_value_pairs={"REF_energy": FRAMES[0].energy},
                data={"REF_forces": FRAMES[0].forces},
            )
    else:
        ase_io.write(path, with_names(FRAMES[0], ["REF_energy"], ["REF_forces"]))
    with pytest.raises(
        DatasetError,
        match=r"frame 1: there is no 'forces'; found: 'REF_forces'. Name what to use, "
        "such as '--forces-key REF_forces'",
    ):
        read_frames(path)
    with pytest.raises(DatasetError, match=r"found: 'REF_energy'.*--energy-key none"):
        read_frames(path, forces_key="REF_forces")
    with pytest.raises(DatasetError, match="no 'dft_energy'; energy found: 'REF_en"):
        read_frames(path, None, "dft_energy", "REF_forces")
    (found,) = read_frames(path, None, "REF_energy", "REF_forces")
    assert_same(found, FRAMES[0], 1e-7, 1e-7, 1e-7)
    (found,) = read_frames(path, None, "none", "REF_forces")
    assert found.energy is None


def test_names_that_do_not_say_what_they_are_are_used_if_they_are_given(tmp_path):
    path = tmp_path / "a.extxyz"
    ase_io.write(path, with_names(FRAMES[0], ["E"], ["F"]))
    with pytest.raises(DatasetError, match="there are no forces"):
        read_frames(path)
    (found,) = read_frames(path, energy_key="E", forces_key="F")
    assert_same(found, FRAMES[0], 1e-7, 1e-7, 1e-7)
    assert not found.unused


@pytest.mark.parametrize(
    ("forces", "stress"),
    [("forces", "stress"), ("DFT_force", "dft_stress"), ("forces_pbe", "stress_pbe")],
)
def test_stress_is_the_one_that_is_named_as_the_forces(tmp_path, forces, stress):
    atoms = with_names(FRAMES[0], [], [forces])
    atoms.info.update({"stress": np.eye(3), "other_stress": 3 * np.eye(3)})
    atoms.info[stress] = 2 * np.eye(3)
    path = tmp_path / "a.extxyz"
    ase_io.write(path, atoms)
    (found,) = read_frames(path, forces_key=forces)
    np.testing.assert_allclose(found.stress, 2 * np.eye(3))


def test_force_as_gpumd_writes_it_is_known(tmp_path):
    path = tmp_path / "train.xyz"
    ase_io.write(path, with_names(FRAMES[0], ["energy"], ["force"]), format="extxyz")
    assert_same(read_frames(path)[0], FRAMES[0], 1e-7, 1e-7, 1e-7)


def test_other_energies_and_forces_are_told(tmp_path):
    atoms = with_names(FRAMES[0], ["energy"], ["forces"])
    atoms.info["mace_energy"] = 1.0
    atoms.arrays["mace_forces"] = FRAMES[0].forces + 1
    path = tmp_path / "a.extxyz"
    ase_io.write(path, atoms)
    assert read_frames(path)[0].unused == ("mace_energy", "mace_forces")


def test_slab_with_vacuum_is_taken_and_a_molecule_refused(tmp_path):
    path = tmp_path / "a.extxyz"
    ase_io.write(path, atoms_of(FRAMES[0], pbc=[True, True, False]))
    assert_same(read_frames(path)[0], FRAMES[0], 1e-7, 1e-7, 1e-7)
    ase_io.write(path, atoms_of(FRAMES[0], pbc=False))
    with pytest.raises(DatasetError, match="frame 1: there is no periodic cell"):
        read_frames(path)


@pytest.mark.parametrize("what", ["energy", "forces", "positions"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(tmp_path, what, bad):
    atoms = [atoms_of(frame) for frame in FRAMES]
    if what == "energy":
        atoms[1].calc.results["energy"] = bad
    elif what == "forces":
        atoms[1].calc.results["forces"] = FRAMES[1].forces * bad
    else:
        atoms[1].positions[0, 0] = bad
        atoms[1].calc.atoms = atoms[1].copy()
    path = tmp_path / "a.extxyz"
    ase_io.write(path, atoms)
    with pytest.raises(DatasetError, match=r"frame 2: a number of '\w+' is not finite"):
        read_frames(path)


def test_no_forces_and_no_frames_are_named(tmp_path):
    path = tmp_path / "a.extxyz"
    ase_io.write(path, with_names(FRAMES[0], ["energy"], []))
    with pytest.raises(DatasetError, match=r"a.extxyz, frame 1: there are no forces"):
        read_frames(path)
    path = tmp_path / "scf.out"
    path.write_text("     Program PWSCF v.7.2 starts on ...\n")
    with pytest.raises(DatasetError, match=r"scf.out: there is no frame with results"):
        read_frames(path)
    path.write_text("")
    with pytest.raises(DatasetError, match="empty"):
        read_frames(path)


def test_format_can_be_named_and_must_be_one(tmp_path):
    path = tmp_path / "results"
    ase_io.write(path, atoms_of(FRAMES[0]), format="extxyz")
    assert_same(read_frames(path, "extxyz")[0], FRAMES[0], 1e-7, 1e-7, 1e-7)
    with pytest.raises(ParameterError, match="Did you mean 'extxyz'"):
        read_frames(path, "extxy")
    with pytest.raises(DatasetError, match=r"cannot be read as 'vasp-xml'.*complete"):
        read_frames(path, "vasp-xml")
    path.write_text("what is this?\n")
    with pytest.raises(DatasetError, match=r"format is not known.*--format"):
        read_frames(path)


def test_name_with_an_at_sign_is_a_name(tmp_path):
    path = tmp_path / "a@2.extxyz"
    ase_io.write(str(path), atoms_of(FRAMES[0]), format="extxyz")
    assert len(read_snapshots(path)) == 1


def test_without_ase_own_formats_are_read_and_others_refused(tmp_path, monkeypatch):
    path = tmp_path / "scf.out"
    path.write_text(program_output.cp2k(FRAMES[0]))
    other = tmp_path / "a.extxyz"
    ase_io.write(other, atoms_of(FRAMES[0]))
    monkeypatch.setitem(__import__("sys").modules, "ase.io", None)
    assert len(read_frames(path)) == 1
    with pytest.raises(PluginNotFound, match=r"phono3py-mlp-plugin\[ase\]"):
        read_frames(other)
