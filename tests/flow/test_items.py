"""A large list that one call gave, mapped over from the run folder: what is told apart, and what comes of it."""

from __future__ import annotations

import pickle

import numpy
import pytest

import autotb
from autotb import Flow, step
from autotb.flow import items, result_log, store
from autotb.flow.snapshots import ErrorSnapshot
from tests.flow.calls import double


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(items, "LARGE", 1_000)
    monkeypatch.setattr(items, "_LARGE_ITEM", 10)


def blocks(count, gives=bytes):
    return [gives([at]) * 500 for at in range(count)]


def same_twice(count):
    return [*blocks(count, list), *[[0] * 500] * 2]


def first(block):
    if block[0] == 2:
        raise ValueError(block[0])
    return block[0]


@pytest.fixture
def read(monkeypatch):
    """The steps of which this process reads a whole element."""
    found = []
    original = store.Folder.read

    def noted(self, column, start, stop):
        found.append(column.name)
        return original(self, column, start, stop)

    monkeypatch.setattr(store.Folder, "read", noted)
    return found


def flow_of(folder, executor="threads", **options):
    return Flow(executor, error_handling="continue", run_folder=folder, return_results=False, progress=False, **options)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_items_are_read_one_by_one_and_never_as_a_whole_here(tmp_path, read, executor):
    for resume in (False, True):
        flow = flow_of(tmp_path / "run", executor, resume=resume, retry_failed=resume)
        made = flow.call(blocks, 5)
        found = flow.map(first, made)
        results = flow.run()

        assert read.count("blocks") == 0
        assert [one if type(one) is int else type(one) for one in results[found]] == [0, 1, ErrorSnapshot, 3, 4]
        assert results[found][2].kwargs == {"block": bytes([2]) * 500}
        assert results[made] == blocks(5)


def test_a_product_a_cache_and_resources_take_them_too(tmp_path, read):
    flow = flow_of(tmp_path / "run", cache=tmp_path / "cache")
    made = flow.call(blocks, 2, gives=list)
    pairs = flow.map(lambda block, n: block[0] + n, made, [10, 20], product=True)
    kept = flow.map(step(sum, name="kept", cache=True), made)
    asked = flow.map(step(sum, name="asked", resources=lambda named: {"n": len(named)}), made)
    results = flow.run()

    assert not read
    assert [*map(list, results[pairs])] == [[10, 20], [11, 21]]
    assert list(results[kept]) == list(results[asked]) == [0, 500]


def test_what_workers_do_not_see_is_read_here_item_by_item(tmp_path, read, monkeypatch):
    flow = flow_of(tmp_path / "run")
    found = flow.map(double, flow.call(blocks, 3))
    monkeypatch.setattr("autotb.flow.stored.store.sees", lambda *_: False)
    with pytest.warns(RuntimeWarning, match="do not see"):
        results = flow.run()

    assert [len(one) for one in results[found]] == [1_000] * 3


def test_a_list_whose_items_share_an_object_stays_one(tmp_path, read):
    flow = flow_of(tmp_path / "run")
    made = flow.call(same_twice, 3)
    flow.map(len, made)
    value = flow.run()[made]

    assert read[0] == "same_twice"
    assert value[-1] is value[-2]


@pytest.mark.parametrize(
    "value",
    [
        tuple(blocks(5)),
        [b"x" * 5_000],
        [1, 2, 3],
        [list(range(1000)), [object, *(one := [1] * 500)], [one]],
        [[{}] * 1_000, list(range(1000))[1:], [ErrorSnapshot]],
        [*blocks(5), ErrorSnapshot.of_call(first, (b"\2",), {}, ValueError())],
    ],
)
def test_what_is_kept_as_any_other_value(value):
    data = pickle.dumps(value)
    kept, text = items.split(value, data)

    assert pickle.loads(kept) is not None
    assert (kept is data) == (not text)
    if text:
        assert repr(pickle.loads(kept)) == repr(value)


def test_arrays_are_told_apart():
    value = [numpy.full(500, at) for at in range(3)]
    kept, text = items.split(value, pickle.dumps(value))

    assert text
    assert [one.tolist() for one in pickle.loads(kept)] == [one.tolist() for one in value]
    assert items.split([value[0], value[0]], b"x" * 10_000) == (b"x" * 10_000, b"")


def test_a_damaged_item_is_named(tmp_path):
    flow = flow_of(tmp_path / "run")
    flow.call(blocks, 3)
    found = flow.map(first, flow.call(step(blocks, name="more"), 4))
    flow.run()
    (shard,) = [name for name in result_log.names(str(tmp_path / "run")) if b"\3" * 500 in _bytes(tmp_path, name)]
    path = tmp_path / "run" / "shards" / shard
    path.write_bytes(path.read_bytes().replace(b"\3" * 500, b"\3" * 499 + b"\4"))
    again = flow_of(tmp_path / "run", resume=True)
    again.call(blocks, 3)
    more = again.call(step(blocks, name="more"), 4)
    again.map(first, more)
    again.map(step(len, name="added"), more)
    with pytest.raises(ValueError, match=r"element 3 of step 'more' is damaged.*retry_failed=True"):
        again.run()

    last = flow_of(tmp_path / "run", resume=True, retry_failed=True)
    last.call(blocks, 3)
    found = last.map(step(len, name="added"), last.call(step(blocks, name="more"), 4))
    with pytest.warns(RuntimeWarning, match="damaged, .* called again: element 0 of step 'more'"):
        results = last.run()
    assert list(results[found]) == [500] * 4


def _bytes(folder, shard):
    return (folder / "run" / "shards" / shard).read_bytes()


def test_a_map_that_is_asked_once_what_it_needs_holds_nothing_of_its_inputs(tmp_path):
    taken = []

    def needs(named):
        taken.append(type(named["block"]).__name__)
        return {"n": len(named["block"])}

    flow = flow_of(tmp_path / "run")
    made = flow.map(bytes, [[0], [1]])
    found = flow.map(step(first, resources=needs, resources_scope="map"), made)
    results = flow.run()

    assert list(results[found]) == [0, 1]
    assert taken == ["Lazy"]
    assert autotb.load(tmp_path / "run")["first"][1] == 1
