"""Atomic writing, fingerprints, and file formats of this package."""

from phono3py_mlp_plugin.files.atomic import (
    back_up,
    put_in_place,
    remove_unfinished,
    replacing,
    unfinished_folder,
    write_whole,
)
from phono3py_mlp_plugin.files.columnar import (
    HDF5_SUFFIXES,
    format_yaml,
    is_columnar,
    write_columnar,
)
from phono3py_mlp_plugin.files.content import check_named, content_of, versions_of
from phono3py_mlp_plugin.files.fingerprint import evaluation_key, fingerprint
from phono3py_mlp_plugin.files.force_constants import (
    CHANGED,
    NUMBERS,
    STAMP,
    check_force_constants,
    hash_of_numbers,
    read_force_constants,
    read_stamp,
)
from phono3py_mlp_plugin.files.frames import NO_ENERGY, Frame, read_energy, read_frames
from phono3py_mlp_plugin.files.kappa import (
    KappaFile,
    find_kappa,
    kappa_of_calculator,
    read_kappa,
)
from phono3py_mlp_plugin.files.lock import FolderLock, remove_dead_lock
from phono3py_mlp_plugin.files.options_file import (
    read_options,
    read_options_file,
    text_of_options,
)
from phono3py_mlp_plugin.files.plain_json import INVALID_CONTENT, read_json, write_json
from phono3py_mlp_plugin.files.plain_yaml import PlainLoader, each_file_once
from phono3py_mlp_plugin.files.poscar import read_poscar
from phono3py_mlp_plugin.files.program_output import Snapshot
from phono3py_mlp_plugin.files.provenance import (
    Provenance,
    find_potential,
    other_parts,
    potential_files,
    read_provenance,
    write_potential,
)
from phono3py_mlp_plugin.files.regular import (
    COMPRESSED,
    UNREADABLE,
    check_input,
    check_inputs,
    check_regular,
    open_regular,
    open_text,
)
from phono3py_mlp_plugin.files.snapshots import read_snapshots
from phono3py_mlp_plugin.files.uncertainty import (
    UNCERTAINTY_FILE,
    read_budget,
    read_models,
    read_uncertainty,
    read_values,
    write_uncertainty,
)

__all__ = [
    "CHANGED",
    "COMPRESSED",
    "HDF5_SUFFIXES",
    "INVALID_CONTENT",
    "NO_ENERGY",
    "NUMBERS",
    "STAMP",
    "UNCERTAINTY_FILE",
    "UNREADABLE",
    "FolderLock",
    "Frame",
    "KappaFile",
    "PlainLoader",
    "Provenance",
    "Snapshot",
    "back_up",
    "check_force_constants",
    "check_input",
    "check_inputs",
    "check_named",
    "check_regular",
    "content_of",
    "each_file_once",
    "evaluation_key",
    "find_kappa",
    "find_potential",
    "fingerprint",
    "format_yaml",
    "hash_of_numbers",
    "is_columnar",
    "kappa_of_calculator",
    "open_regular",
    "open_text",
    "other_parts",
    "potential_files",
    "put_in_place",
    "read_budget",
    "read_energy",
    "read_force_constants",
    "read_frames",
    "read_json",
    "read_kappa",
    "read_models",
    "read_options",
    "read_options_file",
    "read_poscar",
    "read_provenance",
    "read_snapshots",
    "read_stamp",
    "read_uncertainty",
    "read_values",
    "remove_dead_lock",
    "remove_unfinished",
    "replacing",
    "text_of_options",
    "unfinished_folder",
    "versions_of",
    "write_columnar",
    "write_json",
    "write_potential",
    "write_uncertainty",
    "write_whole",
]
