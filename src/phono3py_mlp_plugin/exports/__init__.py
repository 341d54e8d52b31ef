"""Force constants in the formats of other programs."""

from phono3py_mlp_plugin.exports.formats import FORMATS, Format, export

__all__ = ["FORMATS", "Format", "export"]
