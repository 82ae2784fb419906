"""The parts of a story and what they say of themselves."""

from __future__ import annotations

import pytest

from autotb.trace import parts
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack

LOAD = Frame("/load.py", 12, "parse", source=((11, "a = 1"), (12, "b = a / 0")))


@pytest.mark.parametrize(("line", "says"), [(3, "/a.py:3 in f"), (0, "/a.py:? in f")])
def test_a_place_is_one_that_editors_open(line, says):
    assert str(Place("/a.py", line, "f")) == says


@pytest.mark.parametrize(
    ("inner", "is_part"),
    [
        (Frame("/load.py", 12, "<listcomp>"), True),
        (Frame("/load.py", 12, "<genexpr>"), True),
        (Frame("/load.py", 13, "<listcomp>"), False),
        (Frame("/other.py", 12, "<listcomp>"), False),
        (Frame("/load.py", 12, "<listcomp>", kind="library"), False),
        (Frame("/load.py", 12, "<lambda>"), False),
    ],
)
def test_a_comprehension_is_part_of_the_line_that_it_stands_in(inner, is_part):
    assert inner.is_part_of(LOAD) is is_part


@pytest.mark.parametrize(("frame", "line"), [(LOAD, "b = a / 0"), (Frame("/load.py", 99, "f", source=((1, "x"),)), "")])
def test_the_failing_line(frame, line):
    assert frame.failing_line == line


def test_the_frames_of_all_hops_are_the_stacks_without_gaps():
    stack = Stack("E", "", (Hop((LOAD, Gap(omitted=3))), Hop((LOAD,))))

    assert stack.frames == (LOAD, LOAD)


def test_a_cause_comes_before_a_context():
    cause, context = Stack("A", ""), Stack("B", "")

    assert Stack("E", "", cause=cause, context=context).before is cause


def test_members_that_are_alike_and_those_that_are_not_kept_count():
    assert Stack("E", "", members=(Stack("A", "", alike=4), Stack("B", "")), unlisted=10).count == 16


def test_what_no_field_is_of_is_carried_along():
    stack = parts.made(Stack, {"type": "E", "message": "", "shoe_size": 43})

    assert (stack.type, stack.more) == ("E", (("shoe_size", 43),))
