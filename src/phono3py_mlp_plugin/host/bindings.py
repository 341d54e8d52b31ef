"""Names of phono3py that this package replaces, with checks of their signatures.

phono3py calls this package during its own import. A name that is replaced here, in the
module that defines it, is used by every later ``from x import y``. Modules whose import
would be circular at that moment are handled when a command starts (see `host.command`).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from phono3py_mlp_plugin.errors import IncompatibleHost


@dataclass(frozen=True)
class Binding:
    """A name of phono3py and its replacement.

    Attributes
    ----------
    module, name : str
        Module and name of the object; ``Class.method`` is allowed for ``name``.
    parameters : tuple of str
        Leading parameters that the replacement relies on.
    replacement : str
        ``module:attribute`` of this package, imported at the first call.
    """

    module: str
    name: str
    parameters: tuple[str, ...]
    replacement: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


BINDINGS = (
    Binding(
        "phono3py.api_phono3py",
        "PhonopyMLP",
        ("mlp", "log_level"),
        "phono3py_mlp_plugin.host.mlp:PluginMLP",
    ),
    Binding(
        "phonopy.cui.load_helper",
        "develop_or_load_pypolymlp",
        ("phonon", "mlp_params", "mlp_filename", "log_level"),
        "phono3py_mlp_plugin.host.mlp:develop_or_load",
    ),
    Binding(
        "phonopy.interface.pypolymlp",
        "relax_atomic_positions",
        ("unitcell", "polymlp"),
        "phono3py_mlp_plugin.host.relax:relax_atomic_positions",
    ),
    Binding(
        "phonopy.interface.fc_calculator",
        "FCSolver._set_fc_solver",
        ("self", "fc_calculator_name"),
        "phono3py_mlp_plugin.host.solvers:set_fc_solver",
    ),
    Binding(
        "phono3py.interface.fc_calculator",
        "extract_fc2_fc3_calculators",
        ("fc_calculator", "order"),
        "phono3py_mlp_plugin.host.solvers:extract_fc2_fc3_calculators",
    ),
    Binding(
        "phono3py.interface.fc_calculator",
        "get_fc_calculator_params",
        (
            "fc_calculator",
            "fc_calculator_options",
            "cutoff_pair_distance",
            "log_level",
        ),
        "phono3py_mlp_plugin.host.solvers:get_fc_calculator_params",
    ),
    Binding(
        "phono3py.cui.phono3py_argparse",
        "get_run_parser",
        (),
        "phono3py_mlp_plugin.host.command:get_run_parser",
    ),
    # The loader of phono3py can execute code from a YAML file.
    *(
        Binding(
            module,
            "Loader",
            ("stream",),
            "phono3py_mlp_plugin.files.plain_yaml:PlainLoader",
        )
        for module in ("phonopy.interface.phonopy_yaml", "phonopy.file_IO")
    ),
    Binding(
        "phonopy.cui.load_helper",
        "get_cell_settings",
        ("supercell_matrix", "primitive_matrix"),
        "phono3py_mlp_plugin.host.units:get_cell_settings",
    ),
    Binding(
        "phono3py.interface.phono3py_yaml",
        "Phono3pyYaml.read",
        ("self", "filename"),
        "phono3py_mlp_plugin.host.units:read_yaml",
    ),
)

# Not yet defined while phono3py is imported: bound when the first file is read.
LATE_BINDINGS = (
    Binding(
        "phono3py.cui.load",
        "parse_forces",
        (
            "phono3py",
            "ph3py_yaml",
            "cutoff_pair_distance",
            "force_filename",
            "phono3py_yaml_filename",
            "fc_type",
            "calculator",
        ),
        "phono3py_mlp_plugin.host.units:parse_forces",
    ),
    Binding(
        "phono3py.cui.load",
        "select_and_load_dataset",
        ("ph3py", "ph3py_yaml"),
        "phono3py_mlp_plugin.host.units:select_and_load_dataset",
    ),
)

COMMAND_BINDINGS = (
    Binding(
        "phono3py.cui.phono3py_script",
        "_read_phono3py_settings",
        ("args", "argparse_control", "log_level"),
        "phono3py_mlp_plugin.host.run:Run.read_settings",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "get_cell_info",
        ("settings", "cell_filename", "log_level", "load_phonopy_yaml"),
        "phono3py_mlp_plugin.host.run:Run.read_cell",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "store_nac_params",
        ("phonon", "settings", "phpy_yaml", "unitcell_filename", "log_level"),
        "phono3py_mlp_plugin.host.run:Run.store_born_charges",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "_load_dataset_and_phonon_dataset",
        ("ph3py", "ph3py_yaml"),
        "phono3py_mlp_plugin.host.run:Run.load_datasets",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "load_fc2_and_fc3",
        ("ph3py", "fc3_filename", "fc2_filename", "read_fc3", "read_fc2", "log_level"),
        "phono3py_mlp_plugin.host.run:Run.load_force_constants",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "_run_pypolymlp",
        (
            "ph3py",
            "settings",
            "confs_dict",
            "output_yaml_filename",
            "mlp_eval_filename",
            "log_level",
        ),
        "phono3py_mlp_plugin.host.run:Run.run_force_calculator",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "_produce_force_constants",
        ("ph3py", "settings", "log_level", "load_phono3py_yaml"),
        "phono3py_mlp_plugin.host.run:Run.produce_force_constants",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "compute_force_constants_from_datasets",
        ("ph3py", "fc_calculator"),
        "phono3py_mlp_plugin.host.run:Run.compute_force_constants",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "_init_phph_interaction",
        ("phono3py", "settings", "updated_settings", "log_level"),
        "phono3py_mlp_plugin.host.run:Run.set_up_interaction",
    ),
    Binding(
        "phono3py.cui.phono3py_script",
        "_finalize_phono3py",
        ("phono3py", "confs_dict", "log_level"),
        "phono3py_mlp_plugin.host.run:Run.finalize",
    ),
)

# Bound when a run starts, not at import: phono3py-init uses the same settings class.
SETTING_ERROR = Binding(
    "phonopy.cui.settings",
    "ConfParser.setting_error",
    ("self", "message"),
    "phono3py_mlp_plugin.host.run:_setting_error",
)

# Bound like SETTING_ERROR. phono3py splits a line at every "=", not only the first.
CONFIGURATION = Binding(
    "phonopy.cui.settings",
    "ConfParser._read_file",
    ("self", "filename"),
    "phono3py_mlp_plugin.host.configuration:read_file",
)

# Bound for setup operations: phono3py accepts fewer files than displacements.
FORCE_FILES = Binding(
    "phono3py.cui.create_force_sets",
    "_get_force_sets_fc3",
    ("settings", "disp_dataset", "supercell", "disp_filename", "interface_mode"),
    "phono3py_mlp_plugin.host.force_files:get_force_sets",
)

# Replaced only while scattering is computed by Fourier transform.
_INTERACTION = (
    "interaction_strength g_zero frequencies eigenvectors triplets_at_q "
    "bz_grid_addresses d_diag q_mat fc3 fc3_nonzero_indices svecs multi masses "
    "p2s_map s2p_map band_indices symmetrize_fc3_q make_r0_average all_shortest "
    "cutoff_frequency"
)
_COLLISION = (
    "sigmas sigma_cutoffs relative_grid_address bzg2grg reciprocal_rotations "
    "is_time_reversal swappable is_mesh_symmetry reciprocal_lattice bz_triplets_q_mat "
    "frequencies eigenvectors bz_grid_addresses bz_map bz_grid_type d_diag q_matrix "
    "fc3 fc3_nonzero_indices svecs multiplicity masses p2s_map s2p_map band_indices "
    "temperatures_thz is_N_U symmetrize_fc3_q make_r0_average all_shortest "
    "cutoff_frequency"
)
SCATTERING_BINDINGS = (
    Binding(
        "phono3py.phonon3.interaction",
        "run_interaction_rust",
        tuple(_INTERACTION.split()),
        "phono3py_mlp_plugin.host.collisions:run_interaction",
    ),
    Binding(
        "phono3py.conductivity.scattering_solvers",
        "run_collision_at_grid_point_rust",
        ("collisions", "grid_point", *_COLLISION.split()),
        "phono3py_mlp_plugin.host.collisions:run_collision_at_grid_point",
    ),
    Binding(
        "phono3py.conductivity.scattering_solvers",
        "run_collision_at_grid_points_batched_rust",
        ("collisions", "grid_points", *_COLLISION.split()),
        "phono3py_mlp_plugin.host.collisions:run_collision_at_grid_points",
    ),
)

# What takes longer than scattering in large supercells.
SYMMETRY_BINDINGS = (
    Binding(
        "phonopy.structure.symmetry",
        "compute_all_sg_permutations",
        ("positions", "rotations", "translations", "lattice", "symprec"),
        "phono3py_mlp_plugin.host.symmetry:compute_all_sg_permutations",
    ),
    Binding(
        "phonopy.structure.symmetry",
        "collect_unique_rotations",
        ("rotations",),
        "phono3py_mlp_plugin.host.symmetry:collect_unique_rotations",
    ),
)

_originals: dict[str, Any] = {}


def bindings() -> tuple[Binding, ...]:
    """Return all names of phono3py that this package relies on."""
    return (
        *BINDINGS,
        *LATE_BINDINGS,
        *COMMAND_BINDINGS,
        SETTING_ERROR,
        CONFIGURATION,
        FORCE_FILES,
    )


def is_bound() -> bool:
    """Return whether `bind` has succeeded in this process."""
    return bool(_originals)


def bind() -> None:
    """Replace the names in phono3py that are available during its import.

    Raises
    ------
    IncompatibleHost
        If a name is missing or has another signature; nothing is replaced.
    """
    if not is_bound():
        replace(BINDINGS)


def bind_late() -> None:
    """Replace the names that are available only after the import of phono3py.

    Raises
    ------
    IncompatibleHost
        If a name is missing or has another signature.
    """
    replace(LATE_BINDINGS)


def replace(bindings: Sequence[Binding]) -> None:
    """Replace the names that are not yet replaced; if one check fails, none is.

    Raises
    ------
    IncompatibleHost
        If a name is missing or has another signature.
    """
    new = [b for b in bindings if str(b) not in _originals]
    originals = {str(b): check(b) for b in new}
    for binding in new:
        owner, attribute = _owner(binding)
        setattr(owner, attribute, _lazy(binding, originals[str(binding)]))
    _originals.update(originals)


def restore(bindings: Sequence[Binding]) -> None:
    """Restore the original objects of names."""
    for binding in bindings:
        owner, attribute = _owner(binding)
        setattr(owner, attribute, _originals.pop(str(binding)))


def original(name: str) -> Any:
    """Return the original object of a replaced name, ``module:name``."""
    return _originals[name]


def check(binding: Binding) -> Any:
    """Return the object of phono3py after checking its signature.

    Raises
    ------
    IncompatibleHost
        If it is missing or has another signature.
    """
    host = f"phono3py {importlib.metadata.version('phono3py')}"
    remedy = "Install phono3py >= 4.4, or a newer phono3py-mlp-plugin."
    try:
        owner, attribute = _owner(binding)
        target = getattr(owner, attribute)
    except (ImportError, AttributeError) as error:
        raise IncompatibleHost(
            f"{host} has no {binding} ({error}). {remedy}"
        ) from error
    parameters = tuple(inspect.signature(target).parameters)
    if parameters[: len(binding.parameters)] != binding.parameters:
        raise IncompatibleHost(
            f"{binding} of {host} takes ({', '.join(parameters)}); "
            f"expected ({', '.join(binding.parameters)}). {remedy}"
        )
    return target


def _owner(binding: Binding) -> tuple[Any, str]:
    *path, attribute = binding.name.split(".")
    owner = importlib.import_module(binding.module)
    for name in path:
        owner = getattr(owner, name)
    return owner, attribute


def _lazy(binding: Binding, replaced: Any) -> Callable[..., Any]:
    """Return a function that imports the replacement on its first call."""
    module, _, attribute = binding.replacement.partition(":")

    def replacement(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(module), attribute)(*args, **kwargs)

    replacement.__name__ = getattr(replaced, "__name__", attribute)
    replacement.__doc__ = getattr(replaced, "__doc__", None)
    replacement.__wrapped__ = replaced  # type: ignore[attr-defined]
    return replacement
