"""When a step begins, what is submitted of it, and what that costs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

import autotb
from autotb import Flow, step
from tests.flow.calls import Here, double, invert, total


@pytest.mark.behaviour("S2-40", "S2-41")
@pytest.mark.parametrize("schedule", ["eager", "generation"])
def test_nothing_is_submitted_for_calls_that_are_not_made(schedule):
    executor, told = Here(), []
    flow = Flow(executor, error_handling="continue", schedule=schedule, progress=lambda *counts: told.append(counts))
    flow.call(total, flow.map(step(double, chunksize=1), flow.map(step(invert, chunksize=1), [1, 0, 0])))
    flow.run()
    assert [args[0] for args in executor.calls] == [invert, invert, invert, double]
    assert told[-1] == (7, 2, 3, 7)
    assert all(before[0] <= after[0] for before, after in zip(told, told[1:], strict=False))


@pytest.mark.behaviour("S2-59", "S2-60")
@pytest.mark.parametrize("schedule", ["eager", "generation"])
def test_when_a_step_begins(schedule):
    may_end, began = threading.Event(), threading.Event()

    def slow(x):
        assert may_end.wait(60)
        return x

    def after(x):
        began.set()
        return x

    flow = Flow(ThreadPoolExecutor(3), schedule=schedule, progress=False)
    flow.call(slow, 1)
    flow.call(after, flow.call(double, 1))
    runs = threading.Thread(target=flow.run)
    runs.start()
    try:
        assert began.wait(1 if schedule == "generation" else 60) == (schedule == "eager")
    finally:
        may_end.set()
        runs.join(60)
    assert began.is_set()


def test_a_cancelled_run_stops():
    begun = []

    def slow(x):
        begun.append(x)
        time.sleep(0.02)
        return x

    async def main(pool):
        flow = Flow(pool, progress=False)
        flow.map(step(slow, chunksize=1), range(1000))
        running = asyncio.ensure_future(flow.run_async())
        while not begun:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(main(pool))
    assert len(begun) < 900  # the pool has ended what it was given


FAILS = """
    import sys, time, autotb

    def slow(x):
        with open("log", "a") as file:
            file.write(f"{x}\\n")
        if x == 0:
            raise ValueError(x)
        time.sleep(0.1)
        return x

    if __name__ == "__main__":
        try:
            autotb.map(slow, range(400), executor=sys.argv[1])
        except ValueError:
            print("raised")
    """


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_an_error_stops_the_others(run, tmp_path, executor):
    ran = run(FAILS, executor)
    assert ran.stdout == "raised\n", ran.stderr
    begun = (tmp_path / "log").read_text().split()
    assert len(begun) <= 4 * (os.cpu_count() + 4)  # each worker's call, and what it had taken in hand before the error came


@pytest.mark.parametrize("schedule", ["eager", "generation"])
@pytest.mark.parametrize("form", ["chain", "side by side"])
def test_a_step_costs_the_same_however_many_there_are(schedule, form):
    def calls(count):
        flow = Flow(Here(), schedule=schedule, progress=lambda *_: None)
        called = 0

        def count_it(frame, event, arg):
            nonlocal called
            called += 1

        sys.setprofile(count_it)
        try:
            last = 1
            for _ in range(count):
                out = flow.call(double, last)
                last = out if form == "chain" else 1
            results = flow.run()
        finally:
            sys.setprofile(None)
        assert len(results) == count
        return called / count

    calls(10)
    assert calls(800) < 1.2 * calls(200)


class Ready(Executor):
    """Has all results at once, without calling anything."""

    def submit(self, function, *args):
        future = Future()
        future.set_result([0] * len(args[1][0]))
        return future


@pytest.mark.behaviour("S2-64")
@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_no_function_is_called_for_each_element_beside_the_users(mode):

    errors = autotb.map(invert, [0], error_handling="continue", progress=False)  # so that errors are looked for

    def calls(count):
        called = 0

        def count_it(frame, event, arg):
            nonlocal called
            called += event in ("call", "c_call")

        numbers = list(range(count))
        sys.setprofile(count_it)
        try:
            autotb.map(double, numbers, executor=Ready(), error_handling=mode, chunksize=count // 4, progress=lambda *_: None)
        finally:
            sys.setprofile(None)
        return called

    calls(100)
    assert abs(calls(10_000) - calls(100)) < 20
    assert len(errors) == 1


@pytest.mark.behaviour("S2-65")
def test_the_two_savings_are_measured():
    from benchmarks import flow as benchmark

    assert benchmark._submissions().value == 0
    assert benchmark._roots().ok


def test_a_step_of_its_own_takes_few_calls_of_ours():
    def ours(count):
        seen = 0

        def look(frame, event, _):
            nonlocal seen
            seen += event == "call" and frame.f_globals.get("__name__", "").startswith("autotb.flow")

        flow = Flow("threads", progress=False)
        before = sys.getprofile()
        sys.setprofile(look)
        try:
            for at in range(count):
                flow.call(double, at)
            flow.run()
        finally:
            sys.setprofile(before)
        return seen

    assert (ours(300) - ours(100)) / 200 < 110


def test_what_a_chunk_was_given_is_not_looked_through():
    from autotb.flow import chunks
    from autotb.instrument import call_snapshot

    class Touchy:
        def __getattribute__(self, name):
            raise AssertionError(name)

    assert call_snapshot.of(chunks.run, (double, ([Touchy()],)), {}) == (None,)


def dies(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_pool_that_broke_has_to_fail_is_not_cancelled(monkeypatch, is_async):
    cancelled = []
    monkeypatch.setattr(Future, "cancel", lambda future: cancelled.append(future) or False)
    flow = Flow("processes", progress=False)
    flow.map(step(dies, chunksize=1), range(200))
    with pytest.raises(BrokenProcessPool):
        asyncio.run(flow.run_async()) if is_async else flow.run()

    assert not cancelled
