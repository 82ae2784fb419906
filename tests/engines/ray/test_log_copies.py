"""What Ray Data and Ray Train log of an error that they raise: on the terminal without the traceback, elsewhere as ever."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from autotb.engines.ray import log_copies

RECORDED = ValueError("x")
RECORDED.__autotb__ = {"v": 1, "type": "ValueError", "message": "x", "hops": []}
TEXT = "Traceback (most recent call last):\n  File …\nValueError: x"


def shown(name, message, error=None):
    """What the handler writes of a record of Ray's; None where it writes nothing."""
    record = logging.LogRecord(name, logging.ERROR, "file.py", 1, message, None, (type(error), error, None) if error else None)
    written = []
    log_copies._wrap_emit(lambda handler, record: written.append(record))(None, record)
    assert len(written) <= 1
    return (written[0].getMessage(), written[0].exc_info is not None) if written else None


@pytest.mark.parametrize(
    ("module", "message", "expected"),
    [
        (log_copies.FULL.module, "Full stack trace:", None),
        (log_copies.ABORTS.module, "Dataset execution will now abort. More.", ("Dataset execution will now abort. More.", False)),
        (log_copies.ABORTS.module, "Ignoring this exception.", ("Ignoring this exception.", True)),
        (
            log_copies.PARTITION.module,
            f"Reduce of partition 3 failed: {TEXT}",
            ("Reduce of partition 3 failed: ValueError: x", False),
        ),
        ("other", f"Reduce of partition 3 failed: {TEXT}", (f"Reduce of partition 3 failed: {TEXT}", True)),
        (
            log_copies.POLICY.module,
            f"[FailurePolicy] RAISE\n  Source: x\nError: {TEXT}",
            ("[FailurePolicy] RAISE\n  Source: x", False),
        ),
        (log_copies.POLICY.module, f"[FailurePolicy] RETRY\nError: {TEXT}", (f"[FailurePolicy] RETRY\nError: {TEXT}", False)),
    ],
)
def test_a_copy_is_short_where_the_error_is_raised_next(module, message, expected):
    assert shown(module, message, RECORDED) == expected


def test_what_rays_daemon_says_of_an_environment_has_no_frames():
    lines = [
        "before",
        "Fails to create: Traceback (most recent call last):",
        f'  File "{logging.__file__}", line 1, in made',
        "    x()",
        "E: e",
        "",
    ]
    printed = []
    show = log_copies._wrap_print(lambda data: printed.append(data["lines"]))
    for pid in ("raylet", 7):
        show({"pid": pid, "lines": list(lines)})

    assert printed == [["before", "Fails to create: [1 engine frame hidden, AUTOTB_FRAMES=all]", "E: e", ""], lines]


def test_without_a_record_the_log_stays():
    assert shown(log_copies.FULL.module, "Full stack trace:", ValueError("x")) == ("Full stack trace:", True)


def test_a_training_functions_error_is_one_line_while_it_is_handled():
    message = f"Error in training function:\n{TEXT}"

    assert shown(log_copies.WORKER.module, message) == (message, False)
    try:
        raise ValueError("x")
    except ValueError:
        assert sys.exc_info()[1] is not None
        assert shown(log_copies.WORKER.module, message) == ("Error in training function: ValueError: x", False)


def test_noise_may_be_kept(monkeypatch):
    monkeypatch.setattr(log_copies, "noise_is_kept", lambda: True)

    assert shown(log_copies.FULL.module, "Full stack trace:", RECORDED) == ("Full stack trace:", True)


def test_a_line_of_an_error_that_the_driver_has_is_not_shown(monkeypatch):
    monkeypatch.setattr(log_copies, "_told", {})
    shown = []
    show = log_copies._wrap_print(lambda data, *more: shown.append(data["lines"]))
    line = "Exception raised in creation task: The actor died because of an error raised in its creation task: ValueError: x"
    show({"pid": 7, "lines": [line, "the user's"]}, None, False)
    log_copies.have({"type": "ValueError", "message": "x", "hops": [{"pid": 7}]})
    show({"pid": 7, "lines": [line, "the user's"]}, None, False)
    show({"pid": 7, "lines": [line]}, None, False)
    show({"pid": 8, "lines": [line]}, None, False)

    assert shown == [[line, "the user's"], ["the user's"], [line]]

    shown.clear()
    log_copies.have({"type": "ValueError", "message": "bad rows:\n\n3", "hops": [{"pid": 7}]})
    told = [line.replace("ValueError: x", "ValueError: bad rows:"), "", "3"]
    show({"pid": 7, "lines": ["", "3", *told, "3"]}, None, False)

    assert shown == [["", "3", "3"]]


def test_a_line_that_is_being_shown_comes_before_the_story(monkeypatch):
    monkeypatch.setattr(log_copies, "_told", {})
    monkeypatch.setattr(log_copies, "_MOMENT", 60)
    order, under_way, goes_on = [], threading.Event(), threading.Event()

    def slow(data, *more):
        under_way.set()
        goes_on.wait(60)
        order.append("line")

    def tell():
        log_copies.have({"type": "ValueError", "message": "x", "hops": [{"pid": 7}]})
        order.append("story")

    showing = threading.Thread(target=log_copies._wrap_print(slow), args=({"pid": 7, "lines": ["a line"]}, None, False))
    telling = threading.Thread(target=tell)
    showing.start()
    assert under_way.wait(60)
    telling.start()
    telling.join(0.2)  # without the wait it is over by then
    goes_on.set()
    showing.join(60)
    telling.join(60)
    assert order == ["line", "story"]
