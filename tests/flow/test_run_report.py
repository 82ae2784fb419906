"""A run folder is told without unpickling; what its index says is believed of nobody."""

from __future__ import annotations

import pytest

from autotb import Flow
from autotb.flow import run_report
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
    assert run_report._size(shape) == size


@pytest.mark.parametrize("shape", ["[-1]", '["a"]', "{}", "null", "[1e9]", "[9007199254740991, 9007199254740991]", 3])
def test_a_shape_that_is_none_is_torn(shape):
    with pytest.raises(ValueError):
        run_report._size(shape)


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
