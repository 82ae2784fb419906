"""Whether a program starts its work where a spawned worker, which imports the main script, would start it again.

Flows in: the frames of a story, and the main script's source.  Flows out: yes or no; no where that is not known.
"""

from __future__ import annotations

import ast

from autotb.record import sources
from autotb.trace.parts import Frame


def is_missing(frames: tuple[Frame, ...]) -> bool:
    """Whether the main script's own line, of the frames of the program's main thread, is under no ``if __name__ == …``."""
    main = next((frame for frame in frames if frame.name == "<module>" and frame.module == "__main__"), None)
    if main is None or main.path.startswith("<"):
        return False
    try:
        lines = sources.lines_from_elsewhere(main.path)
        tree = ast.parse("".join(line if line.endswith("\n") else line + "\n" for line in lines))
    except (SyntaxError, ValueError, RecursionError):
        return False
    is_there = any(node.lineno <= main.line <= (node.end_lineno or node.lineno) for node in tree.body)
    return is_there and not any(_guards(node, main.line) for node in ast.walk(tree))


def _guards(node: ast.AST, line: int) -> bool:
    if not isinstance(node, ast.If) or not any(
        isinstance(name, ast.Name) and name.id == "__name__" for name in ast.walk(node.test)
    ):
        return False
    return node.lineno <= line <= (node.end_lineno or node.lineno)
