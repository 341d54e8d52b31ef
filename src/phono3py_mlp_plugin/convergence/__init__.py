"""Studies of the convergence of kappa with the number of supercells.

For each variant and number of supercells of a `Study`, `converge` computes a `Point`.
`judge` returns the `Verdict`. Points can be saved in a file and drawn.
"""

from phono3py_mlp_plugin.convergence.figure import draw_convergence
from phono3py_mlp_plugin.convergence.file import (
    CONVERGENCE_FILE,
    LastStudy,
    StudyFile,
    check_study_file,
    describe_saved_study,
    read_convergence,
    read_last_study,
    write_convergence,
)
from phono3py_mlp_plugin.convergence.point import Point
from phono3py_mlp_plugin.convergence.run import converge
from phono3py_mlp_plugin.convergence.study import (
    OF_DISPLACEMENTS,
    Study,
    Variant,
    check_study,
    default_sizes,
    default_test_size,
    variants_over,
    with_value,
)
from phono3py_mlp_plugin.convergence.verdict import (
    Verdict,
    compare_models,
    judge,
    judge_all,
)

__all__ = [
    "CONVERGENCE_FILE",
    "OF_DISPLACEMENTS",
    "LastStudy",
    "Point",
    "Study",
    "StudyFile",
    "Variant",
    "Verdict",
    "check_study",
    "check_study_file",
    "compare_models",
    "converge",
    "default_sizes",
    "default_test_size",
    "describe_saved_study",
    "draw_convergence",
    "judge",
    "judge_all",
    "read_convergence",
    "read_last_study",
    "variants_over",
    "with_value",
    "write_convergence",
]
