"""The tasks of this process's pools are found, and their states, without anything that was kept while they ran."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from autotb.instrument import pool_tasks
from autotb.instrument.waited_tasks import DONE, NEVER, RUNNING, WAITING


@pytest.fixture
def held():
    """Futures of a pool of one thread: one that runs, and three that wait."""
    begun, go = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        yield [pool.submit(lambda *_: begun.set() or go.wait(60)), *(pool.submit(max, number, 0) for number in range(3))]
        go.set()


def states(futures):
    tasks = pool_tasks.Pools().found(futures)
    return [(task.state, task.call.partition("(")[0]) for task in tasks]


def test_threads_and_their_queue(held):
    while not held[0].running():
        pass

    assert states(held) == [(RUNNING, "<lambda>"), (WAITING, "max"), (WAITING, "max"), (WAITING, "max")]
    assert [task.more.partition(" in the")[0] for task in pool_tasks.Pools().found(held[2:])] == [
        "1 task before it",
        "2 tasks before it",
    ]


def test_a_future_of_no_pool_is_told_by_its_own_state():
    cancelled, done = Future(), Future()
    cancelled.cancel()
    done.set_result(1)

    assert states([cancelled, done]) == [(NEVER, "")]  # of the other nothing is known, not even a place
    done._autotb_site = (states.__code__, 0, None, True)
    assert states([done]) == [(DONE, "")]


def test_what_cannot_be_looked_at_is_left_out(monkeypatch, held):
    monkeypatch.setattr(pool_tasks.sys, "_current_frames", lambda: 1 / 0)

    assert states(held)[1:] == [(WAITING, "max")] * 3


def test_no_traceback_waits_for_nothing():
    assert pool_tasks.pending(None) == []
