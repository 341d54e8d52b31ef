"""Discovery and the check of what plugins return."""

import os
import types
from pathlib import Path

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import hookimpl, plugins
from phono3py_mlp_plugin.calculators.ase.libraries import LIBRARIES
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
    libraries = {library.name for library in LIBRARIES}
    assert set(found.calculators) == {"pypolymlp", "ase"} | libraries
    assert set(found.solvers) == {"symfc", "exact", "traditional", "alm", "hiphive"}
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
    found = plugins.discover([EntryPoint("xyz", value)])
    with pytest.raises(
        PluginNotFound, match=r"named 'xyz'.*xyz of phono3py-mlp-xyz 1.0 could not"
    ):
        found.force_calculator("xyz")
    assert found.force_calculator("ase").name == "ase"


def test_unavailable_reason_is_told_with_its_remedy():
    record = ForceConstantsSolver(
        name="x",
        summary="",
        solve=lambda p: {},
        unavailable_reason=lambda: "no y. Install y.",
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


class Quantity(np.ndarray):
    """An array of which the unit would be lost."""


def forces(change):
    """Return a way to spoil forces of one atom, and what is found then."""
    return Evaluation(np.zeros(1), change(np.full((1, 1, 3), 0.1)))


SPOILED = [
    (lambda f: f.astype(complex), "is of type complex128; expected a numpy.ndarray of"),
    (lambda f: f > 0, "is of type bool; expected"),
    (lambda f: f.astype(str), "is of type <U32; expected"),
    (lambda f: f.astype(object), "is of type object; expected"),
    (lambda f: f.astype(np.float16), "is of type float16; expected"),
    (lambda f: np.ma.masked_less(f, 1), "is a MaskedArray; expected"),
    (lambda f: f.view(Quantity), "is a Quantity; expected"),
    (lambda f: types.SimpleNamespace(units="Ry"), "is a SimpleNamespace; expected"),
    (lambda f: None, "is of type object; expected"),
    (lambda f: [[[1.0, 2.0], [3.0]]], "is no array (setting an array element"),
    (lambda f: 1e301 * f, r"holds 1e+300 at (0, 0, 0); expected no more than 1e+06"),
    (lambda f: f * np.inf, "holds numbers that are not finite (inf at (0, 0, 0))"),
    (lambda f: f * [1, np.nan, 1], "not finite (nan at (0, 0, 1))"),
    (lambda f: f[..., :2], "has shape (1, 1, 2); expected (1, 1, 3)"),
]


@pytest.mark.parametrize(("spoil", "found"), SPOILED)
def test_forces_that_are_no_real_numbers_are_named_with_what_was_found(spoil, found):
    with pytest.raises(PluginFailed) as caught:
        plugins.evaluate("lj", Answer(forces(spoil)), [CELL])
    assert str(caught.value).startswith("lj: forces ")
    assert found in str(caught.value)


@pytest.mark.parametrize(("spoil", "found"), SPOILED)
def test_force_constants_that_are_no_real_numbers_are_named(spoil, found):
    del found
    fc2 = spoil(np.full((1, 1, 3, 3), 0.1))
    solver = ForceConstantsSolver(name="s", summary="", solve=lambda p: {2: fc2})
    with pytest.raises(PluginFailed) as caught:
        plugins.solve(solver, problem())
    assert str(caught.value).startswith("s: fc2 ")


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.astype(np.float32),
        lambda f: f.astype(np.longdouble),
        lambda f: np.asfortranarray(f),
        lambda f: f[:, :, ::-1],
        lambda f: f.tolist(),
        lambda f: np.zeros((1, 1, 3), dtype=int),
        lambda f: f * 1e4,
    ],
    ids=["single", "long", "Fortran", "strided", "list", "integers", "collision"],
)
def test_forces_of_other_layout_are_taken_as_they_are(change):
    answer = forces(change)
    found = plugins.evaluate("lj", Answer(answer), [CELL]).forces
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    assert np.array_equal(found, np.asarray(answer.forces, dtype=float))


def test_arrays_that_a_potential_uses_again_do_not_change_earlier_forces():
    answer = forces(lambda f: f)
    first = plugins.evaluate("lj", Answer(answer), [CELL])
    answer.forces[:] = 7.0
    answer.energies[:] = 7.0
    assert first.forces.max() == 0.1
    assert first.energies[0] == 0.0


def test_potential_that_moves_atoms_or_the_directory_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell = CELL.copy()

    def move(supercells):
        supercells[0].positions = supercells[0].positions + 0.1
        return forces(lambda f: f)

    def go(supercells):
        os.chdir("/")
        return forces(lambda f: f)

    with pytest.raises(PluginFailed, match="'lj' failed: it changed the positions of"):
        plugins.evaluate("lj", types.SimpleNamespace(evaluate=move), [cell])
    with pytest.raises(PluginFailed, match="'lj' failed: it changed the working dir"):
        plugins.evaluate("lj", types.SimpleNamespace(evaluate=go), [CELL])
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("loaded", [None, 3, "potential"])
def test_calculator_that_gives_no_potential_is_named(loaded):
    record = ForceCalculator(name="x", summary="", load=lambda path, options: loaded)
    with pytest.raises(PluginFailed, match=r"'x' cannot be loaded: load returned"):
        plugins.load(record, None, None)


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
