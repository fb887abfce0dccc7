"""How Sphinx builds the pages of this folder: `make docs`."""

from crypto_refactor.version import __version__

project = "crypto_refactor"
author = copyright = "The crypto_refactor authors"  # noqa: A001 - the name that Sphinx reads
version = release = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4  # links name a heading as they do in a repository
nitpicky = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = "crypto_refactor"
html_copy_source = False
html_show_sphinx = False
