"""Functions for scripts: what they compute, refuse, and leave as it is."""

import contextlib
import copy
import json
import re

import numpy as np
import pytest
from phonopy.interface.calculator import write_crystal_structure
from phonopy.structure.atoms import PhonopyAtoms

import phono3py_mlp_plugin as mlp
from api.crystal import sodium_chloride
from phono3py_mlp_plugin.api.campaigns import CampaignRuns
from phono3py_mlp_plugin.files import FolderLock
from phono3py_mlp_plugin.reference import RigidIonNaCl

MODEL = "cutoff=4.0, gtinv_maxl=2 2, gaussian_params2=0 3 3"
MESH = [3, 3, 3]


@pytest.fixture(scope="module")
def training():
    return mlp.train(sodium_chloride(), options=f"{MODEL}, ntrain=10, ntest=5")


def contents(ph3):
    """Everything that a user sees of a crystal, copied."""
    return copy.deepcopy(
        {name: value for name, value in vars(ph3).items() if name != "_symmetry"}
    )


def assert_unchanged(ph3, before):
    for name, value in before.items():
        now = vars(ph3)[name]
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(now, value, err_msg=name)
        elif isinstance(value, dict):
            assert now.keys() == value.keys()
            for key in value:
                np.testing.assert_array_equal(now[key], value[key], err_msg=name)
        elif value is None or isinstance(value, int | float | str | bool):
            assert now == value, name


@pytest.mark.parametrize(
    "function",
    [
        lambda ph3, training: mlp.kappa(ph3, MESH, 300, training),
        pytest.param(
            lambda ph3, training: mlp.kappa(
                ph3, MESH, 300, training, error_budget=True
            ),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda ph3, training: mlp.converge(
                ph3, MESH, options=MODEL, sizes=[4], members=2, error_budget=False
            ),
            marks=pytest.mark.slow,
        ),
        lambda ph3, training: mlp.examine_potential(ph3, training),
        lambda ph3, training: mlp.train(ph3, options=f"{MODEL}, ntrain=4, ntest=2"),
    ],
    ids=["kappa", "error budget", "converge", "examine", "train"],
)
def test_functions_change_nothing_that_they_are_not_asked_for(
    function, training, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    ph3 = sodium_chloride()
    before = contents(ph3)
    function(ph3, training)
    assert_unchanged(ph3, before)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_kappa_is_that_of_phono3py_with_the_same_force_constants(training):
    ph3 = sodium_chloride()
    mlp.solve_force_constants(ph3, "exact", potential=training)
    expected = {}
    for choice in ("fft", "host"):
        expected[choice] = mlp.kappa(ph3, MESH, [200, 300], scattering=choice).kappa
    # Sums in another order.
    np.testing.assert_allclose(expected["fft"], expected["host"], rtol=1e-6, atol=1e-9)
    ph3.mesh_numbers = MESH
    ph3.init_phph_interaction(
        exclude_gamma_acoustic=True, average_degenerate_weights=True
    )
    ph3.run_thermal_conductivity(temperatures=[200, 300])
    np.testing.assert_array_equal(expected["host"], ph3.thermal_conductivity.kappa[0])


@pytest.mark.slow
def test_kappa_of_a_potential_is_that_of_its_force_constants(training):
    ph3 = sodium_chloride()
    of_potential = mlp.kappa(ph3, MESH, 300, training)
    mlp.solve_force_constants(ph3, "exact", potential=training)
    np.testing.assert_allclose(
        mlp.kappa(ph3, MESH, 300).kappa, of_potential.kappa, rtol=1e-9, atol=1e-9
    )


@pytest.mark.slow
def test_models_by_name_give_the_error_bar_of_the_first(training):
    ph3 = sodium_chloride()
    ph3.dataset = None
    ph3.generate_displacements(distance=0.01, number_of_snapshots=20, random_seed=1)
    result = mlp.kappa(ph3, MESH, 300, {"exact": RigidIonNaCl(), "fit": training})
    assert result.ensemble.names == ("exact", "fit")
    assert result.error()[0, 0] > 0
    assert "scatter of 2 models" in repr(result)


@pytest.mark.slow
def test_further_settings_are_those_of_phono3py(training):
    ph3 = sodium_chloride()
    plain = mlp.kappa(ph3, MESH, 300, training)
    short = mlp.kappa(ph3, MESH, 300, training, settings={"boundary_mfp": 0.01})
    assert short.kappa[0, 0] < plain.kappa[0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mesh": [0, 3, 3]}, "mesh = 0 3 3; expected three positive numbers"),
        ({"mesh": [3, 3]}, "expected three positive numbers, or one length"),
        ({"mesh": "3 3 3"}, "mesh = '3 3 3'; expected a number, or a sequence"),
        ({"mesh": [[3, 0], [0, 3]]}, "expected a number, or a sequence of numbers"),
        ({"temperatures": "room"}, "temperatures = 'room'; expected a number"),
        ({"temperatures": None}, "temperatures = None|temperatures = nan"),
        ({"mesh": [3.5, 3, 3]}, "expected integers"),
        ({"mesh": [3, 3, 4]}, "mesh = "),
        ({"temperatures": []}, "temperatures = \\[\\]; expected one or more"),
        ({"temperatures": -1}, "temperatures = -1"),
        ({"temperatures": float("nan")}, "temperatures = nan"),
        ({"method": "full"}, "method = 'full'; expected 'rta' or 'lbte'"),
        ({"scattering": "gpu"}, "scattering = 'gpu'; expected 'fft' or 'host'"),
        ({"settings": {"write_gamma": True}}, "settings: 'write_gamma' is not one"),
        ({"settings": {"is_isotop": 1}}, "Did you mean 'is_isotope'"),
        ({"potential": None, "solver": "exact"}, "solver = 'exact': is for force"),
        ({"potential": None, "error_budget": True}, "error_budget = True: is for"),
        ({"potential": "mace"}, "potential = 'mace'; expected a potential"),
        ({"potential": {}}, "expected a potential|expected 2 or more"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(arguments, message, training):
    given = {"mesh": MESH, "temperatures": 300, "potential": training, **arguments}
    with pytest.raises(mlp.ParameterError, match=message):
        mlp.kappa(sodium_chloride(), **given)


def test_missing_force_constants_are_named():
    with pytest.raises(mlp.SolverError, match="fc2: is missing; expected"):
        mlp.kappa(sodium_chloride(), MESH)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": []}, "sizes = \\[\\]; expected one or more"),
        ({"sizes": [5.5]}, "expected one or more ascending integers"),
        ({"sizes": ["a"]}, "expected one or more ascending integers"),
        ({"over": {"cutoff": "5,6"}}, "expected one name with two values or more"),
        ({"sizes": [1000]}, "the dataset has 100 supercells"),
        ({"sizes": [8, 4]}, "expected ascending numbers"),
        ({"orders": 0}, "orders = 0; expected 1 or more"),
        ({"members": 1}, "members = 1; expected 2 or more"),
        ({"ensemble": "bootstrap"}, "ensemble = 'bootstrap'; expected 'jackknife'"),
        ({"tolerance": 0}, "tolerance = 0"),
        ({"over": {"mesh": [3]}}, "expected one name with two values or more"),
        ({"over": {"mesh": [3, 5], "cutoff": [3, 4]}}, "expected one name"),
        ({"over": {"color": [3, 5]}}, "expected mesh, amplitude, cutoff-fc3 or"),
        ({"options": {"ntrain": 5}}, "ntrain and split are what converge varies"),
        ({"temperatures": [0, 300]}, "expected positive ones"),
    ],
)
def test_studies_that_are_not_possible_are_refused(arguments, message):
    with pytest.raises(mlp.ParameterError, match=message):
        mlp.converge(sodium_chloride(), MESH, **arguments)


@pytest.mark.slow
def test_finished_points_of_a_study_are_taken_from_its_file(tmp_path):
    file = tmp_path / "study.json"
    study = {"options": MODEL, "sizes": [4, 8], "members": 2, "file": file}
    first = mlp.converge(sodium_chloride(), MESH, error_budget=False, **study)
    written = json.loads(file.read_text())
    assert [point["size"] for point in written["points"]] == [4, 8]
    assert written["verdicts"]["kappa"]["size"] == 8
    again = mlp.converge(sodium_chloride(), MESH, error_budget=False, **study)
    assert again.to_dict() == first.to_dict()


@pytest.mark.slow
def test_a_study_over_a_parameter_takes_options_as_mapping_or_text():
    results = [
        mlp.converge(
            sodium_chloride(),
            MESH,
            options=options,
            over={"cutoff": [3.5, 4.0]},
            sizes=[4],
            members=2,
            error_budget=False,
        )
        for options in (
            "gtinv_maxl=2 2, gaussian_params2=0 3 3",
            {"gtinv_maxl": (2, 2), "gaussian_params2": (0, 3, 3)},
        )
    ]
    assert list(results[0].verdicts) == ["cutoff = 3.5", "cutoff = 4.0"]
    assert results[0].to_dict() == results[1].to_dict()


def test_members_need_a_calculator_with_error_bars():
    with pytest.raises(mlp.ParameterError, match="members = 1; expected 0, or 2"):
        mlp.train(sodium_chloride(), options=MODEL, members=1)


def test_labels_are_forces_and_energies_where_there_were_none():
    ph3 = sodium_chloride()
    with pytest.raises(mlp.DatasetError, match="the supercells have forces already"):
        mlp.label(ph3, RigidIonNaCl())
    ph3.dataset = {"displacements": ph3.displacements[:4]}
    result = mlp.label(ph3, RigidIonNaCl())
    np.testing.assert_array_equal(ph3.forces, result.forces)
    np.testing.assert_array_equal(ph3.supercell_energies, result.energies)


class Charged(RigidIonNaCl):
    """A potential that predicts Born charges."""

    def born_charges(self, cell):
        charges = np.array([[1.0], [-1.0]])[:, :, None] * np.eye(3)
        return charges, 2.4 * np.eye(3)


class Wrong(RigidIonNaCl):
    """Forces that are not the gradient of the energy."""

    def evaluate(self, supercells):
        found = super().evaluate(supercells)
        return mlp.Evaluation(found.energies, 2 * found.forces)


@pytest.mark.parametrize("wanted", [True, False])
def test_labels_set_born_charges_if_that_is_wanted(wanted):
    ph3 = sodium_chloride()
    ph3.nac_params = None
    ph3.dataset = {"displacements": ph3.displacements[:2]}
    mlp.label(ph3, Charged(), born_charges=wanted)
    assert (ph3.nac_params is not None) == wanted


def test_labels_of_wrong_forces_are_refused():
    ph3 = sodium_chloride()
    ph3.dataset = {"displacements": ph3.displacements[:2]}
    with pytest.raises(mlp.PotentialError, match="work of the forces"):
        mlp.label(ph3, Wrong())
    assert ph3.dataset.get("forces") is None
    mlp.label(ph3, Wrong(), allow_poor_fit=True)
    assert ph3.forces.shape == (2, 16, 3)


def test_datasets_are_saved_and_read_by_phono3py(tmp_path):
    import phono3py

    ph3 = sodium_chloride()
    assert mlp.save_dataset(ph3, tmp_path / "data.h5") is None
    kept = mlp.save_dataset(ph3, tmp_path / "data.h5")
    assert kept is not None and kept.is_file()
    again = phono3py.load(tmp_path / "data.h5", produce_fc=False, log_level=0)
    np.testing.assert_array_equal(again.forces, ph3.forces)
    with pytest.raises(mlp.ParameterError, match="expected a name ending in"):
        mlp.save_dataset(ph3, tmp_path / "data.txt")


def test_datasets_are_joined_once():
    one, other = sodium_chloride(), sodium_chloride()
    one.dataset = {k: v[:6] for k, v in one.dataset.items()}
    other.dataset = {k: v[6:10] for k, v in other.dataset.items()}
    assert len(mlp.extend_dataset(one, other)) == 10
    assert one.forces.shape == (10, 16, 3)
    with pytest.raises(mlp.DatasetError, match="is the same as"):
        mlp.extend_dataset(one, other)
    other.dataset = {"displacements": other.displacements}
    with pytest.raises(mlp.DatasetError, match=r"others\[0\]: there are no forces"):
        mlp.extend_dataset(one, other)


def test_output_of_other_programs_becomes_the_dataset(tmp_path):
    ase = pytest.importorskip("ase")
    from ase.calculators.singlepoint import SinglePointCalculator

    ph3 = sodium_chloride()
    expected = ph3.forces[:3] - ph3.forces[:3].mean(axis=1, keepdims=True)
    frames = []
    for k in range(3):
        cell = ph3.supercell
        atoms = ase.Atoms(
            cell.symbols, cell.positions + ph3.displacements[k], cell=cell.cell, pbc=1
        )
        energy = float(ph3.supercell_energies[k])
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=ph3.forces[k])
        frames.append(atoms)
    from ase.io import write

    path = tmp_path / "run.extxyz"
    write(path, frames)
    ph3.dataset = None
    dataset = mlp.import_dataset(ph3, path)
    assert len(dataset) == 3
    # The file has eight digits.
    np.testing.assert_allclose(ph3.forces, expected, atol=1e-7)
    with pytest.raises(mlp.ParameterError, match="files = "):
        mlp.import_dataset(ph3, [])


def test_a_relaxed_cell_is_returned_and_the_given_one_kept():
    pytest.importorskip("ase")
    potential = mlp.load_potential(
        calculator="ase", options="calculator = ase.calculators.emt:EMT"
    )
    from phonopy.structure.atoms import PhonopyAtoms

    lattice = 1.85 * (np.ones((3, 3)) - np.eye(3))
    cell = PhonopyAtoms(symbols=["Cu"], cell=lattice, scaled_positions=[[0, 0, 0]])
    result = mlp.relax(cell, potential)
    np.testing.assert_array_equal(cell.cell, lattice)
    assert result.cell.volume < cell.volume and result.is_converged
    json.dumps(result.to_dict(), allow_nan=False)
    assert "Largest force" in repr(result) and "<table>" in result._repr_html_()


def test_an_examination_is_shown_with_its_checks():
    health = mlp.examine_potential(sodium_chloride(), RigidIonNaCl())
    assert "noise of forces" in repr(health)
    json.dumps(health.to_dict(), allow_nan=False)


@pytest.mark.slow
def test_reports_are_collected_without_writing(tmp_path):
    ph3 = sodium_chloride()
    with pytest.raises(mlp.DatasetError, match="none of phono3py_params"):
        mlp.report(tmp_path)
    with pytest.raises(mlp.DatasetError, match="is not a folder"):
        mlp.report(tmp_path / "missing")
    mlp.save_dataset(ph3, tmp_path / "phono3py_params.yaml")
    training = mlp.train(ph3, options=f"{MODEL}, ntrain=10, ntest=5")
    training.save(tmp_path / "polymlp.yaml")
    before = sorted(tmp_path.iterdir())
    report = mlp.report(tmp_path)
    assert sorted(tmp_path.iterdir()) == before
    assert report.plot("parity").axes
    assert report.to_dict()["formula"] == "NaCl"
    assert "srcdoc" in report._repr_html_() and "Report on NaCl" in repr(report)
    with pytest.raises(mlp.DatasetError, match="kappa: No kappa file"):
        report.plot("kappa")
    with pytest.raises(mlp.ParameterError, match="kind = 'x'; expected 'bands'"):
        report.plot("x")
    page, *_ = report.save()
    assert page.name == "phono3py_mlp_report.html" and page.is_file()
    assert page.read_text() == report.html


@pytest.mark.slow
@pytest.mark.parametrize("of_what", ["dataset", "potential"])
def test_a_forecast_counts_the_stages_of_a_run(of_what, training):
    ph3 = sodium_chloride()
    before = contents(ph3)
    potential = training if of_what == "potential" else None
    options = None if potential else f"{MODEL}, ntrain=10, ntest=5"
    cost = mlp.forecast(ph3, MESH, options=options, potential=potential, members=2)
    assert_unchanged(ph3, before)
    names = [stage.name for stage in cost.stages]
    assert ("training" in names) == (potential is None)
    assert "kappa" in names and cost.seconds > 0 and cost.memory > 0
    assert "total" in repr(cost)
    json.dumps(cost.to_dict(), allow_nan=False)


def test_a_forecast_without_data_is_refused():
    ph3 = sodium_chloride()
    ph3.dataset = None
    with pytest.raises(mlp.DatasetError, match="no forces"):
        mlp.forecast(ph3, MESH)


@pytest.mark.slow
def test_workers_compute_the_same_kappa_and_error_bars():
    ph3 = sodium_chloride()
    training = mlp.train(ph3, options=f"{MODEL}, ntrain=10, ntest=5", members=2)
    alone = mlp.kappa(ph3, MESH, 300, training)
    together = mlp.kappa(ph3, MESH, 300, training, executor=2)
    np.testing.assert_array_equal(together.kappa, alone.kappa)
    np.testing.assert_array_equal(together.error(), alone.error())


@pytest.mark.slow
def test_a_campaign_gives_what_each_crystal_gave(tmp_path):
    write_crystal_structure(
        str(tmp_path / "Al.vasp"),
        PhonopyAtoms(
            symbols=["Al"] * 4,
            cell=np.eye(3) * 4.05,
            scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
        ),
    )
    (tmp_path / "metals.yaml").write_text(
        "options: {mesh: 5 5 5, dim: 2 2 2, ts: 300, force-calculator: emt}\n"
        "crystals:\n"
        "  Al: {cell: Al.vasp}\n"
        "  missing: {cell: Al.vasp, fc-calculator: nothing}\n"
    )
    advances = []

    @contextlib.contextmanager
    def progress(text, total):
        yield advances.append

    result = mlp.campaign(tmp_path / "metals.yaml", progress=progress)
    done, failed = result.crystals
    assert done.status == "done" and done.kappa[0] > 0
    assert failed.status == "failed" and "nothing" in failed.error
    assert result.failed == ["missing"] and advances == [1, 1]
    table = json.loads((tmp_path / "metals.json").read_text())
    assert table["crystals"] == result.to_dict()["crystals"]
    assert result.page.is_file() and "Al" in result._repr_html_()
    # A result is that of the list, without any computation.
    again = mlp.campaign(tmp_path / "metals.yaml", jobs=2)
    assert again.crystals[0] == done


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"file": None}, "file = None; expected the name of a list"),
        ({"file": 3}, "file = 3; expected the name of a file"),
        ({"file": "list.yaml", "jobs": 0}, "jobs = 0; expected 1 or more"),
        ({"file": "list.yaml", "jobs": 1.5}, "jobs = 1.5; expected an integer"),
        ({"file": "list.yaml"}, "list.yaml: no mapping; expected 'crystals:"),
        ({"file": "nothing.yaml"}, '"nothing.yaml" is not found. Check the name.'),
    ],
)
def test_a_campaign_without_a_list_is_refused(
    arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("[]")
    with pytest.raises(mlp.MLPError, match=re.escape(message)):
        mlp.campaign(**arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["list.yaml"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("list.json", "whose name does not end in .json"),
        ("list.CSV", "whose name does not end in .CSV"),
        ("binary.yaml", "not text"),
        ("folder", '"folder" is a folder'),
        ("taken.yaml", '"taken.csv": exists and is no table of a campaign'),
    ],
)
def test_a_campaign_replaces_no_files_of_the_user(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "Al.vasp").write_text("")
    for file in ("list.json", "list.CSV", "taken.yaml"):
        (tmp_path / file).write_text('{"crystals": {"Al": {"cell": "Al.vasp"}}}')
    (tmp_path / "taken.csv").write_text("my,own,data")
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(mlp.MLPError, match=re.escape(message)):
        mlp.campaign(name)
    assert {p: p.is_file() and p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_crystal_that_another_campaign_computes_is_left_alone(tmp_path):
    (tmp_path / "Al.vasp").write_text("")
    (tmp_path / "metals.yaml").write_text("crystals: {Al: {cell: Al.vasp}}")
    folder = tmp_path / "Al"
    folder.mkdir()
    (folder / "run.log").write_text("of the other one")
    lock = FolderLock(folder, name=".phono3py-mlp-campaign.lock")
    lines = []
    runs = CampaignRuns(tmp_path / "metals.yaml", 1, lines.append)
    assert runs.run([0]) == ["Al"]
    (line,) = lines
    assert "[1/1] Al: failed: another run works in this folder" in line
    lock.release()
    assert [path.name for path in folder.iterdir()] == ["run.log"]
    assert (folder / "run.log").read_text() == "of the other one"


def test_plugins_are_described():
    found = mlp.find_plugins()
    exact = found.force_constants_solvers["exact"]
    assert exact.unavailable_reason is None and exact.is_built_in
    names = [name for name, _, _ in found.force_calculators["pypolymlp"].options]
    assert "cutoff" in names
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["force_constants_solvers"]["exact"]["summary"] == exact.summary
    assert "pypolymlp  " in repr(found) and "<table>" in found._repr_html_()


def test_the_installation_is_active():
    found = mlp.doctor()
    assert found.is_active and found.problems == ()
    assert found.packages["phono3py-mlp-plugin"] == mlp.__version__
    assert not any(found.bindings.values())
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["is_active"] is True
    assert repr(found).startswith("Bridge: active\nPython 3.")
