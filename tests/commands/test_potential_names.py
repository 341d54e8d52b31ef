"""The potential is found under all its names, in the order of the host."""

import lzma
import shutil

import numpy as np
import pytest
import yaml

from small_model import force_constants

COMMAND = ["phono3py-load", "--pypolymlp", "--rd", "2", "--random-seed", "1"]


@pytest.fixture
def text_potential(training_run, tmp_path_factory):
    """The small potential in pypolymlp's old text format."""
    model = yaml.safe_load((training_run[1] / "polymlp.yaml").read_text())
    numbers = [model[k] for k in ("pair_type", "feature_type", "model_type", "max_p")]
    lines = [
        f"{' '.join(model['elements'])} # ele",
        *(f"{value} #" for value in (model["cutoff"], *numbers, model["max_l"])),
        f"{model['gtinv_order']} #",
        " ".join(map(str, model["gtinv_maxl"])),
        " ".join("0" for _ in model["gtinv_sym"]),
        str(model["n_coeffs"]),
        " ".join(repr(float(c)) for c in model["coeffs"]),
        " ".join("1.0" for _ in model["coeffs"]),
        str(len(model["pair_params"])),
        *(f"{a} {b}" for a, b in model["pair_params"]),
        " ".join(map(str, model["mass"])),
        "0 # electrostatic",
        f"{model['gtinv_version']} # gtinv_version",
    ]
    path = tmp_path_factory.mktemp("text") / "phono3py.pmlp"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("name", ["polymlp.yaml.xz", "phonopy.pmlp", "phono3py.pmlp"])
def test_names(run, trained, name):
    content = (trained / "polymlp.yaml").read_bytes()
    (trained / "polymlp.yaml").unlink()
    if name.endswith(".xz"):
        content = lzma.compress(content)
    (trained / name).write_bytes(content)
    done = run([*COMMAND, "phono3py.yaml", "--fc-calc-opt", "cutoff=4"], trained)
    assert f'The potential was read from "{name}"' in done.stdout
    assert ("obsolete" in done.stdout) == name.endswith("pmlp")
    assert done.returncode == 0, done.stderr


def test_old_text_format(run, trained, text_potential, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copy(trained / "phono3py.yaml", other)
    shutil.copy(text_potential, other / "phono3py.pmlp")
    for folder in (trained, other):
        done = run([*COMMAND, "phono3py.yaml", "--fc-calc-opt", "cutoff=4"], folder)
        assert done.returncode == 0, done.stderr
    assert 'read from "phono3py.pmlp" (this format is obsolete)' in done.stdout
    for name, array in force_constants(other).items():
        # The same coefficients: forces differ by rounding alone.
        np.testing.assert_allclose(array, force_constants(trained)[name], atol=1e-8)


def test_any_name_by_mlp_file(run, folder, training_run):
    shutil.copy(training_run[1] / "polymlp.yaml", folder / "mine.yaml")
    options = ["--mlp-file", "mine.yaml", "--fc-calc-opt", "cutoff=4"]
    done = run([*COMMAND, "phono3py_params.yaml", *options], folder)
    assert done.returncode == 0, done.stderr
    assert 'The potential was read from "mine.yaml"' in done.stdout
    assert "differ from those of the dataset (100 supercells) by" in done.stdout
    assert not (folder / "polymlp.yaml").exists()


def test_a_hybrid_of_two_halves_is_the_whole(run, trained, tmp_path_factory):
    other = tmp_path_factory.mktemp("hybrid")
    shutil.copy(trained / "phono3py.yaml", other)
    model = yaml.safe_load((trained / "polymlp.yaml").read_text())
    model["coeffs"] = [c / 2 for c in model["coeffs"]]
    del model["phono3py_mlp"]
    for n in (1, 2):
        (other / f"mine.yaml.{n}").write_text(yaml.safe_dump(model))
    command = [*COMMAND, "phono3py.yaml", "--fc-calc-opt", "cutoff=4", "--mlp-file"]
    whole = run([*command, "polymlp.yaml"], trained)
    hybrid = run([*command, "mine.yaml"], other)
    for done in (whole, hybrid):
        assert done.returncode == 0, done.stderr
    assert 'read from "mine.yaml.1" + "mine.yaml.2", the parts of a' in hybrid.stdout
    for name, array in force_constants(other).items():
        # The same coefficients but for rounding.
        np.testing.assert_allclose(array, force_constants(trained)[name], atol=1e-8)

    again = run([*command, "mine.yaml"], other)
    assert "were computed from the same: used again" in again.stdout
    alone = run([*command, "mine.yaml.1"], other)
    assert "Note: mine.yaml.2 is not used." in alone.stdout
    assert "give --mlp-file mine.yaml to use all" in alone.stdout
    assert "were computed from something else" in alone.stdout
    (other / "mine.yaml.2").rename(other / "mine.yaml.3")
    gap = run([*command, "mine.yaml"], other)
    assert gap.returncode == 1
    (line,) = gap.stderr.strip().splitlines()
    assert line.startswith("ERROR: mine.yaml: mine.yaml.2 is missing")


@pytest.mark.parametrize("content", ["", "a: 1\n", "elements: [Na, Cl"])
def test_what_is_no_potential_is_refused_by_name(run, trained, content):
    (trained / "polymlp.yaml").write_text(content)
    done = run([*COMMAND, "phono3py.yaml"], trained)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: polymlp.yaml: not a polynomial potential")


def test_truncated_potential_is_refused(run, trained):
    whole = lzma.compress((trained / "polymlp.yaml").read_bytes())
    (trained / "polymlp.yaml").unlink()
    (trained / "polymlp.yaml.xz").write_bytes(whole[: len(whole) // 2])
    done = run([*COMMAND, "phono3py.yaml"], trained)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: polymlp.yaml.xz: not a polynomial potential")


def test_damaged_force_constants_are_refused(run, trained):
    (trained / "fc3.hdf5").write_text("junk\n")
    done = run([*COMMAND, "phono3py.yaml"], trained)
    assert done.returncode == 1
    assert done.stderr.startswith('ERROR: "fc3.hdf5" cannot be read')
    assert (trained / "fc3.hdf5").read_text() == "junk\n"


def test_neither_dataset_nor_potential(run, trained):
    (trained / "polymlp.yaml").unlink()
    done = run(["phono3py-load", "--pypolymlp", "-d", "phono3py.yaml"], trained)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: there is neither a dataset with forces")
