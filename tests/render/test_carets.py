"""The failing line and the marks below it are this Python's own."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

import autotb
from autotb.render import carets
from autotb.trace.parts import Frame

COLUMNS = (Path(__file__).parent / "programs" / "columns.py").read_text()
needs_marks = pytest.mark.skipif(not carets.HAS_MARKS, reason="Python 3.10 knows no columns")

LINES = {
    "an operator": "def f(a): return 1 + a / 0\nf(1)\n",
    "a whole line": "def f(a):\n    a.none\nf(1)\n",
    "a part of a line": "def f(a):\n    b = 1; a.none; c = 2\nf(1)\n",
    "a subscript": "def f(a):\n    return {'x': {}}['x'][a]['y']\nf(1)\n",
    "a call over several lines": "def f(a):\n    return max(\n        1,\n        a / 0,\n    )\nf(1)\n",
    "an operator over several lines": "def f(a):\n    return (a\n            / 0)\nf(1)\n",
    "tabs before": "def f(a):\n\tif a:\n\t\treturn 1 + a / 0\nf(1)\n",
    "wide characters": "def f(a):\n    return '日本語' + str(a / 0)\nf(1)\n",
    "letters of two bytes": "def f(äöü):\n    return äöü + äöü / 0\nf(1)\n",
    "a form feed": "def f(a):\n\x0c    return 1 + a / 0\nf(1)\n",
}


def frame(text="    return a / b + c", span=(11, 16), line=3, source=None, **more):
    return Frame("/a.py", line, "f", source=((line, text),) if source is None else source, span=span, **more)


if carets.MARKS_ALL_LINES:
    del LINES["a form feed"]  # Python itself shows nothing of such a line from 3.13 on


@pytest.mark.parametrize("name", LINES)
def test_they_are_what_python_prints(name, tmp_path):
    path = tmp_path / "main.py"
    path.write_text(LINES[name], encoding="utf-8")
    try:
        exec(compile(LINES[name], str(path), "exec"), {})
    except Exception as caught:
        error = caught

    python = traceback.format_tb(error.__traceback__)[-1].rstrip("\n").split("\n")[1:]

    assert carets.lines(autotb.explain(error).frames[-1]) == [line[4:].rstrip() for line in python]


@needs_marks
def test_marks_stand_in_the_columns_of_the_whole_line():
    assert carets.marks(frame()) == "           ~~^~~"


@needs_marks
def test_marks_stand_below_their_operator_after_a_tab_within_the_line():
    text = "\treturn 1 +\ta / 0"
    line, below = carets.lines(frame(text, (text.index("a"), len(text))))

    assert below == " " * line.index("a /") + "~~^~~"


@pytest.mark.parametrize("text", ["", "   ", "\t"])
def test_a_line_that_is_not_known_is_not_drawn(text):
    assert carets.lines(frame(text)) == []


@pytest.mark.parametrize(
    "given",
    [
        frame(span=None),
        frame(span=(900, 901)),  # columns of another file's line
        frame(span=(-5, -1)),
        frame(span=(11, 5)),
        frame(span=(4, 20)),  # the whole line: it says it all
    ],
)
def test_a_line_without_marks(given):
    assert (carets.lines(given), carets.marks(given)) == (["return a / b + c"], "")


@needs_marks
def test_an_expression_whose_other_lines_are_not_known_is_marked_to_the_end_of_its_first():
    cut = frame("x = (1 +", (5, 1_000_000), end=(9, 3))

    assert carets.lines(cut)[0] == "x = (1 +"
    assert len(carets.lines(cut)[1]) == len("x = (1 +")


def test_a_traceback_module_that_was_replaced_costs_the_marks_alone(monkeypatch):
    monkeypatch.setattr(carets, "_python", None)

    assert carets.lines(frame()) == ["return a / b + c"]


def test_columns_are_marked_as_python_marks_them(run):
    """A worker's frames have in the plain style the very lines that Python prints for them; 3.10 knows no columns."""
    ours, bare = run(COLUMNS, AUTOTB_STYLE="plain"), run(COLUMNS, autotb="0")

    for name in ("work", "spread"):
        at = next(at for at, line in enumerate(bare.lines) if line.endswith(f"in {name}"))
        python = bare.lines[at : at + 1 + next(n for n, line in enumerate(bare.lines[at + 1 :]) if not line.startswith("    "))]
        at = next(at for at, line in enumerate(ours.lines) if line.endswith(f"in {name}"))
        assert ours.lines[at : at + len(python)] == python
