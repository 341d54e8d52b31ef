"""The calculator ase takes whatever gives energies and forces."""

import sys

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

ase = pytest.importorskip("ase")

from ase.calculators.calculator import (  # noqa: E402
    Calculator,
    PropertyNotImplementedError,
)
from ase.calculators.emt import EMT  # noqa: E402

from phono3py_mlp_plugin import plugins  # noqa: E402
from phono3py_mlp_plugin.errors import ParameterError, PluginFailed  # noqa: E402
from phono3py_mlp_plugin.workflow import evaluate, request_calculator  # noqa: E402

STRESS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
TENSOR = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])


def cells(n=2):
    made = []
    for k in range(n):
        positions = np.array([[0.0, 0, 0], [2.0, 2.0, 0], [2.0, 0, 2.0], [0, 2.0, 2.0]])
        shifts = np.random.default_rng(k).normal(scale=0.05, size=(4, 3))
        made.append(
            PhonopyAtoms(
                symbols=["Al"] * 4, cell=np.eye(3) * 4.0, positions=positions + shifts
            )
        )
    return made


class Plain:
    """Only what a calculator must have: it is no subclass of ASE's."""

    def __init__(self, stiffness=1.0, **_others):
        self.stiffness = stiffness

    def get_potential_energy(self, atoms):
        return self.stiffness * float((atoms.positions**2).sum()) / 2

    def get_forces(self, atoms):
        return -self.stiffness * atoms.positions


class SixStresses(Plain):
    def get_stress(self, atoms):
        return STRESS


class TensorStresses(Plain):
    def get_stress(self, atoms):
        return TENSOR


class NoStresses(Plain):
    def get_stress(self, atoms):
        raise PropertyNotImplementedError("stress")


class NotDoneStresses(Plain):
    def get_stress(self, atoms):
        raise NotImplementedError


class NothingAsStress(Plain):
    def get_stress(self, atoms):
        return None


class Undeclared(Calculator):
    """A subclass of ASE's that declares no properties."""

    def calculate(self, atoms=None, properties=(), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        positions = self.atoms.positions
        self.results = {
            "energy": np.array([float((positions**2).sum()) / 2]),
            "forces": -positions,
        }


class Tensor:
    """As those of machine-learning libraries, on a device and with a gradient."""

    def __init__(self, values, steps=()):
        self.values = values
        self.steps = steps

    def detach(self):
        return Tensor(self.values, (*self.steps, "detach"))

    def cpu(self):
        return Tensor(self.values, (*self.steps, "cpu"))

    def numpy(self):
        assert self.steps == ("detach", "cpu")
        return self.values


class Single(Plain):
    """Single precision, energies with an axis, tensors, and constraints."""

    def get_potential_energy(self, atoms=None, force_consistent=False):
        return np.array([super().get_potential_energy(atoms)], dtype=np.float32)

    def get_forces(self, atoms=None, apply_constraint=True):
        return Tensor(super().get_forces(atoms).astype(np.float32))


class Batches:
    """Evaluates many supercells at once."""

    def evaluate_many(self, many):
        self.sizes = [*getattr(self, "sizes", []), len(many)]
        plain = Plain()
        return [
            (plain.get_potential_energy(a), plain.get_forces(a), STRESS) for a in many
        ]


class Broken(Plain):
    """Its forces are not finite in the eleventh supercell."""

    calls = 0

    def get_forces(self, atoms):
        self.calls += 1
        return super().get_forces(atoms) * (np.nan if self.calls == 11 else 1.0)


def factory(stiffness=1.0, labels=None, table=None):
    assert labels is None or labels == ["a", "b, c"]
    assert table is None or table == {"x": 1e-3, "y": None, "z": True}
    return Plain(stiffness)


def strict(stiffness):
    return Plain(stiffness)


ready = Plain(1.0)


class Maker:
    @classmethod
    def from_file(cls, stiffness=1.0):
        return Plain(stiffness)


def evaluated(name, text="", n=2):
    here = f"{__name__}:{name}"
    request = request_calculator("ase", f"calculator = {here}, {text}")
    potential = plugins.load(request.calculator, None, request.options)
    return evaluate("ase", potential, cells(n))


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this())


def _this():
    module = type(sys)(__name__)
    module.__dict__.update(globals())
    return module


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Plain", ""),
        ("Plain", "stiffness = 1e0"),
        ("factory", ""),
        (
            "factory",
            'labels = ["a", "b, c"], table = {"x": 1e-3, "y": null, "z": true}',
        ),
        ("factory", "labels = [a, 'b, c'], stiffness = 1"),
        ("strict", "stiffness = 1"),
        ("Maker.from_file", ""),
        ("ready", ""),
        ("Undeclared", ""),
        ("Batches", ""),
        ("SixStresses", ""),
    ],
)
def test_classes_functions_methods_and_objects_are_calculators(name, text):
    result = evaluated(name, text)
    for k, cell in enumerate(cells()):
        np.testing.assert_allclose(result.forces[k], -cell.positions, atol=1e-15)
        assert result.energies[k] == pytest.approx((cell.positions**2).sum() / 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Plain", None),
        ("SixStresses", TENSOR),
        ("TensorStresses", TENSOR),
        ("NoStresses", None),
        ("NotDoneStresses", None),
        ("NothingAsStress", None),
        ("Undeclared", None),
        ("Batches", TENSOR),
    ],
)
def test_stresses_have_six_or_nine_components_or_are_not_there(name, expected):
    stresses = evaluated(name).stresses
    if expected is None:
        assert stresses is None
    else:
        np.testing.assert_array_equal(stresses, [expected, expected])


def test_single_precision_tensors_and_energies_with_an_axis_are_taken():
    result = evaluated("Single")
    assert result.energies.shape == (2,)
    assert result.forces.dtype == np.float64
    # Single precision has seven digits.
    np.testing.assert_allclose(result.forces[1], -cells()[1].positions, atol=1e-6)


def test_batches_are_evaluated_together():
    request = request_calculator("ase", f"calculator = {__name__}:Batches")
    potential = plugins.load(request.calculator, None, request.options)
    evaluate("ase", potential, cells(20))
    assert potential.calculator.sizes == [16, 4]


def test_forces_that_are_not_finite_are_named_with_their_supercell():
    with pytest.raises(PluginFailed, match=r"not finite .*in supercell 11\."):
        evaluated("Broken", n=12)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ready", "stiffness = 2", "is a calculator already; stiffness"),
        ("strict", "stifness = 2", "unknown option 'stifness'. Did you mean"),
        ("Plain", "stifness = 2", "unknown option 'stifness'. Did you mean"),
        ("strict", "", "cannot be created: .*missing 1 required"),
        ("STRESS", "", "is a ndarray; expected a class"),
        ("cells", "", "gave a list; expected an ASE calculator"),
        ("Plan", "", "has no 'Plan'. Did you mean 'Plain'"),
        ("Plain", "x = [1, 2", r"has an open \["),
        ("Plain", "x = {1: [}", "expected a list or mapping|has an open"),
    ],
)
def test_what_cannot_be_a_calculator_is_refused(name, text, message):
    with pytest.raises(
        ParameterError, match=message.replace("an open [", r"an open \[")
    ) as error:
        evaluated(name, text)
    assert "\n" not in str(error.value)


def test_arguments_that_a_class_passes_on_are_taken():
    assert evaluated("Plain", "checkpoint = 'a, b.pt'").stresses is None


def test_a_module_of_the_current_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "springs_of_mine.py").write_text(
        "from ase.calculators.emt import EMT\ndef make(scale=1):\n    return EMT()\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    request = request_calculator("ase", "calculator = springs_of_mine:make, scale = 2")
    potential = plugins.load(request.calculator, None, request.options)
    assert isinstance(potential.calculator, EMT)
    assert sys.path == before
    with pytest.raises(ParameterError, match="No module named 'springs_of_yours'"):
        request = request_calculator("ase", "calculator = springs_of_yours:make")
        plugins.load(request.calculator, None, request.options)
