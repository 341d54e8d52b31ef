"""Discovery and the check of what plugins return."""

import types

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import hookimpl, plugins
from phono3py_mlp_plugin.contracts import (
    Evaluation,
    ForceCalculator,
    ForceConstantsProblem,
    ForceConstantsSolver,
)
from phono3py_mlp_plugin.errors import PluginFailed, PluginNotFound

CELL = PhonopyAtoms(cell=np.eye(3) * 5, scaled_positions=[[0, 0, 0]], symbols=["Ar"])


class EntryPoint:
    """As importlib.metadata gives it."""

    def __init__(self, name, value):
        self.name = name
        self.value = value
        self.dist = types.SimpleNamespace(name=f"phono3py-mlp-{name}", version="1.0")

    def load(self):
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


def module(calculators=(), solvers=()):
    @hookimpl
    def phono3py_mlp_force_calculators():
        return calculators

    @hookimpl
    def phono3py_mlp_force_constants_solvers():
        return solvers

    return types.SimpleNamespace(
        phono3py_mlp_force_calculators=phono3py_mlp_force_calculators,
        phono3py_mlp_force_constants_solvers=phono3py_mlp_force_constants_solvers,
    )


def test_built_ins_are_registered_as_any_other():
    found = plugins.discover([])
    assert set(found.calculators) == {"pypolymlp", "ase"}
    assert set(found.solvers) == {"symfc", "traditional", "alm", "hiphive"}
    assert found.calculators["ase"].origin.distribution == "phono3py-mlp-plugin"
    assert not found.broken


def test_third_party_calculator_is_found():
    record = ForceCalculator(name="lj", summary="", load=lambda path, options: None)
    found = plugins.discover([EntryPoint("lj", module([record]))])
    assert found.force_calculator("lj") is record
    assert str(found.calculators["lj"].origin) == "phono3py-mlp-lj 1.0"


@pytest.mark.parametrize(
    "value",
    [
        ImportError("no torch"),
        SystemExit("leaving"),
        types.SimpleNamespace(),
        module([{"name": "not a record"}]),
    ],
)
def test_broken_plugin_is_named_where_it_is_asked_for(value):
    found = plugins.discover([EntryPoint("mace", value)])
    with pytest.raises(
        PluginNotFound, match=r"named 'mace'.*mace of phono3py-mlp-mace 1.0 could not"
    ):
        found.force_calculator("mace")
    assert found.force_calculator("ase").name == "ase"


def test_obstacle_is_told_with_its_remedy():
    record = ForceConstantsSolver(
        name="x", summary="", solve=lambda p: {}, obstacle=lambda: "no y. Install y."
    )
    found = plugins.discover([EntryPoint("x", module(solvers=[record]))])
    with pytest.raises(PluginNotFound, match=r"'x' cannot be used: no y\. Install y\."):
        found.force_constants_solver("x")


class Answer:
    elements = ()

    def __init__(self, answer):
        self.answer = answer

    def evaluate(self, supercells):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Evaluation(np.zeros(1), np.zeros((1, 2, 3))), r"forces has shape \(1, 2, 3\)"),
        (Evaluation(np.zeros(2), np.zeros((1, 1, 3))), r"energies has shape \(2,\)"),
        (Evaluation(np.zeros(1), np.full((1, 1, 3), np.nan)), "forces holds numbers"),
        (
            Evaluation(np.zeros(1), np.zeros((1, 1, 3)), np.zeros((1, 6))),
            r"stresses has shape \(1, 6\); expected \(1, 3, 3\)",
        ),
        (
            (np.zeros(1), np.zeros((1, 1, 3))),
            "evaluate returned a tuple; expected Evaluation",
        ),
        (ZeroDivisionError("inside"), "force calculator 'lj' failed: inside"),
        (SystemExit(3), r"force calculator 'lj' failed: it called sys.exit\(3\)"),
    ],
)
def test_potential_that_breaks_the_contract_is_named(answer, message):
    with pytest.raises(PluginFailed, match=message):
        plugins.evaluate("lj", Answer(answer), [CELL])


def test_calculator_that_cannot_be_loaded_is_named():
    def load(path, options):
        raise OSError("no GPU")

    record = ForceCalculator(name="mace", summary="", load=load)
    with pytest.raises(PluginFailed, match="'mace' cannot be loaded: no GPU"):
        plugins.load(record, None, None)


def problem():
    return ForceConstantsProblem(
        supercell=CELL,
        primitive=CELL,
        symmetry=None,
        displacements=np.zeros((1, 1, 3)),
        forces=np.zeros((1, 1, 3)),
        orders=(2,),
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "must return a dict with the orders 2"),
        (
            {2: np.zeros((1, 1, 3))},
            r"fc2 has shape \(1, 1, 3\); expected \(1, 1, 3, 3\)",
        ),
        ({2: np.full((1, 1, 3, 3), np.inf)}, "fc2 holds numbers that are not finite"),
    ],
)
def test_solver_that_breaks_the_contract_is_named(answer, message):
    solver = ForceConstantsSolver(name="s", summary="", solve=lambda p: answer)
    with pytest.raises(PluginFailed, match=message):
        plugins.solve(solver, problem())


def test_solver_is_not_asked_for_orders_that_it_does_not_give():
    solver = ForceConstantsSolver(name="s", summary="", solve=lambda p: {}, orders=(3,))
    with pytest.raises(PluginFailed, match="gives orders 3; order 2 is needed"):
        plugins.solve(solver, problem())
