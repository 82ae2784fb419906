"""When a step begins, what is submitted of it, and what that costs."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

import autotb
from autotb import Flow, step
from autotb.flow import scheduler
from autotb.flow.execute import Task
from tests.flow.calls import Here, double, invert, total


def node(name, *before, generation=0):
    return SimpleNamespace(name=name, predecessors=frozenset(before), generation=generation)


NODES = [node("a"), node("b"), node("c", "a", generation=1)]


@pytest.mark.parametrize(
    ("schedule", "finished", "is_ready"),
    [("eager", set(), False), ("eager", {"a"}, True), ("generation", {"a"}, False), ("generation", {"a", "b"}, True)],
)
def test_when_a_step_is_ready(schedule, finished, is_ready):
    assert scheduler.SCHEDULES[schedule](NODES[2], NODES, finished) is is_ready


class Incomparable:
    def __eq__(self, other):
        raise RuntimeError

    __hash__ = None


SAME = {}


@pytest.mark.parametrize(
    ("kwargs", "mine", "theirs", "is_alike"),
    [
        (SAME, {"GPU": 1}, {"GPU": 1}, True),
        (SAME, None, None, True),
        (SAME, {"GPU": 1}, {"GPU": 2}, False),
        ({}, None, None, False),  # other keyword arguments
        (SAME, Incomparable(), Incomparable(), False),
    ],
    ids=range(5),
)
def test_which_calls_go_in_one_chunk(kwargs, mine, theirs, is_alike):
    assert scheduler._is_alike(Task((), SAME, mine, [0]), Task((), kwargs, theirs, [1])) is is_alike


def test_calls_in_one_chunk_keep_their_order():
    task = Task(([1], [10]), {}, None, [0])
    task.add(Task(([2], [20]), {}, None, [1]))

    assert (task.columns, task.ats) == (([1, 2], [10, 20]), [0, 1])


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
