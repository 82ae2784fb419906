"""``map``: values, errors as values, errors raised, on real executors."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import pytest

import autotb
from autotb.flow.mapping import map as flow_map
from autotb.flow.mapping import map_async
from autotb.flow.snapshots import ErrorSnapshot, PropagatedErrorSnapshot
from tests.flow.calls import Here, add, double, interrupted, invert, locks


def dies(x):
    if x == 2:
        os._exit(3)
    return x


EXECUTORS = ["threads", "processes", "thread pool", "spawned"]


@pytest.fixture(params=EXECUTORS)
def executor(request):
    if request.param == "thread pool":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif request.param == "spawned":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
    else:
        yield request.param


@pytest.mark.behaviour("S2-63")
@pytest.mark.parametrize("chunksize", [None, 1, 10])
def test_an_error_stands_in_the_place_of_its_call(executor, chunksize):
    values = flow_map(
        invert, [*range(1, 5), 0, *range(5, 10)], executor=executor, error_handling="continue", chunksize=chunksize, scale=2
    )

    assert values[:4] == [2 / x for x in range(1, 5)]
    assert values[5:] == [2 / x for x in range(5, 10)]
    error = values[4]
    assert isinstance(error, ErrorSnapshot)
    assert error.function is invert
    assert error.kwargs == {"x": 0, "scale": 2}
    assert invert.error_snapshot is error
    trace = autotb.explain(error.exception)
    assert trace.frames[-1].name == "invert"
    assert "invert(x=0, scale=2)" in str(trace)
    with pytest.raises(ZeroDivisionError):
        error.reproduce()


def test_raise_mode_raises_the_error_itself_once_told(executor, capfd):
    with pytest.raises(ZeroDivisionError) as caught:
        flow_map(invert, [1, 0, 2], executor=executor)

    assert invert.error_snapshot.exception is caught.value
    assert invert.error_snapshot.kwargs == {"x": 0}
    assert capfd.readouterr().err.count("error_snapshot.reproduce()") == 1


def test_errors_among_the_inputs_are_passed_on_one_by_one(executor):
    first = flow_map(invert, [1, 0, 2], executor=executor, error_handling="continue")
    second = flow_map(double, first, executor=executor, error_handling="continue")

    assert (second[0], second[2]) == (2, 1)
    assert isinstance(second[1], PropagatedErrorSnapshot)
    assert second[1].reason == "input_is_error"
    assert second[1].get_root_causes() == [first[1]]
    third = flow_map(add, [1, 1, 1], second, executor=executor, error_handling="continue")
    assert third[1].get_root_causes() == [first[1]]


def test_nothing_is_submitted_for_calls_that_are_not_made():
    errors = flow_map(invert, [0, 0], error_handling="continue")
    executor, told = Here(), []
    values = flow_map(
        double,
        [*errors, 3],
        executor=executor,
        error_handling="continue",
        chunksize=1,
        progress=lambda *counts: told.append(counts),
    )
    assert len(executor.calls) == 1
    assert values[2] == 6
    assert told == [(2, 0, 2, 3), (3, 0, 2, 3)]


def test_a_product_is_nested():
    assert flow_map(add, [1, 2], [10, 20, 30], product=True) == [[11, 21, 31], [12, 22, 32]]
    assert flow_map(add, [], [1], product=True) == []
    values = flow_map(invert, [0, 1], [1, 2], product=True, error_handling="continue")
    assert values[1] == [1, 2]
    assert all(isinstance(value, ErrorSnapshot) for value in values[0])


def test_a_result_that_cannot_be_pickled_is_the_users_error():
    values = flow_map(locks, [1, 2, 3], executor="processes", error_handling="continue", chunksize=3)
    assert (values[0], values[2]) == (1, 3)
    assert "cannot pickle" in str(values[1].exception)


@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_a_broken_pool_is_loud_in_both_modes(mode):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(BrokenProcessPool):
        flow_map(dies, [1, 2, 3], executor=pool, error_handling=mode)


@pytest.mark.parametrize("mode", ["raise", "continue"])
@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda **o: flow_map(3, [1], **o), TypeError, "map takes a function first"),
        (lambda **o: flow_map(double, **o), TypeError, "at least one iterable after the function$"),
        (lambda **o: flow_map(double, x=[1], **o), TypeError, "x=…, given by name, is the same for all calls"),
        (lambda **o: flow_map(double, 3, **o), TypeError, "double: map takes iterables, not 3; give constants by name"),
        (lambda **o: flow_map(double, [1], on_error="drop", **o), TypeError, r"autotb.step\(double, on_error=…\)"),
        (lambda **o: flow_map(add, [1], [1, 2], **o), ValueError, "different lengths: 1, 2"),
        (lambda **o: flow_map(double, [1], executor="gpu", **o), TypeError, "executor is a concurrent.futures.Executor, "),
        (lambda **o: flow_map(double, [1], chunksize=0, **o), ValueError, "chunksize is a number of calls"),
    ],
)
def test_wrong_use_is_an_error_in_both_modes(mode, call, kind, says):
    with pytest.raises(kind, match=says):
        call(error_handling=mode)


@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_an_interruption_ends_the_run(mode):
    with pytest.raises(KeyboardInterrupt):
        flow_map(interrupted, [1, 2], error_handling=mode)


@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_the_async_form_does_the_same(executor, mode):
    async def main():
        return await map_async(invert, [1, 0, 2], executor=executor, error_handling=mode)

    if mode == "raise":
        with pytest.raises(ZeroDivisionError):
            asyncio.run(main())
    else:
        values = asyncio.run(main())
        assert (values[0], values[2]) == (1, 0.5)
        assert values[1].kwargs == {"x": 0}
