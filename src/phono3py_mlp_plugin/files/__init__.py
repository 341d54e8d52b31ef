"""Atomic writing, fingerprints, and the formats that this package owns."""

from phono3py_mlp_plugin.files.atomic import (
    UNREADABLE,
    back_up,
    open_text,
    put_in_place,
    replacing,
    sweep,
    unfinished_folder,
)
from phono3py_mlp_plugin.files.convergence import (
    CONVERGENCE_FILE,
    UNCERTAINTY_FILE,
    kept_of_study,
    read_convergence,
    read_uncertainty,
    write_convergence,
    write_uncertainty,
)
from phono3py_mlp_plugin.files.extxyz import Frame, read_extxyz
from phono3py_mlp_plugin.files.fingerprint import fingerprint
from phono3py_mlp_plugin.files.force_constants import STAMP, read_stamp
from phono3py_mlp_plugin.files.kappa import (
    KappaFile,
    find_kappa,
    read_force_constants,
    read_kappa,
)
from phono3py_mlp_plugin.files.lock import FolderLock, remove_dead_lock
from phono3py_mlp_plugin.files.members import (
    FinishedMembers,
    count_finished_members,
    forget_finished_members,
)
from phono3py_mlp_plugin.files.partial import (
    PartialEvaluations,
    forget_partial_evaluations,
)
from phono3py_mlp_plugin.files.potential import (
    Provenance,
    find_potential,
    other_parts,
    potential_files,
    read_provenance,
    write_potential,
)

__all__ = [
    "CONVERGENCE_FILE",
    "STAMP",
    "UNCERTAINTY_FILE",
    "UNREADABLE",
    "FinishedMembers",
    "FolderLock",
    "Frame",
    "KappaFile",
    "PartialEvaluations",
    "Provenance",
    "back_up",
    "count_finished_members",
    "find_kappa",
    "find_potential",
    "fingerprint",
    "forget_finished_members",
    "forget_partial_evaluations",
    "kept_of_study",
    "open_text",
    "other_parts",
    "potential_files",
    "put_in_place",
    "read_convergence",
    "read_extxyz",
    "read_force_constants",
    "read_kappa",
    "read_provenance",
    "read_stamp",
    "read_uncertainty",
    "remove_dead_lock",
    "replacing",
    "sweep",
    "unfinished_folder",
    "write_convergence",
    "write_potential",
    "write_uncertainty",
]
