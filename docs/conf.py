from importlib.metadata import version as installed_version

project = "phono3py-mlp-plugin"
author = "the authors of phono3py-mlp-plugin"
version = release = installed_version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# Tables that are included in a page.
exclude_patterns = ["_build", "figures/*.md", "tables/*.md"]

myst_heading_anchors = 3

napoleon_google_docstring = False
# Types and shapes are in the docstrings, in the words of the field.
autodoc_typehints = "none"
autodoc_preserve_defaults = True

html_theme = "sphinx_book_theme"
html_title = f"{project} {release}"
html_theme_options = {"show_navbar_depth": 2, "use_download_button": False}
