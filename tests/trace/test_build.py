"""From an exception, or from a record or a worker's text that travelled, to a story."""

from __future__ import annotations

import os

import pytest

from autotb.record import annotate, capture
from autotb.record import build as records
from autotb.trace import build
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack

TEXT = 'Traceback (most recent call last):\n  File "/w.py", line 3, in score\n    1 / 0\nZeroDivisionError: division by zero\n'


def caught(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error


def fails(depth=0):
    secret_value = 42  # noqa: F841
    if depth:
        fails(depth - 1)
    raise ValueError("no")


def tree(**more):
    return {"type": "E", "message": "m", "hops": [], **more}


def of_frame(path="/gone.py", line=5, **more):
    return build.from_tree(tree(hops=[{"frames": [{"path": path, "line": line, "name": "f", **more}]}])).frames[0]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mod.py"
    path.write_text("".join(f"line {number}\n" for number in range(1, 21)))
    return str(path)


def test_a_live_exception_has_its_frames_from_the_outermost_on():
    trace = build.build(caught(fails, 2))

    assert [frame.name for frame in trace.frames] == ["caught", "fails", "fails", "fails"]


def test_a_traceback_that_is_given_stands_for_the_exceptions_own():
    error = caught(fails, 2)

    assert [frame.name for frame in build.build(error, error.__traceback__.tb_next.tb_next).frames] == ["fails", "fails"]


def test_a_story_knows_its_process():
    trace = build.build(ValueError())

    assert (trace.pid, trace.host) == (os.getpid(), os.uname().nodename)


def test_a_story_from_elsewhere_names_its_process():
    trace = build.from_elsewhere(Trace(Stack("E", ""), host="here", pid=7, heading="Process 1:"))

    assert (trace.pid, trace.heading) == (None, "Process 1:")


def test_an_error_that_no_hint_can_be_found_for_is_told_without(monkeypatch):
    monkeypatch.setattr(build.hints, "of", lambda _: 1 / 0)

    assert build.build(ValueError("x")).stack.headline == "ValueError: x"


def test_the_root_alone_costs_no_frames():
    error = caught(fails)
    outer = RuntimeError("outer")
    outer.__cause__ = error

    root = build.root_of(outer)

    assert (root.headline, root.hops) == ("ValueError: no", ())


def test_a_record_of_a_later_version_is_ignored():
    error = ValueError("x")
    error.__dict__[capture.KEY] = {"v": 99, "hops": "something else"}

    assert build.build(error).stack.headline == "ValueError: x"


def test_a_record_that_travelled_is_the_last_hop():
    error, place = ValueError("no"), records.hop("test", "in a test", call="fails()")
    worker = caught(fails)
    annotate.attach(error, records.record(worker, worker.__traceback__, place))

    hop = build.build(error).stack.hops[-1]

    assert (hop.where, hop.call, [frame.name for frame in hop.frames]) == ("in a test", "fails()", ["caught", "fails"])


@pytest.mark.parametrize(("record", "type_", "message"), [({}, "<unknown>", ""), ({"type": "E", "message": None}, "E", "")])
def test_a_record_that_tells_nothing_is_a_story_all_the_same(record, type_, message):
    stack = build.from_tree(record).stack

    assert (stack.type, stack.message) == (type_, message)


def test_frames_that_are_left_out_are_a_gap():
    stack = build.from_tree(tree(hops=[{"frames": [{"omitted": 7}, {"repeated": 9, "cycle": 2}]}])).stack

    assert stack.hops[0].frames == (Gap(omitted=7), Gap(repeated=9, cycle=2))


@pytest.mark.parametrize(
    ("columns", "span", "end"),
    [
        ({}, None, None),
        ({"col": 2, "end_col": 6, "end_line": 5}, (2, 6), None),
        ({"col": 2, "end_col": 6, "end_line": 7}, (2, 1_000_000), (7, 6)),  # to the end of its line, and beyond
    ],
)
def test_where_an_expression_ends(columns, span, end):
    frame = of_frame(**columns)

    assert (frame.span, frame.end) == (span, end)


def test_lines_that_did_not_travel_are_read_here(file):
    assert of_frame(file).source == tuple((number, f"line {number}") for number in range(2, 9))


@pytest.mark.parametrize("kind", ["engine", "own"])
def test_no_lines_are_read_for_frames_that_are_hidden(file, kind):
    assert of_frame(file, kind=kind).source == ()


def test_lines_that_travelled_are_completed_from_a_file_that_agrees(file):
    assert of_frame(file, source=[5, ["line 5"]]).source == tuple((number, f"line {number}") for number in range(2, 9))


def test_lines_that_travelled_stand_where_the_file_here_is_another(file):
    assert of_frame(file, source=[4, ["other 4", "other 5"]]).source == ((4, "other 4"), (5, "other 5"))


def test_more_lines_travelled_than_are_wanted():
    lines = [f"line {number}" for number in range(1, 21)]

    assert [number for number, _ in of_frame(source=[1, lines]).source] == list(range(2, 9))


def test_a_line_beyond_the_end_of_the_file_shows_none(file):
    assert of_frame(file, line=21).source == ()


@pytest.mark.parametrize("path", ["<string>", "no/such/file.py"])
def test_a_path_of_no_file_here_stays_as_it_is(path):
    assert of_frame(path).path == path


def test_a_relative_path_of_a_file_here_is_made_absolute(file, monkeypatch):
    monkeypatch.chdir(os.path.dirname(file))

    assert of_frame("mod.py").path == file


def test_a_workers_text_is_a_hop_of_its_own():
    stack = build.from_tree(tree(type="ZeroDivisionError", message="division by zero", text=TEXT, where="in a far worker")).stack

    assert [(hop.where, [frame.name for frame in hop.frames]) for hop in stack.hops] == [("in a far worker", ["score"])]


def test_a_workers_text_of_another_error_is_the_cause():
    stack = build.from_tree(tree(text=TEXT)).stack

    assert (stack.headline, stack.cause.headline) == ("E: m", "ZeroDivisionError: division by zero")


def test_what_a_worker_could_not_send_on_ran_in_no_further_worker():
    """A pool inside of a worker: the text is that of its thread."""
    unsent = {"frames": [], "call": "pow(<lock>, 2)", "submitted": {"path": "/a.py", "line": 6, "name": "score"}}
    record = tree(
        type="ZeroDivisionError",
        message="division by zero",
        text=TEXT,
        culprit="args[0] → _thread.lock",
        hops=[{"where": "in a process-pool worker", "frames": []}, unsent],
    )
    hops = build.from_tree(record).stack.hops

    assert [hop.where for hop in hops] == ["in a process-pool worker", ""]
    assert hops[1].call == "pow(<lock>, 2)"


def test_a_workers_text_takes_the_place_of_the_empty_hop_that_was_submitted():
    place = {"path": "/main.py", "line": 3, "name": "main"}
    record = tree(type="ZeroDivisionError", message="division by zero", text=TEXT, hops=[{"frames": [], "submitted": place}])

    (hop,) = build.from_tree(record).stack.hops

    assert (hop.submitted, [frame.name for frame in hop.frames]) == (Place("/main.py", 3, "main"), ["score"])


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("no traceback", ("in a worker:\nno traceback",)),
        ("first\n\nEnd: m", ("in a worker:\nfirst\nEnd: m",)),
        ("it says\nm", ()),  # which the message says already
        ("\n".join("0123456789"), ("in a worker:\n" + "\n".join("23456789"),)),
    ],
)
def test_a_workers_text_that_is_no_traceback_is_a_note(text, notes):
    assert build.from_tree(tree(text=text)).stack.notes == notes


CALL = {
    "where": "in a worker",
    "call": "score(1, 2)",
    "submitted": {"path": "/main.py", "line": 3, "name": "main"},
    "frames": [{"path": "/pool.py", "line": 1, "name": "run", "kind": "engine"}],
}


def call_that_does_not_fit(**more):
    return build.from_tree(tree(type="TypeError", message="score() takes 1 positional argument", hops=[{**CALL, **more}])).stack


def test_a_call_that_does_not_fit_is_shown_at_the_line_that_submitted_it():
    stack = call_that_does_not_fit()

    assert stack.frames[-1] == Frame("/main.py", 3, "main")
    assert (stack.hops[0].where, stack.hops[-1]) == ("", Hop(call="score(1, 2)"))


@pytest.mark.parametrize(
    "other",
    [
        {"call": "other(1)"},
        {"submitted": None},
        {"where": ""},
        {"frames": [{"path": "/main.py", "line": 1, "name": "score", "kind": "user"}]},
    ],
)
def test_a_call_inside_the_task_that_does_not_fit_stays_there(other):
    stack = call_that_does_not_fit(**other)

    assert len(stack.hops) == 1
    assert len(stack.frames) == 1
