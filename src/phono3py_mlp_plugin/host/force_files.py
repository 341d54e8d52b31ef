"""Results of first-principles runs, as ``--cf3`` collects them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from phono3py_mlp_plugin.host.bindings import original


def get_force_sets(
    settings: Any, disp_dataset: Mapping[str, Any], *args: Any, **options: Any
) -> Any:
    """Stand for the host's function; say where there are fewer files than supercells.

    The host takes the first displacements then, and says so in the middle of its log.
    """
    result = original("phono3py.cui.create_force_sets:_get_force_sets_fc3")(
        settings, disp_dataset, *args, **options
    )
    n_files, wanted = len(result["forces"]), len(disp_dataset.get("displacements", ()))
    if n_files < wanted:
        sys.stdout.flush()
        print(
            f"Note: forces of {n_files} supercells for {wanted} displacements: taken "
            f"for the first {n_files}. If others are missing, give all files in order.",
            file=sys.stderr,
        )
    return result
