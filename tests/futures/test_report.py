"""What is said of one failed future, whatever its error is made of."""

from __future__ import annotations

import pytest

from autotb.futures import report
from autotb.trace.model import Trace
from autotb.trace.parts import Hop, Stack

TRACE = Trace(Stack("pkg.Odd", "no"))


class Hostile(Exception):
    def __getattribute__(self, name):
        raise SystemExit(name)

    def __dir__(self):
        raise SystemExit("dir")


class NoText:
    def __str__(self):
        raise RuntimeError("no")


class Text(str):
    def __str__(self):
        return self


def error(**attributes):
    made = ValueError("x")
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def fails():
    raise ValueError("x")


def test_the_report_in_its_order():
    trace = Trace(Stack("pkg.Odd", "no"), hints=("hint: look",), kept="/k.json")
    lines = report.text("run 1", error(stdout="said\n"), trace, cancelled=True).split("\n")

    assert lines[:5] == ["[run 1] FAILED in worker:", "pkg.Odd: no", "---- WORKER STDOUT ----", "said", "Exception type: Odd"]
    assert lines[6:] == ["The future was cancelled: it has no result.", "hint: look", "kept in /k.json"]


def test_a_task_that_could_not_be_sent_is_not_told_as_a_workers():
    unsent = Stack("TypeError", "cannot pickle", (Hop(call="f(x)"),), unsent=True)
    arrived = Stack("TypeError", "cannot pickle", (Hop(where="in a worker process"),), unsent=True)

    assert report.text("it", error(), Trace(unsent)).split("\n")[0] == "[it] FAILED before it reached a worker:"
    assert report.text("it", error(), Trace(arrived)).split("\n")[0] == "[it] FAILED in worker:"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", {"stdout": "text"}),
        (b"a\xff", {"stdout": "a\ufffd"}),
        ("", {}),
        (None, {}),
        (3, {}),
        (bytearray(b"b"), {"stdout": "b"}),
    ],
)
def test_outputs_that_are_texts_are_told(value, said):
    assert report._outputs_of(error(stdout=value)) == said


def test_an_error_that_answers_for_itself_ends_nothing():
    text = report.text("run", Hostile(), TRACE)

    assert "'args'" in text.split("Exception attributes: ")[1]
    assert "WORKER" not in text


def test_no_control_character_of_an_output_is_obeyed():
    assert "\\x1b[2J" in report.text("run", error(stderr="\x1b[2J"), TRACE)


@pytest.mark.parametrize(("stack", "says"), [(Stack("pkg.Odd", "no"), "no"), (Stack("pkg.Odd", ""), "Odd")])
def test_the_message_is_never_empty(stack, says):
    assert report.message(stack) == says


def test_the_callers_frames_come_first():
    try:
        fails()
    except ValueError as caught:
        frames = [frame.name for frame in report.story(caught).frames]

    assert frames[-2:] == ["test_the_callers_frames_come_first", "fails"]


def test_the_record_of_a_failure():
    record = report.failed("run", error(), TRACE)

    assert {key: record[key] for key in ("name", "status", "error_type", "error_message", "traceback")} == {
        "name": "run",
        "status": "failed",
        "error_type": "Odd",
        "error_message": "no",
        "traceback": ["pkg.Odd: no\n"],
    }


def test_where_the_story_cannot_be_drawn_the_record_has_pythons_text(monkeypatch):
    monkeypatch.setattr(report, "as_text", lambda _: 1 / 0)

    assert report.failed("run", error(), TRACE)["traceback"] == ["ValueError: x\n"]


@pytest.mark.parametrize(
    ("value", "shown"), [(3, "3"), (Text("a"), "a"), (NoText(), ": its str() raised RuntimeError>")], ids=["int", "text", "none"]
)
def test_the_record_of_a_success(value, shown):
    record = report.succeeded("run", value)

    assert (record["status"], type(record["result"])) == ("success", str)
    assert record["result"].endswith(shown)
