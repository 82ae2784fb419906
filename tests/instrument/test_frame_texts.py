"""Python's text of a frame, which is made once for all failures of one place."""

from __future__ import annotations

import sys

import pytest

from tests import programs

PROGRAM = """
import linecache, pathlib, sys, traceback
from concurrent.futures import ProcessPoolExecutor

import steps


def texts(pool, calls):
    for name, given in calls:
        error = pool.submit(getattr(steps, name), given).exception()
        print(f"{type(error).__name__}: {error.__cause__}")


def rewritten(_):
    "A source that is changed under a pool that lives on: Python reads it anew."
    path = pathlib.Path(steps.__file__)
    path.write_text("# one more line\\n" + path.read_text().replace("a / b", "a  /  b"))


def by_hand(_):
    "Summaries that are alike but for what one type's value says and another's does not."
    plain = traceback.FrameSummary("f.py", 1, "f", line="a / b")
    odd = traceback.FrameSummary("f.py", True, "f", line="a / b")
    lines = [each for frame in (plain, odd, plain) for each in traceback.StackSummary.from_list([frame]).format()]

    class Stack(traceback.StackSummary):
        def format_frame_summary(self, frame, **options):
            return None if frame.name == "g" else super().format_frame_summary(frame, **options).upper()

    frames = [plain, traceback.FrameSummary("f.py", 1, "g", line="a"), traceback.FrameSummary("f.py", 1, "f", locals={"x": 1})]
    lines += Stack(frames).format() + traceback.StackSummary(frames).format()
    raise ValueError("\\n".join(map(repr, lines)))


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        calls = [("ratio", 0), ("ratio", 0), ("total", 1), ("total", 2), ("wide", 0), ("caused", 0), ("caused", 0), ("grouped", 0)]
        texts(pool, calls * 2)
        pool.submit(rewritten, 0).result()
        texts(pool, calls)
        for _ in range(2):
            print(pool.submit(by_hand, 0).exception().__cause__)
"""
STEPS = """
def ratio(b, a=1):
    return [a / b for _ in range(3)][0] + (a / b) * 2


def total(b):
    return (
        ratio(b, a="x")
        + 1
    )


def wide(b):
    "é日本"; 日本 = "é日本"; return len(日本) + ratio(b)


def caused(b):
    try:
        return ratio(b)
    except ZeroDivisionError as error:
        raise KeyError(b) from error


def grouped(b):
    errors = []
    for _ in range(2):
        try:
            ratio(b)
        except ZeroDivisionError as error:
            errors.append(error)
    if sys.version_info >= (3, 11):
        raise ExceptionGroup("both", errors)
    raise errors[0]


import sys
"""


def test_engines_texts_are_pythons(tmp_path):
    """Whatever Python writes of a worker's failure, the first and the second time, also after the source has changed."""
    shown = []
    for autotb in ("1", "0"):
        folder = tmp_path / autotb
        folder.mkdir()
        (folder / "steps.py").write_text(STEPS, encoding="utf-8")
        done = programs.run(folder, PROGRAM, autotb=autotb)
        assert done.status == 0, done.stderr
        shown.append(done.stdout.replace(str(done.folder), "FOLDER"))
    assert shown[0] == shown[1]
    assert shown[0].count("in ratio") > 10


COUNTED = """
import ast
from concurrent.futures import ProcessPoolExecutor

count = [0]


def counting(*given, parse=ast.parse, **more):
    count[0] += 1
    return parse(*given, **more)


ast.parse = counting


def ratio(b):
    return [1 / b for _ in range(2)][0] + 1


def parsed(_):
    return count[0]


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        for _ in range(20):
            pool.submit(ratio, 0).exception()
        print(pool.submit(parsed, 0).result())
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no carets")
def test_source_is_parsed_once_for_failures_of_one_place(tmp_path):
    """Its carets are most of what an engine's text of a failure costs."""
    own, pythons = (int(programs.run(tmp_path, COUNTED, autotb=each).stdout) for each in "10")
    assert 0 < own <= 4
    assert pythons >= 40
