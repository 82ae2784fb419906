"""What a failed task of Dask's had called, read from the frames of Dask's own that stand before the user's."""

from __future__ import annotations

import json
import operator

import pytest

from autotb.engines import dask_calls


def share(value):
    value = float(value)
    return 1 / value


def traceback_of(bag):
    """Its traceback in the bag's one thread, of which Dask shows the program less."""
    import dask

    with dask.config.set({"admin.traceback.shorten": []}), pytest.raises(Exception, match=".") as raised:
        bag.compute(scheduler="synchronous")
    return raised.value.__traceback__


def in_task(tb):
    while tb.tb_frame.f_code.co_name != "execute_task":
        tb = tb.tb_next
    while tb.tb_next.tb_frame.f_code.co_name != "__call__":  # as it is raised once more
        tb = tb.tb_next
    return tb


@pytest.mark.parametrize(
    ("function", "items", "call", "applied"),
    [
        (json.loads, ["{bad"], "loads(s='{bad')", "json:loads"),
        (operator.itemgetter("a"), [{}], "<operator.itemgetter object>({})", "operator:<operator.itemgetter object>"),
        (str.upper, [7], "str.upper(7)", "builtins:str.upper"),
        (share, [0], "share(value=0)", f"{__name__}:share"),
    ],
)
def test_what_a_bag_applied_to_an_element(function, items, call, applied):
    bags = pytest.importorskip("dask.bag")
    tb = in_task(traceback_of(bags.from_sequence(items, npartitions=1).map(function)))

    assert dask_calls.applied(tb) == applied
    assert dask_calls.of(tb) == call


def test_a_task_that_makes_a_list_of_what_others_give_is_no_call():
    bags = pytest.importorskip("dask.bag")
    tb = in_task(traceback_of(bags.from_sequence([{}], npartitions=1).pluck("a")))

    assert dask_calls.applied(tb) is None
    assert dask_calls.of(tb) is None
