"""The calls of a flow as a data frame."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pandas
import pytest

from autotb import ErrorSnapshot, Flow, step
from autotb.flow import frame


def load(path):
    if path == "c":
        raise FileNotFoundError(path)
    return len(path)


def scaled(x, state, k=1):
    return x * state * k


@pytest.fixture(params=["memory", "folder only"])
def made(request, tmp_path):
    options = {} if request.param == "memory" else {"run_folder": tmp_path / "run", "return_results": False}
    flow = Flow(error_handling="continue", progress=False, **options)
    sizes = flow.map(load, ["aa", "b", "c"])
    grid = flow.map(scaled, sizes, [10, 20], product=True, k=5)
    total = flow.call(step(sum, name="total"), sizes)
    return flow.run(), sizes, grid, total


def test_a_row_for_each_call_with_its_inputs_and_what_became_of_it(made):
    results, sizes, _, _ = made
    shown = results.to_frame(sizes)
    assert list(shown.columns) == ["path", "index", "result", "state", "error", "time"]
    assert all(0 <= seconds < 10 for seconds in shown.pop("time"))
    assert shown.values.tolist() == [
        ["aa", 0, 2, "done", None],
        ["b", 1, 1, "done", None],
        ["c", 2, None, "failed", "FileNotFoundError: c"],
    ]


def test_of_a_product_and_of_one_call(made):
    results, _, _, total = made
    shown = results.to_frame("scaled")
    assert list(shown.columns) == ["x", "state (input)", "k", "index", "result", "state", "error", "time"]
    assert [one is None for one in shown["time"]] == [False] * 4 + [True] * 2
    assert shown["index"].tolist() == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert shown["result"].tolist()[:4] == [100, 200, 50, 100]
    assert isinstance(shown["x"][4], ErrorSnapshot)
    assert shown["error"].tolist()[4:] == ["input_is_error"] * 2
    (one,) = results.to_frame(total).to_dict("records")
    assert (one["index"], one["state"], one["error"]) == ((), "skipped", "array_contains_errors")


def test_of_all_steps(made):
    shown = made[0].to_frame()
    assert list(shown.columns) == ["step", "inputs", "index", "result", "state", "error", "time"]
    assert shown["step"].value_counts().to_dict() == {"load": 3, "scaled": 6, "total": 1}
    assert shown["inputs"][0] == {"path": "aa"}


def slow(seconds):
    time.sleep(seconds)
    if seconds > 0.1:
        raise ValueError(seconds)
    return seconds


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("kept", [{}, {"return_results": True}, {"return_results": False}], ids=["memory", "both", "folder"])
def test_the_seconds_of_each_call(tmp_path, executor, kept):
    def run(**more):
        folder = {"run_folder": tmp_path / "run", **kept, **more} if kept else {}
        flow = Flow(error_handling="continue", progress=False, executor=executor, **folder)
        lasts = flow.map(slow, [0.05, 0.0, 0.5, 0.06])
        return flow.run().to_frame(lasts)["time"].tolist()

    found = run()
    assert all(seconds >= asked for seconds, asked in zip(found, [0.05, 0, 0.5, 0.06]))
    assert found[1] < found[2]  # a busy machine adds to any
    if kept:  # they are what they were, but of what is called again
        again = run(resume=True)
        assert (again[:2], again[3]) == (found[:2], found[3])
        assert again[2] >= 0.5


def test_of_brief_calls_the_mean_of_some(tmp_path):
    flow = Flow(progress=False, run_folder=tmp_path / "run", executor="processes")
    results = flow.map(abs, range(5_000))
    assert len({*flow.run().to_frame(results)["time"]}) > 1


def test_what_a_cache_gave_took_no_call():
    for _ in range(2):
        flow = Flow(progress=False, cache=CACHE)
        results = flow.map(step(load, cache=True), ["aa", "b"])
        shown = flow.run().to_frame(results)
    assert shown["result"].tolist() == [2, 1]
    assert shown["time"].tolist() == [None, None]


CACHE: dict[object, object] = {}


def test_what_it_is_made_with(made, monkeypatch):
    assert isinstance(made[0].to_frame(), pandas.DataFrame)
    with pytest.raises(ValueError, match="library is one of 'pandas', 'polars', not 'arrow'"):
        made[0].to_frame(library="arrow")
    with pytest.raises(KeyError, match="'none' is no step of this run"):
        made[0].to_frame("none")
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match="a frame of pandas or polars, which is not installed"):
        made[0].to_frame()


def test_a_column_that_polars_has_no_type_for_holds_objects():
    """polars itself has no wheel for each Python that is tested: what is called of it is what its documentation says."""
    calls = []

    def series(name, values, **options):
        calls.append((name, options))
        if "strict" in options and any(type(value) is object for value in values):
            raise TypeError("no type for it")
        return values

    polars = SimpleNamespace(__name__="polars", Series=series, Object=object)
    frame._series(polars, "x", [1, 2])
    frame._series(polars, "y", [object()])
    assert calls == [("x", {"strict": True}), ("y", {"strict": True}), ("y", {"dtype": object})]


def halves(x):
    if x == "bad":
        raise KeyError(x)
    return x // 2, x - x // 2


@pytest.mark.parametrize("kept", [True, False])
def test_one_of_several_outputs_has_the_calls_of_its_step_and_no_rows_among_all(tmp_path, kept):
    flow = Flow(
        error_handling="continue", progress=False, **({"run_folder": tmp_path / "run", "return_results": False} if kept else {})
    )
    lows, highs = flow.map(halves, [7, "bad", 2], outputs=2)
    flow.map(halves, lows, outputs=2)
    results = flow.run()
    shown = results.to_frame(highs, "pandas")

    assert isinstance(shown, pandas.DataFrame)
    assert [*shown] == ["x", "index", "result", "state", "error", "time"]
    assert [*shown.x] == [7, "bad", 2]
    assert [*shown.result] == [4, None, 1]
    assert [*shown.error] == [None, "KeyError: 'bad'", None]
    assert shown.drop(columns="result").equals(results.to_frame("halves", "pandas").drop(columns="result"))
    assert [*results.to_frame("halves#2[0]", "pandas").state] == ["done", "skipped", "done"]
    assert {*results.to_frame(library="pandas").step} == {"halves", "halves#2"}


def test_one_of_several_outputs_that_fails_by_itself_says_so():
    cache = {}
    made = Flow(cache=cache, error_handling="continue", progress=False)
    made.call(step(divmod, cache="divmod"), 7, 2, outputs=2)
    made.run()
    flow = Flow(cache={key: [1] for key in cache}, error_handling="continue", progress=False)  # somebody else's values
    low, _ = flow.call(step(divmod, cache="divmod"), 7, 2, outputs=2)
    (row,) = flow.run().to_frame(low, "pandas").to_dict("records")

    assert (row["x"], row["state"], row["error"]) == (7, "failed", "ValueError: divmod gave 1 value where outputs=2 says 2")
