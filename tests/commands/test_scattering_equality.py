"""``--scattering fft`` writes what ``host`` does, whatever is asked for."""

import shutil

import h5py
import numpy as np
import pytest
from phono3py.file_IO import write_fc2_to_hdf5, write_fc3_to_hdf5

from analytic_crystal import analytic_crystal
from conftest import once
from spring_crystal import write_spring_crystal

INPUT = ("phono3py.yaml", "fc2.hdf5", "fc3.hdf5")
TEMPERATURES = ["--ts", "50", "100", "300", "500", "1000"]
BR = ["--br", *TEMPERATURES]
SWITCHES = ["--average-degenerate-weights", "--exclude-gamma-acoustic"]
# The same weights, and strengths that differ by rounding.
ROUNDING = 1e-10
# The collision matrix is inverted: what is nearly singular amplifies rounding.
INVERTED = 1e-8


def write_nacl(folder, is_compact_fc):
    ph3 = analytic_crystal()
    ph3.produce_fc3(fc_calculator="symfc", is_compact_fc=is_compact_fc)
    ph3.produce_fc2(fc_calculator="symfc", is_compact_fc=is_compact_fc)
    write(ph3, folder)


def write(ph3, folder):
    ph3.save(folder / "phono3py.yaml", settings={"force_sets": False})
    for order, fc, write_fc in (
        (2, ph3.fc2, write_fc2_to_hdf5),
        (3, ph3.fc3, write_fc3_to_hdf5),
    ):
        p2s = ph3.primitive.p2s_map if len(ph3.fc3) < len(ph3.supercell) else None
        write_fc(fc, filename=str(folder / f"fc{order}.hdf5"), p2s_map=p2s)


@pytest.fixture
def crystal(tmp_path_factory):
    """Return a function of a name that returns a folder with force constants."""

    def made(name):
        def make(folder):
            if name.startswith("NaCl"):
                write_nacl(folder, is_compact_fc=name == "NaCl")
            else:
                write_spring_crystal(name, folder)

        return once(tmp_path_factory, f"scattering {name}", make)[1]

    return made


def numbers(folder):
    """Return all numbers in the files that a run has written."""
    found = {}
    for path in sorted(folder.glob("*.hdf5")):
        if path.name in INPUT:
            continue
        with h5py.File(path) as file:
            for key, values in file.items():
                if np.issubdtype(values.dtype, np.number):
                    found[f"{path.name}/{key}"] = values[()]
    for path in sorted(folder.glob("*.dat")):
        found[path.name] = np.loadtxt(path)
    return found


def both(run, source, tmp_path, *commands):
    """Return the numbers of both ways, after the commands one after the other."""
    found = []
    for way in ("host", "fft"):
        folder = tmp_path / way
        folder.mkdir()
        for name in INPUT:
            shutil.copy(source / name, folder)
        for options in commands:
            command = ["phono3py-load", "phono3py.yaml", "--scattering", way]
            done = run([*command, *options], folder)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "left to phono3py" not in done.stdout
        found.append(numbers(folder))
    return found


def assert_equal(found, expected, tolerance):
    assert found.keys() == expected.keys()
    assert expected
    differs = False
    for key, values in expected.items():
        scale = np.abs(values[np.isfinite(values)]).max(initial=0)
        # Where symmetry makes a number vanish there is rounding alone; texts have
        # seven digits after the point.
        floor = 2e-7 if key.endswith(".dat") else 1e-12 * scale
        np.testing.assert_allclose(
            found[key], values, rtol=tolerance, atol=floor, err_msg=key
        )
        differs |= not np.array_equal(found[key], values, equal_nan=True)
    # Otherwise the host would have been compared with itself.
    assert differs


MESHES = {
    "NaCl": "4 4 4",
    "NaCl with full fc3": "4 4 4",
    "triclinic": "3 3 2",
    "slab": "4 4 1",
    "one atom": "5 5 5",
}


@pytest.mark.parametrize("name", MESHES)
def test_every_crystal(run, crystal, tmp_path, name):
    options = [*BR, "--mesh", *MESHES[name].split(), *SWITCHES, "--nu"]
    options += ["--isotope", "--bmfp", "10"]
    expected, found = both(run, crystal(name), tmp_path, options)
    assert_equal(found, expected, 1e-9)


@pytest.mark.parametrize(
    "options",
    [
        "--sigma 0.1 0.3 --thm",
        "--sigma 0.1 0.3 --sigma-cutoff 3",
        "--full-pp",
        "--v2",
        "--symmetrize-tetrahedra",
        "--cutoff-fc3 4",
        "--gp 1 3 --write-gamma",
        "--ga 0 0 0 1 0 0 --write-gamma",
        "--bi 1 2 , 3 --gp 1 --write-gamma",
        "--pp-unit-conversion 2e-3",
        "--freq-scale 1.1",
        "--cutoff-freq 2",
        "--nonac",
        "--nac-method wang",
        "--q-direction 1 0 0",
        "--nomeshsym",
        "--noks",
        "--nosym",
        "--mass 22 36",
        "--mv 1e-4 2e-4",
        "--gv-delta-q 1e-5",
        "--write-gamma",
        "--write-gamma-detail",
        "--write-pp --full-pp",
        "--tt njc23",
        "--tt smm19",
        "--tt ibdb19",
    ],
)
def test_every_option_of_relaxation_times(run, crystal, tmp_path, options):
    base = [*BR, "--mesh", "4", "4", "4"]
    expected, found = both(run, crystal("NaCl"), tmp_path, [*base, *options.split()])
    assert_equal(found, expected, ROUNDING)


@pytest.mark.parametrize("name", ["one atom", "slab", "triclinic"])
def test_generalised_regular_grids(run, crystal, tmp_path, name):
    options = [*BR, "--mesh", "12", "--grg"]
    expected, found = both(run, crystal(name), tmp_path, options)
    assert_equal(found, expected, ROUNDING)


@pytest.mark.parametrize(
    "options", ["", "--reducible-colmat", "--write-collision", "--tt smm19"]
)
def test_direct_solution(run, crystal, tmp_path, options):
    lbte = ["--lbte", "--ts", "300", "--mesh", "4", "4", "4", *options.split()]
    expected, found = both(run, crystal("NaCl"), tmp_path, lbte)
    kappa = [key for key in expected if key.startswith("kappa")]
    keys = {f"{k}" for k in kappa if k.endswith(("/kappa", "/kappa_RTA", "/gamma"))}
    assert_equal({k: found[k] for k in keys}, {k: expected[k] for k in keys}, INVERTED)


@pytest.mark.parametrize("task", ["--ise", "--rse"])
def test_self_energies(run, crystal, tmp_path, task):
    options = [task, "--ts", "300", "--mesh", "4", "4", "4", "--gp", "1"]
    options += ["--num-freq-points", "11", "--sigma", "0.3"]
    expected, found = both(run, crystal("NaCl"), tmp_path, options)
    assert_equal(found, expected, ROUNDING)


@pytest.mark.parametrize("files", ["gamma", "pp"])
def test_files_written_and_read_again(run, crystal, tmp_path, files):
    base = [*BR, "--mesh", "3", "3", "3"] + (["--full-pp"] if files == "pp" else [])
    expected, found = both(
        run,
        crystal("NaCl"),
        tmp_path,
        [*base, f"--write-{files}"],
        [*base, f"--read-{files}"],
    )
    assert_equal(found, expected, ROUNDING)
