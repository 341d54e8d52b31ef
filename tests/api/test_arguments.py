"""Arguments of another type, and values that would compute something else."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

import phono3py_mlp_plugin as mlp
from api.crystal import sodium_chloride
from phono3py_mlp_plugin.exports import export
from phono3py_mlp_plugin.plotting.axes import add_error_bars
from phono3py_mlp_plugin.reference import RigidIonNaCl
from phono3py_mlp_plugin.workflow import check_memory_of_mesh

MESH = [3, 3, 3]
POTENTIAL = RigidIonNaCl()


@pytest.fixture(scope="module")
def crystal():
    return sodium_chloride()


@pytest.mark.parametrize("other", [None, 3, "phono3py_params.yaml"])
@pytest.mark.parametrize(
    "function",
    [
        mlp.train,
        lambda ph3: mlp.kappa(ph3, MESH),
        lambda ph3: mlp.converge(ph3, MESH),
        lambda ph3: mlp.forecast(ph3, MESH),
        lambda ph3: mlp.evaluate(ph3, POTENTIAL),
        lambda ph3: mlp.label(ph3, POTENTIAL),
        lambda ph3: mlp.examine_potential(ph3, POTENTIAL),
        lambda ph3: mlp.relax(ph3, POTENTIAL),
        lambda ph3: mlp.solve_force_constants(ph3),
        lambda ph3: mlp.kappa_of_models(ph3, {}, len),
        lambda ph3: mlp.import_dataset(ph3, "vasprun.xml"),
        lambda ph3: mlp.extend_dataset(ph3),
        lambda ph3: mlp.save_dataset(ph3, "dataset.h5"),
        lambda ph3: export(ph3, "shengbte", "."),
    ],
)
def test_what_is_no_crystal_is_refused_by_every_function(function, other):
    with pytest.raises(mlp.ParameterError, match=r"expected a Phono"):
        function(other)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda ph3: mlp.train(ph3, options=5), "options = 5; expected text"),
        (lambda ph3: mlp.train(ph3, options=["cutoff"]), "options = .* expected text"),
        (lambda ph3: mlp.train(ph3, options={5: 1}), "options = .* expected text"),
        (lambda ph3: mlp.train(ph3, None), "calculator = None; expected a name"),
        (lambda ph3: mlp.train(ph3, members="4"), "members = '4'; expected an integer"),
        (lambda ph3: mlp.train(ph3, members=2.5), "members = 2.5; expected an integer"),
        (lambda ph3: mlp.train(ph3, progress=3), "progress = 3; expected a function"),
        (lambda ph3: mlp.train(ph3, structures="a"), "structures = 'a'; expected"),
        (lambda ph3: mlp.train(ph3, allow_poor_fit="no"), "expected True or False"),
        (lambda ph3: mlp.kappa(ph3, MESH, solver=3), "solver = 3; expected a name"),
        (lambda ph3: mlp.kappa(ph3, MESH, True), "temperatures = True; expected a num"),
        (lambda ph3: mlp.kappa(ph3, MESH, None), "temperatures = None; expected a num"),
        (lambda ph3: mlp.kappa(ph3, MESH, "300"), "temperatures = '300'; expected a"),
        (lambda ph3: mlp.kappa(ph3, np.eye(3)), r"mesh = array\(.*; expected a number"),
        (lambda ph3: mlp.kappa(ph3, MESH, 300, mlp.KappaFile), "expected a potential"),
        (lambda ph3: mlp.kappa(ph3, MESH, 300, "a.yaml"), "expected a potential"),
        (lambda ph3: mlp.converge(ph3, MESH, sizes=5), "sizes = 5; expected one or"),
        (lambda ph3: mlp.converge(ph3, MESH, over="mesh"), "over = 'mesh'; expected"),
        (
            lambda ph3: mlp.converge(ph3, MESH, over={"mesh": 3}),
            "two values or more",
        ),
        (
            lambda ph3: mlp.converge(ph3, MESH, over={"mesh": [3, 3]}),
            "mesh = 3,3: a value is given twice",
        ),
        (
            lambda ph3: mlp.converge(ph3, MESH, tolerance="a"),
            "tolerance = a; expected a positive number",
        ),
        (
            lambda ph3: mlp.converge(ph3, MESH, displacements=0.01),
            "displacements = 0.01; expected DisplacementOptions",
        ),
        (
            lambda ph3: mlp.converge(ph3, MESH, file="no/folder/study.json"),
            'there is no folder "no/folder"',
        ),
        (lambda ph3: mlp.forecast(ph3, MESH, members=-4), "members = -4; expected 0"),
        (lambda ph3: mlp.save_dataset(ph3, 5), "path = 5; expected the name of a file"),
        (lambda ph3: export(ph3, ["tdep"], "."), "name = .* expected a name"),
        (lambda ph3: mlp.load_potential(5), "file = 5; expected the name of a file"),
        (lambda ph3: mlp.report(4), "folder = 4; expected the name of a file"),
    ],
)
def test_arguments_of_another_type_are_refused_in_one_line(crystal, function, message):
    with pytest.raises(mlp.ParameterError, match=message) as error:
        function(crystal)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"boundary_mfp": -1.0}, "boundary_mfp = -1.0; expected a positive number"),
        ({"boundary_mfp": np.nan}, "boundary_mfp = nan; expected a positive number"),
        ({"boundary_mfp": "a"}, "boundary_mfp = a; expected a positive number"),
        ({"transport_type": "foo"}, "transport_type = foo; expected one of ibdb19,"),
        ({"is_isotope": "no"}, "is_isotope = 'no'; expected True or False"),
        ({"mass_variances": [1e-4]}, "mass_variances: 1 given; expected 2"),
        ({"mass_variances": [1e-4, -1.0]}, "mass_variances = -1.0; expected a number"),
    ],
)
def test_settings_that_phono3py_would_not_check_are_refused(crystal, settings, message):
    with pytest.raises(mlp.ParameterError, match=f"settings: {message}"):
        mlp.kappa(crystal, MESH, settings=settings)


def test_a_model_that_occurs_twice_has_no_scatter(crystal):
    with pytest.raises(mlp.ParameterError, match="a, b: 1 of them differ"):
        mlp.kappa(crystal, MESH, 300, {"a": POTENTIAL, "b": POTENTIAL})


def test_a_file_that_is_not_found_is_an_error_of_this_package(crystal):
    with pytest.raises(mlp.DatasetError, match=r'"nothing\.xml" is not found'):
        mlp.import_dataset(crystal, "nothing.xml")


@pytest.mark.parametrize("mesh", [[100_000] * 3, 1e7])
def test_a_mesh_that_exceeds_the_memory_is_refused(crystal, mesh):
    # The library of phono3py would end the process.
    with pytest.raises(mlp.ResourceError, match="Use a smaller mesh"):
        mlp.kappa(crystal, mesh)


def test_a_length_without_a_cell_is_not_checked():
    check_memory_of_mesh([1e9])


def test_no_potential_without_elements_is_taken(crystal):
    class NotOne:
        def evaluate(self, supercells):
            raise AssertionError

    with pytest.raises(mlp.ParameterError, match="which has elements and evaluate"):
        mlp.kappa(crystal, MESH, 300, NotOne())


@pytest.mark.parametrize("level", [-1, 0, 1, 68, np.nan, "0.9", None])
def test_levels_are_probabilities(level):
    fields = {field.name: None for field in dataclasses.fields(mlp.KappaResult)}
    with pytest.raises(mlp.ParameterError, match="expected a probability between"):
        mlp.KappaResult(**fields).error(level)


def test_nothing_is_drawn_of_no_temperatures():
    axes = Figure().subplots()
    none = np.zeros(0)
    add_error_bars(axes, none, none, [[], []], color="C0")
    assert axes.containers[0].lines[0].get_xdata().size == 0


@pytest.mark.parametrize("text", ["{", "crystal: 1", '{"format_version": 1}'])
def test_a_study_does_not_overwrite_a_file_of_the_user(crystal, tmp_path, text):
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(mlp.DatasetError, match="is not the file of a study"):
        mlp.converge(crystal, MESH, file=file)
    assert file.read_text() == text


def test_results_are_not_saved_into_a_folder_that_does_not_exist(crystal, tmp_path):
    with pytest.raises(mlp.UnusableFile, match=r"there is no folder .*/no; expected"):
        mlp.save_dataset(crystal, tmp_path / "no" / "data.yaml")
    assert list(tmp_path.iterdir()) == []
