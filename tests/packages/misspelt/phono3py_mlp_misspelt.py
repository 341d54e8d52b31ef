"""A plugin that implements a hook that does not exist."""

from phono3py_mlp_plugin import hookimpl


@hookimpl
def phono3py_mlp_force_calculator():
    return ()
