"""Fingerprints: machine-independent hashes of content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.files.content import content_of

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return a SHA-256 hash of nested numbers, texts, arrays and records.

    Records are options of plugins. Names of files in their texts are hashed together
    with the content of the files, see `content_of`.

    Examples
    --------
    >>> import numpy as np
    >>> a = fingerprint({"x": np.arange(3.0), "n": 2})
    >>> a == fingerprint({"n": 2, "x": np.arange(3.0)})
    True
    >>> a == fingerprint({"n": 3, "x": np.arange(3.0)})
    False
    """
    return hashlib.sha256(
        json.dumps(_plain(content), sort_keys=True).encode()
    ).hexdigest()


def evaluation_key(origin: str | None, cells: Sequence[PhonopyAtoms | None]) -> str:
    """Return the fingerprint of potential and supercells.

    Parameters
    ----------
    origin : str or None
        Fingerprint of everything that determines the forces of the potential.
    cells : sequence of PhonopyAtoms or None
    """
    present = [cell for cell in cells if cell is not None]
    return fingerprint(
        {
            "potential": origin,
            "lattices": np.array([cell.cell for cell in present]),
            "positions": np.array([cell.positions for cell in present]),
            "symbols": list(present[0].symbols) if present else [],
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)
        # Little-endian bytes, to be independent of the machine.
        data = data.astype(data.dtype.newbyteorder("<"))
        return [str(data.dtype), data.shape, hashlib.sha256(data.tobytes()).hexdigest()]
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(content_of(dataclasses.asdict(value)))
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} has no fingerprint")
