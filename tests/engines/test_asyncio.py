"""asyncio: tasks, groups, threads, executors, and a task that nobody awaited."""

from __future__ import annotations

import re
import sys

import pytest

PROGRAM = """
import asyncio
import sys
from concurrent.futures import ProcessPoolExecutor

def inner(x):
    return 1 / x

async def task(x):
    await asyncio.sleep(0)
    return inner(x)

async def main(case):
    if case == "gather":
        await asyncio.gather(task(1), task(0))
    elif case == "await":
        await asyncio.create_task(task(0))
    elif case == "wait":
        done, _ = await asyncio.wait([asyncio.create_task(task(0))])
        done.pop().result()
    elif case == "to_thread":
        await asyncio.to_thread(inner, 0)
    elif case == "executor":
        with ProcessPoolExecutor(1) as pool:
            await asyncio.get_running_loop().run_in_executor(pool, inner, 0)
    elif case == "never":
        asyncio.create_task(task(0))
        await asyncio.sleep(0.05)
    elif case == "group":
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(task(0))
            group.create_task(other())
    elif case == "interrupt":
        raise KeyboardInterrupt

async def other():
    await asyncio.sleep(0)
    try:
        {}["id"]
    except KeyError as error:
        raise ValueError("no id") from error

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
"""


def names(ran):
    return [head.partition(" in ")[2] for head in ran.heads]


@pytest.mark.parametrize(
    "case, expected",
    [
        ("gather", ["<module>", "main", "task", "inner"]),
        ("await", ["<module>", "main", "task", "inner"]),
        ("wait", ["<module>", "main", "task", "inner"]),
        ("to_thread", ["<module>", "main", "inner"]),
        ("executor", ["<module>", "main", "inner"]),
    ],
)
def test_what_was_awaited(shows, case, expected):
    def check(ran):
        assert names(ran) == expected
        assert "asyncio/" not in ran.stderr
        assert ran.last == "ZeroDivisionError: division by zero"
        assert ran.status == 1
        if case in ("to_thread", "executor"):
            assert "inner(x=0)" in ran.stderr
            assert "submitted at" in ran.stderr

    shows(PROGRAM, check, case)


def test_a_task_that_nobody_awaited(shows):
    def check(ran):
        assert ran.lines[0] == "Task exception was never retrieved"
        assert names(ran) == ["task", "inner"]
        assert ran.last == "ZeroDivisionError: division by zero"
        assert ran.status == 0

    shows(PROGRAM, check, "never")


def test_a_task_that_nobody_awaited_tells_where_it_was_created_when_asked_to(run):
    ran = run(PROGRAM, "never", AUTOTB_ASYNCIO="1")

    assert re.search(r"created at \S+main\.py:\d+ in main", ran.stderr)


def test_a_program_with_a_log_keeps_its_log(run):
    ran = run("import logging\nlogging.basicConfig(format='LOG %(name)s %(message)s')\n" + PROGRAM, "never")

    assert ran.lines[0].startswith("LOG asyncio Task exception was never retrieved")
    assert "╭" not in ran.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup is new in 3.11")
def test_a_task_group_is_a_tree_with_equal_errors_counted(shows):
    def check(ran):
        assert ran.last == "ExceptionGroup: unhandled errors in a TaskGroup (5 sub-exceptions)"
        assert "4 × ZeroDivisionError: division by zero, at " in ran.stderr
        assert names(ran).count("inner") == 1
        assert "│ KeyError: 'id'" in ran.stderr
        assert "│ ValueError: no id" in ran.stderr

    shows(PROGRAM, check, "group")


def test_keyboard_interrupt_keeps_its_status(run):
    ours, bare = run(PROGRAM, "interrupt"), run(PROGRAM, "interrupt", autotb="0")

    assert ours.status == bare.status == -2
    assert ours.last == bare.last == "KeyboardInterrupt"
