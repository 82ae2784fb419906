"""The documentation as a site: ``python -m sphinx -W docs build/docs`` (Sphinx, MyST for Markdown, the Furo theme)."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

project = "autotb"
author = "the autotb maintainers"
release = metadata.version("autotb")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["limits/*.py", "make_picture.py"]
myst_heading_anchors = 3
myst_enable_extensions = ["fieldlist"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = "autotb"
