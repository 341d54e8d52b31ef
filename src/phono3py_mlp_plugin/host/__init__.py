"""The bridge into phono3py: the only room that knows its inside."""

from phono3py_mlp_plugin.host.bindings import Binding, bind, bindings, is_bound

__all__ = ["Binding", "bind", "bindings", "is_bound"]
