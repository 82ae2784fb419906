"""The calls of a step, cut into chunks; what workers hand back is sent again."""

from __future__ import annotations

import time
from concurrent.futures import Future

import pytest

from autotb import Flow, step
from autotb.flow import flights
from autotb.flow.execute import Task
from autotb.flow.messages import Took
from tests.flow.calls import Here, double, invert


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
    assert flights.is_alike(Task((), SAME, mine, [0]), Task((), kwargs, theirs, [1])) is is_alike


def test_calls_in_one_chunk_keep_their_order():
    task = Task(([1], [10]), {}, None, [0])
    task.add(Task(([2], [20]), {}, None, [1]))

    assert (task.columns, task.ats) == (([1, 2], [10, 20]), [0, 1])


def sizes(executor):
    return [len(args[1][0]) for args in executor.calls]


def test_one_call_at_first_then_as_many_as_take_a_fraction_of_a_second():
    executor = Here()
    flow = Flow(executor, progress=False)
    out = flow.map(double, range(20_000))
    assert flow.run()[out] == list(range(0, 40_000, 2))
    assert sizes(executor)[0] == 1
    assert max(sizes(executor)) > 20
    assert sum(sizes(executor)) == 20_000


def test_slow_calls_go_one_by_one():
    def slow(x):
        time.sleep(0.25)
        return x

    executor = Here()
    flow = Flow(executor, progress=False)
    out = flow.map(slow, range(4))
    assert flow.run()[out] == [0, 1, 2, 3]
    assert sizes(executor) == [1] * 4


class Hands(Here):
    """Makes the first calls of a chunk and hands the others back."""

    def submit(self, function, *args):
        self.calls.append(args)
        columns, ats = tuple([column[:3] for column in args[1]]), args[5]
        future = Future()
        took = function(args[0], columns, *args[2:5], ats[:3] if ats is not None else None, *args[6:])
        future.set_result(Took(took.results, 1e-6))
        return future


@pytest.mark.parametrize("kept", [None, True, False], ids=["memory", "folder", "folder only"])
@pytest.mark.parametrize("mode", ["raise", "continue"])
@pytest.mark.parametrize("looks", ["together", "alone"])
def test_calls_that_are_handed_back_are_made_once(tmp_path, kept, mode, looks):
    made = []

    def counted(x, of=0):
        made.append(x)
        return 10 / (x if mode == "continue" else x + 1)

    options = {} if kept is None else {"run_folder": tmp_path / "run", "return_results": kept}
    options |= {"cache": {}} if looks == "alone" else {}
    flow = Flow(Hands(), error_handling=mode, progress=False, **options)
    out = flow.map(step(counted, cache="c" if looks == "alone" else False), range(100))
    results = list(flow.run()[out])
    assert sorted(made) == list(range(100))
    assert results[1:] == [10 / (x if mode == "continue" else x + 1) for x in range(1, 100)]


def test_a_chunk_that_the_user_asked_for_is_sent_whole_however_long_it_takes():
    executor = Here()
    flow = Flow(executor, error_handling="continue", progress=False)
    flow.map(step(invert, chunksize=7), [1] * 20)
    flow.run()
    assert sizes(executor) == [7, 7, 6]
    assert {args[7].seconds for args in executor.calls} == {None}
