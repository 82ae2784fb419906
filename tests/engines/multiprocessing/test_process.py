"""``Process``: the line of its start, its failure, and the lock that a fork among threads may leave held."""

from __future__ import annotations

import multiprocessing.util
import os
import threading
from types import ModuleType, SimpleNamespace

import pytest

from autotb import surface
from autotb.engines.multiprocessing import process
from autotb.postmortem import status_reader


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(process, "_forked", {})
    monkeypatch.setattr(process, "_tidied", {})
    monkeypatch.setattr(multiprocessing.util, "Finalize", lambda *args, **kwargs: None)


class Child:
    """As ``BaseProcess``, once it was started."""

    pid = 5

    def __init__(self, method="fork", run=None):
        self._popen = SimpleNamespace(method=method)
        self.run = run or (lambda: None)


def started(self):
    return "started"


started.__module__ = "multiprocessing.process"


def start(child):
    """As the code that stands in for ``start`` calls the wrapper."""
    return process.wrap_start(started)(child)


def test_the_line_of_the_start_is_remembered_on_the_process():
    child = Child()
    assert start(child) == "started"

    assert (child._autotb_started["path"], child._autotb_started["name"]) == (
        __file__,
        "test_the_line_of_the_start_is_remembered_on_the_process",
    )
    assert child._autotb_begun > 0


def test_a_process_that_takes_no_attributes_is_started_all_the_same():
    class Slotted:
        __slots__ = ()

    assert start(Slotted()) == "started"


def test_what_children_leave_behind_is_tidied_up_once_in_each_process(monkeypatch):
    told = []
    util = ModuleType("util")
    util.Finalize = lambda *args, exitpriority: told.append(exitpriority)
    for _ in range(2):
        process._tidy_at_the_end(util)
    assert told == [-1_000]

    monkeypatch.setattr(os, "getpid", lambda: 6)
    process._tidy_at_the_end(util)
    assert len(told) == 2


@pytest.fixture
def other_thread():
    """One of the program's, which runs at this moment."""
    ends = threading.Event()
    thread = threading.Thread(target=lambda: ends.wait(), name="another")
    thread.start()
    yield
    ends.set()
    thread.join()


def test_threads_at_a_fork_are_noted(other_thread):
    start(Child())

    assert "another" in process._forked[5]
    assert "MainThread" not in process._forked[5]  # which forks


def test_daemons_that_still_run_at_the_end_are_seen_to(monkeypatch):
    told = []
    monkeypatch.setattr(process, "_tidy_at_the_end", told.append)
    start(Child())

    assert told == [multiprocessing.util]


def test_a_process_that_is_no_fork_has_none_of_their_locks(other_thread):
    start(Child("spawn"))

    assert process._forked == {}


def trace(kind="TimeoutError"):
    return SimpleNamespace(root_cause=SimpleNamespace(type=kind))


@pytest.fixture
def waiting(monkeypatch):
    """A worker that was forked among threads and waits for a lock."""
    process._forked[5] = ["one", "two", "three", "four"]
    left = SimpleNamespace(running=True, seconds=3.0, text="work(1)")
    monkeypatch.setattr(status_reader, "of", lambda pid: left)
    monkeypatch.setattr(status_reader, "is_dead", lambda pid: False)
    monkeypatch.setattr(process, "_at_a_futex", lambda pid: True)
    return left


def test_a_worker_that_waits_for_a_lock_is_told_with_the_threads(waiting):
    found = process.waits_for_a_lock(trace())

    assert found == {"pid": "5", "call": "work(1)", "seconds": "3.0 s", "threads": "one, two, three, …"}
    assert "work(1), which began 3.0 s ago" in process.FORKED.format(**found)


@pytest.mark.parametrize("case", ["another error", "idle", "just begun", "dead", "busy", "none forked"])
def test_where_that_is_not_known_nothing_is_said(waiting, monkeypatch, case):
    if case == "idle":
        waiting.running = False
    elif case == "just begun":
        waiting.seconds = 0.5
    elif case == "dead":
        monkeypatch.setattr(status_reader, "is_dead", lambda pid: True)
    elif case == "busy":
        monkeypatch.setattr(process, "_at_a_futex", lambda pid: False)
    elif case == "none forked":
        process._forked.clear()

    assert process.waits_for_a_lock(trace("ValueError" if case == "another error" else "TimeoutError")) is None


def fails(kind):
    def run():
        raise kind("x")

    return run


def bootstrap(self):
    """As the engine's, which prints what ``run`` raises."""
    try:
        self.run()
    except SystemExit as error:
        return error.code
    except BaseException as error:
        return type(error)
    return 0


@pytest.fixture
def shown(monkeypatch):
    """What was shown; whether that can be done is its first item."""
    found = [True]

    def process_failed(error, child):
        found.append((type(error), child))
        return found[0]

    monkeypatch.setattr(surface, "events", SimpleNamespace(process_failed=process_failed))
    return found


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_failed_run_is_shown_and_ends_as_it_would_have(shown, kind):
    child = Child(run=fails(kind))

    assert process.wrap_bootstrap(bootstrap)(child) == 1
    assert shown[1:] == [(kind, child)]


def test_what_cannot_be_shown_is_the_engines_to_print(shown):
    shown[0] = False

    assert process.wrap_bootstrap(bootstrap)(Child(run=fails(ValueError))) is ValueError


@pytest.mark.parametrize(("run", "code"), [(fails(SystemExit), "x"), (lambda: 3, 0)])
def test_an_exit_and_a_success_are_none_of_ours(shown, run, code):
    assert process.wrap_bootstrap(bootstrap)(Child(run=run)) == code
    assert shown == [True]


def test_a_process_that_takes_no_run_is_the_engines(shown):
    class Fixed:
        @property
        def run(self):
            return fails(ValueError)

    assert process.wrap_bootstrap(bootstrap)(Fixed()) is ValueError


def test_a_child_is_told_the_name_of_a_notebooks_cell(monkeypatch):
    from autotb.record import sources

    monkeypatch.setattr(sources, "namers", [lambda path: "Cell In[3]" if path == "/tmp/ipykernel_7/1.py" else ""])

    told = [process._place({"path": path, "line": 2, "name": "<module>"}) for path in ("/tmp/ipykernel_7/1.py", "/job.py")]

    assert [place["path"] for place in told] == ["Cell In[3]", "/job.py"]
    assert process._place(None) is None
