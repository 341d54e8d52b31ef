"""Studies of convergence: kappa against the number of supercells, and a verdict.

For each variant and number of supercells of a `Study`, `converge` computes a `Point`;
`judge` gives the `Verdict`. Points are kept in a file and drawn.
"""

from phono3py_mlp_plugin.convergence.figure import draw_convergence
from phono3py_mlp_plugin.convergence.file import (
    CONVERGENCE_FILE,
    kept_of_study,
    read_convergence,
    write_convergence,
)
from phono3py_mlp_plugin.convergence.point import Point
from phono3py_mlp_plugin.convergence.run import converge
from phono3py_mlp_plugin.convergence.study import (
    Study,
    Variant,
    check_study,
    with_value,
)
from phono3py_mlp_plugin.convergence.verdict import Verdict, compare_models, judge

__all__ = [
    "CONVERGENCE_FILE",
    "Point",
    "Study",
    "Variant",
    "Verdict",
    "check_study",
    "compare_models",
    "converge",
    "draw_convergence",
    "judge",
    "kept_of_study",
    "read_convergence",
    "with_value",
    "write_convergence",
]
