"""Inputs of unknown length are read as they are needed, and results come as they are asked for."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import autotb
from autotb import ErrorSnapshot, Flow
from autotb.flow import run_report, streams
from autotb.flow.mapping import map_async
from tests.flow.calls import Here, add, double, invert, total

AHEAD = 2 * 2 * 100 + 100  # of two workers


class Numbers:
    """An iterator that has no end, and counts what was read of it."""

    def __init__(self, stop=None, error=None):
        self.read, self.stop, self.error = 0, stop, error

    def __iter__(self):
        return self

    def __next__(self):
        if self.read == self.stop:
            raise self.error or StopIteration
        self.read += 1
        return self.read


def both(x, y=0):
    return x, y


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_of_an_iterator_without_an_end_as_much_is_read_as_is_needed(executor):
    numbers = Numbers()
    results = autotb.imap(double, numbers, executor=executor, progress=False)
    assert numbers.read == 0
    assert [next(results) for _ in range(1_000)] == [2 * x for x in range(1, 1_001)]
    assert numbers.read < 1_000 + 2 * 40 * 100 + 100  # threads are up to 32 or so
    results.close()


def test_who_takes_no_results_makes_nobody_read_on():
    numbers, gate = Numbers(), threading.Event()

    def waits(x):
        if x == 1:
            gate.wait(60)
        return x

    with ThreadPoolExecutor(2) as pool:
        results = autotb.imap(waits, numbers, executor=pool, progress=False)
        threading.Timer(0.5, gate.set).start()  # meanwhile the other worker makes what it may
        assert next(results) == 1
        assert numbers.read <= AHEAD
        results.close()


def test_what_was_handed_over_is_not_kept():
    class Value:
        alive = 0

        def __init__(self, x):
            self.x = x
            Value.alive += 1

        def __del__(self):
            Value.alive -= 1

    most = 0
    with ThreadPoolExecutor(2) as pool:
        for result in autotb.imap(Value, Numbers(5_000), executor=pool, progress=False):
            most = max(most, Value.alive)
            del result
    assert most <= AHEAD


def test_lists_and_errors_pass_as_well():
    results = autotb.imap(invert, [1, 0, 2], error_handling="continue", progress=False)
    first, error, last = results
    assert (first, last) == (1.0, 0.5)
    assert isinstance(error, ErrorSnapshot)
    kinds = [type(one).__name__ for one in autotb.imap(double, [first, error, last], error_handling="continue")]
    assert kinds == ["float", "PropagatedErrorSnapshot", "float"]


def test_an_error_that_is_raised_comes_after_the_results_that_are_there():
    results = autotb.imap(invert, [1, 2, 0, 4], executor=Here(), chunksize=1)
    assert next(results) == 1.0
    with pytest.raises(ZeroDivisionError):
        list(results)


def test_wrong_use_is_told_at_once():
    with pytest.raises(TypeError, match="at least one iterable"):
        autotb.imap(double)
    with pytest.raises(TypeError, match="too many positional"):
        autotb.imap(double, [1], [2])


@pytest.mark.parametrize("kept", [False, True, None])
def test_a_generator_that_raises_is_the_story_and_what_is_finished_is_kept(tmp_path, kept):
    flow = Flow("processes", progress=False, **({} if kept is None else {"run_folder": tmp_path / "run", "return_results": kept}))
    flow.map(double, Numbers(300, OSError("the disk is gone")))
    with pytest.raises(OSError, match="the disk is gone") as caught:
        flow.run()
    assert autotb.explain(caught.value).frames[-1].name == "__next__"
    if kept is not None:
        assert list(autotb.load(tmp_path / "run")["double"]) == [2 * x for x in range(1, 301)]
    results = autotb.imap(double, Numbers(300, OSError("the disk is gone")), progress=False)
    assert list(itertools.islice(results, 300)) == [2 * x for x in range(1, 301)]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_map_reads_a_generator_meanwhile():
    read, made = [], []

    def numbers():
        for number in range(1_000):
            read.append(len(made))
            yield number

    assert autotb.map(lambda x: made.append(x), numbers(), executor=Here()) == [None] * 1_000
    assert read[-1] > 0
    assert asyncio.run(map_async(double, Numbers(500))) == [2 * x for x in range(1, 501)]
    assert autotb.map(both, Numbers(2), Numbers(2), progress=False) == [(1, 1), (2, 2)]
    assert autotb.map(both, Numbers(2), [5, 6], progress=False) == [(1, 5), (2, 6)]
    assert autotb.map(both, Numbers(2), [5, 6], product=True) == [[(1, 5), (1, 6)], [(2, 5), (2, 6)]]
    assert autotb.map(double, Numbers(0)) == []


@pytest.mark.parametrize("inputs", [lambda: (Numbers(2), Numbers(3)), lambda: (Numbers(2), [1]), lambda: (Numbers(1), [1, 2])])
@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_different_lengths_are_told_where_one_ends(inputs, mode):
    with pytest.raises(ValueError, match=r"different lengths: a stream, (a stream|1|2); after \d one of them was at its end"):
        autotb.map(add, *inputs(), error_handling=mode)
    flow = Flow(error_handling=mode)
    flow.map(add, *inputs())
    with pytest.raises(ValueError, match="different lengths"):
        flow.run()


def test_an_iterator_is_read_once_and_what_can_be_begun_anew_is():
    class Again:
        def __iter__(self):
            return iter([1, 2])

    flow = Flow(progress=False)
    flow.map(double, Again())
    assert flow.run()["double"] == flow.run()["double"] == [2, 4]
    flow.map(double, Numbers(2))
    assert flow.run()["double#2"] == [2, 4]
    with pytest.raises(ValueError, match="double#2: the iterator that it is mapped over was read by a run before"):
        flow.run()


def test_outputs_may_be_generated_and_are_no_elements_of_a_stream():
    flow = Flow(progress=False)
    flow.map(double, (flow.call(double, x) for x in range(3)))
    assert flow.run()["double#4"] == [0, 4, 8]
    flow = Flow()
    flow.map(double, (x if x < 2 else flow.call(double, 1) for x in range(3)))
    with pytest.raises(TypeError, match="a stream has no outputs as its elements: give them in a list"):
        flow.run()


def test_a_flow_goes_on_with_what_a_stream_came_to(tmp_path):
    flow = Flow("threads", error_handling="continue", progress=False, run_folder=tmp_path / "run")
    inverted = flow.map(invert, (x for x in range(250)))
    doubled = flow.map(double, inverted)
    flow.call(total, doubled)
    results = flow.run()
    assert [len(results[name]) for name in ("invert", "double")] == [250, 250]
    assert results.tallies["total"].skipped == 1
    assert str(results).split("\n")[2].split()[:5] == ["invert", "249", "1", "0", "250"]
    if importlib.util.find_spec("pandas") is not None:
        assert results.to_frame("double")["result"][2] == 1.0


def test_results_of_a_flow_come_as_they_are_asked_for():
    numbers = Numbers(2_000)
    flow = Flow(Here(), progress=False)
    doubled = flow.map(double, numbers)
    flow.call(total, doubled)
    results = flow.iterate(doubled)
    assert [next(results), next(results)] == [2, 4]
    assert numbers.read < 2_000
    assert flow.results is None
    assert list(results) == [2 * x for x in range(3, 2_001)]
    assert flow.results["total"] == sum(flow.results[doubled])
    grid = flow.map(add, [1, 2], [10, 20], product=True)
    with pytest.raises(KeyError, match="is no output of this flow"):
        flow.iterate("add")
    other = Flow(progress=False)
    assert list(other.iterate(other.map(add, [1, 2], [10, 20], product=True))) == [11, 21, 12, 22]
    assert list(other.iterate(other.call(double, 4))) == [8]
    with pytest.raises(KeyError):
        other.iterate(grid)


@pytest.mark.parametrize("returned", [True, False])
def test_what_is_kept_of_a_stream_is_known_by_its_position(tmp_path, returned):
    def run(numbers, **options):
        flow = Flow("threads", run_folder=tmp_path / "run", return_results=returned, progress=False, **options)
        output = flow.map(double, numbers)
        flow.call(total, output)
        return flow.run()

    with pytest.raises(OSError):
        run(Numbers(300, OSError()))
    with autotb_index(tmp_path / "run") as index:
        _, name, _, tally = next(run_report.steps(index))
        assert (name, tally.total, tally.is_open) == ("double", 300, True)
    assert "300+" in run_report.text(str(tmp_path / "run"), str)

    results = run(Numbers(500), resume=True)
    assert list(results["double"]) == [2 * x for x in range(1, 501)]
    assert results["total"] == sum(range(1, 501)) * 2
    assert (results.tallies["double"].total, results.tallies["double"].is_open) == (500, False)
    assert "500+" not in run_report.text(str(tmp_path / "run"), str)
    with pytest.raises(ValueError, match="double: its stream ended after 10, and the run folder has 500 elements of it"):
        run(Numbers(10), resume=True)
    with pytest.raises(ValueError, match="the inputs of step 'double' are not those that it had"):
        run(list(range(1, 501)), resume=True)


def autotb_index(folder):
    from contextlib import closing

    from autotb.flow.index import opened

    return closing(opened(str(folder)))


def marks(x, folder):
    (folder / str(x)).touch(exist_ok=False)
    return x


def test_nothing_is_called_again_that_is_kept(tmp_path):
    (tmp_path / "marks").mkdir()

    def run(numbers, **options):
        flow = Flow("threads", run_folder=tmp_path / "run", progress=False, **options)
        flow.map(marks, numbers, folder=tmp_path / "marks")
        return flow.run()["marks"]

    with pytest.raises(OSError):
        run(Numbers(50, OSError()))
    assert run(Numbers(150), resume=True) == [*range(1, 151)]


def test_progress_needs_no_total():
    told = []
    autotb.map(double, Numbers(300), executor=Here(), progress=lambda *counts: told.append(counts))
    assert told[-1] == (300, 0, 0, 300)
    assert all(done <= of for done, _, _, of in told)
    assert told[1][3] < 300


def test_what_has_a_length_is_no_stream(tmp_path):
    (tmp_path / "file").write_text("a\nb\n")
    with open(tmp_path / "file") as file:
        assert streams.is_one(file)
        assert autotb.map(str.strip, file) == ["a", "b"]
    assert streams.is_one(x for x in ())
    assert not any(map(streams.is_one, ([], (), {}, set(), range(3), "ab", {}.keys())))


def test_what_was_read_of_a_stream_is_not_kept():
    axis = streams.Flowing(streams.Stream([1]))
    assert repr(axis.take((0,))[0]) == "<an element of a stream, not available here: what was read is not kept>"


def test_a_step_that_asks_once_what_it_needs_has_all_its_inputs():
    asked = []
    made = autotb.step(double, resources=lambda kwargs: asked.append(kwargs) or {}, resources_scope="map")
    assert autotb.map(made, Numbers(3)) == [2, 4, 6]
    assert asked == [{"x": [1, 2, 3]}]
