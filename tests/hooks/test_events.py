"""Errors that no program will catch are shown, each kind in its words; where there is no stderr nobody claims to have."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from autotb.hooks import events
from autotb.instrument import engine_frames


def error():
    try:
        raise ValueError("x")
    except ValueError as caught:
        return caught


def thread_failed():
    caught = error()
    return events.thread_failed(
        SimpleNamespace(exc_value=caught, exc_traceback=caught.__traceback__, thread=SimpleNamespace(name="one"))
    )


def process_failed():
    return events.process_failed(error(), SimpleNamespace(name="Process-1"))


def greenlet_failed(name="g"):
    caught = error()
    return events.greenlet_failed(caught, caught.__traceback__, {}, name)


def launched_failed():
    return events.launched_failed(error())


EVERY = [thread_failed, process_failed, greenlet_failed, launched_failed, lambda: events.told_in_a_line("")]


@pytest.mark.parametrize("event", EVERY)
def test_without_a_stderr_it_is_not_shown(monkeypatch, event):
    monkeypatch.setattr(sys, "stderr", None)

    assert event() is False


@pytest.mark.parametrize(
    ("event", "heading"),
    [
        (thread_failed, "Exception in thread one:"),
        (process_failed, "Process Process-1:"),
        (greenlet_failed, "Exception in greenlet g:"),
        (lambda: greenlet_failed(""), "Exception in greenlet:"),
    ],
)
def test_a_story_says_where_it_happened(capsys, event, heading):
    assert event() is True
    said = capsys.readouterr().err.rstrip("\n").split("\n")
    assert (said[0], said[-1]) == (heading, "ValueError: x")


def test_a_thread_that_ended_by_no_exception_is_nobodys():
    assert events.thread_failed(SimpleNamespace(exc_value=None, exc_traceback=None, thread=None)) is False


def test_a_process_that_was_interrupted_while_it_waited_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(engine_frames, "has_user_frame", lambda _: False)

    assert events.process_failed(KeyboardInterrupt(), SimpleNamespace(name="P\x1b1")) is True
    assert capsys.readouterr().err == f"Process P\\x1b1, pid {os.getpid()}: KeyboardInterrupt while it waited for work\n"


def test_an_error_that_was_left_to_the_launcher_is_a_story_or_a_line(capsys):
    assert launched_failed() is True
    assert capsys.readouterr().err.endswith("ValueError: x\n")

    assert events.told_in_a_line("attempt 2: rank 1: Value\x1bError") is True
    assert capsys.readouterr().err == "attempt 2: rank 1: Value\\x1bError\n"
