import sys
from importlib.metadata import version as installed_version
from pathlib import Path

# The directives of the reference.
sys.path.insert(0, str(Path(__file__).parent))

project = "phono3py-mlp-plugin"
author = "the authors of phono3py-mlp-plugin"
release = installed_version(project)
# Without the hash of a commit, which is wider than the sidebar.
version = release.partition("+")[0]

extensions = [
    "myst_parser",
    "reference_pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]
# Tables that are included in a page.
exclude_patterns = ["_build", "figures/*.md", "tables/*.md"]

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
# The address of the repository is a placeholder until there is one.
linkcheck_ignore = [r"https://repository\.invalid/.*"]
# Names in single backticks, as in docstrings, lead to their description if it is here.
default_role = "py:obj"
# What is printed is not copied.
copybutton_prompt_text = "$ "

nitpicky = True
# Types of docstrings are in the words of the field, and names in backticks may be
# parameters, or names of other packages.
nitpick_ignore_regex = [("py:(class|obj)", ".*"), ("py:.*", "PluginManager.*")]

napoleon_google_docstring = False
napoleon_preprocess_types = True
# Several attributes may have one description, as parameters.
napoleon_custom_sections = [("Attributes", "params_style")]
# Types and shapes are in the docstrings, in the words of the field.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["reference.css"]
html_title = f"{project} {version}"
html_theme_options = {
    "show_navbar_depth": 2,
    "use_download_button": False,
    # Search is in the sidebar; a bar at the top would have it once more, alone.
    "navbar_persistent": [],
}
