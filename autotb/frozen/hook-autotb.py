"""PyInstaller's hook: adapters and public names are loaded by name, and engines that only an adapter imports stay out."""

import ast
import sys
from pathlib import Path

from PyInstaller.utils.hooks import collect_submodules

_PACKAGE = Path(__file__).parent.parent
_NEEDED = {"autotb", "rich", "exceptiongroup", "tomli", "tenacity"}
_APART = ("autotb.cli.children", "autotb.frozen")


def _of_others():
    """Packages that our modules import and that are the program's to bring."""
    found = set()
    for path in _PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return sorted(found - _NEEDED - set(sys.stdlib_module_names))


hiddenimports = [
    *collect_submodules("autotb", filter=lambda name: not name.startswith(_APART)),
    *collect_submodules("rich"),
]
excludedimports = _of_others()
