"""A run folder is told without unpickling; what its index says is believed of nobody."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import textwrap
import time

import pytest

from autotb import Flow, step
from autotb.flow import run_report
from tests import programs
from tests.flow.calls import double, invert


@pytest.mark.parametrize(
    ("value", "kinds"),
    [(-1, (int,)), (1 << 53, (int,)), (1.5, (int,)), ("3", (int,)), (None, (str,)), (float("nan"), (int, float)), (True, (int,))],
)
def test_what_is_no_count_is_torn(value, kinds):
    with pytest.raises(ValueError, match="it is torn: "):
        run_report._checked(value, *kinds)


@pytest.mark.parametrize(("value", "kinds"), [(0, (int,)), (2.5, (int, float)), ("name", (str,))])
def test_what_is_one_is_taken(value, kinds):
    assert run_report._checked(value, *kinds) == value


def test_what_is_torn_is_shown_in_short_and_harmless():
    with pytest.raises(ValueError) as caught:
        run_report._checked("\x1b" + "x" * 500, int)

    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("shape", "size"), [("[]", 1), ("[3]", 3), ("[2, 3]", 6), ("[0, 3]", 0), ("4", 4)])
def test_the_size_of_a_step(shape, size):
    assert math.prod(run_report._shape(shape)) == size


@pytest.mark.parametrize("shape", ["[-1]", '["a"]', "{}", "null", "[1e9]", "[9007199254740991, 9007199254740991]", 3])
def test_a_shape_that_is_none_is_torn(shape):
    with pytest.raises(ValueError):
        run_report._checked(math.prod(run_report._shape(shape)), int)


def test_the_table_and_the_root_causes(tmp_path):
    flow = Flow(error_handling="continue", progress=False, run_folder=tmp_path / "run")
    flow.map(double, flow.map(invert, [1, 0]))
    flow.run()

    told = run_report.text(str(tmp_path / "run"), lambda trace: trace.stack.headline)

    assert [line.split()[:5] for line in told.split("\n")[2:4]] == [
        ["invert", "1", "1", "0", "2"],
        ["double", "1", "0", "1", "2"],
    ]
    assert told.endswith("root cause of 1 failure:\nZeroDivisionError: division by zero")


SLOW = """
    import os, sys, time, autotb

    def waits(x):
        if x == 1:
            raise ValueError("no such thing")
        while x == 3 and not os.path.exists("go on"):
            time.sleep(0.02)
        return x

    def after(x):
        return x

    if __name__ == "__main__":
        flow = autotb.Flow(sys.argv[1], run_folder="run", error_handling="continue", return_results=False, progress=False)
        first = flow.map(autotb.step(waits, chunksize=1), range(10))
        last = flow.map(after, first)
        flow.map(after, flow.call(list, range(3)))
        open("begun", "w").close()
        print(len([value for value in flow.run()[last] if type(value) is int]))
    """


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_run_that_goes_on_is_told_of_and_is_not_held_up(tmp_path, executor):
    (tmp_path / "main.py").write_text(textwrap.dedent(SLOW))
    command = [sys.executable, "main.py", executor]
    env = programs.environment()
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        limit = time.monotonic() + programs.LIMIT
        while True:
            assert time.monotonic() < limit
            assert process.poll() is None
            shown = programs.start([sys.executable, "-m", "autotb", "show", "run"], tmp_path)
            if "the run goes on: " in shown.stdout and "root cause" in shown.stdout and "left" in shown.stdout:
                break
        before = {path.name for path in (tmp_path / "run").iterdir()}
        failed = programs.start([sys.executable, "-m", "autotb", "show", "--failed", "run"], tmp_path)
        assert {path.name for path in (tmp_path / "run").iterdir()} == before
    finally:
        (tmp_path / "go on").touch()
        told, _ = process.communicate(timeout=programs.LIMIT)
    assert told == "9\n"
    assert re.search(r"; [\d.]+ a second since it began [\d.]+ s ago, [\d.]+ s left at this pace", shown.stdout), shown.stdout
    assert "root cause of 1 failure:" in shown.stdout
    assert failed.stdout == "ValueError: no such thing (1 call)\n  waits 1: waits(x=1)\n"
    ended = programs.start([sys.executable, "-m", "autotb", "show", "run"], tmp_path)
    assert "goes on" not in ended.stdout


def test_a_run_that_was_left_off_says_how_to_go_on(tmp_path):
    flow = Flow("threads", progress=False, run_folder=tmp_path / "run")
    _, one = flow.call(divmod, 7, 2, outputs=2)
    flow.map(invert, flow.call(lambda one: [one, 0], one))
    with pytest.raises(ZeroDivisionError):
        flow.run()

    told = run_report.text(str(tmp_path / "run"), str)
    assert re.search(
        r"\nthe run is not complete, and no process is at it: at least [23] of 4 calls are settled; its script ", told
    ), told


def test_calls_that_failed_are_listed_by_what_they_failed_of(tmp_path):
    flow = Flow(error_handling="continue", progress=False, run_folder=tmp_path / "run")
    flow.map(double, flow.map(invert, [1, 0, "a", 0]))
    flow.run()

    blocks = run_report.failed(str(tmp_path / "run")).split("\n\n")
    assert blocks[0].split("\n") == [
        "ZeroDivisionError: division by zero (2 calls)",
        "  invert 1: invert(x=0)",
        "  invert 3: invert(x=0)",
    ]
    assert blocks[1].endswith("(1 call)\n  invert 2: invert(x='a')")


def test_roots_of_another_run_are_listed_with_the_call_that_was_skipped_for_them(tmp_path):
    before = Flow(error_handling="continue", progress=False)
    given = before.map(invert, [1, 0, "a"])
    values = before.run()[given]
    flow = Flow(error_handling="continue", progress=False, run_folder=tmp_path / "run", scan="containers")
    flow.call(double, flow.map(double, values))
    flow.call(step(double, name="whole"), [*values])
    flow.run()

    told = run_report.failed(str(tmp_path / "run"))
    first, second = told.split("\n\n")
    assert first == "ZeroDivisionError: division by zero (1 call)\n  double 1, skipped: invert(x=0)"
    assert second.endswith("(1 call)\n  double 2, skipped: invert(x='a')")
    assert [one.trace is not None for one in run_report.failures(str(tmp_path / "run"))] == [True, True]

    alone = Flow(error_handling="continue", progress=False, run_folder=tmp_path / "alone", scan="containers")
    alone.call(double, [*values])
    alone.run()
    assert "double 0, skipped: invert(x=0)" in (told := run_report.failed(str(tmp_path / "alone")))
    assert "double 0, skipped: invert(x='a')" in told


@pytest.mark.parametrize("told", [{"error": "x"}, {"error": "x", "id": "1", "others": [{"id": "2"}]}, {"others": 1}, [1]])
def test_a_record_that_tells_another_thing_is_torn(told):
    with pytest.raises(ValueError, match="torn"):
        run_report._roots(told)


def test_where_nothing_failed_that_is_said(tmp_path):
    flow = Flow(progress=False, run_folder=tmp_path / "run")
    flow.map(double, [1])
    flow.run()

    assert run_report.failed(str(tmp_path / "run")) == "no call failed"
