"""What faulthandler wrote of every thread, read again."""

from __future__ import annotations

import selectors

import pytest

from autotb.postmortem import crash_dump

DUMP = """Fatal Python error: Segmentation fault

Thread 0x00007f (most recent call first):
  File "/other.py", line 9 in other

Current thread 0x00008f (most recent call first):
  File "/lib/ctypes/__init__.py", line 525 in string_at
  File "/w.py", line 3 in work
  File "/lib/multiprocessing/process.py", line 108 in run
  File "/lib/multiprocessing/process.py", line 314 in _bootstrap
  File "/main.py", line 9 in <module>

Extension modules: numpy
"""


def lines(dump):
    frames, elsewhere = crash_dump.frames(dump)
    return [(frame["name"], frame["line"]) for frame in frames], elsewhere


def test_the_lines_of_a_crash_are_those_of_the_thread_that_crashed():
    assert lines(DUMP) == ([("run", 108), ("work", 3), ("string_at", 525)], False)
    assert crash_dump.thread(DUMP) == 0x8F


def test_lines_that_come_outermost_first_stay_so():
    dump = 'Stack (most recent call last):\n  File "/a.py", line 1 in a\n    code\n  File "/b.py", line 2 in b\n'

    assert lines(dump) == ([("a", 1), ("b", 2)], False)
    assert crash_dump.thread(dump) == 0


@pytest.mark.parametrize("dump", ["", "nothing of that kind\n"])
def test_without_a_thread_there_are_none(dump):
    assert lines(dump) == ([], False)


def test_an_engines_way_of_calling_is_none_of_them():
    dump = 'Current thread 0x1 (most recent call first):\n  File "/w.py", line 3 in work\n  File "<string>", line 1 in <module>\n'

    assert lines(dump) == ([("work", 3)], False)


@pytest.mark.parametrize("crashed", [f'  File "{selectors.__file__}", line 468 in select', "  <no Python frame>"])
def test_where_that_runs_nothing_of_the_users_another_one_is_shown_if_it_alone_does(crashed):
    current = f"Current thread 0x1 (most recent call first):\n{crashed}\n"
    one = f'Thread 0x2 (most recent call first):\n  File "{__file__}", line 9 in work\n\n'
    other = one.replace("0x2", "0x3").replace("work", "rest")
    idle = f'Thread 0x4 (most recent call first):\n  File "{selectors.__file__}", line 468 in select\n\n'

    assert lines(one + idle + current) == ([("work", 9)], True)
    assert lines(one + other + current)[1] is False
    assert ("work", 9) not in lines(one + other + current)[0]


def test_the_outermost_function_of_the_users_is_the_tasks_where_no_thread_is_told():
    stack = "Stack (most recent call first):\n"
    frames = f'  File "{__file__}", line 9 in inner\n  File "{__file__}", line 3 in work\n  File "{selectors.__file__}", line 4 in run\n'

    assert crash_dump.outermost(stack + frames) == "work"
    assert crash_dump.outermost("") == ""
