"""Inputs that workers read from the run folder themselves: what comes of it, and where the process that runs the flow reads them."""

from __future__ import annotations

import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor

import cloudpickle
import numpy
import pytest

import autotb
from autotb import ErrorSnapshot, Flow, PropagatedErrorSnapshot, step
from autotb.flow import store, stored
from autotb.flow.messages import Unread
from autotb.flow.step_inputs import Upstream
from autotb.flow.stored import Stored
from autotb.record import safe_repr
from tests.flow.calls import Here, add, double


def made(x):
    if x == 3:
        raise ValueError(x)
    return [x] * 3


def length(values):
    if values == [5] * 3:
        raise KeyError(values[0])
    return sum(values)


def flow_of(folder, executor="threads", **options):
    return Flow(executor, error_handling="continue", run_folder=folder, return_results=False, progress=False, **options)


def told(values):
    return [type(one).__name__ if isinstance(one, (ErrorSnapshot, PropagatedErrorSnapshot)) else one for one in values]


EXPECTED = [0, 3, 6, "PropagatedErrorSnapshot", 12, "ErrorSnapshot", 18, 21]


@pytest.fixture
def loaded(monkeypatch):
    """The elements that this process reads as inputs of others."""
    found = []
    for name in ("take", "_loaded"):
        original = getattr(Upstream, name)

        def noted(self, ats, original=original):
            found.append(ats)
            return original(self, ats)

        monkeypatch.setattr(Upstream, name, noted)
    return found


@pytest.mark.parametrize("executor", ["threads", "processes", "here"])
@pytest.mark.parametrize("size", [None, 1, 3])
def test_values_go_past_the_process_that_runs_the_flow(tmp_path, loaded, executor, size):
    flow = flow_of(tmp_path / "run", Here() if executor == "here" else executor)
    sums = flow.map(step(length, chunksize=size), flow.map(made, range(8)))
    results = flow.run()

    assert told(results[sums]) == EXPECTED
    assert results[sums][5].kwargs == {"values": [5, 5, 5]}
    assert [root.exception.args for root in results[sums][3].get_root_causes()] == [(3,)]
    assert {at for ats in loaded for at in (ats if not isinstance(ats, int) else (ats,))} <= {3}


def test_a_worker_that_does_not_see_the_folder_is_sent_the_values(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "sees", lambda *_: False)
    flow = flow_of(tmp_path / "run", Here())
    sums = flow.map(length, flow.map(made, range(8)))
    with pytest.warns(RuntimeWarning, match="workers do not see the run folder"):
        results = flow.run()

    assert told(results[sums]) == EXPECTED


def test_what_a_worker_cannot_read_is_read_here(tmp_path, monkeypatch):
    original, tries = stored.Stored.load, []

    def load(self, index):
        tries.append(index)
        if self.rows[index][0][0] in (2, 6):
            raise AttributeError("no such class in this worker")
        return original(self, index)

    monkeypatch.setattr(stored.Stored, "load", load)
    flow = flow_of(tmp_path / "run", Here())
    sums = flow.map(step(length, chunksize=4), flow.map(made, range(8)))

    assert told(flow.run()[sums]) == EXPECTED
    assert tries


def test_errors_inside_of_values_are_found(tmp_path):
    def holds(x):
        error = autotb.map(made, [3], error_handling="continue", progress=False)[0]
        return numpy.array([x, error], dtype=object) if x == 1 else numpy.array([x], dtype=object)

    flow = flow_of(tmp_path / "run")
    sizes = flow.map(lambda array: len(array), flow.map(holds, range(3)))

    assert told(flow.run()[sizes]) == [1, "PropagatedErrorSnapshot", 1]


def test_rows_and_several_inputs(tmp_path, loaded):
    flow = flow_of(tmp_path / "run", "processes")
    grid = flow.map(add, range(3), [10, 20], product=True)
    sums = flow.map(step(sum, name="sums"), grid, over=1)
    columns = flow.map(step(sum, name="columns"), grid, over=0)
    both = flow.map(add, sums, flow.map(double, sums))
    results = flow.run()

    assert (list(results[sums]), list(results[columns]), list(results[both])) == ([30, 32, 34], [33, 63], [90, 96, 102])
    assert loaded == []


def test_in_raise_mode_the_error_has_its_arguments(tmp_path):
    flow = Flow("threads", run_folder=tmp_path / "run", return_results=False, progress=False)
    flow.map(length, flow.map(made, [4, 5]))
    with pytest.raises(KeyError) as caught:
        flow.run()

    assert flow.error_snapshot.kwargs == {"values": [5, 5, 5]}
    assert caught.value.args == (5,)


def test_a_column_is_told_of_without_reading(tmp_path):
    place = store.Place("none.shard", 0, 0)
    column = Stored(str(tmp_path), "token", "made", [[(7, place)], [(8, place)]], None, False, False)

    assert (len(column), repr(column[1])) == (2, "<element 8 of made>")
    assert safe_repr.call(len, (column[1],)) == "len(<element 8 of made>)"
    with pytest.raises(Unread):
        next(iter(column))


def work(x):
    return (x, os.getpid())


def test_a_pool_that_lives_on_reads_the_run_that_is_there(tmp_path):
    with ProcessPoolExecutor(2) as pool:
        for base in (0, 100):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            flow = flow_of(tmp_path / "run", pool)
            doubled = flow.map(double, flow.map(double, range(base, base + 6)))
            assert list(flow.run()[doubled]) == [4 * x for x in range(base, base + 6)]


def count_of(values, more=()):
    return len(values) + len(more)


def sums(x, values=(), only=()):
    if x == 2:
        raise KeyError(x)
    return x + sum(values) + sum(only)


@pytest.fixture
def read_here(monkeypatch):
    """What this process reads of a run folder that is an argument."""
    found, original = [], store.Folder.read

    def read(self, column, start, stop):
        found.append(column.name)
        return original(self, column, start, stop)

    monkeypatch.setattr(store.Folder, "read", read)
    return found


@pytest.mark.parametrize("executor", ["threads", "processes", "here"])
@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_what_is_taken_whole_goes_past_the_process_that_runs_the_flow(tmp_path, read_here, executor, mode):
    where = Here() if executor == "here" else executor
    flow = Flow(where, error_handling=mode, run_folder=tmp_path / "run", return_results=False, progress=False)
    values, one = flow.map(double, range(2_500)), flow.call(double, [7])
    grid = flow.map(add, range(2), [10, 20, 30], product=True)
    counts = [flow.call(count_of, values, one), flow.call(count_of, values, more=grid), flow.call(count_of, grid)]
    mapped = flow.map(sums, [0, 1], values=values, only=one)
    results = flow.run()

    assert read_here == []
    assert [results[count] for count in counts] == [2_502, 2_502, 2]
    assert list(results[mapped]) == [sum(range(0, 5_000, 2)) + 14 + at for at in (0, 1)]


@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_a_call_that_fails_has_what_it_took_whole(tmp_path, mode):
    flow = Flow("processes", error_handling=mode, run_folder=tmp_path / "run", return_results=False, progress=False)
    mapped = flow.map(sums, range(4), values=flow.map(double, range(3)))
    if mode == "raise":
        with pytest.raises(KeyError):
            flow.run()
        found = flow.error_snapshot
    else:
        results = flow.run()
        found = results[mapped][2]
        assert told(results[mapped]) == [6, 7, "ErrorSnapshot", 9]
    assert found.kwargs == {"x": 2, "values": [0, 2, 4]}


def test_what_is_skipped_has_what_it_would_have_taken(tmp_path):
    flow = flow_of(tmp_path / "run", "processes")
    values, one = flow.map(double, range(3)), flow.call(double, [7])
    mapped = flow.map(sums, flow.map(made, [3, 1]), values=values, only=one)
    error = flow.run()[mapped][0]

    assert error.attempted_kwargs["only"] == [7, 7]
    assert repr(error.attempted_kwargs["values"]).startswith("<")


def test_what_is_taken_whole_and_cannot_be_read_by_a_worker_is_read_here(tmp_path, monkeypatch):
    monkeypatch.setattr(stored.Stored, "_read", lambda *_: (_ for _ in ()).throw(Unread(2)))
    flow = flow_of(tmp_path / "run", Here())
    values = flow.map(double, range(5))
    mapped, count = flow.map(sums, range(4), values=values), flow.call(count_of, values)
    results = flow.run()

    assert (told(results[mapped]), results[count]) == ([20, 21, "ErrorSnapshot", 23], 5)


def test_errors_inside_of_what_is_taken_whole_are_found(tmp_path):
    def holds(_):
        return [1, autotb.map(made, [3], error_handling="continue", progress=False)[0]]

    flow = flow_of(tmp_path / "run", scan="containers")
    one = flow.call(holds, 1)
    counts = [flow.call(count_of, one), flow.call(count_of, (), more=one)]
    mapped = flow.map(sums, range(2), values=one)
    results = flow.run()

    assert told([results[count] for count in counts]) == ["PropagatedErrorSnapshot"] * 2
    assert told(results[mapped]) == ["PropagatedErrorSnapshot"] * 2


def test_places_take_little_room():
    places = stored.Places((at, store.Place(f"shard {at % 3}", 50 * at, 0)) for at in range(10_000))

    assert len(pickle.dumps(places)) < 25 * 10_000
    again = pickle.loads(pickle.dumps(places))
    assert (len(again), again[7], list(again)[9_999]) == (
        10_000,
        (7, store.Place("shard 1", 350, 0)),
        (9_999, store.Place("shard 0", 50 * 9_999, 0)),
    )


def size_of(values, **more):
    """How many things there are, however they lie in lists and dicts."""
    parts = [*values.values()] if isinstance(values, dict) else values if isinstance(values, (list, tuple)) else None
    return (1 if parts is None else sum(map(size_of, parts))) + sum(map(size_of, more.values()))


def wholes_of(flow, on_error, values_of=made):
    """Steps that take what a map gave whole, alone and in lists and dicts."""
    values = flow.map(step(values_of, name="values"), range(8))
    single = flow.call(step(values_of, name="single"), 1)
    sized = step(size_of, on_error=on_error)
    return [
        flow.call(sized, values),
        flow.call(sized, {"some": [values, 1], "all": values}),
        flow.call(sized, [1], more=values),
        flow.call(sized, (values, single, {"one": [1]})),
        flow.call(sized, [single, 1, {"it": single}]),
        flow.map(sized, [[1], [2]], others={"all": (values,)}),
    ]


@pytest.mark.parametrize("executor", ["here", "processes"])
@pytest.mark.parametrize("on_error", ["drop", "pass", "skip"])
def test_so_they_do_without_errors_with_errors_and_in_lists_and_dicts(tmp_path, loaded, executor, on_error):
    def run(flow):
        outputs = wholes_of(flow, on_error)
        results = flow.run()
        roots = [[root.kwargs for root in one.get_root_causes()] for step in results.left_out for one in results.left_out[step]]
        return told([results[output] for output in outputs[:-1]]), told(results[outputs[-1]]), repr(results.left_out), roots

    expected = run(Flow(error_handling="continue", progress=False))
    loaded.clear()
    assert run(flow_of(tmp_path / "run", Here() if executor == "here" else executor)) == expected
    assert loaded == []


@pytest.mark.parametrize("on_error", ["drop", "pass"])
def test_nothing_of_them_is_sent(tmp_path, on_error):
    def large(x):
        if x == 3:
            raise ValueError(x)
        return "x" * 50_000

    executor = Here()
    flow = flow_of(tmp_path / "run", executor)
    wholes_of(flow, on_error, large)
    flow.run()

    singles = 3 if on_error == "drop" else 0  # what one call gave is looked into for errors
    assert len(cloudpickle.dumps(executor.calls)) < (singles + 1) * 50_000


@pytest.mark.parametrize("on_error", ["drop", "pass"])
def test_workers_that_do_not_see_the_folder_are_sent_them(tmp_path, monkeypatch, on_error):
    def run(flow):
        outputs = wholes_of(flow, on_error)
        results = flow.run()
        return told([results[output] for output in outputs[:-1]]), told(results[outputs[-1]])

    expected = run(Flow(error_handling="continue", progress=False))
    monkeypatch.setattr(store, "sees", lambda *_: False)
    with pytest.warns(RuntimeWarning, match="workers do not see the run folder"):
        assert run(flow_of(tmp_path / "run", Here())) == expected


def total(values):
    return sum(values)


def asked(named):
    assert named["values"][0] in range(9)
    return {"num_cpus": 1}


HOLDS = {
    "cached": lambda flow, made: flow.map(step(total, cache=True, chunksize=2), made),
    "resources": lambda flow, made: flow.map(step(total, resources={"num_cpus": 1}), made),
    "asked": lambda flow, made: flow.map(step(total, resources=asked), made),
    "of a map": lambda flow, made: flow.map(step(total, resources=lambda _: {}, resources_scope="map"), made),
    "whole": lambda flow, made: flow.call(step(total, resources={}, cache=True, name="whole"), flow.call(list_of, 4)),
    "dropped": lambda flow, made: flow.call(step(total, on_error="drop"), flow.call(list_of, 4)),
    "on an axis": lambda flow, made: flow.map(total, [flow.call(list_of, 2), [1], flow.call(list_of, 4)]),
}


def list_of(count):
    return [*range(count)]


@pytest.mark.parametrize("how", HOLDS)
def test_what_is_looked_at_here_is_read_by_workers_all_the_same(tmp_path, how):
    results = []
    for folder in (None, tmp_path / "run"):
        options = {} if folder is None else {"run_folder": folder, "return_results": False}
        here = Here()
        flow = Flow(here, error_handling="continue", progress=False, **options)
        output = HOLDS[how](flow, flow.map(made, range(9)))
        found = flow.run()[output]
        results.append(told(found) if hasattr(found, "__len__") else found)
        sent = {type(column).__name__ for _, columns, constants, *_ in here.calls for column in (*columns, *constants.values())}
        assert bool(sent & {"Stored", "Mixed"}) is (folder is not None), sent
    assert results[0] == results[1]


def with_error(_):
    return [1, autotb.map(made, [3], error_handling="continue", progress=False)[0], 4]


@pytest.mark.parametrize("is_axis", [True, False])
def test_errors_in_what_a_call_gave_are_dropped_where_it_was_not_looked_at(tmp_path, is_axis):
    flow = flow_of(tmp_path / "run", Here())
    held = flow.call(with_error, 1)
    dropping = step(total, on_error="drop")
    output = flow.map(dropping, [held, [5]]) if is_axis else flow.call(dropping, held)
    results = flow.run()

    assert (list(results[output]) if is_axis else results[output]) == ([5, 5] if is_axis else 5)
    assert results.left_out[output][0].get_root_causes()[0].exception.args == (3,)
