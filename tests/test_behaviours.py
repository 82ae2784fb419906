"""The rows of docs/behaviours.md that are done, and the tests that cover them: ``python -m tests.test_behaviours`` lists both."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def rows() -> dict[str, str]:
    """Id and sentence of every row that is done."""
    text = (ROOT / "docs" / "behaviours.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| (S\d-\d+) \| (.+?) \|$", text, re.M))


def marks() -> dict[str, list[str]]:
    """The tests that name each id."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for ident in _ids(node):
                    found.setdefault(ident, []).append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def _ids(node: ast.FunctionDef) -> list[str]:
    return [
        argument.value
        for call in node.decorator_list
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "behaviour"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]


def test_every_row_that_is_done_has_a_test() -> None:
    assert sorted(set(rows()) - set(marks())) == []


def test_every_test_names_rows_that_exist() -> None:
    assert sorted(set(marks()) - set(rows())) == []


if __name__ == "__main__":
    covered = marks()
    for ident, sentence in rows().items():
        print(f"{ident:6} {len(covered.get(ident, []))} tests  {sentence[:100]}")
        for test in covered.get(ident, []):
            print(f"         {test}")
