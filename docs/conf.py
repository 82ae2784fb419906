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

# Pages that stand at the root of the checkout, where everybody looks for them; here they are read with links that lead from here.
AT_THE_ROOT = {"index": "README.md", "contributing": "CONTRIBUTING.md", "security": "SECURITY.md"}


def read_from_the_root(_app, docname, source):
    """The file's text before the page's own, which is its place in the table of contents."""
    name = AT_THE_ROOT.get(docname)
    if name is not None:
        text = (Path(__file__).resolve().parent.parent / name).read_text(encoding="utf-8")
        for page, file in AT_THE_ROOT.items():
            text = text.replace(f"]({file})", f"]({page}.md)")
        source[0] = text.replace("](docs/", "](") + "\n" + source[0]


def setup(app):
    app.connect("source-read", read_from_the_root)
