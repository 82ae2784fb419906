"""What ``traceback`` prints of exceptions that came from a worker, and who else prints by it."""

from __future__ import annotations

import re
import sys

import pytest

from tests import programs

PROGRAM = """
import asyncio
import io, json, logging, pickle, sys, traceback, unittest
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as TimeoutErrors


def ratio(clicks, views):
    return clicks / views


def caused(clicks):
    try:
        ratio(clicks, 0)
    except ZeroDivisionError as error:
        raise ValueError("no ratio") from error


def nested():
    with ProcessPoolExecutor(1) as inner:
        future = inner.submit(ratio, 2, 0)
        wait([future])
        future.result()


def deep(depth):
    return deep(depth - 1) if depth else ratio(1, 0)


def many():
    raise ExceptionGroup("two", [ValueError("first"), ValueError("second")])


def asked(function, *given):
    try:
        future = pool.submit(function, *given)
        wait([future])  # where result() raises depends on whether it has come
        future.result()
    except Exception as error:
        return error


def chained():
    try:
        raise RuntimeError("outer") from asked(ratio, 1, 0)
    except RuntimeError as error:
        return error


async def wrapping():
    raise RuntimeError("outer") from asked(ratio, 1, 0)


def wrapped():
    try:
        asyncio.run(wrapping())
    except RuntimeError as error:
        return error


def beside():
    try:
        Future().result(timeout=0)
    except TimeoutErrors as caught:
        own = caught
    error = asked(ratio, 1, 0)
    error.__cause__ = own
    return error


def plain():
    try:
        ratio(1, 0)
    except ZeroDivisionError as error:
        return error


class Case(unittest.TestCase):
    def test_ratio(self):
        future = pool.submit(ratio, 1, 0)
        wait([future])
        future.result()


def tell(name, text):
    print("===", name)
    print(text.rstrip())


def shown(error, **how):
    return "".join(traceback.format_exception(type(error), error, error.__traceback__, **how))


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool, ThreadPoolExecutor(1) as threads:
        error = asked(ratio, 1, 0)
        before = error.__traceback__, error.__cause__, error.__context__
        tell("process", shown(error))
        assert before == (error.__traceback__, error.__cause__, error.__context__)
        tell("caused", shown(asked(caused, 1)))
        tell("nested", shown(asked(nested)))
        tell("deep", shown(asked(deep, 20)))
        tell("engines", str(asked(nested).__cause__))
        tell("beside", shown(beside()))
        tell("call", shown(asked(ratio)))
        tell("library", shown(asked(json.loads, "{")))
        tell("chained", shown(chained()))
        tell("wrapped", shown(wrapped()))
        tell("plain", shown(plain()))
        tell("first", shown(error, limit=1))
        tell("last", shown(error, limit=-1))
        tell("locals", "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
        tell("only", "".join(traceback.format_exception_only(type(error), error)))
        taken = traceback.TracebackException.from_exception(asked(nested))
        del taken.stack[0]
        tell("taken", "".join(taken.format()))
        try:
            copied = pickle.loads(pickle.dumps(traceback.TracebackException.from_exception(error).stack))
        except TypeError as refused:  # frames have their code from 3.14 on
            tell("pickled", str(refused))
        else:
            tell("pickled", f"{type(copied) is traceback.StackSummary} {[frame.name for frame in copied]}")
        if hasattr(__builtins__, "ExceptionGroup"):
            tell("group", shown(asked(many)))
        try:
            future = threads.submit(ratio, 1, 0)
            wait([future])
            future.result()
        except ZeroDivisionError as caught:
            tell("thread", shown(caught))
        stream = io.StringIO()
        unittest.TextTestRunner(stream=stream).run(Case("test_ratio"))
        tell("unittest", stream.getvalue())
        sys.tracebacklimit = 0
        tell("limit", shown(error))
"""

PROCESS = """
Traceback (most recent call last):
  File "main.py", line N, in asked
    future.result()
  [in a process-pool worker, pid N, submitted at main.py:N in asked]
  [ratio(clicks=1, views=0)]
  File "main.py", line N, in ratio
    return clicks / views
  [N engine frames hidden, AUTOTB_FRAMES=all]
ZeroDivisionError: division by zero
"""


def normal(text, folder):
    """Without what differs from run to run, and without the carets that Python 3.10 lacks."""
    text = re.sub(r"pid \d+", "pid N", text.replace(f"{folder}/", ""))
    text = re.sub(r"\d+ (?=engine frames)", "N ", text)  # on 3.10 one frame of ours stays in the traceback
    text = re.sub(r"(main\.py(?:\", line |:))\d+", r"\1N", text)
    return "\n".join(line for line in text.split("\n") if line.strip(" ^~|") or not line.strip())


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    ours, bare = (programs.run(folder, PROGRAM, autotb=autotb) for autotb in "10")
    assert (ours.status, ours.stderr) == (bare.status, bare.stderr) == (0, "")
    parts = [re.split(r"^=== (\w+)\n", normal(ran.stdout, folder), flags=re.M)[1:] for ran in (ours, bare)]
    return [dict(zip(part[::2], part[1::2])) for part in parts]


def test_no_engines_frame_or_text_and_where_the_worker_ran(told):
    ours, bare = told

    assert ours["process"].strip() == PROCESS.strip()
    assert "_RemoteTraceback" in bare["process"]


def test_what_has_no_worker_in_it_is_pythons(told):
    ours, bare = told

    for name in ("plain", "only", "limit"):
        assert ours[name].replace("\nZero", "Zero") == bare[name].rpartition("exception:\n")[2].replace("\nZero", "Zero"), name


def test_the_cause_in_the_worker_stands_in_place_of_the_engines_text(told):
    first, _, last = told[0]["caused"].partition("\nThe above exception was the direct cause of the following exception:\n\n")

    assert first.strip().split("\n")[-1] == "ZeroDivisionError: division by zero"
    assert "in caused\n    ratio(clicks, 0)" in first
    assert last.strip().split("\n")[-1] == "ValueError: no ratio"
    assert "[caused(clicks=1)]" in last


def test_an_error_that_was_raised_of_a_workers_has_no_engines_frame_either(told):
    """They are counted at both."""
    ours, bare = told[0]["wrapped"], told[1]["wrapped"]

    assert re.findall(r", in (\w+)$", ours, re.M) == ["asked", "ratio", "wrapped", "wrapping"]
    assert ours.count("engine frames hidden, AUTOTB_FRAMES=all]") == 2
    assert "in run_until_complete" in bare


def test_what_a_workers_error_came_out_of_here_has_no_engines_frame_either(told):
    ours, bare = (each["beside"].partition("The above exception")[0] for each in told)

    assert re.findall(r", in (\w+)$", ours, re.M) == ["beside"]
    assert re.findall(r", in (\w+)$", bare, re.M) == ["beside", "result"]
    assert "engine frame hidden, AUTOTB_FRAMES=all]" in re.sub("frames", "frame", ours)


def test_an_engines_own_text_tells_the_frames_of_another_worker_once(told):
    """It has the text that came from there."""
    assert told[0]["engines"].count("return clicks / views") == told[1]["engines"].count("return clicks / views") == 1


def test_each_hop_has_its_line_where_it_begins(told):
    lines = [line.strip() for line in told[0]["nested"].split("\n")]

    assert [line for line in lines if line.startswith("[") or line.endswith(("in nested", "in ratio"))] == [
        "[in a process-pool worker, pid N, submitted at main.py:N in asked]",
        "[nested()]",
        'File "main.py", line N, in nested',
        "[in a process-pool worker, pid N, submitted at main.py:N in nested]",
        "[ratio(clicks=2, views=0)]",
        'File "main.py", line N, in ratio',
        "[N engine frames hidden, AUTOTB_FRAMES=all]",
    ]


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("deep", ["[deep(depth=20)]", "[Previous line repeated 18 more times]", "line N, in ratio"]),
        ("call", ["[ratio()]", "TypeError: ratio() missing 2 required positional arguments: 'clicks' and 'views'"]),
        ("library", ["[loads(s='{')]", "in raw_decode"]),
        ("chained", ["[ratio(clicks=1, views=0)]", "ZeroDivisionError: division by zero", "RuntimeError: outer"]),
        ("first", ["in asked", "[N engine frames hidden"]),
        ("last", ["[ratio(clicks=1, views=0)]", "in ratio"]),
        ("locals", ["clicks = 1", "views = 0"]),
        ("thread", ["[in a thread-pool worker, thread ThreadPoolExecutor-0_0, submitted at", "in ratio"]),
        ("unittest", ["in test_ratio", "[in a process-pool worker, pid N, submitted at main.py:N in test_ratio]", "in ratio"]),
    ],
)
def test_the_story_in_every_form(told, name, wanted):
    ours, bare = (each[name] for each in told)
    at = 0
    for text in wanted:
        assert text in ours[at:], (text, ours)
        at = ours.index(text, at)
    assert not any(own in ours for own in ("_RemoteTraceback", "_base.py", "process.py", "thread.py")), ours
    assert any(own in bare for own in ("_RemoteTraceback", "_base.py")), bare


def test_with_a_limit_the_lines_of_frames_that_are_not_shown_are_not_either(told):
    assert "in ratio" not in told[0]["first"]
    assert "[ratio(" not in told[0]["first"]
    assert "in asked\n" not in told[0]["last"]


def test_lines_stay_with_their_frames_where_others_are_taken_out(told):
    lines = [line.strip() for line in told[0]["taken"].split("\n") if line.strip().startswith(("[", "File"))]

    assert [line.partition(",")[0] + line.rpartition(",")[2] for line in lines] == [
        "[in a process-pool worker submitted at main.py:N in asked]",
        "[nested()][nested()]",
        'File "main.py" in nested',
        "[in a process-pool worker submitted at main.py:N in nested]",
        "[ratio(clicks=2 views=0)]",
        'File "main.py" in ratio',
        "[N engine frames hidden AUTOTB_FRAMES=all]",
    ]


def test_a_stack_that_is_pickled_is_pythons(told):
    ours, bare = (each["pickled"].strip() for each in told)

    assert ours == ("True ['asked', 'ratio']" if bare.startswith("True") else bare)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
def test_groups(told):
    assert "  |   [many()]\n" in told[0]["group"]
    assert "    | ValueError: first\n" in told[0]["group"]
