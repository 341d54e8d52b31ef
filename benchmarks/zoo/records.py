"""Points of studies as short records, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from phono3py_mlp_plugin.convergence import Point
from phono3py_mlp_plugin.workflow import PhononsAt

# Digits of stored kappa. Rounding errors of kappa are 1e-12.
_DIGITS = 8

_KEPT = ("order", "size", "rmse_test", "left_out", "alpha", "n_features", "fall")
_KAPPA = ("kappa", "members", "alternatives", "reference")


def record_of(point: Point) -> dict[str, Any]:
    """Return what the calibration needs of a point, at one temperature.

    Of kappa, the three diagonal elements are kept; of phonons, the lowest frequency.
    """
    record = {name: _short(getattr(point, name)) for name in _KEPT}
    for name in _KAPPA:
        values = np.array(getattr(point, name), dtype="double")
        record[name] = _short(values[..., 0, :3].tolist())
    lowest = min(min(one.frequencies) for one in point.phonons)
    return {
        **record,
        "fc2_error": _short(point.fc2_error),
        "fc3_error": _short(point.fc3_error),
        "n_imaginary": point.n_imaginary,
        "lowest": _short(float(lowest)),
    }


def point_of(
    record: Mapping[str, Any], entry: Mapping[str, Any] | None = None
) -> Point:
    """Return the point of a record.

    Parameters
    ----------
    record : mapping
    entry : mapping, optional
        Results of the crystal, with the rms force and the anharmonicity of its data.
    """
    kappa = {}
    for name in _KAPPA:
        values = np.array(record[name], dtype="double").reshape(
            *((-1, 3) if name in ("members", "alternatives") else (3,))
        )
        padded = np.concatenate([values, np.zeros_like(values)], axis=-1)
        kappa[name] = padded[..., None, :].tolist()
    return Point(
        key="",
        label="",
        temperatures=[300.0],
        phonons=[PhononsAt("lowest", [0.0] * 3, [record["lowest"]], [0.0])],
        **{name: record[name] for name in (*_KEPT, "fc2_error", "fc3_error")},
        n_imaginary=record["n_imaginary"],
        rms_force=None if entry is None else entry["reference"]["rms_force"],
        anharmonicity=None if entry is None else entry.get("anharmonicity"),
        **kappa,
    )


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(one) for one in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
