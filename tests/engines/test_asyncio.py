"""asyncio: tasks, groups, threads, executors, and a task that nobody awaited."""

from __future__ import annotations

import re
import sys

import pytest

from tests.engines.declared import Engine

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

ENGINES = {
    "asyncio": Engine(unbroken="nothing of a worker's is read: a loop that is not watched is the bare run"),
}


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


SILENCED = {
    "nothing": "pass",
    "level": "logging.getLogger('asyncio').setLevel(logging.CRITICAL)",
    "disabled": "logging.getLogger('asyncio').disabled = True",
    "all disabled": "logging.disable(logging.CRITICAL)",
    "filter": "logging.getLogger('asyncio').addFilter(lambda record: print('asked', record.args) is not None)",
    "last resort's level": "logging.lastResort.setLevel(logging.CRITICAL)",
    "last resort's filter": "logging.lastResort.addFilter(lambda record: print('asked') is not None)",
    "no last resort": "logging.lastResort = None",
    "null handler": "logging.getLogger('asyncio').addHandler(logging.NullHandler())",
    "handler of its own": "logging.getLogger('asyncio').addHandler(logging.StreamHandler(sys.stdout))",
    "last resort of its own": "logging.lastResort = logging.StreamHandler(sys.stdout)",
    "formatter of its own": "logging.lastResort.setFormatter(logging.Formatter('LOG %(message)s'))",
    "root's handler": "logging.basicConfig(format='LOG %(name)s %(message)s')",
    "factory": "made = logging.getLogRecordFactory()\n"
    "logging.setLogRecordFactory(lambda *a, **k: (print('made', a[3], k), made(*a, **k))[1])\nlogging.lastResort = None",
    "a loop's handler": "asyncio.BaseEventLoop.call_exception_handler = lambda self, context: print(sorted(context))",
}


@pytest.mark.parametrize("how", SILENCED)
def test_what_the_program_has_done_to_asyncios_logger_holds(run, how):
    code = f"import asyncio, logging, sys\n{SILENCED[how]}\n{PROGRAM}"
    ours, bare = run(code, "never"), run(code, "never", autotb="0")

    def kept(text):
        return re.sub(r"0x\w+", "0x", text)

    assert kept(ours.stdout) == kept(bare.stdout)
    if how == "nothing":
        assert "╭" in ours.stderr and "╭" not in bare.stderr
    else:
        assert kept(ours.stderr) == kept(bare.stderr)


CONTEXT = """
import asyncio

class Protocol(asyncio.Protocol):
    def data_received(self, data):
        {}[data]

async def dropped():
    raise ValueError("never asked")

async def main():
    loop = asyncio.get_running_loop()
    asyncio.create_task(dropped())
    loop.call_soon(lambda: 1 / 0)
    loop.call_exception_handler({"message": "mine", "exception": RuntimeError("r"), "device": "/dev/x", "attempt": 3})
    loop.call_exception_handler({"exception": RuntimeError("no message")})
    loop.call_exception_handler({"message": "no exception", "device": "/dev/y"})
    server = await loop.create_server(Protocol, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x")
    await asyncio.sleep(0.1)
    writer.close()
    server.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("flags", [[], ["-X", "dev"]])
def test_all_that_asyncio_tells_of_an_error_is_told(run, flags):
    command = [sys.executable, *flags]
    ours, bare = run(CONTEXT, command=command), run(CONTEXT, command=command, autotb="0")

    def told(ran):
        """The lines that asyncio itself writes; what follows a traceback's head is Python's."""
        known = r"(\w+: .*|Task exception was.*|Exception in.*|Fatal error.*|mine|no exception|Unhandled.*|\w+ created at .*)"
        return [re.sub(r"0x\w+|fd=\d+", "0x", line) for line in ran.lines if re.fullmatch(known, line)]

    assert told(ours) == told(bare)
    assert len(told(ours)) >= 17
    assert ours.stderr.count("╭") == 3
    assert ("source_traceback: Object created at (most recent call last):" in ours.lines) == bool(flags)


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


FIRST = """
import asyncio, pickle, sys, threading
kind, how = asyncio.BaseEventLoop, sys.argv[1]
first, handler, made = kind.__init__, kind.default_exception_handler, []

def counted(self):  # around what waits for the first loop
    made.append(1)
    first(self)

def told(self, context):
    made.append(type(context["exception"]).__name__)

if how == "wrapped":
    kind.__init__ = counted
elif how == "replaced":
    kind.default_exception_handler = told

def fails():
    async def work():
        1 / 0

    async def main():
        asyncio.get_running_loop().create_task(work())
        await asyncio.sleep(0.01)

    asyncio.run(main())

threads = [threading.Thread(target=fails) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(made, kind.__init__ is first, kind.default_exception_handler is handler, pickle.loads(pickle.dumps(handler)) is handler)
"""


@pytest.mark.parametrize("how", ["as it is", "wrapped", "replaced"])
def test_the_first_loops_bring_the_adapter_whoever_has_wrapped_them(run, how):
    ran, bare = run(FIRST, how), run(FIRST, how, autotb="0")

    assert ran.stdout.replace("True\n", "") == bare.stdout.replace("True\n", "")
    assert (ran.stderr.count("╭"), "╭" in bare.stderr) == (0 if how == "replaced" else 6, False)


TIMEOUT = """
import asyncio
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def fetch(url):
    try:
        raise OSError("no route")
    except OSError as error:
        raise TimeoutError(f"no answer of {url}") from error

async def ask(pool, url):
    return await asyncio.get_running_loop().run_in_executor(pool, fetch, url)

async def main(case):
    with {"thread": ThreadPoolExecutor, "process": ProcessPoolExecutor}[case](1) as pool:
        (error,) = await asyncio.gather(ask(pool, "a"), return_exceptions=True)
        print(type(error), error.args, vars(error).keys() - {"__autotb__"})
        await ask(pool, "b")

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("case", ["thread", "process"])
def test_a_timeout_error_that_asyncio_makes_anew_has_its_story(run, case):
    ran, bare = run(TIMEOUT, case), run(TIMEOUT, case, autotb="0")

    assert (ran.stdout, ran.status) == (bare.stdout, bare.status) == (ran.stdout, 1)
    assert [head.rpartition(" ")[2] for head in ran.heads] == ["fetch", "<module>", "main", "ask", "fetch"]
    assert "fetch(url='b')" in ran.stderr and f"in a {case}-pool worker" in ran.stderr and "submitted at" in ran.stderr
    assert ran.last.startswith("caused by OSError: no route, at ")
