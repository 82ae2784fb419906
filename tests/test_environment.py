"""Variables that autotb itself puts into the environment: none is taken for a setting that the user wrote wrongly."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import autotb

PACKAGE = Path(autotb.__file__).parent


def _names() -> set[str]:
    """What is named like a setting anywhere in the package's code."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    texts = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"AUTOTB_[A-Z_]*[A-Z]", text)}


def test_every_variable_that_the_code_names_is_known_to_the_settings(run, tmp_path):
    names = _names() - {"AUTOTB_STYLE"}
    ran = run("1 / 0", AUTOTB_STYLE="rich", **dict.fromkeys(names, str(tmp_path / "folder")))

    assert names
    assert "is no setting" not in ran.stderr
    assert "is no setting" in run("1 / 0", AUTOTB_STYLE="rich", AUTOTB_NO_SUCH="1").stderr
