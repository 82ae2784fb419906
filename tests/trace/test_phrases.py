"""The sentences of a story: where a hop ran, how a story ends, what is counted, what makes two stories one."""

from __future__ import annotations

import sys

import pytest

from autotb.trace import phrases
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack

TRACE = Trace(Stack("E", ""), host="here", pid=1)
LOAD = Frame("/load.py", 12, "parse")
QUOTED = 'Traceback (most recent call last):\n  File "node.py", line 1, in connect\n    ask()\nray.E: refused\n'
LIBRARY = Frame("/site-packages/lib.py", 3, "read", kind="library")


def raised(*frames, **more):
    return Stack("KeyError", "'id'", (Hop(frames),), **more)


@pytest.mark.parametrize(
    ("hop", "parts"),
    [
        (Hop(), []),
        (Hop(where="in a worker"), ["in a worker"]),
        (Hop(where="in a worker", pid=2), ["in a worker, pid 2"]),
        (Hop(where="in a thread", pid=1), ["in a thread"]),  # the process that shows the error needs no number
        (Hop(where="in a worker", pid=1, host="there"), ["in a worker, pid 1, host there"]),
        (Hop(where="in a worker", pid=1, host="here"), ["in a worker"]),
        (Hop(where="in a pool", pid=1, thread="pool_0"), ["in a pool, thread pool_0"]),
        (Hop(where="in a pool", pid=2, thread="pool_0"), ["in a pool, pid 2"]),
        (Hop(where="in thread pool_0", pid=1, thread="pool_0"), ["in thread pool_0"]),
        (Hop(where="in a rank", job=(("RANK", "3"),), label="train"), ["in a rank, RANK=3, train"]),
        (Hop(where="in a task", submitted=Place("/a.py", 4, "go")), ["in a task", "submitted at /a.py:4 in go"]),
        (Hop(submitted=Place("/a.py", 0, "go"), verb="started"), ["started at /a.py:? in go"]),
    ],
)
def test_where_a_hop_ran(hop, parts):
    assert phrases.where(hop, TRACE) == parts


def test_what_stands_below_a_call_begins_with_the_death():
    hop = Hop(died=("killed by signal 9",), log="/w.log", inputs="/i.pickle")

    assert phrases.beside(hop) == [
        "killed by signal 9",
        "the worker's log is /w.log",
        "call it again: python -m autotb rerun /i.pickle",
    ]


def test_by_what_an_engine_noticed_a_death_is_one_line():
    assert phrases.noticed(Stack("OSError", "broken\npipe")) == "detected by OSError: broken"


@pytest.mark.parametrize(
    ("count", "says"),
    [(0, ""), (1, "1 engine frame hidden, AUTOTB_FRAMES=all"), (2, "2 engine frames hidden, AUTOTB_FRAMES=all")],
)
def test_hidden_frames_are_counted(count, says):
    assert phrases.hidden(count) == says


@pytest.mark.parametrize(
    ("count", "launchers", "says"),
    [(1, 1, "1 launcher frame"), (2, 2, "2 launcher frames"), (2, 1, "1 launcher and 1 engine frames"), (1, 0, "1 engine frame")],
)
def test_a_launchers_frames_are_no_engines(count, launchers, says):
    assert phrases.hidden(count, launchers) == f"{says} hidden, AUTOTB_FRAMES=all"


@pytest.mark.parametrize(
    ("stack", "lines"),
    [
        (Stack("KeyError", "'id'"), ["KeyError: 'id'"]),
        (Stack("KeyError", ""), ["KeyError"]),
        (Stack("SyntaxError", "bad", final=("    a b", "    ^", "SyntaxError: bad")), ["    a b", "    ^", "SyntaxError: bad"]),
        (Stack("ExceptionGroup", "two", members=(raised(),)), ["ExceptionGroup: two (1 sub-exception)"]),
        (Stack("ExceptionGroup", "two", members=(raised(),), unlisted=9), ["ExceptionGroup: two (10 sub-exceptions)"]),
        (Stack("ExceptionGroup", "two (3 sub-exceptions)", members=()), ["ExceptionGroup: two (3 sub-exceptions)"]),
    ],
)
def test_the_last_lines_are_pythons(stack, lines):
    assert phrases.final_lines(stack) == lines


@pytest.mark.parametrize(
    ("most", "lines"),
    [(7, "E: 0 1 2 3 4 5 6"), (3, "E: 0 1 … 4 more lines 6"), (6, "E: 0 1 2 3 … 1 more line 5 6")],
)
def test_a_long_message_loses_its_middle(most, lines):
    stack = Stack("E", "\n".join("0123456"))

    assert " ".join(phrases.final_lines(stack, most)) == lines


@pytest.mark.parametrize(
    ("notes", "unnoted", "most", "lines"),
    [
        (("a\nb", "c"), 0, None, ["a", "b", "c"]),
        (("a", "b"), 2, None, ["a", "… 2 more notes", "b"]),
        (("a", "b", "c"), 1, 4, ["a", "b", "… 1 more note", "c"]),
        (("a", "b", "c", "d"), 1, 3, ["a", "b", "… 1 more line", "… 1 more note", "d"]),
        (("a", "… 1 more note", "c", "d"), 1, 3, ["a", "… 1 more note", "… 1 more line", "… 1 more note", "d"]),
    ],
)
def test_notes_and_how_many_there_are_besides(notes, unnoted, most, lines):
    assert phrases.notes(Stack("E", "", notes=notes, unnoted=unnoted), most) == lines


def test_tasks_that_failed_of_it_are_counted():
    chains = [f"skipped: total ← price_{number} ✗" for number in range(200)]

    assert phrases.broken(Stack("E", "", broken=tuple(chains[:8]))) == chains[:8]
    assert phrases.broken(Stack("E", "", broken=tuple(chains))) == [*chains[:6], "… 192 more such lines", *chains[-2:]]


@pytest.mark.parametrize(
    ("stack", "says"),
    [
        (raised(cause=raised()), phrases.CAUSED),
        (raised(context=raised()), phrases.DURING),
        (raised(cause=raised(), skipped=1), "The above exception led to 1 other, not shown here; "),
        (raised(cause=raised(), skipped=1200), "The above exception led to 1,200 others, not shown here; "),
    ],
)
def test_the_sentence_between_two_exceptions(stack, says):
    assert phrases.joint(stack).startswith(says)


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        (Gap(omitted=1), "1 more frame"),
        (Gap(omitted=2), "2 more frames"),
        (Gap(repeated=1, cycle=1), "Previous line repeated 1 more time"),
        (Gap(repeated=9, cycle=1), "Previous line repeated 9 more times"),
        (Gap(repeated=9, cycle=2), "Previous 2 frames repeated 9 more times"),
    ],
)
def test_what_stands_for_frames(gap, says):
    assert phrases.gap(gap) == says


def test_what_is_lost_is_named():
    assert phrases.lost(Stack("E", "", lost=("an attribute", "a note"))).endswith("from the worker: an attribute, a note")


@pytest.mark.parametrize(
    ("frames", "place"),
    [
        ((), None),
        ((LIBRARY,), LIBRARY),
        ((LOAD, LIBRARY), LOAD),
        ((LOAD, Frame("/load.py", 12, "<listcomp>")), LOAD),  # a comprehension is no function of its own from Python 3.12 on
        ((LOAD, Frame("/load.py", 13, "<listcomp>")), Frame("/load.py", 13, "<listcomp>")),
    ],
)
def test_where_it_was_raised(frames, place):
    assert phrases.raised_at(raised(*frames)) == place


@pytest.mark.parametrize(
    ("stack", "says"),
    [
        (raised(LOAD), ""),
        (Stack("E", "", cause=raised(LOAD)), "caused by KeyError: 'id', at /load.py:12 in parse"),
        (Stack("E", "", cause=raised()), "caused by KeyError: 'id'"),
        (Stack("E", "", context=raised(LOAD)), ""),  # in whose handling it was raised, which caused nothing
        (Stack("E", "", cause=Stack("F", "one\ntwo")), "caused by F: one"),
        (Stack("E", "", cause=Stack("F", f"No answer. {QUOTED}")), "caused by F: No answer. … ray.E: refused"),
        (Stack("E", "", cause=Stack("F", QUOTED.partition("\n")[0])), "caused by F: Traceback (most recent call last):"),
    ],
)
def test_the_last_line_names_the_root(stack, says):
    assert phrases.caused_by(Trace(stack)) == says


def test_no_root_is_named_where_the_program_wants_no_frames(monkeypatch):
    monkeypatch.setattr(sys, "tracebacklimit", 0, raising=False)

    assert phrases.caused_by(Trace(Stack("E", "", cause=raised(LOAD)))) == ""


def test_stories_that_are_alike_are_told_once_with_their_count():
    groups = phrases.grouped((raised(LOAD), raised(LIBRARY), raised(LOAD, alike=8)))

    assert [phrases.count_line(same) for same in groups] == [
        "10 × KeyError: 'id', at /load.py:12 in parse",
        "1 × KeyError: 'id', at /site-packages/lib.py:3 in read",
    ]


@pytest.mark.parametrize(
    ("other", "is_same_failure", "is_same_story"),
    [
        (raised(LOAD), True, True),
        (Stack("KeyError", "'x'", (Hop((LOAD,)),)), True, False),
        (Stack("ValueError", "'id'", (Hop((LOAD,)),)), False, False),
        (raised(LIBRARY), False, False),
        (raised(LOAD, cause=raised(LIBRARY)), False, False),
        (raised(LOAD, members=(raised(),)), False, False),
    ],
)
def test_what_makes_two_errors_one(other, is_same_failure, is_same_story):
    one = raised(LOAD)

    assert (phrases.same_failure(one) == phrases.same_failure(other)) is is_same_failure
    assert (phrases.same_story(one) == phrases.same_story(other)) is is_same_story


def test_the_type_to_catch_is_named_where_it_is_another():
    assert phrases.raised_as(raised(LOAD)) == []
    assert phrases.raised_as(raised(LOAD, raised_as="engine.WorkerError")) == ["raised as engine.WorkerError"]


def test_errors_of_the_same_tasks_are_grouped_by_their_failure():
    def failed(message, at, call, kind="KeyError"):
        return Stack(kind, message, (Hop((at,), call=call),))

    other = failed("no", LOAD, "f(0)", "ValueError")
    stack = failed("1", LOAD, "f(1)")
    alike, others = phrases.fan_in(Stack(stack.type, "1", stack.hops, also=(failed("2", LOAD, "f(2)"), other, other)))

    assert phrases.counted(alike) == ["2 × KeyError, at /load.py:12 in parse", "for f(1), f(2)"]
    assert [phrases.times(same) for same in others] == [2]
    assert phrases.counted([other]) == []
    assert phrases.fan_in(stack) == ([], [])
