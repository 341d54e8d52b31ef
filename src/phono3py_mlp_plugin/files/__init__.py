"""Atomic writing, fingerprints, and the formats that this package owns."""

from phono3py_mlp_plugin.files.atomic import (
    UNREADABLE,
    back_up,
    open_text,
    replacing,
)
from phono3py_mlp_plugin.files.fingerprint import fingerprint
from phono3py_mlp_plugin.files.force_constants import read_stamp, stamp
from phono3py_mlp_plugin.files.potential import (
    Provenance,
    find_potential,
    read_provenance,
    write_potential,
)

__all__ = [
    "UNREADABLE",
    "Provenance",
    "back_up",
    "find_potential",
    "fingerprint",
    "open_text",
    "read_provenance",
    "read_stamp",
    "replacing",
    "stamp",
    "write_potential",
]
