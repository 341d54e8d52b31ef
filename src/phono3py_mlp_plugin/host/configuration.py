"""Reader of the file of ``--config``: one tag and its value on each line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_CONTINUED = "+++"


def read_file(self: Any, filename: str | os.PathLike[str]) -> None:
    """Replace the method of phono3py: a value may contain "=", as in MLP_PARAMS."""
    tag = None
    for line in Path(filename).read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            tag = None
            continue
        body = text.removesuffix(_CONTINUED).strip()
        if tag is not None:
            self._confs[tag] += f" {body}"
        elif "=" in body:
            name, _, value = body.partition("=")
            tag = name.strip().lower()
            self._confs[tag] = value.strip()
        if not text.endswith(_CONTINUED):
            tag = None
