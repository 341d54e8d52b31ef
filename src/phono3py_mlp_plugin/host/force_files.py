"""Collection of forces from first-principles results (``--cf3``)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from phono3py_mlp_plugin.host.bindings import original


def get_force_sets(
    settings: Any, disp_dataset: Mapping[str, Any], *args: Any, **options: Any
) -> Any:
    """Replace the function of phono3py, with a note if files are missing.

    phono3py then uses the first displacements, and reports that only within its log.
    """
    result = original("phono3py.cui.create_force_sets:_get_force_sets_fc3")(
        settings, disp_dataset, *args, **options
    )
    n_files, wanted = len(result["forces"]), len(disp_dataset.get("displacements", ()))
    if n_files < wanted:
        sys.stdout.flush()
        print(
            f"Note: forces of {n_files} supercells for {wanted} displacements: used "
            f"for the first {n_files}. If others are missing, give all files in order.",
            file=sys.stderr,
        )
    return result
