"""Calculators of libraries by name: one table, one short function for each.

Each function imports its library and returns the class of the calculator with its
arguments; arguments that the user gives come on top.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from phono3py_mlp_plugin.calculators.ase.names import (
    check_arguments,
    modules_of_folder,
)
from phono3py_mlp_plugin.calculators.ase.potential import (
    AsePotential,
    EvaluateMany,
    Results,
)
from phono3py_mlp_plugin.contracts import ForceCalculator
from phono3py_mlp_plugin.errors import MLPError, ParameterError, one_line
from phono3py_mlp_plugin.files import versions_of
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.options import KEYWORDS

Prepared: TypeAlias = tuple[Any, dict[str, Any]]


@dataclass(frozen=True)
class PlainOptions:
    """Arguments of the class."""

    keywords: dict[str, Any] = field(
        default_factory=dict,
        metadata={"help": "any other key is an argument of the class", KEYWORDS: True},
    )


@dataclass(frozen=True)
class FileOptions(PlainOptions):
    """Model, and arguments of the class."""

    model: str = field(
        default="", metadata={"help": "name or file of the model; or --mlp-file"}
    )


@dataclass(frozen=True)
class ModelOptions(FileOptions):
    """Model, device, and arguments of the class."""

    device: str = field(
        default="", metadata={"help": "cpu or cuda; by default cuda, if there is one"}
    )


@dataclass(frozen=True)
class PreciseOptions(ModelOptions):
    """Model, device, precision, and arguments of the class."""

    dtype: Literal["float64", "float32"] = field(
        default="float64", metadata={"help": "precision of the calculation"}
    )


@dataclass(frozen=True)
class OrbOptions(PreciseOptions):
    """As `PreciseOptions`; weights are given with the name of their model."""

    weights: str = field(
        default="", metadata={"help": "file of other weights of this model"}
    )


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library with a calculator for ASE.

    Attributes
    ----------
    name : str
        Name for ``--force-calculator``.
    summary : str
    module : str
        Top-level module.
    package : str
        Name on the Python package index.
    prepare : callable
        ``prepare(model, options) -> (class, arguments)``; ``model`` is a file, the name
        of a model, or empty.
    options : type
    model : str
        Default model; empty if the library has none.
    needs_file : bool
        Whether there is no calculator without a model file.
    licence : str
        Licence of the weights.
    citation : str
    evaluate_many : callable or None
        Evaluation of batches, where the library can.
    """

    name: str
    summary: str
    module: str
    package: str
    prepare: Callable[[str, Any], Prepared]
    options: type
    citation: str
    model: str = ""
    needs_file: bool = False
    licence: str = ""
    evaluate_many: EvaluateMany | None = None

    def force_calculator(self) -> ForceCalculator:
        """Return the record of the plugin."""
        return ForceCalculator(
            name=self.name,
            summary=self.summary + (f" (default: {self.model})" if self.model else ""),
            load=self.load,
            options=self.options,
            unavailable_reason=self.unavailable_reason,
            citation=self.citation
            + (f" (weights: {self.licence})" if self.licence else ""),
        )

    def unavailable_reason(self) -> str | None:
        """Return why the calculator cannot be used, and the remedy."""
        for module, package in (("ase", "ase"), (self.module, self.package)):
            if importlib.util.find_spec(module) is None:
                return (
                    f"{package} is not installed. Install it by 'pip install "
                    f"{package}'."
                )
        return None

    def load(self, path: Path | None, options: Any) -> AsePotential:
        """Create the calculator with a model file, or with the model of the options.

        Raises
        ------
        ParameterError
            If a model is missing or given twice, or the calculator cannot be created.
        """
        model = self._model(path, options)
        with modules_of_folder():
            try:
                cls, arguments = self.prepare(model, options)
                check_arguments(self.name, cls, options.keywords)
                calculator = cls(**{**arguments, **options.keywords})
            except MLPError:
                raise
            except Exception as error:
                raise ParameterError(
                    f"{self.name}: the calculator cannot be created "
                    f"({one_line(error)}). {self._remedy(model)}"
                ) from error
        engine = " ".join([self.package, *versions_of([self.package]).values()])
        return AsePotential(calculator, engine, self.evaluate_many, modules_of_folder)

    def _model(self, path: Path | None, options: Any) -> str:
        named = getattr(options, "model", "")
        if path is not None:
            if not hasattr(options, "model"):
                raise ParameterError(
                    f"--mlp-file = {path}: {self.name} reads no file. Leave it out."
                )
            if named:
                raise ParameterError(
                    f"--mlp-file = {path} and model = {named}: give one."
                )
            return str(path)
        if named and not Path(named).exists() and self.needs_file:
            raise ParameterError(f"{self.name}: model = {named} is not found.")
        if not named and self.needs_file:
            raise ParameterError(
                f"{self.name}: a model file is needed. Give --mlp-file FILE."
            )
        return named or self.model

    def _remedy(self, model: str) -> str:
        if not model:
            return "Check the options."
        if Path(model).exists():
            return f"Check that {model} is a model of {self.package}."
        return (
            f"If {model!r} cannot be downloaded here, fetch its file elsewhere and "
            "give --mlp-file FILE."
        )


def _get(module: str, *names: str) -> Any:
    """Return attributes of a module that may not be installed."""
    imported = importlib.import_module(module)
    found = [getattr(imported, name) for name in names]
    return found[0] if len(found) == 1 else found


def _device(options: Any) -> str:
    if options.device:
        return str(options.device)
    return "cuda" if _get("torch", "cuda").is_available() else "cpu"


def _mace(model: str, options: PreciseOptions) -> Prepared:
    of_file, of_name = _get("mace.calculators", "MACECalculator", "mace_mp")
    arguments = {"device": _device(options), "default_dtype": options.dtype}
    if Path(model).is_file():
        return of_file, {"model_paths": model, **arguments}
    return of_name, {"model": model, **arguments}


def _chgnet(model: str, options: ModelOptions) -> Prepared:
    net = _get("chgnet.model.model", "CHGNet")
    device = _device(options)
    loaded = (
        net.from_file(model)
        if Path(model).is_file()
        else net.load(model_name=model, use_device=device, verbose=False)
    )
    cls = _get("chgnet.model.dynamics", "CHGNetCalculator")
    return cls, {"model": loaded, "use_device": device}


# Atoms of a batch, which determine its memory.
_ATOMS_AT_ONCE = 1024


def _chgnet_batch(calculator: Any, atoms: Sequence[Any]) -> Sequence[Results]:
    structure_of = _get("pymatgen.io.ase", "AseAtomsAdaptor").get_structure
    structures = [structure_of(item) for item in atoms]
    at_once = max(1, _ATOMS_AT_ONCE // len(atoms[0]))
    results = calculator.model.predict_structure(
        structures, task="efs", batch_size=at_once
    )
    if isinstance(results, dict):
        results = [results]
    extensive = calculator.model.is_intensive
    return [
        (
            result["e"] * (len(item) if extensive else 1),
            result["f"],
            result["s"] * calculator.stress_weight,
        )
        for item, result in zip(atoms, results, strict=True)
    ]


def _sevennet(model: str, options: ModelOptions) -> Prepared:
    cls = _get("sevenn.calculator", "SevenNetCalculator")
    return cls, {"model": model, "device": options.device or "auto"}


def _mattersim(model: str, options: ModelOptions) -> Prepared:
    cls = _get("mattersim.forcefield", "MatterSimCalculator")
    return cls, {"load_path": model, "device": _device(options)}


def _orb(model: str, options: OrbOptions) -> Prepared:
    known = _get("orb_models.forcefield.pretrained", "ORB_PRETRAINED_MODELS")
    if model not in known:
        raise ParameterError(
            f"orb: model = {model}; expected one of {', '.join(sorted(known))}. A file "
            "of weights needs the name of its model: 'model = NAME, weights = FILE'."
        )
    device = _device(options)
    precision = "float64" if options.dtype == "float64" else "float32-highest"
    weights = {"weights_path": options.weights} if options.weights else {}
    made = known[model](device=device, precision=precision, **weights)
    # Since version 0.6 a pair, and the calculator is elsewhere.
    if isinstance(made, tuple):
        cls = _get("orb_models.forcefield.inference.calculator", "ORBCalculator")
        return cls, {"model": made[0], "atoms_adapter": made[1], "device": device}
    cls = _get("orb_models.forcefield.calculator", "ORBCalculator")
    return cls, {"model": made, "device": device}


def _matgl(model: str, options: ModelOptions) -> Prepared:
    potential = _get("matgl", "load_model")(model).to(_device(options))
    cls = _get("matgl.ext.ase", "PESCalculator")
    return cls, {"potential": potential, "stress_unit": "eV/A3"}


def _nequip(model: str, options: ModelOptions) -> Prepared:
    cls = _get("nequip.integrations.ase", "NequIPCalculator")
    return cls.from_compiled_model, {"compile_path": model, "device": _device(options)}


def _grace(model: str, options: FileOptions) -> Prepared:
    del options
    of_file, of_name = _get("tensorpotential.calculator", "TPCalculator", "grace_fm")
    return (of_file if Path(model).exists() else of_name), {"model": model}


def _deepmd(model: str, options: FileOptions) -> Prepared:
    del options
    return _get("deepmd.calculator", "DP"), {"model": model}


def _nep(model: str, options: FileOptions) -> Prepared:
    del options
    return _get("calorine.calculators", "CPUNEP"), {"model_filename": model}


def _gap(model: str, options: FileOptions) -> Prepared:
    del options
    return _get("quippy.potential", "Potential"), {"param_filename": model}


def _tblite(model: str, options: PlainOptions) -> Prepared:
    del model, options
    # At the default accuracy of 1, forces depend on the order of supercells by 1e-4.
    return _get("tblite.ase", "TBLite"), {"verbosity": 0, "accuracy": 1e-4}


def _emt(model: str, options: PlainOptions) -> Prepared:
    del model, options
    return _get("ase.calculators.emt", "EMT"), {}


def _lj(model: str, options: PlainOptions) -> Prepared:
    del model, options
    # Without it, forces have a step at the cutoff, where force constants do not exist.
    return _get("ase.calculators.lj", "LennardJones"), {"smooth": True}


def _morse(model: str, options: PlainOptions) -> Prepared:
    del model, options
    return _get("ase.calculators.morse", "MorsePotential"), {}


_ASE = "A. Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)"

LIBRARIES = (
    Library(
        name="mace",
        summary="MACE: foundation models, or a model file",
        module="mace",
        package="mace-torch",
        prepare=_mace,
        options=PreciseOptions,
        model="medium-mpa-0",
        licence="MACE-MP and MPA: MIT; MACE-OMAT, MATPES and OFF: academic (ASL)",
        citation="I. Batatia et al., NeurIPS 35, 11423 (2022); J. Chem. Phys. 163, "
        "184110 (2025)",
    ),
    Library(
        name="chgnet",
        summary="CHGNet: its weights are part of the package",
        module="chgnet",
        package="chgnet",
        prepare=_chgnet,
        options=ModelOptions,
        model="0.3.0",
        licence="BSD-3-Clause",
        citation="B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023)",
        evaluate_many=_chgnet_batch,
    ),
    Library(
        name="sevennet",
        summary="SevenNet: foundation models, or a checkpoint",
        module="sevenn",
        package="sevenn",
        prepare=_sevennet,
        options=ModelOptions,
        model="7net-0",
        licence="MIT",
        citation="Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024)",
    ),
    Library(
        name="mattersim",
        summary="MatterSim: foundation models, or a checkpoint",
        module="mattersim",
        package="mattersim",
        prepare=_mattersim,
        options=ModelOptions,
        model="MatterSim-v1.0.0-5M.pth",
        licence="MIT",
        citation="H. Yang et al., arXiv:2405.04967 (2024)",
    ),
    Library(
        name="orb",
        summary="Orb: foundation models",
        module="orb_models",
        package="orb-models",
        prepare=_orb,
        options=OrbOptions,
        model="orb-v3-conservative-inf-omat",
        licence="Apache-2.0",
        citation="B. Rhodes et al., arXiv:2504.06231 (2025)",
    ),
    Library(
        name="matgl",
        summary="MatGL: M3GNet, TensorNet and others, or a model folder",
        module="matgl",
        package="matgl",
        prepare=_matgl,
        options=ModelOptions,
        model="TensorNet-MatPES-PBE-v2025.1-PES",
        licence="BSD-3-Clause",
        citation="T. W. Ko et al., npj Comput. Mater. 11, 253 (2025)",
    ),
    Library(
        name="nequip",
        summary="NequIP and Allegro: a compiled model file",
        module="nequip",
        package="nequip",
        prepare=_nequip,
        options=ModelOptions,
        needs_file=True,
        citation="S. Batzner et al., Nat. Commun. 13, 2453 (2022)",
    ),
    Library(
        name="grace",
        summary="GRACE: foundation models, or a saved model",
        module="tensorpotential",
        package="tensorpotential",
        prepare=_grace,
        options=FileOptions,
        model="GRACE-2L-OAM",
        licence="academic (ASL)",
        citation="A. Bochkarev et al., Phys. Rev. X 14, 021036 (2024)",
    ),
    Library(
        name="deepmd",
        summary="DeePMD-kit: a model file",
        module="deepmd",
        package="deepmd-kit",
        prepare=_deepmd,
        options=FileOptions,
        needs_file=True,
        citation="J. Zeng et al., J. Chem. Phys. 159, 054801 (2023)",
    ),
    Library(
        name="nep",
        summary="NEP of GPUMD by calorine: a file nep.txt",
        module="calorine",
        package="calorine",
        prepare=_nep,
        options=FileOptions,
        needs_file=True,
        citation="E. Lindgren et al., J. Open Source Softw. 9, 6264 (2024)",
    ),
    Library(
        name="gap",
        summary="GAP by quippy: a file gap.xml",
        module="quippy",
        package="quippy-ase",
        prepare=_gap,
        options=FileOptions,
        needs_file=True,
        citation="A. P. Bartok et al., Phys. Rev. Lett. 104, 136403 (2010)",
    ),
    Library(
        name="tblite",
        summary="tight binding: 'method = GFN2-xTB' or GFN1-xTB",
        module="tblite",
        package="tblite",
        prepare=_tblite,
        options=PlainOptions,
        citation="C. Bannwarth et al., J. Chem. Theory Comput. 15, 1652 (2019)",
    ),
    Library(
        name="emt",
        summary="effective medium theory of ASE: Ni, Cu, Pd, Ag, Pt, Au, Al",
        module="ase",
        package="ase",
        prepare=_emt,
        options=PlainOptions,
        citation=_ASE,
    ),
    Library(
        name="lj",
        summary="Lennard-Jones of ASE: 'sigma = 3.4, epsilon = 0.0104'",
        module="ase",
        package="ase",
        prepare=_lj,
        options=PlainOptions,
        citation=_ASE,
    ),
    Library(
        name="morse",
        summary="Morse potential of ASE: 'epsilon = 0.5, r0 = 2.9, rho0 = 4'",
        module="ase",
        package="ase",
        prepare=_morse,
        options=PlainOptions,
        citation=_ASE,
    ),
)
"""All calculators that are known by name."""


@hookimpl
def phono3py_mlp_force_calculators() -> Iterable[ForceCalculator]:
    """Register the calculators of libraries."""
    return [library.force_calculator() for library in LIBRARIES]
