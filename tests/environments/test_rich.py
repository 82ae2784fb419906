"""rich's traceback of a worker's error; what others show of one is looked at in test_traceback_tools.py."""

from __future__ import annotations

import builtins
import concurrent.futures
import io
import sys

import pytest
from rich import traceback
from rich.console import Console

HIDDEN = "3 engine frames hidden" if sys.version_info >= (3, 11) else "4 engine frames hidden"  # one is ours


def ratio(clicks, views):
    return clicks / views


def deep(depth):
    return deep(depth - 1) if depth else ratio(1, 0)


def caused(clicks):
    try:
        ratio(clicks, 0)
    except ZeroDivisionError as error:
        raise ValueError("no ratio") from error


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        yield pool


def failed(pool, function, *given):
    _rich_traceback_omit = True
    try:
        pool.submit(function, *given).result()
    except Exception as error:
        return error


def shown(error, **options):
    console = Console(file=io.StringIO(), width=400, color_system=None)
    console.print(traceback.Traceback.from_exception(type(error), error, error.__traceback__, width=400, **options))
    return [line.strip("│ ") for line in console.file.getvalue().split("\n") if line.strip("│ ")]


def at(lines, *starts):
    """Where lines begin so, one after the other."""
    found = []
    for start in starts:
        first = found[-1] + 1 if found else 0
        found.append(next(number for number in range(first, len(lines)) if lines[number].startswith(start)))
    return found


def test_the_worker_between_its_callers_frame_and_its_own(pool):
    def ask():
        try:
            pool.submit(ratio, 1, 0).result()
        except ZeroDivisionError as error:
            return error

    lines = shown(ask())

    where, call, head, hidden, last = at(
        lines,
        "in a process-pool worker, pid ",
        "ratio(clicks=1, views=0)",
        f"{__file__}:",
        HIDDEN,
        "ZeroDivisionError",
    )
    assert call == where + 1
    assert head == call + 1
    assert lines[head].endswith("in ratio")
    assert last == hidden + 2  # the border
    assert lines[0].startswith("╭")
    assert lines[1].endswith("in ask")
    assert not any("futures" in line or "_RemoteTraceback" in line for line in lines)


def test_frames_that_rich_leaves_out_move_nothing(pool):
    """``_rich_traceback_omit`` in the one that asked."""
    lines = shown(failed(pool, ratio, 1, 0))

    assert not any(line.endswith("in failed") and line.startswith("/") for line in lines)
    at(lines, "in a process-pool worker", "ratio(clicks=1, views=0)", f"{__file__}:")


def test_of_many_frames_the_lines_stand_below(pool):
    lines = shown(failed(pool, deep, 60), max_frames=10)

    at(lines, f"{__file__}:", "... ", "in a process-pool worker", "deep(depth=60)", HIDDEN)


def test_the_cause_is_the_workers(pool):
    at(shown(failed(pool, caused, 1)), "ZeroDivisionError: division by zero", "The above exception", "in a process", "ValueError")


def test_each_of_a_chain_has_its_own(pool):
    try:
        raise RuntimeError("outer") from failed(pool, ratio, 1, 0)
    except RuntimeError as caught:
        lines = shown(caught)

    at(lines, "in a process", "ratio(clicks=1, views=0)", "ZeroDivisionError", "The above exception", "RuntimeError: outer")
    assert sum(line.startswith("in a process") for line in lines) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="rich shows members of groups from Python 3.11 on")
def test_members_of_groups(pool):
    group = builtins.ExceptionGroup("two", [failed(pool, ratio, 1, 0), failed(pool, ratio, 2, 0)])

    at(shown(group), "ExceptionGroup", "ratio(clicks=1, views=0)", "ratio(clicks=2, views=0)")


def test_what_is_read_has_the_real_frames_alone(pool):
    error = failed(pool, ratio, 1, 0)
    before = error.__traceback__, error.__cause__
    read = traceback.Traceback.extract(type(error), error, error.__traceback__)

    assert [frame.name for frame in read.stacks[0].frames] == ["ratio"]
    assert (error.__traceback__, error.__cause__) == before


def test_other_errors_and_the_switch(pool, monkeypatch):
    try:
        ratio(1, 0)
    except ZeroDivisionError as caught:
        assert not any(line.startswith("in a process") for line in shown(caught))
    monkeypatch.setenv("AUTOTB_TRACEBACK", "0")
    assert any("_RemoteTraceback" in line for line in shown(failed(pool, ratio, 1, 0)))
