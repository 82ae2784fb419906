"""structlog's data of a worker's error; what it shows of one is looked at in test_traceback_tools.py."""

from __future__ import annotations

import builtins
import concurrent.futures
import sys

import pytest

tracebacks = pytest.importorskip("structlog.tracebacks")


def ratio(clicks, views):
    return clicks / views


def test_frames_of_a_direct_call_and_what_the_program_noted():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(ratio, 1, 0).result()
        except ZeroDivisionError as caught:
            error = caught
    if sys.version_info >= (3, 11):
        error.add_note("mine")
    (stack,) = tracebacks.extract(type(error), error, error.__traceback__).stacks

    assert [frame.name for frame in stack.frames] == ["test_frames_of_a_direct_call_and_what_the_program_noted", "ratio"]
    if sys.version_info >= (3, 11) and hasattr(stack, "exc_notes"):
        assert stack.exc_notes[0] == "mine"
        assert stack.exc_notes[2] == "ratio(clicks=1, views=0)"
        assert error.__notes__ == ["mine"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
def test_a_member_of_a_group_says_once_where_it_ran():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(ratio, 1, 0).result()
        except ZeroDivisionError as caught:
            group = builtins.ExceptionGroup("own", [caught])
    (stack,) = tracebacks.extract(type(group), group, group.__traceback__).stacks
    if not getattr(stack, "exceptions", None):
        pytest.skip("this structlog tells no members")
    (member,) = stack.exceptions[0].stacks

    assert [frame.name for frame in member.frames][-1] == "ratio"
    assert [note for note in member.exc_notes if note == "ratio(clicks=1, views=0)"] == ["ratio(clicks=1, views=0)"]
