"""The table of attributes that autotb puts on others' objects is what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from autotb.instrument import attributes

PACKAGE = Path(attributes.__file__).parent.parent
OURS = re.compile(r"_autotb(_\w+)?")


def uses() -> dict[str, tuple[set[str], set[str]]]:
    """By attribute: the modules that write it, and those that read it."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if module == "instrument.attributes" or "-" in path.stem:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        written = set(map(id, filter(None, (_written(node) for node in ast.walk(tree)))))
        names = {name: value for node in tree.body for name, value in _constants(node).items()}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                name, is_written = node.attr, isinstance(node.ctx, ast.Store)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                name, is_written = node.value, id(node) in written
            elif isinstance(node, ast.Name) and node.id in names and id(node) in written:
                name, is_written = names[node.id], True
            else:
                continue
            if OURS.fullmatch(name):
                found.setdefault(name, (set(), set()))[0 if is_written else 1].add(module)
    return found


def _written(node: ast.AST) -> ast.AST | None:
    """The node that names what is written: ``setattr(x, NAME, …)``, ``fields[NAME] = …``, ``fields.setdefault(NAME, …)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
        return node.args[1]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setdefault":
        return node.args[0]
    return node.slice if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) else None


def _constants(node: ast.stmt) -> dict[str, str]:
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant) or not isinstance(node.value.value, str):
        return {}
    return {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}


def test_the_table_is_what_the_code_does():
    assert {row.name: (set(row.written), set(row.read)) for row in attributes.TABLE} == uses()


def test_what_mypy_is_told_of_them_is_the_tables_type():
    """Any where the class stands above."""
    types = {row.name: row.type.split(" | ") for row in attributes.TABLE}
    told = [
        (node.target.id, ast.unparse(node.annotation))
        for path in PACKAGE.rglob("types.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and OURS.fullmatch(node.target.id)
    ]

    assert {name for name, _ in told} >= {"_autotb_site", "_autotb_watch", "_autotb_pool"}
    assert [(name, kind) for name, kind in told if kind != "Any" and not set(kind.split(" | ")) <= set(types[name])] == []
