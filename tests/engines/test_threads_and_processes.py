"""threading.Thread and multiprocessing.Process: nobody catches their errors, so they show them themselves."""

from __future__ import annotations

import re

import pytest

from tests.engines.declared import Engine

PROGRAM = """
import multiprocessing as mp
import sys
import threading

def inner(x):
    return 1 / x

def work(x):
    if x == "exit":
        sys.exit(5)
    return inner(x)

class Own(threading.Thread):
    def run(self):
        inner(0)

class OwnProcess(mp.Process):
    def run(self):
        inner(0)

def main(kind, x):
    if kind == "thread":
        worker = threading.Thread(target=work, args=(x,))
    elif kind == "subclass":
        worker = Own()
    elif kind == "process-subclass":
        worker = OwnProcess()
    else:
        worker = mp.get_context(kind).Process(target=work, args=(x,))
    worker.start()
    worker.join()
    print("exitcode", getattr(worker, "exitcode", None))

if __name__ == "__main__":
    main(sys.argv[1], 0 if len(sys.argv) == 2 else sys.argv[2])
"""

ENGINES = {
    "threads": Engine(unbroken="nothing of a worker's is read: a thread whose start is not seen is the bare run"),
}


@pytest.mark.parametrize("kind", ["thread", "subclass", "fork", "spawn", "forkserver", "process-subclass"])
def test_the_error_is_one_panel_with_the_line_that_started_it(shows, kind):
    def check(ran):
        first = "Exception in thread " if kind in ("thread", "subclass") else "Process "
        assert ran.lines[0].startswith(first)
        assert [head.partition(" in ")[2] for head in ran.heads][-1:] == ["inner"]
        assert "started at" in ran.stderr
        assert "main.py:39 in main" in ran.stderr or "in main" in ran.stderr
        assert "threading.py" not in ran.stderr
        assert "multiprocessing/" not in ran.stderr
        assert ran.last == "ZeroDivisionError: division by zero"
        assert ran.status == 0
        assert ran.stdout.strip() == ("exitcode None" if kind in ("thread", "subclass") else "exitcode 1")

    shows(PROGRAM, check, kind, AUTOTB_STYLE="rich")


@pytest.mark.parametrize("kind, status", [("thread", "None"), ("fork", "5"), ("spawn", "5")])
def test_system_exit_of_a_worker_is_silent_as_ever(run, kind, status):
    ran = run(PROGRAM, kind, "exit")

    assert ran.stderr == ""
    assert ran.stdout.strip() == f"exitcode {status}"


def test_a_hook_of_the_users_for_threads_wins(run):
    ran = run(
        """
        import threading
        threading.excepthook = lambda args: print("mine", args.exc_type.__name__)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        """
    )

    assert ran.stdout == "mine ZeroDivisionError\n"
    assert ran.stderr == ""


def test_a_pool_of_threads_that_its_initializer_broke_says_of_what(shows):
    """In its futures, and to who submits to it afterwards."""

    def check(ran):
        assert "in the initializer of a thread-pool worker" in ran.stderr
        assert "connect(url='db://x')" in ran.stderr
        assert ran.last.startswith("caused by KeyError: 'db://x', at ")
        assert re.match(r"Exception in initializer:\nKeyError: 'db://x', at \S+main.py:5 in connect\n", ran.stderr)
        assert ran.stderr.count("Traceback (most recent call last)") == 2
        assert ran.stdout.splitlines() == ["BrokenThreadPool", "BrokenThreadPool caused by KeyError"]

    shows(
        """
        from concurrent.futures import ThreadPoolExecutor, thread

        def connect(url):
            return {}[url]

        pool = ThreadPoolExecutor(1, initializer=connect, initargs=("db://x",))
        future = pool.submit(abs, -1)
        error = future.exception()
        print(type(error).__name__)
        try:
            pool.submit(abs, -1)
        except thread.BrokenThreadPool as late:
            print(type(late).__name__, "caused by", __import__("autotb").explain(late).root_cause.type)
        future.result()
        """,
        check,
    )
