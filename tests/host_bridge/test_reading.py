"""One reader: angstrom and eV of every calculator, and one line of what is unsound."""

import lzma
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import phono3py
import pytest
from phono3py import Phono3py
from phono3py.cui.settings import Phono3pySettings
from phonopy.interface.calculator import calculator_info
from phonopy.physical_units import get_physical_units
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.errors import DatasetError, MLPError, ResourceError
from phono3py_mlp_plugin.host.reading import read_crystal
from phono3py_mlp_plugin.reference import nacl_dataset
from units import MISSING, OWN, RIGHT, write_in_units

# Of eV and angstrom; the file has six decimals.
FACTOR = 14.399652


def crystal_of(n_supercells=3):
    """NaCl of eight atoms with forces, energies and Born charges."""
    unitcell, data = nacl_dataset(n_supercells, repeats=1)
    ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    ph3.dataset = {
        "displacements": data.displacements,
        "forces": data.forces,
        "supercell_energies": data.energies,
    }
    charges = np.array([np.eye(3), -np.eye(3)])
    ph3.nac_params = {
        "born": charges,
        "dielectric": 2.4 * np.eye(3),
        "factor": FACTOR,
    }
    return ph3


@pytest.fixture(scope="module")
def crystal():
    return crystal_of()


@pytest.fixture
def params(tmp_path, monkeypatch, crystal):
    """A sound file in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "phono3py_params.yaml"
    crystal.save(path)
    return path


def assert_same_crystal(found, crystal):
    # The file has 15 or 16 decimals, of numbers up to 2000 times larger or smaller.
    tolerance = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(found.unitcell.cell, crystal.unitcell.cell, **tolerance)
    np.testing.assert_allclose(found.displacements, crystal.displacements, **tolerance)
    np.testing.assert_allclose(found.forces, crystal.forces, **tolerance)
    # Energies have eight decimals.
    np.testing.assert_allclose(
        found.supercell_energies, crystal.supercell_energies, atol=27.3e-8
    )
    assert found.nac_params["factor"] == pytest.approx(FACTOR, abs=1e-6)
    assert found.calculator is None


@pytest.mark.parametrize("born", [OWN, RIGHT, MISSING])
@pytest.mark.parametrize("calculator", sorted(calculator_info))
def test_units_of_every_calculator_are_converted(calculator, born, tmp_path, crystal):
    path = tmp_path / "phono3py_params.yaml"
    write_in_units(crystal, calculator, path, born)
    assert_same_crystal(read_crystal(path), crystal)


@pytest.mark.parametrize("calculator", ["qe", "abinit", "cp2k", "siesta"])
def test_units_are_converted_once_however_often_python_saves(
    calculator, tmp_path, crystal
):
    path = tmp_path / "phono3py_params.yaml"
    write_in_units(crystal, calculator, path, RIGHT)
    for _ in range(3):
        loaded = phono3py.load(path, produce_fc=False, log_level=0)
        assert_same_crystal(loaded, crystal)
        loaded.save(path)
    assert_same_crystal(read_crystal(path), crystal)


def test_crystal_given_in_python_is_left_in_angstrom(tmp_path):
    program = (
        "import phono3py\n"
        "from phonopy.structure.atoms import PhonopyAtoms\n"
        "cell = PhonopyAtoms(symbols=['Cu'], cell=[[0, 4, 4], [4, 0, 4], [4, 4, 0]],\n"
        "    scaled_positions=[[0, 0, 0]])\n"
        "ph3 = phono3py.load(unitcell=cell, calculator='qe', produce_fc=False,\n"
        "    supercell_matrix=[2, 2, 2], primitive_matrix='P')\n"
        "ph3.save('saved.yaml')\n"
    )
    # A process of its own: this one has read a file of the host's before.
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = phono3py.load(tmp_path / "saved.yaml", produce_fc=False)
    bohr = get_physical_units().Bohr
    np.testing.assert_allclose(found.unitcell.cell.max(), 4 * bohr, rtol=1e-12)


def test_energies_of_systematic_displacements_are_converted(tmp_path, crystal):
    ph3 = Phono3py(
        crystal.unitcell,
        supercell_matrix=[1, 1, 1],
        primitive_matrix="F",
        calculator="qe",
    )
    ph3.generate_displacements(distance=0.03)
    n = len(ph3.supercells_with_displacements)
    ph3.forces = np.zeros((n, 8, 3))
    ph3.supercell_energies = -np.arange(1.0, n + 1)
    ph3.save(tmp_path / "phono3py_params.yaml")
    found = read_crystal(tmp_path / "phono3py_params.yaml")
    rydberg = get_physical_units().Rydberg
    np.testing.assert_allclose(
        found.supercell_energies, -rydberg * np.arange(1, n + 1), rtol=1e-8
    )


def test_python_is_told_of_a_factor_of_other_units(tmp_path, crystal):
    path = tmp_path / "phono3py_params.yaml"
    write_in_units(crystal, "qe", path, OWN)
    with pytest.warns(UserWarning, match=r"factor = 2 is that of the units of qe"):
        loaded = phono3py.load(path, produce_fc=False, log_level=0)
    assert loaded.nac_params["factor"] == pytest.approx(FACTOR, abs=1e-6)


def test_factor_of_no_units_is_named(params):
    text = params.read_text().replace("factor: 14.399652", "factor: 7.300000")
    params.write_text(text)
    with pytest.raises(DatasetError, match=r"unit_conversion_factor = 7.3; expected"):
        read_crystal(params)


def test_settings_of_the_command_line_are_honoured(params):
    settings = Phono3pySettings(load_phono3py_yaml=True)
    settings.is_nac = False
    settings.is_symmetry = False
    settings.masses = [20.0, 30.0]
    settings.symmetry_tolerance = 1e-3
    found = read_crystal(params, settings)
    assert found.nac_params is None
    assert found.primitive.masses.tolist() == [20.0, 30.0]
    assert found.symmetry.tolerance == 1e-3
    assert len(found.symmetry.symmetry_operations["rotations"]) < 192


def test_born_and_forces_beside_the_file_are_read(tmp_path, monkeypatch, host_source):
    """As phono3py-load reads them: Si with FORCES_FC3 of systematic displacements."""
    monkeypatch.chdir(tmp_path)
    source = host_source / "test"
    Path("FORCES_FC3").write_bytes((source / "FORCES_FC3_si_pbesol").read_bytes())
    found = read_crystal(source / "phono3py_si_pbesol.yaml")
    # All pairs, 64 atoms; the first number of the file.
    assert found.forces.shape[1:] == (64, 3)
    first = float(re.search(r"^\s+(-?[\d.]+)", Path("FORCES_FC3").read_text(), re.M)[1])
    assert found.forces[0, 0, 0] == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: re.sub(r"^( +\S+ +)0", r"\1o", text, count=1, flags=re.M),
        lambda text: "\x00\x01" + text,
        lambda text: text + "1.0 2.0\n",
    ],
    ids=["empty", "half", "letters", "binary", "one line more"],
)
def test_damaged_file_of_forces_is_one_line(damage, tmp_path, monkeypatch, host_source):
    monkeypatch.chdir(tmp_path)
    source = host_source / "test"
    whole = (source / "FORCES_FC3_si_pbesol").read_text()
    Path("FORCES_FC3").write_text(damage(whole))
    with pytest.raises(DatasetError, match=r"^FORCES_FC3: ") as refused:
        read_crystal(source / "phono3py_si_pbesol.yaml")
    assert "\n" not in str(refused.value)


def test_damaged_born_is_one_line(params):
    text = params.read_text()
    params.write_text(text[: text.index("nac:")] + text[text.index("dataset:") :])
    Path("BORN").write_text("14.4\n1 2 3\n")
    with pytest.raises(DatasetError, match=r"^BORN: ") as refused:
        read_crystal(params)
    assert "\n" not in str(refused.value)


def _after(place, value):
    """Replace the number, or the line, that follows a place in the file."""
    return lambda text: re.sub(
        rf"({place}) *[^\s,]+", rf"\g<1> {value}", text, count=1, flags=re.S
    )


_FIRST = r"unit_cell:\n  lattice:\n  - \["
_SUPERCELL = r"supercell_matrix:\n- \["
_PRIMITIVE = r"primitive_matrix:\n- \["
_MASS = r"unit_cell:.*?mass:"

UNSOUND = {
    "lattice nan": (_after(_FIRST, ".nan"), "lattice"),
    "lattice inf": (_after(_FIRST, ".inf"), "lattice"),
    "lattice flat": (_after(_FIRST, "0.0"), "plane"),
    "lattice left-handed": (_after(_FIRST, "-5.6"), "right-hand"),
    "lattice text": (_after(_FIRST, "long"), "lattice"),
    "mass zero": (_after(_MASS, "0"), "mass of atom 1"),
    "mass negative": (_after(_MASS, "-1"), "mass of atom 1"),
    "mass nan": (_after(_MASS, ".nan"), "mass of atom 1"),
    "mass text": (_after(_MASS, "heavy"), "mass of atom 1"),
    "supercell zero": (_after(_SUPERCELL, "0"), "supercell_matrix"),
    "supercell negative": (_after(_SUPERCELL, "-2"), "supercell_matrix"),
    "supercell huge": (_after(_SUPERCELL, "180000"), "supercell_matrix.*atoms"),
    "supercell 50 digits": (_after(_SUPERCELL, "9" * 50), "supercell_matrix.*atoms"),
    "supercell text": (_after(_SUPERCELL, "two"), "supercell_matrix"),
    "primitive singular": (
        lambda text: re.sub(
            _PRIMITIVE + "[^]]*", "primitive_matrix:\n- [0, 0, 0", text
        ),
        "primitive_matrix",
    ),
    "primitive nan": (_after(_PRIMITIVE, ".nan"), "primitive_matrix"),
    "position nan": (_after(r"unit_cell:.*?coordinates: \[", ".nan"), "coordinates"),
    "atoms on top": (
        lambda text: re.sub(
            r"(unit_cell:.*?Na # 2\n +coordinates:)[^\n]*",
            r"\1 [0, 0, 0]",
            text,
            flags=re.S,
        ),
        "atoms 1 and 2 are 0 angstrom apart",
    ),
    "date": (_after("version:", "2024-13-45"), "line 2: 2024-13-45 is no date"),
    "digits": (_after("version:", "1" * 6000), r"line 2: 1+\.\.\. \(6000 digits\)"),
    "brackets": (_after("version:", "[" * 100_000), "line 2: not YAML"),
    "calculator": (
        lambda t: t.replace("phono3py:", "phono3py:\n  calculator: x", 1),
        "x",
    ),
    "other supercell": (
        lambda text: re.sub(
            r"(\nsupercell:\n  lattice:\n  - \[) *[\d.]+", r"\1 9.9", text
        ),
        "supercell is not what unit_cell and supercell_matrix make",
    ),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_unsound_crystal_is_one_line(kind, params):
    change, expected = UNSOUND[kind]
    text = params.read_text()
    changed = change(text)
    assert changed != text
    params.write_text(changed)
    with pytest.raises((DatasetError, ResourceError), match=expected) as refused:
        read_crystal(params)
    message = str(refused.value)
    assert message.startswith(str(params))
    assert "\n" not in message


@pytest.mark.parametrize("opener", [open, lzma.open], ids=["plain", "xz"])
@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch ran']",
        "!!python/object/new:os.system ['touch ran']",
        "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path"
        " ['ran']]",
        "!!python/name:os.system ''",
    ],
)
def test_file_that_calls_functions_is_refused_and_calls_none(tag, opener, params):
    text = params.read_text() + f"more: {tag}\n"
    path = params.with_suffix(".yaml.xz") if opener is lzma.open else params
    with opener(path, "wt") as file:
        file.write(text)
    with pytest.raises(DatasetError, match=r"line \d+: could not determine"):
        read_crystal(path)
    with pytest.raises(Exception, match="could not determine a constructor"):
        phono3py.load(path, produce_fc=False)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "name",
    [
        "phono3py_params_NaCl111.yaml",
        "phono3py_params-Si111-rd.yaml.xz",
    ],
)
def test_first_principles_crystals_pass(name, host_source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read_crystal(host_source / "test" / name)
    assert np.isfinite(found.forces).all()


@pytest.mark.parametrize(
    "cell",
    [
        PhonopyAtoms(symbols=["Cu"], cell=2.55 * np.eye(3), scaled_positions=[[0] * 3]),
        PhonopyAtoms(
            symbols=["Si"],
            cell=[[2.5, 0, 0], [1.2, 2.4, 0], [-2.3, 1.1, 2.6]],
            scaled_positions=[[0.3, 0.999999, -2.7]],
        ),
        PhonopyAtoms(
            symbols=["H", "H"],
            cell=3.0 * np.eye(3),
            scaled_positions=[[0, 0, 0], [0.247, 0, 0]],
        ),
    ],
    ids=["one atom", "triclinic, outside of the cell", "hydrogen"],
)
def test_unusual_crystals_pass(cell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ph3 = Phono3py(cell, supercell_matrix=[2, 2, 2], primitive_matrix="P")
    ph3.generate_displacements(number_of_snapshots=2)
    ph3.save("phono3py_disp.yaml")
    found = read_crystal(Path("phono3py_disp.yaml"))
    np.testing.assert_allclose(found.displacements, ph3.displacements, atol=1e-12)


def test_errors_are_those_a_user_can_act_on(params):
    params.write_text(params.read_text()[:1500])
    with pytest.raises(MLPError):
        read_crystal(params)
    with pytest.raises(DatasetError, match=r'"nothing.yaml" is not found'):
        read_crystal(Path("nothing.yaml"))
