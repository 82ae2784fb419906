"""The cache of a flow: what is kept under which key, in a mapping and in a folder, and what never hides an error."""

from __future__ import annotations

import functools
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest

from autotb import ErrorSnapshot, Flow, step
from autotb.flow import cache as caches

CALLS = []


def work(x, by=1):
    CALLS.append(x)
    return 10 / x


def first(values):
    CALLS.append("first")
    return values[0]


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


@pytest.fixture(params=["mapping", "folder"])
def cache(request, tmp_path):
    return {} if request.param == "mapping" else tmp_path / "cache"


def run(cache, mode="continue", inputs=(1, 0, 2), **options):
    flow = Flow(error_handling=mode, cache=cache, progress=False, **options)
    flow.map(step(work, cache=True), inputs)
    return flow.run()["work"]


@pytest.mark.behaviour("S2-52")
def test_values_and_errors_are_kept(cache):
    before = run(cache)
    assert sorted(CALLS) == [0, 1, 2]
    after = run(cache)
    assert sorted(CALLS) == [0, 1, 2]
    assert (after[0], after[2]) == (before[0], before[2]) == (10, 5)
    assert isinstance(after[1], ErrorSnapshot)
    assert after[1].kwargs == {"x": 0}
    assert run(cache, inputs=(2, 4)) == [5, 2.5]
    assert sorted(CALLS) == [0, 1, 2, 4]


@pytest.mark.behaviour("S2-50")
def test_cache_does_not_mask_raise_mode_after_continue_cache(cache):
    run(cache)
    CALLS.clear()
    with pytest.raises(ZeroDivisionError):
        run(cache, mode="raise")
    assert 0 in CALLS


@pytest.mark.behaviour("S2-51")
def test_raise_mode_raises_an_error_that_it_finds(capfd):
    cache = {}
    run(cache)
    seeded = {(identity, "raise", form): value for (identity, _, form), value in cache.items()}
    stored = next(value for value in seeded.values() if isinstance(value, ErrorSnapshot))
    CALLS.clear()
    capfd.readouterr()
    del work.error_snapshot
    flow = Flow(cache=seeded, progress=False)
    flow.map(step(work, cache=True), [1, 0, 2])
    with pytest.raises(ZeroDivisionError) as caught:
        flow.run()
    assert CALLS == []
    assert caught.value is stored.exception
    assert flow.error_snapshot is work.error_snapshot is not stored
    assert flow.error_snapshot.kwargs == {"x": 0}
    assert capfd.readouterr().err.count("error_snapshot.reproduce()") == 1


def test_an_error_that_a_function_returns_is_its_value_in_raise_mode_however_often_it_runs(cache):
    def made(x):
        CALLS.append(x)
        return ErrorSnapshot(work, {"x": x}, ValueError("made"))

    flow = Flow(cache=cache, progress=False)
    out = flow.call(step(made, cache="made"), 1)
    assert [str(flow.run()[out].exception), str(flow.run()[out].exception)] == ["made", "made"]
    assert CALLS == [1, 1]


@pytest.mark.behaviour("S2-49")
def test_the_key():
    cache = {}
    for mode in ("raise", "continue"):
        run(cache, mode=mode, inputs=[1])
    assert len(cache) == 2
    assert [key[1] for key in cache] == ["raise", "continue"]
    (first_id, _, form), (second_id, _, other) = cache
    assert first_id == second_id
    assert first_id.startswith("tests.flow.test_cache:work:")
    assert form == other == (("x", ("int", 1)),)
    flow = Flow(cache=cache, progress=False)
    flow.map(step(work, cache="mine"), [1])
    flow.run()
    assert [key[0] for key in cache][2] == "mine"


@pytest.mark.behaviour("S2-39")
def test_calls_with_errors_among_their_inputs_touch_no_cache():
    cache = {}
    flow = Flow(error_handling="continue", cache=cache, progress=False)
    flow.call(step(first, cache=True), flow.map(work, [0]))
    flow.run()
    assert cache == {}
    assert "first" not in CALLS


@dataclass
class Point:
    x: int
    tags: list


@pytest.mark.behaviour("S2-53")
@pytest.mark.parametrize(
    "make",
    [
        lambda: [1, [2, "a"]],
        lambda: {"b": [1], "a": {3, 2, "x"}},
        lambda: numpy.arange(6.0).reshape(2, 3),
        lambda: numpy.array([1, "a", [2]], dtype=object),
        lambda: Point(1, ["a"]),
        lambda: Path("a/b"),
        lambda: (1, None, b"x", 2.5),
    ],
)
def test_arguments_that_cannot_be_hashed(cache, make):
    for _ in range(2):
        flow = Flow(cache=cache, progress=False)
        out = flow.call(step(len, cache=True), [make()])
        assert flow.run()[out] == 1
    form = caches.form_of(make())
    assert form == caches.form_of(make())
    hash(form)


def test_what_is_equal_and_another():
    forms = [caches.form_of(value) for value in (1, True, 1.0, "1", b"1", (1,), [1], {1}, {1: 1}, None)]
    assert len(set(forms)) == len(forms)
    assert caches.form_of({"a": 1, "b": 2}) == caches.form_of({"b": 2, "a": 1})


def test_functions_that_differ_are_others():
    def made(number):
        namespace = {}
        exec(f"def score(x): return x + {number}", namespace)
        return step(namespace["score"], cache=True)

    one, two = caches.key_of(made(1), "raise", {"x": 1}), caches.key_of(made(2), "raise", {"x": 1})
    assert one[0] != two[0]
    assert one == caches.key_of(made(1), "raise", {"x": 1})
    partials = [step(functools.partial(work, by=by), cache=True) for by in (1, 2)]
    keys = [caches.key_of(made, "raise", {"x": 1}) for made in partials]
    assert keys[0] != keys[1]


class Scaled:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return 1 / x * self.by

    def method(self, x):
        return self(x)


def scaling(by, default=1):
    lock = threading.Lock()

    def inner(x):
        return x * by

    def scaled(x, more=default):
        with lock:
            return inner(1 / x) * more if more else scaled(x)

    return scaled


@pytest.mark.parametrize(
    "make",
    [Scaled, lambda by: Scaled(by).method, scaling, lambda by: scaling(1, by), lambda by: "x".ljust if by == 1 else "y".ljust],
)
def test_what_a_function_has_with_it_is_part_of_the_key(make):
    one, other = (caches.id_of(step(make(by), cache=True)) for by in (1, 2))

    assert one != other
    assert one == caches.id_of(step(make(1), cache=True))


def test_what_an_object_has_with_it_is_asked_once_a_run_and_our_snapshot_is_nothing_of_it():
    cache, scaled = {}, Scaled(2)
    for by, calls in ((2, 3), (2, 3), (3, 6)):
        scaled.by = by
        flow = Flow(error_handling="continue", cache=cache, progress=False)
        found = flow.map(step(scaled, cache=True), [1, 0, 2])
        assert flow.run()[found][2] == by / 2
        assert len(cache) == calls
    assert scaled.error_snapshot


@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_an_argument_that_cannot_be_part_of_a_key(mode):
    flow = Flow(error_handling=mode, cache={}, progress=False)
    flow.call(step(first, cache=True), threading.Lock())
    with pytest.raises(TypeError, match="argument 'values' of 'first' cannot be part of a cache's key .*use cache=False"):
        flow.run()


def test_a_result_that_a_folder_cannot_hold_is_a_result_all_the_same(tmp_path):
    flow = Flow(cache=tmp_path / "cache", progress=False)
    out = flow.call(step(first, cache=True), [open])
    lock = flow.call(step(made_lock, cache=True), 1)
    with pytest.warns(RuntimeWarning, match="a result of tests.flow.test_cache:made_lock.* cannot be kept in the cache"):
        results = flow.run()
    assert results[out] is open
    assert results[lock].acquire()


def made_lock(x):
    return threading.Lock()


def test_a_torn_file_is_a_clear_error(tmp_path):
    run(tmp_path / "cache", inputs=[1])
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is torn, or no file of a cache of autotb: delete it"):
        run(tmp_path / "cache", inputs=[1])


@pytest.mark.parametrize("returned", [True, False])
def test_with_a_run_folder(tmp_path, cache, returned):
    for number in (1, 2):
        flow = Flow(
            "processes" if returned else "threads",
            error_handling="continue",
            cache=cache,
            run_folder=tmp_path / f"run{number}",
            return_results=returned,
            progress=False,
        )
        out = flow.map(step(work, cache=True, chunksize=2), [1, 0, 2, 4])
        values = flow.run()[out]
        assert [values[at] for at in (0, 2, 3)] == [10, 5, 2.5]
        assert values[1].kwargs == {"x": 0}


def test_without_a_place_of_its_own_it_lives_as_long_as_the_flow():
    flow = Flow(progress=False)
    flow.map(step(work, cache=True), [1, 2])
    assert flow.run()["work"] == flow.run()["work"] == [10, 5]
    assert sorted(CALLS) == [1, 2]


def test_a_cache_that_no_step_uses_is_told_of_at_the_users_line():
    flow = Flow(cache={}, progress=False)
    flow.map(abs, [1])
    with pytest.warns(UserWarning, match=r"none of its steps uses it: .*cache=True") as told:
        flow.run()
    assert told[0].filename == __file__
    used = Flow(cache={}, progress=False)
    used.map(step(abs, cache=True), [1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        used.run()
