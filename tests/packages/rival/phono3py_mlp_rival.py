"""A plugin that offers a name that is taken."""

from phono3py_mlp_plugin import ForceConstantsSolver, hookimpl


@hookimpl
def phono3py_mlp_force_constants_solvers():
    yield ForceConstantsSolver(name="symfc", summary="a rival", solve=lambda p: {})
