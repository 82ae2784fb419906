"""An uncaught error goes to autotb or to Python's own hook, to one of them, whatever goes wrong on the way."""

from __future__ import annotations

import pytest

from autotb import plain_errors, runtime, uncaught
from autotb.hooks import excepthook


@pytest.fixture
def seen(monkeypatch):
    """Who was called, in order."""
    found = []
    monkeypatch.setattr(runtime, "displaced", lambda *args: found.append(("python", *args)))
    monkeypatch.setattr(runtime, "report", lambda where, error: found.append((where, type(error))))
    monkeypatch.setattr(excepthook, "show_uncaught", lambda *args: found.append(("autotb", *args)))
    monkeypatch.setattr(excepthook, "keep_story", lambda *args: found.append(("kept", *args)))
    monkeypatch.setattr(plain_errors, "is_ours", lambda *args: False)
    monkeypatch.setattr(plain_errors, "keeps_stories", lambda: False)
    return found


ERROR = ValueError("no")
ARGS = (ValueError, ERROR, None)


def test_one_that_is_ours_is_shown_by_autotb_alone(seen, monkeypatch):
    monkeypatch.setattr(plain_errors, "is_ours", lambda *args: True)
    uncaught.show(*ARGS)

    assert seen == [("autotb", *ARGS)]


def test_one_that_is_not_is_shown_by_python_alone(seen):
    uncaught.show(*ARGS)

    assert seen == [("python", *ARGS)]


@pytest.mark.parametrize("args", [(1, 2, 3), (None, None, None), (ValueError, "text", None), (ValueError, ERROR, "traceback")])
def test_what_is_no_errors_goes_to_python(seen, monkeypatch, args):
    monkeypatch.setattr(plain_errors, "is_ours", lambda *args: True)
    uncaught.show(*args)

    assert seen == [("python", *args)]


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_where_it_cannot_be_decided_python_shows_it(seen, monkeypatch, kind):
    def fails(*args):
        raise kind

    monkeypatch.setattr(plain_errors, "is_ours", fails)
    uncaught.show(*ARGS)

    assert seen == [("python", *ARGS), ("loading the renderer", kind)]


def test_a_plain_error_is_kept_where_there_is_a_folder_after_it_was_shown(seen, monkeypatch):
    monkeypatch.setattr(plain_errors, "keeps_stories", lambda: True)
    uncaught.show(*ARGS)

    assert seen == [("python", *ARGS), ("kept", ERROR, None)]


def test_keeping_that_fails_is_reported(seen, monkeypatch):
    monkeypatch.setattr(plain_errors, "keeps_stories", lambda: 1 / 0)
    uncaught.show(*ARGS)

    assert seen == [("python", *ARGS), ("keeping the error", ZeroDivisionError)]
