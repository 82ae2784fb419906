"""The same failing function on every backend of the standard library: the same story, as a direct call would have told it."""

from __future__ import annotations

import re
import sys

import pytest

from tests.engines.declared import Engine

PROGRAM = """\
import asyncio
import multiprocessing as mp
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool


def divide(a, b):
    quotient = a / b
    return quotient


def helper(item):
    numbers = item["numbers"]
    return divide(*numbers)


def work(item):
    return helper(item)


def work2(item, other):
    return helper(item)


GOOD = {"numbers": (1, 1)}
BAD = {"numbers": (1, 0)}


def ask(backend, method):
    if backend == "direct":
        return work(BAD)
    if backend == "threads":
        with ThreadPoolExecutor(2) as pool:
            if method == "map":
                return list(pool.map(work, [GOOD, BAD]))
            return pool.submit(work, BAD).result()
    if backend == "to_thread":
        return asyncio.run(asyncio.to_thread(work, BAD))
    if backend == "ThreadPool":
        with ThreadPool(2) as pool:
            return pool.map(work, [GOOD, BAD])
    context = mp.get_context(backend)
    if method.startswith("ppe"):
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            if method == "ppe-map":
                return list(pool.map(work, [GOOD, BAD]))
            if method == "ppe-chunks":
                return list(pool.map(work, [GOOD, BAD, GOOD, GOOD], chunksize=4))
            return pool.submit(work, BAD).result()
    with context.Pool(2) as pool:
        if method == "apply":
            return pool.apply(work, (BAD,))
        if method == "apply_async":
            return pool.apply_async(work, (BAD,)).get()
        if method == "map":
            return pool.map(work, [GOOD, BAD])
        if method == "map_async":
            return pool.map_async(work, [GOOD, BAD]).get()
        if method == "starmap":
            return pool.starmap(work2, [(GOOD, 1), (BAD, 2)])
        if method == "starmap_async":
            return pool.starmap_async(work2, [(GOOD, 1), (BAD, 2)]).get()
        if method == "imap":
            return list(pool.imap(work, [GOOD, BAD]))
        if method == "imap_unordered":
            return list(pool.imap_unordered(work, [GOOD, BAD]))


def main():
    return ask(sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    main()
"""

#: What ``test_degrading`` runs, with one name after another gone.
FUTURES = """\
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import cases

def thread(task):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(task, 0).result()

def process(task):
    with ProcessPoolExecutor(1) as pool:
        return list(pool.map(task, [1, 0]))

if __name__ == "__main__":
    cases.run(globals())
"""

MULTIPROCESSING = """\
import multiprocessing
import cases

def pool(task):
    with multiprocessing.Pool(1) as pool:
        return pool.map(task, [1, 0])

def imap(task):
    with multiprocessing.Pool(1) as pool:
        return list(pool.imap(task, [1, 0]))

def child(task):
    process = multiprocessing.Process(target=task, args=(0,))
    process.start()
    process.join()
    return process.exitcode

if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "futures": Engine(
        main=FUTURES,
        cases=("thread:ok", "thread:score", "process:score"),
        waits="process",
        unsendable="from concurrent.futures import ProcessPoolExecutor\ndef main():\n    with ProcessPoolExecutor(1) as pool:\n"
        "        return pool.submit(id, LOCK).result()",
    ),
    "multiprocessing": Engine(main=MULTIPROCESSING, cases=("pool:ok", "pool:score", "imap:score", "child:ok")),
}
USER = ["main.py in <module>", "main.py in main", "main.py in ask"]
WORKER = ["main.py in work", "main.py in helper", "main.py in divide"]
PROCESSES = [
    ("fork", "ppe-submit"),
    ("spawn", "ppe-submit"),
    ("forkserver", "ppe-submit"),
    ("fork", "ppe-map"),
    ("fork", "ppe-chunks"),
    ("fork", "apply"),
    ("spawn", "apply"),
    ("forkserver", "apply"),
    ("fork", "apply_async"),
    ("fork", "map"),
    ("fork", "map_async"),
    ("fork", "starmap"),
    ("fork", "starmap_async"),
    ("fork", "imap"),
    ("fork", "imap_unordered"),
]
THREADS = [("threads", "submit"), ("threads", "map"), ("to_thread", ""), ("ThreadPool", "")]


def without_lines(heads):
    return [re.sub(r":\d+", "", head) for head in heads]


@pytest.mark.behaviour("S0-1", "S0-3", "S0-4", "S0-9", "S0-10", "S0-12", "S0-31", "S0-32", "S0-33", "S0-35", "S0-36", "S0-40")
@pytest.mark.parametrize("backend, method", [*THREADS, *PROCESSES])
def test_the_story_is_that_of_a_direct_call(shows, backend, method):
    worker = [head.replace("work", "work2", 1) for head in WORKER] if "starmap" in method else WORKER

    def check(ran):
        heads = [head for head in without_lines(ran.heads) if head != "main.py in <listcomp>"]
        assert heads == [*USER, *[head if i else worker[0] for i, head in enumerate(WORKER)]]
        assert "concurrent/futures" not in ran.stderr
        assert "/multiprocessing/" not in ran.stderr
        assert "/autotb/" not in ran.stderr
        assert ran.last == "ZeroDivisionError: division by zero"
        assert ran.stderr.count("ZeroDivisionError") == 1
        assert "item={'numbers': (1, 0)}" in ran.stderr
        assert re.search(r"(submitted|started) at \S+main\.py:\d+ in ask", ran.stderr)
        assert ran.status == 1
        assert len(ran.lines) <= 75

    shows(PROGRAM, check, backend, method)


@pytest.mark.behaviour("S0-36")
def test_a_direct_call_shows_the_same_frames(shows):
    def check(ran):
        assert without_lines(ran.heads) == [*USER, *WORKER]
        assert ran.last == "ZeroDivisionError: division by zero"

    shows(PROGRAM, check, "direct", "", AUTOTB_STYLE="rich")


NESTED = """\
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def innermost(x):
    return [][x]


def inner(x):
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(innermost, x).result()


def outer(x):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(inner, x).result()


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        pool.submit(outer, 3).result()
"""


def test_nested_pools_are_one_story(shows):
    def check(ran):
        assert without_lines(ran.heads) == [f"main.py in {name}" for name in ("<module>", "outer", "inner", "innermost")]
        assert [call in ran.stderr for call in ("outer(x=3)", "inner(x=3)", "innermost(x=3)")] == [True] * 3
        assert ran.stderr.count("submitted at") == 3
        assert ran.last == "IndexError: list index out of range"
        assert len(ran.lines) <= 60

    shows(NESTED, check)


def test_a_result_asked_for_twice_shows_the_newest_asking(run):
    ran = run(
        """
        from concurrent.futures import ProcessPoolExecutor

        def work():
            raise ValueError("x")

        def first(future):
            try:
                future.result()
            except ValueError:
                pass

        def second(future):
            future.result()

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                future = pool.submit(work)
                first(future)
                second(future)
        """
    )
    assert without_lines(ran.heads) == ["main.py in <module>", "main.py in second", "main.py in work"]


def test_an_exception_of_a_future_tells_where_it_was_asked_for(run):
    ran = run(
        """
        import sys
        from concurrent.futures import ProcessPoolExecutor

        def work():
            raise ValueError("x")

        def ask(future):
            return future.exception()

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                error = ask(pool.submit(work))
            sys.excepthook(type(error), error, None)
        """
    )
    assert without_lines(ran.heads) == ["main.py in ask", "main.py in work"]


@pytest.mark.behaviour("S0-13")
def test_the_caller_is_the_user_behind_a_wrapper(shows):
    def check(ran):
        assert without_lines(ran.heads) == ["main.py in <module>", "main.py in helper", "main.py in decorated", "main.py in work"]
        assert "submitted at" in ran.stderr

    shows(
        """
        import functools
        from concurrent.futures import Future, ProcessPoolExecutor

        original = Future.result
        @functools.wraps(original)
        def decorated(self, timeout=None):
            return original(self, timeout)
        Future.result = decorated

        def work():
            raise ValueError("x")

        def helper(future):
            return future.result()

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                helper(pool.submit(work))
        """,
        check,
    )


@pytest.mark.behaviour("S0-14")
def test_a_call_at_module_level_over_several_lines(shows):
    def check(ran):
        assert re.search(r"main\.py:(1[0-3]) in <module>", ran.stderr)
        assert ran.heads[0].endswith("in <module>")
        assert ran.heads[1].endswith("in work")

    shows(
        """
        from concurrent.futures import ThreadPoolExecutor

        def work(*args):
            raise ValueError(args)

        pool = ThreadPoolExecutor(1)


        result = (
            pool
            .submit(work,
                    1, 2)
            .result()
        )
        """,
        check,
    )


INTERPRETERS = """
import sys
from concurrent.futures import InterpreterPoolExecutor

import task

if __name__ == "__main__":
    with InterpreterPoolExecutor(1) as pool:
        if sys.argv[1] == "map":
            list(pool.map(task.work, [sys.argv[2]]))
        else:
            pool.submit(task.work, sys.argv[2]).result()
"""
TASK = """
class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def inner(case):
    if case == "two":
        raise TwoArguments(1, 2)
    return 1 / 0


def work(case):
    try:
        return inner(case)
    except ZeroDivisionError as error:
        raise ValueError("outer") from error
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="InterpreterPoolExecutor is new in 3.14")
@pytest.mark.parametrize("method", ["submit", "map"])
@pytest.mark.parametrize("case", ["zero", "two"])
def test_interpreter_pools(shows, tmp_path, method, case):
    (tmp_path / "task.py").write_text(TASK)

    def check(ran):
        names = [head.partition(" in ")[2] for head in ran.heads]
        assert "in an interpreter-pool worker" in ran.stderr
        assert f"work(case='{case}')" in ran.stderr
        assert "concurrent/" not in ran.stderr
        if case == "two":
            assert names == ["<module>", "work", "inner"]
            assert ran.last == "task.TwoArguments: 1 and 2"
        else:
            assert names == ["work", "inner", "<module>", "work"]
            assert ran.last.startswith("caused by ZeroDivisionError: division by zero, at ")

    shows(INTERPRETERS, check, method, case)
