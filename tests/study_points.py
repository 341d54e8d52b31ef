"""Points of a study of convergence, without a calculation."""

from phono3py_mlp_plugin.convergence import Point
from phono3py_mlp_plugin.workflow import PhononsAt


def point(size, kappa, scatter=0.01, label="", order=0):
    """A point whose members scatter by this much, relative."""
    tensor = [[kappa, kappa, kappa, 0.0, 0.0, 0.0]]
    members = [
        [[kappa * (1 + s * scatter)] * 3 + [0.0] * 3] for s in (1.0, -1.0, 1.0, -1.0)
    ]
    return Point(
        key=f"{label}{order}{size}",
        label=label,
        order=order,
        size=size,
        temperatures=[300.0],
        kappa=tensor,
        members=members,
        alternatives=[],
        reference=tensor,
        rmse_test=1e-4,
        left_out=1e-4,
        alpha=1.0,
        n_features=100,
        fc2_error=0.001,
        fc3_error=0.01,
        phonons=[PhononsAt("X", [0.5, 0, 0.5], [2.0, 5.0], [0.1, 0.1])],
    )
