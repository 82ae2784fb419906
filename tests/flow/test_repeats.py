"""Chunks that an engine makes anew: what was kept of their calls is not called again."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from autotb import Flow, step
from autotb.flow import chunks, repeats, result_log, store
from autotb.flow.execute import Task
from autotb.flow.flights import Flight, Flights
from autotb.flow.messages import Failed, Sink
from autotb.flow.stored import Places, Stored
from tests import programs

PROGRAM = Path(__file__).parent / "programs" / "repeated.py"


class Dies(BaseException):
    """As a worker does: nothing that is there to be done at an end is done."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("autotb.flow.result_writer._EVERY", -1)  # each result is kept when its call ends
    (tmp_path / result_log.FOLDER).mkdir()
    (tmp_path / store.mark("t")).touch()
    yield str(tmp_path)
    result_log.end(str(tmp_path))


def made(folder, function, columns, ats, names=("a",), is_read=False, dies=False):
    """What a chunk comes to in a worker that dies, or in one that does not."""
    sink = Sink(folder, "t", 1, is_read, None, is_read, None, names)
    try:
        took = chunks.run(function, columns, {}, False, -1, ats, sink)
    except Dies:
        result_log.end(folder)  # the next one has a shard of its own
        return None
    assert not dies
    took = chunks.received(took, len(ats))
    return took.results.results, [place is not None for place in took.results.places], took.seconds is None


def failing(calls, *dies_at):
    def call(*args):
        calls.append(args)
        if args and args[0] in dies_at:
            raise Dies
        if args and args[0] == 2:
            raise ValueError(args[0])
        return args[0] * 10 if args else "nothing"

    return call


def test_what_the_worker_before_has_kept_is_taken_from_there(folder):
    calls = []
    assert made(folder, failing(calls, 3), ([0, 1, 3, 4],), range(4)) is None
    assert made(folder, failing(calls), ([0, 1, 3, 4],), range(4)) == ([0, 10, 30, 40], [True] * 4, True)
    assert calls == [(0,), (1,), (3,), (3,), (4,)]


def test_and_so_it_is_when_it_dies_once_more_and_when_all_is_kept(folder):
    calls = []
    made(folder, failing(calls, 1), ([0, 1, 3],), range(3))
    made(folder, failing(calls, 3), ([0, 1, 3],), range(3))
    assert made(folder, failing(calls), ([0, 1, 3],), range(3)) == ([0, 10, 30], [True] * 3, True)
    assert made(folder, failing(calls), ([0, 1, 3],), range(3)) == ([0, 10, 30], [True] * 3, True)
    assert calls == [(0,), (1,), (1,), (3,), (3,)]


def test_an_error_that_was_not_kept_is_made_again_and_what_follows_it_is_not(folder):
    calls = []
    made(folder, failing(calls, 5), ([1, 2, 4, 5],), range(4))
    results, places, _ = made(folder, failing(calls), ([1, 2, 4, 5],), range(4))
    assert (results[0], type(results[1]), results[2:]) == (10, Failed, [40, 50])
    assert places == [True, False, True, True]
    assert calls == [(1,), (2,), (4,), (5,), (2,), (5,)]


def test_where_results_stay_in_the_folder_nothing_of_them_is_sent(folder):
    calls = []
    made(folder, failing(calls, 5), ([1, 2, 5],), range(3), is_read=True)
    results, places, _ = made(folder, failing(calls), ([1, 2, 5],), range(3), is_read=True)
    assert [None if one is None else one.propagated for one in results] == [None, False, None]
    assert (places, calls) == ([True] * 3, [(1,), (2,), (5,), (5,)])


def test_a_call_without_arguments_and_another_step_and_another_chunk(folder):
    calls = []
    assert made(folder, failing(calls), (), [0])[0] == ["nothing"]
    assert made(folder, failing(calls), (), [0])[0] == ["nothing"]
    assert len(calls) == 1
    assert made(folder, failing(calls), (), [0], ("b",))[0] == ["nothing"]
    assert made(folder, failing(calls), (), [7], ("a",))[0] == ["nothing"]
    assert len(calls) == 3


def test_a_chunk_that_has_calls_of_another_looks_where_that_one_was_kept(folder):
    calls = []
    made(folder, failing(calls, 5), ([1, 3, 5],), range(3))
    assert made(folder, failing(calls), ([3, 5, 6],), [1, 2, 3], ("b", "a", "gone")) == ([30, 50, 60], [True] * 3, True)
    assert calls == [(1,), (3,), (5,), (5,), (6,)]


def test_inputs_that_lie_in_the_folder_are_read_for_the_calls_that_are_made(folder):
    shard = result_log.mine(folder, "t")
    places = Places(enumerate(shard.append([store.record_of(shard, 0, at, at + 3) for at in range(3)])))
    column = Stored(folder, "t", "before", [[one] for one in places], None, True, False)
    calls = []
    made(folder, failing(calls, 4), (column,), range(3))
    assert made(folder, failing(calls), (column,), range(3))[0] == [30, 40, 50]
    assert calls == [(3,), (4,), (4,), (5,)]


def test_a_chunk_that_has_arrived_is_forgotten_alone(folder):
    calls = []
    made(folder, failing(calls, 5), ([1, 3, 4, 5],), range(4))
    path = Path(folder, result_log.FOLDER, "a.begun")
    assert path.read_text().startswith("0 ")
    assert made(folder, failing(calls), ([1, 3, 4, 5],), range(4), ("b", "a"))[0] == [10, 30, 40, 50]
    assert repeats.before(folder, "b")
    repeats.forget(folder, "b")
    assert (repeats.before(folder, "b"), path.exists()) == ([], True)
    repeats.forget_all(folder)
    assert not path.exists()


def test_a_chunk_that_has_arrived_is_remembered_for_a_while(folder, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(repeats.time, "monotonic", lambda: now[0])
    for name in ("a", "b"):
        repeats.begin(folder, name)
        repeats.note(folder, name, "shard", 0)
    arrived = repeats.Arrived()
    arrived.add(folder, "a")
    now[0] = repeats.LINGER / 2
    arrived.add(folder, "b")
    assert repeats.before(folder, "a") == repeats.before(folder, "b") == [("shard", 0)], "its engine may make it anew yet"
    now[0] = repeats.LINGER + 1
    arrived.add(folder, "c")
    assert (repeats.before(folder, "a"), repeats.before(folder, "b")) == ([], [("shard", 0)])


class Again(Executor):
    """Makes each chunk a second time where it died."""

    def submit(self, function, *args):
        future = Future()
        try:
            future.set_result(function(*args))
        except Dies:
            future.set_result(function(*args))
        return future


@pytest.mark.parametrize("is_returned", [True, False])
def test_a_flow_on_an_executor_of_which_nobody_knows_whether_it_makes_chunks_anew(tmp_path, monkeypatch, is_returned):
    monkeypatch.setattr("autotb.flow.result_writer._EVERY", -1)
    calls = []

    def work(number):
        calls.append(number)
        if number == 5 and calls.count(5) == 1:
            raise Dies
        return number

    flow = Flow(Again(), run_folder=tmp_path / "run", return_results=is_returned, progress=False)
    numbers = flow.map(step(work, chunksize=4), range(8))
    assert list(flow.run()[numbers]) == list(range(8))
    assert calls == [0, 1, 2, 3, 4, 5, 5, 6, 7]
    assert {path.suffix for path in (tmp_path / "run" / result_log.FOLDER).iterdir()} == {".shard"}


def test_calls_that_come_back_unmade_are_known_to_the_next_chunk_of_them():
    flights = Flights.__new__(Flights)
    flights._had = {}
    first, second, third = (Flight(None, Task((), {}, None, ats), None, []) for ats in ([1, 2, 3], [2, 3, 4], [3]))
    flights.name(first, "a")
    flights.keep_names(first, 1)
    flights.name(second, "b")
    flights.keep_names(second, 1)
    flights.name(third, "c")
    assert (first.names, second.names, third.names) == (("a",), ("b", "a"), ("c", "b", "a"))


def test_a_line_that_is_torn_or_names_another_folder_is_none(folder):
    path = Path(folder, result_log.FOLDER, "a.begun")
    path.write_bytes(b"12 there.shard\nx y\n3 ../../etc\n\xff\n7 torn")
    assert repeats.begin(folder, "a") == [("there.shard", 12)]
    assert repeats.kept(folder, [("there.shard", 12)], 1, [0]) == {}


def test_a_worker_of_dask_that_dies_has_nothing_called_again_that_was_kept(tmp_path):
    shutil.copy(PROGRAM, tmp_path)
    done = programs.start([sys.executable, str(tmp_path / PROGRAM.name)], tmp_path, timeout=180)
    assert done.status == 0, done.stderr
    values = [0, 1, "2", 3, 4, 5, 6, 7]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "returned": [values, [0, 1, 2, 3, 4, 5, 5, 6, 7], [], 7],
        "kept": [values, [0, 1, 2, 3, 4, 5, 5, 6, 7], [], 7],
    }
