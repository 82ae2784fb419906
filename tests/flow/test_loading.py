"""The results of a run folder, without its script."""

from __future__ import annotations

import sys

import pytest

import autotb
from autotb import ErrorSnapshot, Flow, PropagatedErrorSnapshot, step
from tests import programs
from tests.flow.calls import Here, add, double, interrupted, invert, total


def interrupts_at_two(x):
    if x == 2:
        raise KeyboardInterrupt
    return x


@pytest.fixture
def folder(tmp_path):
    flow = Flow(error_handling="continue", run_folder=tmp_path / "run", progress=False)
    inverted = flow.map(invert, [1, 0, 2])
    flow.call(total, flow.map(double, inverted))
    flow.map(add, [1, 2], [10, 20], product=True)
    flow.call(step(double, name="single"), 4)
    flow.run()
    return tmp_path / "run"


def test_values_errors_and_roots_are_found_by_the_names_of_the_steps(folder):
    results = autotb.load(folder)

    assert list(results) == ["invert", "double", "total", "add", "single"]
    assert (results["invert"][0], results["invert"][2], results["single"]) == (1, 0.5, 8)
    assert [list(row) for row in results["add"]] == [[11, 21], [12, 22]]
    assert (type(results["invert"][1]), type(results["total"])) == (ErrorSnapshot, PropagatedErrorSnapshot)
    assert [root.kwargs for root in results["total"].get_root_causes()] == [{"x": 0}]
    assert [root.kwargs for root in results.get_root_causes()] == [{"x": 0}]
    assert results.has_errors
    with pytest.raises(ZeroDivisionError):
        results["invert"][1].reproduce()


def test_functions_of_a_script_are_named_where_it_is_not(tmp_path, run):
    code = """
        import autotb

        def half(number):
            return 1 / number

        flow = autotb.Flow("threads", error_handling="continue", run_folder="run", progress=False)
        flow.map(half, flow.map(half, [0, 1]))
        flow.run()
    """
    run(code)
    results = autotb.load(tmp_path / "run")

    assert repr(results["half"][0]) == "<ErrorSnapshot of half(number=0): ZeroDivisionError: division by zero>"
    assert repr(results["half#2"][0]) == "<PropagatedErrorSnapshot: half was not called, input_is_error: number is an error>"


def test_a_frame_has_the_calls_without_their_inputs(folder):
    results = autotb.load(folder)
    shown = results.to_frame("invert", "pandas")

    assert [*shown] == ["index", "result", "state", "error", "time"]
    assert [*shown.state] == ["done", "failed", "done"]
    assert [*shown.error] == [None, "ZeroDivisionError: division by zero", None]
    assert all(seconds >= 0 for seconds in shown.time)
    every = results.to_frame(library="pandas")
    assert [*every][:2] == ["step", "index"]
    assert "inputs" not in every
    assert [*every.step].count("invert") == 3


def test_a_frame_of_a_run_that_did_not_end_has_what_was_not_called(tmp_path):
    flow = Flow(Here(), run_folder=tmp_path / "run", progress=False)
    flow.map(interrupts_at_two, [1, 2, 3])
    with pytest.raises(KeyboardInterrupt):
        flow.run()

    assert [*autotb.load(tmp_path / "run").to_frame("interrupts_at_two", "pandas").state] == ["done", "not called", "not called"]


def test_they_are_told_as_those_of_the_run(folder):
    told = str(autotb.load(folder))

    assert "root cause of 1 failure:" in told
    assert ["invert", "2", "1", "0", "3"] in [line.split()[:5] for line in told.split("\n")]


def test_of_a_run_that_did_not_end_what_there_is(tmp_path):
    flow = Flow(Here(), run_folder=tmp_path / "run", progress=False)
    flow.map(interrupted, flow.map(double, [1, 2]))
    with pytest.raises(KeyboardInterrupt):
        flow.run()
    results = autotb.load(tmp_path / "run")

    assert list(results["double"]) == [2, 4]
    assert (results.tallies["interrupted"].done, results.tallies["interrupted"].total) == (0, 2)
    with pytest.raises(KeyError, match="the run did not come so far"):
        results["interrupted"][0]


def test_of_a_run_that_goes_on_what_there_is_by_now(tmp_path):
    seen = []

    def looks(x):
        ran = programs.start([sys.executable, "-c", "import autotb; print(list(autotb.load('run')['double']))"], tmp_path)
        seen.append(ran.stdout or ran.stderr)
        return x

    flow = Flow(Here(), run_folder=tmp_path / "run", progress=False)
    flow.map(looks, flow.call(list, flow.map(double, [1, 2])))
    flow.run()
    assert seen[-1] == "[2, 4]\n"


@pytest.mark.parametrize("kind", ["gone", "empty", "other"])
def test_what_is_no_run_folder_is_told(tmp_path, kind):
    if kind != "gone":
        (tmp_path / "run").mkdir()
    if kind == "other":
        (tmp_path / "run" / "index.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ValueError if kind == "other" else FileNotFoundError):
        autotb.load(tmp_path / "run")
