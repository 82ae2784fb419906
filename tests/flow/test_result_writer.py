"""What a worker does with its results where they are kept in a run folder."""

from __future__ import annotations

import pickle
import shutil
import threading

import pytest

from autotb.flow import chunks, result_log, result_writer, store
from autotb.flow.messages import Failed, Partly, Sink
from autotb.flow.snapshots import ErrorSnapshot, ErrorStub
from tests.flow.calls import double


@pytest.fixture
def sink(tmp_path):
    (tmp_path / result_log.FOLDER).mkdir()
    path = tmp_path / store.mark("t")
    path.touch()

    def made(owned=True, token="t", **options):
        return Sink(str(tmp_path), token, 1, owned, None, **options)

    yield made
    result_log.end(str(tmp_path))


def keep(sink, *results):
    columns = (list(range(len(results))),)
    return result_writer.Keeper(sink, double, columns, {}, range(len(results)), False).end(list(results))


def stored(sink, kept):
    return [pickle.loads(record.data) for record in result_log.read(sink.folder, kept.places)]


def test_a_result_is_kept_and_nothing_of_it_is_sent(sink):
    kept = keep(sink(), 10, 20)

    assert (kept.results, stored(sink(), kept)) == ([None, None], [10, 20])


def test_where_results_are_returned_they_are_sent_as_well(sink):
    kept = keep(sink(owned=False), 10)

    assert (kept.results, stored(sink(), kept)) == ([10], [10])


def test_an_error_is_kept_as_a_snapshot_of_its_call(sink):
    kept = keep(sink(), 10, Failed(ValueError("x")))
    snapshot = stored(sink(), kept)[1]

    assert kept.results == [None, ErrorStub(False)]
    assert (type(snapshot), snapshot.kwargs, str(snapshot.exception)) == (ErrorSnapshot, {"x": 1}, "x")


def test_an_error_that_the_run_is_to_see_is_sent(sink):
    failed = Failed(ValueError("x"))
    kept = keep(sink(owned=False), failed)

    assert (kept.results, kept.places, type(kept.results)) == ([failed], [None], Partly)


def test_an_error_that_the_run_is_to_see_is_kept_all_the_same_where_errors_are(sink):
    failed = Failed(ValueError("x"))
    kept = keep(sink(owned=False, keeps_errors=True), 10, failed)

    assert kept.results == [10, failed]
    assert str(stored(sink(), kept)[1].exception) == "x"


def test_a_result_that_cannot_be_pickled_is_the_functions_error(sink):
    (snapshot,) = stored(sink(), keep(sink(), threading.Lock()))

    assert "cannot pickle" in str(snapshot.exception)


def test_a_folder_that_is_not_seen_sends_all_back(sink):
    kept = keep(sink(token="another"), 10, threading.Lock())

    assert (kept.unseen, kept.places, kept.results[0]) == (True, [None, None], 10)
    assert "cannot pickle" in str(kept.results[1].exception)


def test_results_are_written_as_they_come_but_not_each_of_many(sink):
    keeper = result_writer.Keeper(sink(), double, ([1, 2, 3],), {}, range(3), False)
    begun = keeper._last
    keeper.look([10], begun)
    assert keeper.places == []
    keeper.look([10, 20], begun + 1)
    kept = keeper.places[:]
    assert [pickle.loads(record.data) for record in result_log.read(sink().folder, kept)] == [10, 20]
    assert keeper.end([10, 20, 30]).places[:2] == kept
    assert len(keeper.places) == 3


def test_of_calls_that_take_a_hundredth_of_a_second_each_is_written(sink):
    keeper = result_writer.Keeper(sink(), double, ([1, 2, 3],), {}, range(3), False)
    begun, results = keeper._last, []
    for number in range(3):
        results.append(number)
        keeper.look(results, begun + (number + 1) * 0.0101)
        assert len(keeper.places) == number + 1


def shard_of(sink):
    """What is in the shards of a folder: elements and values."""
    found = [(name, one) for name in result_log.names(sink.folder) for one in result_log.scan(sink.folder, name)]
    places = [result_log.Place(name, one.offset, one.record.state) for name, one in found]
    return [(record.at, pickle.loads(record.data)) for record in result_log.read(sink.folder, places)]


def test_in_the_process_of_a_run_that_is_over_the_call_that_ends_is_kept_and_nothing_is_sent(sink):
    keeper = result_writer.Keeper(sink(), double, ([1, 2],), {}, [4, 7], True)
    keeper.look([10], keeper._last + 1)
    assert shard_of(sink()) == []
    assert keeper.end([10, 20]) == [10, 20]
    assert (shard_of(sink()), result_log._mine) == ([(4, 10), (7, 20)], {})


@pytest.mark.parametrize("why", ["another run", "only errors that are not kept", "the folder is gone"])
def test_or_not(sink, tmp_path, why):
    keeper = result_writer.Keeper(sink(owned=False), double, ([1],), {}, range(1), True)
    if why == "another run":
        (tmp_path / store.mark("t")).unlink()
    elif why == "the folder is gone":
        shutil.rmtree(tmp_path / result_log.FOLDER)
    result = Failed(ValueError("x")) if why.startswith("only") else 10
    assert keeper.end([result]) == [result]
    assert result_log.names(sink().folder) == []


def test_a_worker_whose_run_has_lost_its_folder_to_another_makes_no_further_call(sink, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "_LOOK_EVERY", -1)
    made = []

    def last(x):
        made.append(x)
        (tmp_path / store.mark("t")).unlink(missing_ok=True)

    def ran():
        sent = chunks.run(last, ([1, 2, 3],), {}, False, 0, range(3), sink())
        return chunks.received(sent, 3).results

    assert store.sees(sink().folder, "t")
    assert (ran().results, made) == ([None], [1])  # what it has made is kept
    assert (ran().results, made) == ([], [1])
