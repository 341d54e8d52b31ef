"""The interface to phono3py: the only package that uses its internals."""

from phono3py_mlp_plugin.host.bindings import Binding, bind, bindings, is_bound

__all__ = ["Binding", "bind", "bindings", "is_bound"]
