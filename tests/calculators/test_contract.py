"""The built-in calculators keep the contract, and do what their options say."""

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.calculators.ase import AseOptions
from phono3py_mlp_plugin.contracts import no_progress
from phono3py_mlp_plugin.errors import ParameterError, PotentialError
from phono3py_mlp_plugin.plugins import registry
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.testing import check_force_calculator
from phono3py_mlp_plugin.workflow import request_calculator


def aluminium(n):
    """Four atoms of fcc aluminium, displaced."""
    cells = []
    for k in range(n):
        cell = PhonopyAtoms(
            cell=np.eye(3) * 4.05,
            scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
            symbols=["Al"] * 4,
        )
        shifts = np.random.default_rng([1, k]).normal(scale=0.03, size=(4, 3))
        cell.positions = cell.positions + shifts
        cells.append(cell)
    return cells


@pytest.mark.parametrize(
    "options",
    [
        AseOptions("ase.calculators.emt:EMT"),
        AseOptions(
            "ase.calculators.lj:LennardJones",
            {"sigma": 2.5, "epsilon": 0.2, "rc": 6.0, "smooth": True},
        ),
    ],
)
def test_ase_calculators_keep_the_contract(options):
    check_force_calculator(
        registry().force_calculator("ase"), aluminium(3), options=options
    )


def test_ase_forces_are_those_of_ase():
    from ase import Atoms
    from ase.calculators.emt import EMT

    (cell,) = aluminium(1)
    request = request_calculator("ase", "calculator = ase.calculators.emt:EMT")
    result = request.calculator.load(None, request.options).evaluate([cell])
    atoms = Atoms(
        cell.symbols, cell.positions, cell=cell.cell, pbc=True, calculator=EMT()
    )
    np.testing.assert_array_equal(result.forces[0], atoms.get_forces())
    np.testing.assert_array_equal(result.stresses[0], atoms.get_stress(voigt=False))
    assert result.energies[0] == atoms.get_potential_energy()


def test_ase_calculator_takes_no_file_and_writes_none(tmp_path):
    request = request_calculator("ase", "calculator = ase.calculators.emt:EMT")
    with pytest.raises(ParameterError, match="reads no file of its own"):
        request.calculator.load(tmp_path, request.options)
    potential = request.calculator.load(None, request.options)
    with pytest.raises(PotentialError, match="cannot be saved"):
        potential.save(tmp_path / "x")


def test_pypolymlp_keeps_the_contract():
    _, data = nacl_dataset(30, repeats=1)
    request = request_calculator(
        "pypolymlp", "cutoff = 5, gtinv_maxl = 2 2, gaussian_params2 = 0 4 4"
    )
    training, test = data.select(range(20)), data.select(range(20, 30))
    trained = request.calculator.train(training, test, request.options, no_progress)

    assert trained.potential.elements == ("Na", "Cl")
    cells = test.supercells()[:3]
    result = trained.potential.evaluate(cells)
    for i, atom, axis in ((0, 0, 0), (1, 5, 2)):
        energies = []
        for step in (1e-4, -1e-4):
            moved = cells[i].copy()
            positions = moved.positions
            positions[atom, axis] += step
            moved.positions = positions
            energies.append(trained.potential.evaluate([moved]).energies[0])
        slope = -(energies[0] - energies[1]) / 2e-4
        # Rounding of energies of some tens of eV over the step: 1e-10.
        assert result.forces[i, atom, axis] == pytest.approx(slope, abs=1e-6)


def test_all_parameters_reach_pypolymlp():
    _, data = nacl_dataset(12, repeats=1)
    request = request_calculator(
        "pypolymlp",
        "cutoff = 4, model_type = 4, max_p = 1, gtinv_order = 2, gtinv_maxl = 3, "
        "gaussian_params1 = 0.5 1.5 2, gaussian_params2 = 0 3 3, "
        "atom_energies = Na -1 Cl -2, reg_alpha_params = -1 0 2, engine = pypolymlp",
    )
    trained = request.calculator.train(
        data.select(range(8)), data.select(range(8, 12)), request.options, no_progress
    )
    assert trained.potential.engine.startswith("pypolymlp ")
    params = trained.potential.polymlp.parameters.params
    model = params.model
    assert (model.cutoff, model.model_type, model.max_p) == (4.0, 4, 1)
    assert (model.gtinv.order, list(model.gtinv.max_l)) == (2, [3])
    exponents = {round(float(pair[0]), 6) for pair in model.pair_params}
    assert exponents == {0.0, 0.5, 1.5}
    assert tuple(params.atomic_energy) == (-1.0, -2.0)
    assert [p.alpha for p in trained.penalties] == pytest.approx([0.1, 1.0])


def test_pypolymlp_reads_what_it_wrote(tmp_path):
    _, data = nacl_dataset(12, repeats=1)
    request = request_calculator("pypolymlp", "cutoff = 4, gtinv_maxl = 2 2")
    trained = request.calculator.train(
        data.select(range(8)), data.select(range(8, 12)), request.options, no_progress
    )
    path = tmp_path / "polymlp.yaml"
    trained.potential.save(path)
    again = request.calculator.load(path, request.options)
    cells = data.supercells()
    one, other = trained.potential.evaluate(cells), again.evaluate(cells)
    np.testing.assert_allclose(one.forces, other.forces, atol=1e-9)


@pytest.mark.parametrize("spoil", ["nan", "inf"])
def test_coefficients_that_are_not_finite_are_refused(tmp_path, training_file, spoil):
    text = training_file.read_text()
    start = text.index("coeffs: [") + len("coeffs: [")
    path = tmp_path / "polymlp.yaml"
    path.write_text(text[:start] + f".{spoil}" + text[text.index(",", start) :])
    request = request_calculator("pypolymlp")
    with pytest.raises(PotentialError, match="coefficient"):
        request.calculator.load(path, request.options)


@pytest.fixture(scope="module")
def training_file(tmp_path_factory):
    _, data = nacl_dataset(8, repeats=1)
    request = request_calculator("pypolymlp", "cutoff = 4, gtinv_maxl = 1 1")
    trained = request.calculator.train(
        data.select(range(5)), data.select(range(5, 8)), request.options, no_progress
    )
    path = tmp_path_factory.mktemp("potential") / "polymlp.yaml"
    trained.potential.save(path)
    return path
