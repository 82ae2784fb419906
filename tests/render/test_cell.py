"""A story in a notebook's cell: IPython's layout, no box, and no colour that could not be read."""

from __future__ import annotations

import re

from autotb.render import cell
from autotb.trace.data import replace
from autotb.trace.parts import Frame, Hop, Place, Stack
from tests.render import pages
from tests.render.stories import WORKER, ZERO, frame, plain_error, settings, trace


def drawn(stack, colour=False, in_force=None, **more):
    return cell.draw(trace(stack, **more), colour, in_force or settings())


def test_a_workers_error():
    assert drawn(ZERO) == [
        "ZeroDivisionError                         Traceback (most recent call last)",
        "File /job.py:5, in main",
        "      4 def main(x):",
        "----> 5     return 1 / x",
        "      6",
        "",
        "in a worker, pid 7",
        "submitted at /main.py:5 in main",
        "score(x=0)",
        "",
        "File /job.py:2, in score",
        "      1 def score(x):",
        "----> 2     return 1 / x",
        "      3",
        "[1 engine frame hidden, AUTOTB_FRAMES=all]",
        "",
        "ZeroDivisionError: division by zero",
    ]


def test_cells_have_ipythons_heads():
    inside = replace(WORKER, frames=(Frame("Cell In[2]", 3, "score"),), submitted=Place("Cell In[3]", 1, "<module>"))
    lines = drawn(Stack("E", "m", (Hop((Frame("Cell In[3]", 1, "<module>"),)), inside)))

    assert "Cell In[3], line 1" in lines
    assert "submitted at Cell In[3], line 1" in lines
    assert "Cell In[2], line 3, in score" in lines


def test_a_file_below_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert "File ~/job.py:2, in score" in drawn(Stack("E", "m", (Hop((Frame("/home/me/job.py", 2, "score"),)),)))


def test_no_colour_is_used_and_the_workers_line_is_bold():
    text = "\n".join(drawn(replace(ZERO, cause=plain_error("root")), colour=True, hints=("hint: do it",)))

    assert set(re.findall("\x1b\\[([0-9;]*)m", text)) <= {"0", "1", "4", "1;4"}
    assert "\x1b[1min a worker, pid 7\x1b[0m\n" in text
    assert "\x1b[1m----> 2\x1b[0m" in text
    assert "\x1b[1mZeroDivisionError\x1b[0m: division by zero" in text
    assert "\x1b[1;4m" not in "\n".join(drawn(ZERO, colour=True))  # nothing failed in columns that are known


def test_the_failing_expression_is_underlined_or_marked():
    stack = Stack("E", "m", (Hop((frame(span=(11, 16)),)),))
    assert any("return \x1b[1;4m1 / x\x1b[0m" in line for line in drawn(stack, colour=True))
    plain = drawn(stack)
    assert plain[plain.index("----> 2     return 1 / x") + 1].lstrip().startswith(("~~^~~", "3"))  # marks from 3.11 on


def test_nothing_is_folded_at_some_width():
    long = "x" * 500
    lines = drawn(Stack("E", long, (replace(WORKER, call=f"score({long})"), Hop((frame(source=((2, long),)),)))))

    assert f"score({long})" in lines
    assert f"----> 2 {long}" in lines
    assert lines[-1] == f"E: {long}"


def test_groups_and_variables():
    group = Stack("ExceptionGroup", "two", (WORKER,), members=(plain_error("a"), plain_error("b")))
    lines = drawn(group, in_force=settings(locals="1"))
    assert "    sub-exception 1 of 2" in lines
    assert lines[-1] == "ExceptionGroup: two (2 sub-exceptions)"
    assert "  x = 0" in drawn(Stack("E", "m", (Hop((frame(locals=(("x", "0"),)),)),)), in_force=settings(locals="1"))


def test_hostile_text_has_no_control_character():
    bad = pages.HOSTILE
    hop = replace(WORKER, frames=(Frame(bad, 2, bad, source=((2, bad),)),), where=bad, call=bad, submitted=Place(bad, 1, bad))
    for line in drawn(Stack(bad, bad, (hop,), notes=(bad,))):
        assert not re.search("[\x00-\x1f\u202a-\u202e\u2066-\u2069\u2028\ud800-\udfff]", line)
