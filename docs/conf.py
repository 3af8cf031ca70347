"""How the documentation is built: `make docs`, or `python -m sphinx -W docs build/docs`. No network is needed."""

import allcores

project = "allcores"
author = "allcores contributors"
copyright = "allcores contributors"
version = release = allcores.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"allcores {version}"
html_show_sourcelink = False

myst_heading_anchors = 3  # links to headings: contract.md#options
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # signatures stay short: the docstrings say what is what
napoleon_use_ivar = True
