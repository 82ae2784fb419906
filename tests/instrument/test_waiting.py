"""A wait for tasks that ended without a result says which run, where, and which do not yet; a cancelled task is named."""

from __future__ import annotations

import copy
import pickle
import re
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from autotb.instrument import waiting
from tests import programs
from tests.programs import Ran, sections

PROGRAM = """
import asyncio
import multiprocessing
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait


def hold(number):
    begun.release()
    go.wait(60)
    return number


def given(*events):
    global begun, go
    begun, go = events


class Threads(ThreadPoolExecutor):
    def shutdown(self, *args, **kwargs):
        super().shutdown(wait=False)
        go.set()
        super().shutdown(*args, **kwargs)


class Processes(ProcessPoolExecutor):
    def shutdown(self, *args, **kwargs):
        super().shutdown(wait=False)
        go.set()
        ProcessPoolExecutor.shutdown(self, *args, **kwargs)


def result():
    with Threads(1) as pool:
        future = pool.submit(hold, 1)
        begun.acquire()
        future.result(timeout=0.01)


def asked_for_its_error():
    with Threads(1) as pool:
        future = pool.submit(hold, 1)
        begun.acquire()
        future.exception(timeout=0.01)


def queued():
    with Threads(1) as pool:
        pool.submit(hold, 1)
        begun.acquire()
        pool.submit(print, 2)
        pool.submit(hold, 3).result(timeout=0.01)


def completed():
    with Threads(2) as pool:
        futures = [pool.submit(hold, number) for number in range(6)]
        begun.acquire()
        begun.acquire()
        for future in as_completed(futures, timeout=0.01):
            future.result()


def mapped():
    with Threads(1) as pool:
        results = pool.map(hold, [1, 2], timeout=0.01)
        begun.acquire()
        list(results)


def waited():
    with Threads(1) as pool:
        futures = [pool.submit(hold, 4)]
        begun.acquire()
        done, missing = wait(futures, timeout=0.01)
        missing.pop().result(timeout=0)


def cancelled():
    with Threads(1) as pool:
        pool.submit(hold, 1)
        begun.acquire()
        future = pool.submit(hold, 2)
        future.cancel()
        future.result()


def in_a_process():
    with Processes(1, context, given, (begun, go)) as pool:
        future = pool.submit(hold, 1)
        begun.acquire()
        pool.submit(hold, 2)
        last = pool.submit(hold, 3)
        (future if sys.argv[1] == "first" else last).result(timeout=0.01)


def of_a_loop():
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Threads(1))
        await asyncio.wait_for(asyncio.gather(loop.run_in_executor(None, hold, 1)), 0.3)

    asyncio.run(main())


def handled():
    with Threads(1) as pool:
        future = pool.submit(hold, 1)
        begun.acquire()
        try:
            future.result(timeout=0.01)
        except Exception as error:
            raise RuntimeError("too late") from error


def done_by_now():
    pool = Threads(1)
    future = pool.submit(hold, 1)
    begun.acquire()
    try:
        future.result(timeout=0.01)
    finally:
        go.set()
        wait([future])


CASES = (result, asked_for_its_error, queued, completed, mapped, waited, cancelled, in_a_process, of_a_loop, handled, done_by_now)
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    for case in CASES:
        is_process = case is in_a_process
        given(*((context.Semaphore(0), context.Event()) if is_process else (threading.Semaphore(0), threading.Event())))
        sys.stderr.write(f"=== {case.__name__}\\n")
        sys.stderr.flush()
        try:
            case()
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
"""


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waiting")
    ran = programs.run(folder, PROGRAM, "first", "spawn", AUTOTB_STYLE="rich")
    assert ran.status == 0, ran.stderr
    return sections(ran.stderr)


def said(text, state):
    return [line for line in text.split("\n") if line.startswith(f"{state}: ")]


HOLDS = r"at \S+main.py:\d+ in hold, in thread ThreadPoolExecutor-\d+_\d"


@pytest.mark.parametrize("case", ["result", "asked_for_its_error", "waited", "handled"])
def test_the_task_that_runs_is_told_with_its_line(stories, case):
    text = stories[case]

    (line,) = said(text, "running")
    assert re.fullmatch(rf"running: hold\(number=[14]\), {HOLDS}, submitted at \S+main.py:\d+ in {case}", line), text
    assert "TimeoutError" in Ran(1, "", text, None).last


def test_a_task_that_waits_is_told_with_what_it_waits_for(stories):
    (line,) = said(stories["queued"], "not started")

    busy = r"1 task before it in the queue, each thread is busy: hold\(number=1\), at \S+main.py:\d+ in hold"
    assert re.fullmatch(rf"not started: hold\(number=3\), {busy}, submitted at \S+main.py:\d+ in queued", line), line


def test_of_many_tasks_the_first_are_told_those_that_run_first(stories):
    text = stories["completed"]

    assert [len(said(text, state)) for state in ("running", "not started")] == [2, 1], text
    assert "\nand 3 more: 3 not started\n" in text


def test_a_map_names_the_element(stories):
    (line,) = said(stories["mapped"], "running")

    assert line.startswith("running: hold(number=1), ") and line.endswith("in mapped"), line


def test_a_cancelled_task_is_named(stories):
    (line,) = said(stories["cancelled"], "cancelled before it started")

    assert re.search(r": hold\(number=2\), submitted at \S+main.py:\d+ in cancelled$", line), line


def test_a_task_of_a_process_is_told_with_its_time(stories):
    (line,) = said(stories["in_a_process"], "running")

    assert re.search(r": hold\(number=1\), for \d+\.\d s, pid \d+, submitted at \S+main.py:\d+ in in_a_process$", line), line


def test_a_task_for_which_no_process_is_free(tmp_path):
    text = programs.run(tmp_path, PROGRAM.replace("CASES = (", "CASES = (in_a_process,) or ("), "last", "fork").stderr

    (line,) = said(text, "not started")
    assert re.search(r"hold\(number=3\), each worker is busy: pid \d+ with hold\(number=1\), for \d+\.\d s, submitted at ", line)


def test_a_thread_that_nobody_awaits_any_more_goes_on(stories):
    (line,) = said(stories["of_a_loop"], "runs on, though nobody awaits it any more")

    assert re.search(rf": hold\(number=1\), {HOLDS}, submitted at \S+main.py:\d+ in main$", line), line


def test_what_ended_meanwhile_is_not_told_as_running(stories):
    text = stories["done_by_now"]

    (line,) = said(text, "done by now")
    assert "it ran when the wait ended" in line and not said(text, "running")


def test_an_error_that_waited_travels_without_its_future():
    error = TimeoutError("late")
    with ThreadPoolExecutor(1) as pool:
        waiting.note(pool.submit(int), error)

    assert str(pickle.loads(pickle.dumps(error))) == "late"
    assert str(copy.deepcopy(error)) == "late"


def test_other_errors_are_let_be():
    class TimeoutError(Exception):  # noqa: A001, N818
        pass

    for error in (ValueError(), TimeoutError()):
        waiting.note(Future(), error)

        assert not vars(error) and waiting.opened(error) is None
    assert waiting.opened(OSError("x")) is None
