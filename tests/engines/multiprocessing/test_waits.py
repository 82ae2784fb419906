"""A wait for a job of a pool that times out says which of its tasks run, where and since when, or what keeps the workers busy."""

from __future__ import annotations

import pickle
import re
from multiprocessing import TimeoutError
from multiprocessing.pool import ThreadPool

import pytest

from autotb.engines.multiprocessing import driver
from autotb.instrument import waiting

PROGRAM = """
import multiprocessing
import sys
from multiprocessing.pool import ThreadPool


def given(*events):
    global begun, go
    begun, go = events


def hold(number, password="secret"):
    begun.release()
    go.wait(60)
    return number


def one(pool):
    result = pool.apply_async(hold, (1,))
    begun.acquire()
    return result.get(timeout=0.01)


def many(pool):
    results = pool.map_async(hold, [1, 2, 3, 4], chunksize=1)
    begun.acquire(), begun.acquire()
    return results.get(0.01)


def iterated(pool):
    results = pool.imap(hold, [1, 2])
    begun.acquire(), begun.acquire()
    return results.next(timeout=0.01)


def queued(pool):
    pool.map_async(hold, [1, 2], chunksize=1)
    begun.acquire(), begun.acquire()
    return pool.apply_async(hold, (3,)).get(timeout=0.01)


def caught(pool):
    try:
        one(pool)
    except multiprocessing.TimeoutError as error:
        raise RuntimeError("the night is over") from error


if __name__ == "__main__":
    events = multiprocessing.Semaphore(0), multiprocessing.Event()
    given(*events)
    kind = {"processes": multiprocessing.Pool, "threads": ThreadPool}[sys.argv[1]]
    with kind(2, initializer=given, initargs=events) as pool:
        try:
            globals()[sys.argv[2]](pool)
        finally:
            if sys.argv[1] == "threads":
                import threading

                threading.Timer(0.2, events[1].set).start()  # a pool of threads that is left waits for them
"""
RUNS = {
    "processes": r"hold\({number}\), for \d+\.\d s, pid \d+",
    "threads": r"hold\(number={number}, password=\*\*\*\), at \S*main\.py:\d+ in hold, in thread Thread-\d+ \(?\w+\)?",
}
WAYS = {"one": (1,), "many": (1, 2), "iterated": (1, 2), "caught": (1,)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", RUNS)
def test_it_is_told_what_runs(shows, kind, way):
    asks = {"many": "many", "iterated": "iterated"}.get(way, "one")

    def check(ran):
        found = [line for line in ran.lines if line.startswith("running: ")]
        assert len(found) == len(WAYS[way])
        for number, line in zip(WAYS[way], sorted(found), strict=True):
            pattern = RUNS[kind].format(number=number)
            assert re.fullmatch(rf"running: {pattern}, submitted at \S*main\.py:\d+ in {asks}", line), line

    ran = shows(PROGRAM, check, kind, way)
    assert ran.status == 1


@pytest.mark.parametrize("kind", RUNS)
def test_it_is_told_what_keeps_the_workers_busy(shows, kind):
    def check(ran):
        busy = "; ".join(RUNS[kind].format(number=number) for number in (r"[12]", r"[12]"))
        pattern = rf"not started: a task, each worker is busy: {busy}, submitted at \S*main\.py:\d+ in queued"
        assert any(re.fullmatch(pattern, line) for line in ran.lines)

    shows(PROGRAM, check, kind, "queued")


def test_a_job_that_ended_meanwhile_is_said_to_be_done():
    error = TimeoutError()
    with ThreadPool(1) as pool:
        job = pool.apply_async(int)
        job.wait()
        waiting.note_asked(error, job)
        opened = driver.opened(error)
    assert opened is not None
    assert opened.broken[0].startswith("done by now: a task, submitted at ")


def test_a_job_is_done_when_those_that_wait_are_waked(monkeypatch):
    """It lets go of its pool a moment later."""
    error = TimeoutError()
    with ThreadPool(1) as pool:
        job = pool.apply_async(int)
        job.wait()
        monkeypatch.setattr(job, "_pool", pool)
        waiting.note_asked(error, job)
        opened = driver.opened(error)
    assert opened is not None
    assert opened.broken[0].startswith("done by now: a task, submitted at ")


def test_the_job_is_not_kept_alive_nor_pickled():
    error = TimeoutError("no")
    with ThreadPool(1) as pool:
        job = pool.apply_async(int)
        job.wait()
        waiting.note_asked(error, job)
        assert waiting.asked(pickle.loads(pickle.dumps(error))) is None
        assert waiting.asked(error) is job
        del job
    assert waiting.asked(error) is None
    assert driver.opened(error) is None
