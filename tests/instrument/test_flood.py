"""A failure takes the short way only where it is like one that took the long way, in every respect that is told."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest

from autotb import engine_facts, settings
from autotb.instrument import failure_kinds, flood, unretrieved
from autotb.record import callsite
from autotb.record.capture import KEY, VERSION


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    monkeypatch.setattr(settings, "switch", lambda name: name != "keep_inputs")
    monkeypatch.setattr(flood, "_lines", {})
    monkeypatch.setattr(flood, "Watch", lambda *args: args)
    monkeypatch.setattr(unretrieved, "is_wanted", lambda exc: True)
    failure_kinds.forget()
    yield
    failure_kinds.forget()


def work(exc):
    raise exc


def elsewhere(exc):
    raise exc


def run(exc, function=work):
    """As the engine's function of that name: it catches what the task raises; its frame is the outermost of the traceback."""
    try:
        function(exc)
    except BaseException as error:
        return error, sys._getframe()


def submitted():
    """A future with the line on which it was submitted."""
    return Future(callsite.here(1))


def submitted_by_an_engine():
    future = submitted()
    future._autotb_site = callsite.in_batch(future._autotb_site, None, by_user=False)
    return future


class Future:
    def __init__(self, site):
        self._autotb_site, self._done_callbacks = callsite.in_batch(site, None, by_user=True), []


BASE = {"live": True}


def failed(exc=None, function=work):
    error, frame = run(exc or ValueError(), function)
    error.__dict__[KEY] = (VERSION, BASE, None)
    return error, frame


def learnt():
    future = submitted()
    error, frame = failed()
    flood.learn(future, error, frame)
    return future


def test_one_that_is_like_the_one_before_takes_the_short_way():
    learnt()
    error, _ = run(ValueError())
    future = submitted()

    assert flood.took(future, error)
    exc, site, kind, record = future._autotb_watch
    assert (exc, site, kind.type, record) == (error, future._autotb_site, "ValueError", (VERSION, BASE, None))


def test_nothing_that_was_not_learnt_takes_it():
    assert not flood.took(submitted(), run(ValueError())[0])


@pytest.mark.parametrize("case", ["type", "line", "cause", "context", "callback", "no site"])
def test_one_that_differs_takes_the_long_way(case):
    learnt()
    future = submitted()
    error, _ = run(KeyError() if case == "type" else ValueError(), elsewhere if case == "line" else work)
    if case == "cause":
        error.__cause__ = KeyError()
    elif case == "context":
        error.__context__ = KeyError()
    elif case == "callback":
        future._done_callbacks.append(print)
    elif case == "no site":
        del future._autotb_site

    assert not flood.took(future, error)


def test_one_that_was_submitted_at_another_line_takes_the_long_way():
    learnt()
    here = Future(callsite.here(1))

    assert not flood.took(here, run(ValueError())[0])


def test_one_of_another_thread_takes_the_long_way():
    learnt()
    error, _ = run(ValueError())
    found, future = [], submitted()
    thread = threading.Thread(target=lambda: found.append(flood.took(future, error)))
    thread.start()
    thread.join()

    assert found == [False]


def test_a_thread_that_was_renamed_is_told_anew(monkeypatch):
    learnt()
    monkeypatch.setattr(threading.current_thread(), "_name", "renamed")

    assert not flood.took(submitted(), run(ValueError())[0])


@pytest.mark.parametrize(
    "case", ["whole record", "not live", "no traceback", "another function", "cause", "kept inputs", "unwanted"]
)
def test_what_is_told_in_full_teaches_nothing(monkeypatch, case):
    error, frame = failed()
    if case == "whole record":
        error.__dict__[KEY] = {"v": VERSION, "hops": []}
    elif case == "not live":
        error.__dict__[KEY] = (VERSION, {}, None)
    elif case == "no traceback":
        error.__traceback__ = None
    elif case == "another function":
        frame = sys._getframe()
    elif case == "cause":
        error.__cause__ = KeyError()
    elif case == "kept inputs":
        monkeypatch.setattr(settings, "switch", lambda name: True)
    elif case == "unwanted":
        monkeypatch.setattr(unretrieved, "is_wanted", lambda exc: False)
    flood.learn(submitted(), error, frame)

    assert flood._lines == {}


def test_what_is_learnt_has_a_bound(monkeypatch):
    monkeypatch.setattr(flood, "MOST", 1)
    learnt()
    future = submitted()
    flood.learn(future, *failed(function=elsewhere))

    assert len(flood._lines) == 1
    assert flood.took(submitted(), run(ValueError(), elsewhere)[0])


def test_one_that_came_from_another_process_is_known_by_its_record():
    base = {"type": "ValueError", "frames": [{"path": "/w.py", "line": 1, "name": "f"}]}
    first, second = ValueError(), ValueError()
    for exc in first, second:
        exc.__dict__[KEY] = (VERSION, base, None)
    future = submitted()
    assert not flood.took(future, first)

    kind = failure_kinds.of(first)
    assert flood.took(future, second)
    assert future._autotb_watch == (second, future._autotb_site, kind)


def test_one_that_an_engine_has_submitted_takes_the_long_way():
    future = submitted_by_an_engine()
    flood.learn(future, *failed())
    assert flood._lines == {}

    learnt()
    assert not flood.took(submitted_by_an_engine(), run(ValueError())[0])


def test_a_future_of_which_nothing_is_known_takes_the_long_way():
    learnt()

    assert not flood.took(SimpleNamespace(_done_callbacks=[]), run(ValueError())[0])
