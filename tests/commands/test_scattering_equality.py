"""``--scattering fft`` writes what ``host`` does, whatever is asked for."""

import shutil

import h5py
import numpy as np
import phono3py
import pytest
from phono3py.file_IO import write_fc2_to_hdf5, write_fc3_to_hdf5

from analytic_crystal import analytic_crystal
from conftest import once
from host_features import OPTIONS, needs_limits, needs_switches
from spring_crystal import write_spring_crystal

INPUT = ("phono3py.yaml", "fc2.hdf5", "fc3.hdf5")
TEMPERATURES = ["--ts", "50", "100", "300", "500", "1000"]
BR = ["--br", *TEMPERATURES]
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
    for order, fc, write_fc, primitive in (
        (2, ph3.fc2, write_fc2_to_hdf5, ph3.phonon_primitive),
        (3, ph3.fc3, write_fc3_to_hdf5, ph3.primitive),
    ):
        p2s = primitive.p2s_map if len(fc) == len(primitive) else None
        write_fc(fc, filename=str(folder / f"fc{order}.hdf5"), p2s_map=p2s)


# Dataset of the host's source, forces, solver, whether fc3 is compact, and mesh.
MEASURED = {
    "MgO": ("phono3py_params_MgO-222rd-444rd.yaml.xz", None, "symfc", True, "6 6 6"),
    "Si": (
        "phono3py_si_pbesol.yaml",
        "FORCES_FC3_si_pbesol",
        "traditional",
        False,
        "6 6 6",
    ),
    "AlN": ("phono3py_params_AlN332.yaml.xz", None, "traditional", True, "4 4 3"),
}


def write_measured(name, source, folder):
    file, forces, solver, is_compact_fc, _ = MEASURED[name]
    ph3 = phono3py.load(
        source / "test" / file,
        forces_fc3_filename=None if forces is None else source / "test" / forces,
        produce_fc=False,
        log_level=0,
    )
    options = {"fc_calculator": solver, "is_compact_fc": is_compact_fc}
    ph3.produce_fc3(**options)
    if ph3.phonon_supercell_matrix is not None:
        ph3.produce_fc2(**options)
    write(ph3, folder)


@pytest.fixture
def crystal(tmp_path_factory):
    """Return a function of a name that returns a folder with force constants."""

    def made(name, source=None):
        def make(folder):
            if source is not None:
                write_measured(name, source, folder)
            elif name.startswith("NaCl"):
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


def slow(*values):
    """Return cases that run code which others run, with other numbers."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


MESHES = {
    "NaCl": "4 4 4",
    "NaCl with full fc3": "4 4 4",
    "triclinic": "3 3 2",
    "slab": "4 4 1",
    "one atom": "5 5 5",
}


@pytest.mark.parametrize(
    "name",
    ["NaCl with full fc3", "triclinic", "one atom", *slow("NaCl", "slab")],
)
@needs_switches
def test_every_crystal(run, crystal, tmp_path, name):
    options = [*BR, "--mesh", *MESHES[name].split(), *OPTIONS, "--nu"]
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
        pytest.param("--symmetrize-tetrahedra", marks=needs_switches),
        "--bi 1 2 , 3 --gp 1 --write-gamma",
        "--nomeshsym",
        "--write-gamma-detail",
        *slow(
            "--cutoff-fc3 4",
            "--gp 1 3 --write-gamma",
            "--ga 0 0 0 1 0 0 --write-gamma",
            "--pp-unit-conversion 2e-3",
            "--freq-scale 1.1",
            "--cutoff-freq 2",
            "--nonac",
            "--nac-method wang",
            "--q-direction 1 0 0",
            "--noks",
            "--nosym",
            "--mass 22 36",
            "--mv 1e-4 2e-4",
            "--gv-delta-q 1e-5",
            "--write-gamma",
            "--write-pp --full-pp",
            "--tt njc23",
            "--tt smm19",
            "--tt ibdb19",
        ),
    ],
)
def test_every_option_of_relaxation_times(run, crystal, tmp_path, options):
    base = [*BR, "--mesh", "4", "4", "4"]
    expected, found = both(run, crystal("NaCl"), tmp_path, [*base, *options.split()])
    assert_equal(found, expected, ROUNDING)


@pytest.mark.parametrize("name", ["triclinic", *slow("one atom", "slab")])
@needs_limits
def test_generalised_regular_grids(run, crystal, tmp_path, name):
    options = [*BR, "--mesh", "12", "--grg"]
    expected, found = both(run, crystal(name), tmp_path, options)
    assert_equal(found, expected, ROUNDING)


@pytest.mark.parametrize(
    "options",
    ["", *slow("--reducible-colmat", "--write-collision", "--tt smm19")],
)
def test_direct_solution(run, crystal, tmp_path, options):
    lbte = ["--lbte", "--ts", "300", "--mesh", "4", "4", "4", *options.split()]
    expected, found = both(run, crystal("NaCl"), tmp_path, lbte)
    kappa = [key for key in expected if key.startswith("kappa")]
    keys = {f"{k}" for k in kappa if k.endswith(("/kappa", "/kappa_RTA", "/gamma"))}
    assert_equal({k: found[k] for k in keys}, {k: expected[k] for k in keys}, INVERTED)


@pytest.mark.parametrize("task", ["--ise", *slow("--rse")])
def test_self_energies(run, crystal, tmp_path, task):
    options = [task, "--ts", "300", "--mesh", "4", "4", "4", "--gp", "1"]
    options += ["--num-freq-points", "11", "--sigma", "0.3"]
    expected, found = both(run, crystal("NaCl"), tmp_path, options)
    assert_equal(found, expected, ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize("files", ["gamma", "pp", "phonon"])
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


@pytest.mark.slow
def test_collisions_written_and_read_again(run, crystal, tmp_path):
    lbte = ["--lbte", "--ts", "300", "--mesh", "3", "3", "3"]
    expected, found = both(
        run,
        crystal("NaCl"),
        tmp_path,
        [*lbte, "--write-collision"],
        # Those of all points are joined here. Without --read-collision, phono3py 4.10
        # would write the eigenvectors in their place: it solves before it writes.
        [*lbte, "--read-collision", "all", "--write-lbte-solution"],
        [*lbte, "--read-collision", "all"],
    )
    assert found.keys() == expected.keys()
    assert {key.split("-")[0] for key in expected} >= {"unitary", "coleigs"}
    # Eigenvectors, and what is summed over their space, are arbitrary if degenerate.
    ends = ("/collision_matrix", "/gamma", "/kappa", "/kappa_RTA", "_eigenvalues")
    keys = [key for key in expected if key.endswith(ends)]
    assert "collision-m333.hdf5/collision_matrix" in keys
    assert_equal({k: found[k] for k in keys}, {k: expected[k] for k in keys}, INVERTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_crystals_of_first_principles(run, crystal, host_source, tmp_path, name):
    source = crystal(name, host_source)
    with h5py.File(source / "fc3.hdf5") as file:
        n_first, n_atoms = file["fc3"].shape[:2]
    assert (n_first == n_atoms) == (name == "Si")
    options = [*BR, "--mesh", *MEASURED[name][-1].split(), "--nu"]
    expected, found = both(run, source, tmp_path, options)
    assert_equal(found, expected, 1e-9)
