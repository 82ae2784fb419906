"""The plain style: CPython's own grammar, and ``[...]`` lines for what it has no words for."""

from __future__ import annotations

import sys
import traceback

import pytest

import autotb
from autotb.render import plain
from autotb.trace import bounds
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack
from tests.render.stories import ENGINES, WORKER, ZERO, frame, plain_error, settings, trace

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def drawn(stack, with_hints=False, in_force=None, **more):
    return plain.lines(trace(stack, **more), in_force or settings(), with_hints=with_hints)


def raised(error, cause=None):
    try:
        raise error from cause
    except Exception as caught:
        return caught


def in_handling():
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904
    except ValueError as error:
        return error


def noted():
    error = raised(ValueError("x"))
    error.__notes__ = ["first\nnote", "second"]
    return error


PLAIN = {
    "one": lambda: raised(ValueError("two\nlines")),
    "no message": lambda: raised(ValueError()),
    "a cause": lambda: raised(ValueError("x"), raised(KeyError("y"))),
    "in handling": in_handling,
    "never raised": lambda: KeyError("x"),
}
FROM_3_11 = {
    "notes": noted,
    "a group": lambda: raised(ExceptionGroup("g", [raised(ValueError("x")), KeyError("y")])),
    "a group in a group": lambda: raised(ExceptionGroup("g", [ExceptionGroup("h", [raised(ValueError("x"))]), KeyError("y")])),
    "a group that ends with a group": lambda: raised(
        ExceptionGroup("g", [KeyError("y"), raised(ExceptionGroup("h", [ValueError("x"), ExceptionGroup("i", [KeyError()])]))])
    ),
    "a group that caused": lambda: raised(ValueError("x"), raised(ExceptionGroup("g", [raised(KeyError("y"))]))),
}


@pytest.mark.parametrize("name", PLAIN if sys.version_info < (3, 11) else {**PLAIN, **FROM_3_11})
def test_a_plain_error_is_pythons_own_text(name):
    error = {**PLAIN, **FROM_3_11}[name]()

    assert plain.lines(autotb.explain(error)) == "".join(traceback.format_exception(error)).rstrip("\n").split("\n")


def test_a_workers_error():
    assert drawn(ZERO) == [
        "Traceback (most recent call last):",
        '  File "/job.py", line 5, in main',
        "    return 1 / x",
        "  [in a worker, pid 7, submitted at /main.py:5 in main]",
        "  [score(x=0)]",
        '  File "/job.py", line 2, in score',
        "    return 1 / x",
        "  [1 engine frame hidden, AUTOTB_FRAMES=all]",
        "ZeroDivisionError: division by zero",
    ]


def test_arguments_may_be_left_out():
    assert "  [score(x=0)]" not in drawn(ZERO, in_force=settings(args=False))


def test_all_frames():
    shown = drawn(ZERO, in_force=settings(frames="all"))

    assert '  File "/site-packages/pool.py", line 8, in run' in shown
    assert not any("hidden" in line for line in shown)


@pytest.mark.parametrize(("wanted", "shown"), [("1", ["    a\\n = '\\x1b'"]), ("auto", [])])
def test_local_variables_are_shown_on_request_and_harmless(wanted, shown):
    stack = Stack("E", "", (Hop((frame(locals=(("a\n", "'\x1b'"),)),)),))

    assert [line for line in drawn(stack, in_force=settings(locals=wanted)) if " = " in line] == shown


def test_a_file_that_changed_is_told():
    assert "    [the file has changed since it was imported]" in drawn(Stack("E", "", (Hop((frame(changed=True),)),)))


def test_code_without_lines_has_pythons_none():
    assert '  File "<made>", line None, in f' in drawn(Stack("E", "", (Hop((Frame("<made>", 0, "f"),)),)))


def test_a_gap_is_pythons_line():
    stack = Stack("RecursionError", "", (Hop((frame(), Gap(repeated=9, cycle=1))),))

    assert "  [Previous line repeated 9 more times]" in drawn(stack)


def test_hints_come_before_the_traceback():
    """A line after its frames would be read as its error."""
    assert drawn(plain_error(), with_hints=True, hints=("hint: look",), kept="/k.json")[:3] == [
        "hint: look",
        "kept in /k.json",
        "Traceback (most recent call last):",
    ]


def test_no_hints_unasked():
    assert drawn(plain_error(), hints=("hint: look",), kept="/k.json")[0] == "Traceback (most recent call last):"


def test_a_heading_is_one_line():
    assert drawn(plain_error(), heading="In\nhere:")[0] == "In\\nhere:"


@pytest.mark.parametrize(
    ("stack", "last"),
    [
        (plain_error(), "ZeroDivisionError: division by zero"),
        (plain_error("x", "E", cause=plain_error()), "E: x"),  # as Python, which has no such line
        (
            Stack("E", "x", (WORKER,), cause=plain_error()),
            "caused by ZeroDivisionError: division by zero, at /job.py:2 in score",
        ),
    ],
)
def test_the_root_is_named_at_the_end_where_anything_is_hidden(stack, last):
    assert drawn(stack)[-1] == last


def test_what_is_lost_and_cut_is_told():
    shown = drawn(plain_error(lost=("a note",), cut="local variables"))

    assert "  [lost on the way from the worker: a note]" in shown
    assert "  [cut: local variables]" in shown


def test_how_an_engine_noticed_a_death_is_one_line():
    notice = Stack("EOFError", "", (Hop((ENGINES,)),))
    stack = Stack("Died", "worker 7", (Hop((frame(),)), Hop(died=("killed by signal 9",))), cause=notice)

    assert drawn(stack)[-3:] == ["  [killed by signal 9]", "  [detected by EOFError]", "Died: worker 7"]


def test_tasks_that_failed_of_it_come_before_the_notes():
    assert drawn(plain_error(broken=("task 2",), notes=("a note",)))[-2:] == ["task 2", "a note"]


def test_another_error_of_the_same_tasks_is_told_first():
    shown = drawn(plain_error(also=(plain_error("no", "KeyError"), plain_error("no", "KeyError"))))

    assert shown[3:7] == [
        "KeyError: no",
        "2 × KeyError: no, at /job.py:2 in score",
        "",
        "The same tasks failed of another error as well:",
    ]


def test_members_that_are_alike_are_told_once():
    stack = Stack("ExceptionGroup", "g", members=(plain_error(), plain_error(), plain_error("other", alike=4)), unlisted=10)

    shown = drawn(stack)

    assert [line for line in shown if "×" in line] == [
        "    | 2 × ZeroDivisionError: division by zero, at /job.py:2 in score",
        "    | 5 × ZeroDivisionError: other, at /job.py:2 in score",
    ]
    assert shown[-3:] == [
        "    +---------------- ... ----------------",
        "    | and 10 more exceptions",
        "    +------------------------------------",
    ]


def test_of_more_than_two_members_that_came_about_alike_one_is_told_in_full():
    shown = drawn(
        Stack("ExceptionGroup", "g", members=(*map(plain_error, "abcd"), plain_error("e", "KeyError"), plain_error("a")))
    )

    assert [line.strip() for line in shown if "------ " in line] == [
        "+-+---------------- 1 ----------------",
        "+---------------- 5 ----------------",
    ]
    at = shown.index("    | the same failure, 3 more:")
    assert shown[at - 2] == "    | ZeroDivisionError: a"
    assert shown[at - 1].startswith("    | 2 × ZeroDivisionError: a")
    assert shown[at + 1] == "    |   ZeroDivisionError: b"


def test_members_beyond_the_first_have_a_line_each():
    members = tuple(plain_error(str(number), notes=("by night",)) for number in range(8))

    shown = drawn(Stack("ExceptionGroup", "g", members=members))

    assert sum('File "/job.py"' in line for line in shown) == bounds.LEVELS[0].full
    assert "    | ZeroDivisionError: 7, at /job.py:2 in score" in shown


def test_groups_in_groups_end_as_in_python():
    stack = plain_error()
    for _ in range(bounds.MAX_NESTING + 5):
        stack = Stack("ExceptionGroup", "g", members=(stack,))

    shown = drawn(stack)

    assert sum("and 1 more exception" in line for line in shown) == 1
    assert shown[-1] == "caused by ZeroDivisionError: division by zero, at /job.py:2 in score"


def test_a_place_with_a_control_character_stays_on_its_line():
    hop = Hop((frame(),), where="in\na worker", submitted=Place("/m\x1b.py", 1, "f"))

    assert "  [in\\na worker, submitted at /m\\x1b.py:1 in f]" in drawn(Stack("E", "", (hop,)))
