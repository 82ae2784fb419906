"""Reading CPython's traceback text, where no record arrived."""

from __future__ import annotations

import sys
import traceback

import pytest

from autotb.trace import parse_traceback

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

CARETS = """Traceback (most recent call last):
  File "/a/pool.py", line 3, in run
    return fn()
           ^^^^
  File "/a/user file.py", line 12, in work
    return 1 / x
           ~~^~~
ZeroDivisionError: division by zero
"""
CHAINED = """Traceback (most recent call last):
  File "/a/x.py", line 1, in f
    {}["a"]
KeyError: 'a'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/a/x.py", line 3, in g
    raise ValueError("b") from e
ValueError: first line
  second line

third: line
"""
REPEATED = """Traceback (most recent call last):
  File "/a/x.py", line 1, in f
    f()
  [Previous line repeated 995 more times]
RecursionError: maximum recursion depth exceeded
"""
SYNTAX = """Traceback (most recent call last):
  File "/a/x.py", line 1, in f
    compile("a b", "y.py", "exec")
  File "y.py", line 1
    a b
      ^
SyntaxError: invalid syntax
"""
NESTED = '''concurrent.futures.process._RemoteTraceback:
"""
Traceback (most recent call last):
  File "/a/x.py", line 7, in inner
    1 / 0
ZeroDivisionError: division by zero
"""

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/a/x.py", line 9, in outer
    pool.submit(inner).result()
ZeroDivisionError: division by zero
'''


def frames(stack):
    return [(frame.path, frame.line, frame.name) for frame in stack.frames]


@pytest.mark.behaviour("S0-34")
def test_carets_are_no_source_lines():
    stack = parse_traceback.parse(CARETS)

    assert frames(stack) == [("/a/pool.py", 3, "run"), ("/a/user file.py", 12, "work")]
    assert stack.frames[1].failing_line == "return 1 / x"
    assert (stack.type, stack.message) == ("ZeroDivisionError", "division by zero")


@pytest.mark.behaviour("S0-34")
def test_chains_and_messages_of_several_lines():
    stack = parse_traceback.parse(CHAINED)

    assert stack.type == "ValueError"
    assert stack.message == "first line\n  second line\n\nthird: line"
    assert stack.cause.type == "KeyError"
    assert frames(stack.cause) == [("/a/x.py", 1, "f")]


@pytest.mark.behaviour("S0-34")
def test_nested_wrappers():
    stack = parse_traceback.parse(NESTED)

    assert frames(stack) == [("/a/x.py", 9, "outer")]
    assert frames(stack.cause) == [("/a/x.py", 7, "inner")]


@pytest.mark.behaviour("S0-34")
def test_repeated_lines_and_syntax_errors():
    assert parse_traceback.parse(REPEATED).hops[0].frames[1].repeated == 995
    assert parse_traceback.parse(SYNTAX).final[-1] == "SyntaxError: invalid syntax"
    assert frames(parse_traceback.parse(SYNTAX)) == [("/a/x.py", 1, "f")]


def test_what_is_no_traceback_is_none():
    assert parse_traceback.parse("") is None
    assert parse_traceback.parse("just a message") is None


def test_what_this_python_writes_is_read():
    def inner():
        raise ValueError("x: y\nz")

    try:
        try:
            inner()
        except ValueError as error:
            raise KeyError("k") from error
    except KeyError as error:
        stack = parse_traceback.parse("".join(traceback.format_exception(error)))

    assert (stack.type, stack.message) == ("KeyError", "'k'")
    assert (stack.cause.type, stack.cause.message) == ("ValueError", "x: y\nz")
    assert stack.cause.frames[-1].name == "inner"


@pytest.mark.behaviour("S0-33")
def test_a_worker_without_autotb_is_read_from_its_text(run):
    """The worker runs with ``AUTOTB=0``: the driver has the engine's text alone."""
    ran = run(
        """
        import multiprocessing as mp, os
        from concurrent.futures import ProcessPoolExecutor

        def work(x):
            # here
            return 1 / x

        if __name__ == "__main__":
            os.environ["AUTOTB"] = "0"
            with ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")) as pool:
                pool.submit(work, 0).result()
        """
    )

    assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "work"]
    assert "   6 │     # here" in ran.stderr
    assert "submitted at" in ran.stderr
    assert "_RemoteTraceback" not in ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"
    assert sys.version_info


def test_the_reason_that_only_the_workers_text_tells(shows):
    """A task that loky's worker cannot unpickle: the pool's error names no cause of its own."""
    pytest.importorskip("loky")

    def check(ran):
        assert "AttributeError: Can't get attribute 'work' on <module " in ran.stderr
        assert ran.stderr.index("AttributeError") < ran.stderr.index("BrokenProcessPool: A task has failed to un-serialize")
        assert "caused by AttributeError: Can't get attribute 'work' on <module " in ran.last

    shows(
        """
        import loky

        def work(x):
            return x

        if __name__ == "__main__":
            loky.set_loky_pickler("pickle")
            loky.get_reusable_executor(max_workers=1).submit(work, 1).result()
        """,
        check,
    )


@pytest.mark.parametrize("style", ["rich", "plain"])
def test_a_workers_text_that_is_no_traceback_keeps_its_last_lines(run, style):
    ran = run(
        """
        from concurrent.futures.process import _RemoteTraceback

        error = RuntimeError("the worker failed")
        error.__cause__ = _RemoteTraceback("line of a log\\nsegfault in libcuda\\n")
        raise error
        """,
        AUTOTB_STYLE=style,
    )

    assert ran.lines[-4:] == ["RuntimeError: the worker failed", "in a worker:", "line of a log", "segfault in libcuda"]


GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/a/x.py", line 10, in step
  |     raise ExceptionGroup("rows", errors)
  | ExceptionGroup: rows (4 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/a/x.py", line 5, in one
    |     int("x")
    | ValueError: bad
    |
    | The above exception was the direct cause of the following exception:
    |
    | Traceback (most recent call last):
    |   File "/a/x.py", line 6, in one
    |     raise KeyError("k")
    | KeyError: 'k'
    | while row 0
    +---------------- 2 ----------------
    | Exception Group Traceback (most recent call last):
    |   File "/a/x.py", line 7, in two
    |     raise ExceptionGroup("inner", errors)
    | ExceptionGroup: inner (1 sub-exception)
    +-+---------------- 1 ----------------
      | TypeError: never raised
      +------------------------------------
    +---------------- 3 ----------------
    | IndexError: 3
    +---------------- ... ----------------
    | and 7 more exceptions
    +------------------------------------

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/a/x.py", line 20, in main
    step()
RuntimeError: after
"""


@pytest.mark.behaviour("S0-34")
@pytest.mark.parametrize("stripped", [False, True])
def test_members_of_a_group_are_its_own_and_no_chain(stripped):
    stack = parse_traceback.parse(GROUP if stripped else GROUP.replace("|\n", "| \n"))

    assert (stack.headline, stack.context, stack.members) == ("RuntimeError: after", None, None)
    group = stack.cause
    assert (group.message, group.unlisted, frames(group)) == ("rows (4 sub-exceptions)", 7, [("/a/x.py", 10, "step")])
    first, inner, bare = group.members
    assert (first.headline, first.cause.headline) == ("KeyError: 'k'\nwhile row 0", "ValueError: bad")
    assert [frame.name for each in (first, inner, bare) for frame in each.frames] == ["one", "two"]
    assert (inner.message, [each.headline for each in inner.members]) == ("inner (1 sub-exception)", ["TypeError: never raised"])
    assert bare.headline == "IndexError: 3"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
def test_groups_are_read_as_this_python_writes_them():
    def group(depth):
        return ExceptionGroup(f"g{depth}", [ValueError(depth), *([group(depth - 1)] if depth else [])])

    try:
        raise group(4)
    except ExceptionGroup as error:
        stack = parse_traceback.parse("".join(traceback.format_exception(error)))
    read = []
    while stack is not None:
        read.append([member.headline for member in stack.members])
        stack = stack.members[1] if len(stack.members) > 1 else None

    assert read == [[f"ValueError: {at}", f"ExceptionGroup: g{at - 1} (2 sub-exceptions)"] for at in (4, 3, 2)] + [
        ["ValueError: 1", "ExceptionGroup: g0 (1 sub-exception)"],
        ["ValueError: 0"],
    ]


def test_groups_without_end_are_read_to_an_end():
    text = "\n".join(" " * 2 * at + "+-+---------------- 1 ----------------" for at in range(600))

    assert parse_traceback.parse("Traceback (most recent call last):\nValueError: x\n" + text).type == "ValueError"
