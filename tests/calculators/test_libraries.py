"""Calculators of libraries by name: real ones that are here, and fakes of others."""

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

ase = pytest.importorskip("ase")

from ase.build import bulk  # noqa: E402

from phono3py_mlp_plugin import plugins  # noqa: E402
from phono3py_mlp_plugin.calculators.ase.libraries import LIBRARIES  # noqa: E402
from phono3py_mlp_plugin.errors import ParameterError, PluginNotFound  # noqa: E402
from phono3py_mlp_plugin.workflow import (  # noqa: E402
    evaluate,
    origin_of,
    request_calculator,
)

# Warnings of libraries are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")

BY_NAME = {library.name: library for library in LIBRARIES}


def displaced(atoms, n=3, scale=0.03):
    cells = []
    for k in range(n):
        shifts = np.random.default_rng(k).normal(scale=scale, size=(len(atoms), 3))
        cells.append(
            PhonopyAtoms(
                symbols=atoms.get_chemical_symbols(),
                cell=atoms.cell[:],
                positions=atoms.positions + shifts,
            )
        )
    return cells


ALUMINIUM = bulk("Al", cubic=True, a=3.99)
SILICON = bulk("Si", cubic=True, a=5.45)
MAGNESIA = bulk("MgO", "rocksalt", cubic=True, a=4.21)


def loaded(name, text=None, path=None):
    request = request_calculator(name, text)
    return plugins.load(request.calculator, path, request.options)


def assert_equal_to_ase(potential, calculator, atoms, tolerance=1e-12):
    """Energies, forces and stresses are those of the calculator alone."""
    cells = displaced(atoms)
    result = evaluate("x", potential, cells)
    for k, cell in enumerate(cells):
        alone = ase.Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True)
        alone.calc = calculator
        np.testing.assert_allclose(
            result.forces[k], alone.get_forces(), rtol=0, atol=tolerance
        )
        np.testing.assert_allclose(
            result.energies[k], alone.get_potential_energy(), rtol=1e-6
        )
        np.testing.assert_allclose(
            result.stresses[k], alone.get_stress(voigt=False), rtol=0, atol=tolerance
        )


@pytest.mark.parametrize(
    ("name", "text", "module", "cls", "arguments"),
    [
        ("emt", None, "emt", "EMT", {}),
        (
            "lj",
            "sigma = 2.5, epsilon = 2e-1, rc = 6",
            "lj",
            "LennardJones",
            {"sigma": 2.5, "epsilon": 0.2, "rc": 6, "smooth": True},
        ),
        (
            "morse",
            "epsilon = 0.5, r0 = 2.9, rho0 = 4",
            "morse",
            "MorsePotential",
            {"epsilon": 0.5, "r0": 2.9, "rho0": 4},
        ),
    ],
)
def test_calculators_of_ase_by_name_are_those_of_ase(
    name, text, module, cls, arguments
):
    found = getattr(importlib.import_module(f"ase.calculators.{module}"), cls)
    assert_equal_to_ase(loaded(name, text), found(**arguments), ALUMINIUM)


def recorder(calls, name, result=None):
    """Return a class or function that records its arguments."""

    class Fake:
        def __new__(cls, *args, **arguments):
            calls[name] = arguments if not args else (args, arguments)
            made = super().__new__(cls) if result is None else result
            if isinstance(made, Fake):
                made.get_forces = made.get_potential_energy = lambda atoms: None
            return made

        def __init__(self, *args, **arguments):
            pass

        @classmethod
        def from_compiled_model(cls, compile_path, device, **arguments):
            calls[name] = {"compile_path": compile_path, "device": device, **arguments}
            return super().__new__(cls)

        def to(self, device):
            calls["device"] = device
            return self

    return Fake


# As in the documentation of each library: (library, options, model file, fake modules
# with their objects, the object that is called, its arguments). FILE is the model file.
FAKES = [
    ("mace", "", False, {"mace.calculators": ["mace_mp", "MACECalculator"]}, "mace_mp",
     {"model": "medium-mpa-0", "device": "cpu", "default_dtype": "float64"}),
    ("mace", "model = small, dtype = float32, dispersion = true", False,
     {"mace.calculators": ["mace_mp", "MACECalculator"]}, "mace_mp",
     {"model": "small", "device": "cpu", "default_dtype": "float32",
      "dispersion": True}),
    ("mace", "device = cuda", True,
     {"mace.calculators": ["mace_mp", "MACECalculator"]}, "MACECalculator",
     {"model_paths": "FILE", "device": "cuda", "default_dtype": "float64"}),
    ("sevennet", "", False, {"sevenn.calculator": ["SevenNetCalculator"]},
     "SevenNetCalculator", {"model": "7net-0", "device": "auto"}),
    ("sevennet", "modal = mpa, model = 7net-mf-ompa", False,
     {"sevenn.calculator": ["SevenNetCalculator"]}, "SevenNetCalculator",
     {"model": "7net-mf-ompa", "device": "auto", "modal": "mpa"}),
    ("mattersim", "", False, {"mattersim.forcefield": ["MatterSimCalculator"]},
     "MatterSimCalculator", {"load_path": "MatterSim-v1.0.0-5M.pth", "device": "cpu"}),
    ("mattersim", "", True, {"mattersim.forcefield": ["MatterSimCalculator"]},
     "MatterSimCalculator", {"load_path": "FILE", "device": "cpu"}),
    ("matgl", "", False, {"matgl": ["load_model"], "matgl.ext.ase": ["PESCalculator"]},
     "load_model", (("TensorNet-MatPES-PBE-v2025.1-PES",), {})),
    ("nequip", "", True, {"nequip.integrations.ase": ["NequIPCalculator"]},
     "NequIPCalculator", {"compile_path": "FILE", "device": "cpu"}),
    ("grace", "", False, {"tensorpotential.calculator": ["TPCalculator", "grace_fm"]},
     "grace_fm", {"model": "GRACE-2L-OAM"}),
    ("grace", "pad_neighbors_fraction = 0.1", True,
     {"tensorpotential.calculator": ["TPCalculator", "grace_fm"]},
     "TPCalculator", {"model": "FILE", "pad_neighbors_fraction": 0.1}),
    ("deepmd", "head = Omat", True, {"deepmd.calculator": ["DP"]}, "DP",
     {"model": "FILE", "head": "Omat"}),
    ("nep", "", True, {"calorine.calculators": ["CPUNEP"]}, "CPUNEP",
     {"model_filename": "FILE"}),
    ("gap", "", True, {"quippy.potential": ["Potential"]}, "Potential",
     {"param_filename": "FILE"}),
    ("tblite", "method = GFN1-xTB", False, {"tblite.ase": ["TBLite"]}, "TBLite",
     {"method": "GFN1-xTB", "verbosity": 0, "accuracy": 1e-4}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "with_file", "modules", "called", "expected"), FAKES
)
def test_each_library_is_called_as_it_documents(
    monkeypatch, tmp_path, name, text, with_file, modules, called, expected
):
    calls = {}
    install_fakes(monkeypatch, calls, modules)
    path = tmp_path / "model.file"
    path.write_bytes(b"\x80\xff")
    potential = loaded(name, text, path if with_file else None)
    if isinstance(expected, dict):
        expected = {k: str(path) if v == "FILE" else v for k, v in expected.items()}
    assert calls[called] == expected
    assert potential.engine.startswith(BY_NAME[name].package)
    if name == "matgl":
        assert calls["PESCalculator"]["stress_unit"] == "eV/A3"


def install_fakes(monkeypatch, calls, modules):
    """Let modules be imported that hold recorders, and a torch without a GPU."""
    torch = types.ModuleType("torch")
    torch.cuda = types.SimpleNamespace(is_available=lambda: False)
    made = {"torch": torch}
    for full in modules:
        parts = full.split(".")
        for n in range(1, len(parts) + 1):
            name = ".".join(parts[:n])
            made.setdefault(name, types.ModuleType(name))
    for name, module in made.items():
        module.__spec__ = importlib.util.spec_from_loader(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    for full, names in modules.items():
        for item in names:
            setattr(made[full], item, recorder(calls, item))


@pytest.mark.parametrize("pair", [True, False])
def test_orb_models_are_made_in_the_precision_that_is_asked_for(monkeypatch, pair):
    calls = {}
    where = "inference.calculator" if pair else "calculator"
    install_fakes(
        monkeypatch,
        calls,
        {f"orb_models.forcefield.{where}": ["ORBCalculator"],
         "orb_models.forcefield.pretrained": []},
    )  # fmt: skip
    made = ("model", "adapter") if pair else "model"
    known = {"orb-v3-conservative-inf-omat": lambda **a: calls.update(made=a) or made}
    sys.modules["orb_models.forcefield.pretrained"].ORB_PRETRAINED_MODELS = known
    loaded("orb", "weights = mine.ckpt")
    assert calls["made"] == {
        "device": "cpu",
        "precision": "float64",
        "weights_path": "mine.ckpt",
    }
    adapter = {"atoms_adapter": "adapter"} if pair else {}
    assert calls["ORBCalculator"] == {"model": "model", "device": "cpu", **adapter}
    with pytest.raises(ParameterError, match="model = orb-v9; expected one of orb-v3"):
        loaded("orb", "model = orb-v9")


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_a_missing_package_ends_in_one_line_with_its_name(monkeypatch, library):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(PluginNotFound, match=r"Install it by 'pip install ") as error:
        plugins.registry().force_calculator(library.name)
    assert "\n" not in str(error.value)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name != "ase" else name
    )
    if library.module != "ase":
        with pytest.raises(PluginNotFound, match=f"pip install {library.package}'"):
            plugins.registry().force_calculator(library.name)


@pytest.mark.parametrize(
    ("name", "text", "path", "message"),
    [
        ("emt", None, "x.pt", "--mlp-file = x.pt: emt reads no file"),
        ("gap", None, None, "gap: a model file is needed. Give --mlp-file FILE"),
        ("nep", "model = nowhere.txt", None, "nep: model = nowhere.txt is not found"),
        ("mace", "model = small", "x.pt", "--mlp-file = x.pt and model = small: give"),
        ("lj", "sigm = 3", None, "lj: unknown option 'sigm'. Did you mean 'sigma'"),
        ("emt", "model = x", None, "emt: unknown option 'model'"),
    ],
)
def test_wrong_options_of_libraries_are_refused(monkeypatch, name, text, path, message):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(ParameterError, match=message):
        loaded(name, text, None if path is None else Path(path))


def test_a_model_that_cannot_be_downloaded_is_one_line_with_a_remedy(monkeypatch):
    calls = {}
    install_fakes(
        monkeypatch, calls, {"mace.calculators": ["mace_mp", "MACECalculator"]}
    )

    def unreachable(model, device, default_dtype):
        raise OSError("<urlopen error [Errno -3]\n Temporary failure>")

    sys.modules["mace.calculators"].mace_mp = unreachable
    with pytest.raises(ParameterError, match=r"mace: .*'medium-mpa-0' cannot be down"):
        loaded("mace")


def test_a_package_of_others_takes_over_a_name(monkeypatch):
    from phono3py_mlp_plugin import hookimpl
    from phono3py_mlp_plugin.contracts import ForceCalculator

    record = ForceCalculator(name="mace", summary="", load=lambda path, options: None)

    @hookimpl
    def phono3py_mlp_force_calculators():
        return [record]

    entry = types.SimpleNamespace(
        name="mace",
        dist=types.SimpleNamespace(name="phono3py-mlp-mace", version="1.0"),
        load=lambda: types.SimpleNamespace(
            phono3py_mlp_force_calculators=phono3py_mlp_force_calculators
        ),
    )
    found = plugins.discover([entry])
    assert found.calculators["mace"].record is record
    assert str(found.calculators["mace"].origin) == "phono3py-mlp-mace 1.0"


def test_the_content_of_a_binary_model_is_part_of_the_origin(tmp_path):
    request = request_calculator("emt")
    origins = set()
    for content in (b"\x80\xff\x00", b"\x80\xff\x01"):
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        origins.add(origin_of(request, path))
    assert len(origins) == 2


def test_a_model_that_is_a_folder_is_given_by_its_path(monkeypatch, tmp_path):
    calls = {}
    install_fakes(monkeypatch, calls, {"deepmd.calculator": ["DP"]})
    folder = tmp_path / "saved_model"
    folder.mkdir()
    loaded("deepmd", f"model = {folder}")
    assert calls["DP"] == {"model": str(folder)}
