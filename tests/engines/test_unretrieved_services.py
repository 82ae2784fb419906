"""Failed futures that were never retrieved, where an error reaches the program first, and in programs that go on for long."""

from __future__ import annotations

import pytest

#: Servers: one module-level pool; ``told()`` is what has come to stderr by now.
SERVER = """
import os, sys, tempfile, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait

case, kind = sys.argv[1:3]
pool = None

def parse(x):
    raise ValueError(f"request {x} failed")

def store(x):
    raise KeyError(f"bucket-{x}")

def again(x):
    raise KeyError("the same")

def fire(function, *args):
    future = pool.submit(function, *args)
    wait([future])
    while not future.done():
        time.sleep(0.01)

def mark(text):
    sys.stderr.write(f"=== {text}\\n")
    sys.stderr.flush()

def delivered(function, *args):
    try:
        pool.submit(function, *args).result()
    except Exception:
        pass

def main():
    global pool
    pool = (ProcessPoolExecutor if kind == "process" else ThreadPoolExecutor)(1)
    if case == "after":
        delivered(again, 0)
        fire(again, 0)
    elif case == "different":
        first, second = pool.submit(parse, 0), pool.submit(store, 7)
        try:
            first.result()
        except ValueError:
            pass
        wait([second])
        first = second = None
    elif case == "kinds":
        for function in (parse, store, again, parse, store, parse):
            fire(function, 1)
    elif case == "many":
        for number in range(60):
            namespace = {}
            exec(f"def f{number}(x):\\n    raise ValueError({number})", namespace)
            fire(namespace[f"f{number}"], 0)
    mark("served")
    pool.shutdown()

if __name__ == "__main__":
    main()
"""


def _served(ran):
    before, _, after = ran.stderr.partition("=== served\n")
    assert ran.status == 0
    return before, after


@pytest.mark.parametrize("kind", ["thread", "process"])
@pytest.mark.parametrize(("case", "text"), [("after", "KeyError: 'the same'"), ("different", "KeyError: 'bucket-7'")])
def test_one_error_that_was_delivered_silences_no_other(shows, case, text, kind):
    def check(ran):
        before, after = _served(ran)
        assert "the exception of a failed future was never retrieved, submitted at " in before
        assert text in before
        assert after == ""

    shows(SERVER, check, case, kind)


def test_each_kind_is_told_soon_and_once(shows):
    def check(ran):
        before, after = _served(ran)
        assert before.count("the exception of a failed future was never retrieved") == 3
        for text in ("ValueError: request 1 failed", "KeyError: 'bucket-1'", "KeyError: 'the same'"):
            assert text in before
        assert "autotb: 3 more futures failed, never retrieved:" in after
        assert "2 × ValueError: request 1 failed, at " in after
        assert "1 × KeyError: 'bucket-1', at " in after
        assert len(ran.lines) <= 21

    shows(SERVER, check, "kinds", "thread")


def test_what_is_told_is_bounded_and_all_of_it_is_counted(shows):
    def check(ran):
        before, after = _served(ran)
        told = before.count("the exception of a failed future was never retrieved")
        assert 1 < told < 20
        assert f"autotb: {60 - told} more futures failed, never retrieved:" in after
        assert len(ran.lines) <= 21

    shows(SERVER, check, "many", "thread")


def test_counts_are_told_when_a_while_has_passed(run):
    ran = run(
        """
        import sys, time
        from concurrent.futures import ThreadPoolExecutor, wait

        now = time.monotonic

        def work(x):
            raise ValueError(f"request {x} failed")

        def fire(count):
            for number in range(count):
                wait([pool.submit(work, number)])

        pool = ThreadPoolExecutor(1)
        fire(5)
        sys.stderr.write("=== a minute later\\n")
        from autotb.instrument import unretrieved
        unretrieved.due = now()  # as if it had passed
        fire(2)
        sys.stderr.write("=== at exit\\n")
        pool.shutdown()
        """
    )
    first, later, last = ran.stderr.replace("=== at exit\n", "=== a minute later\n").split("=== a minute later\n")

    assert "ValueError: request 0 failed" in first
    assert "more future" not in first
    assert later.startswith("autotb: 5 more futures failed since then, never retrieved:\n  5 × ValueError, at ")
    assert "1 more future failed, never retrieved:\n  1 × ValueError, at " in last


DIES = """
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def work(x):
    if x % 3:
        raise ValueError(f"no {x}")
    raise KeyError(x)

def main():
    with (ProcessPoolExecutor if sys.argv[1] == "process" else ThreadPoolExecutor)(1) as pool:
        futures = [pool.submit(work, x) for x in range(300)]
        for future in futures:
            future.result()

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_program_that_ends_with_an_error_of_its_pool_counts_the_rest_in_one_line(shows, kind):
    def check(ran):
        assert ran.status == 1
        assert ran.last == "KeyError: 0"
        found = [line for line in ran.lines if line.startswith("autotb: ")]
        assert len(found) == 1
        assert found[0].startswith("autotb: 299 more futures failed: 200 × ValueError, at ")
        assert "; 99 × KeyError, at " in found[0]
        assert len(ran.lines) < 40

    shows(DIES, check, kind)


FLOOD = """
import sys, time
from concurrent.futures import ThreadPoolExecutor, wait
import autotb

def work(x):
    raise ValueError(f"no {x}")

def main():
    with ThreadPoolExecutor(2, thread_name_prefix="mine") as pool:
        for start in range(0, 1000, 100):
            wait([pool.submit(work, start + x) for x in range(100)])
        last = pool.submit(work, 1000)
        if sys.argv[1] == "asked":
            last.result()
        elif sys.argv[1] == "explained":
            print(autotb.explain(last.exception()))

if __name__ == "__main__":
    main()
"""


def test_one_of_thousands_is_told_as_the_first_is(run):
    asked = run(FLOOD, "asked", AUTOTB_STYLE="plain")
    explained = run(FLOOD, "explained")

    for text in (asked.stderr.rpartition("Traceback")[2], explained.stdout):
        assert "in a thread-pool worker, thread mine_" in text
        assert "submitted at " in text
        assert "work(x=1000)" in text
        assert "ValueError: no 1000" in text
    assert "autotb: 999 more futures failed" in asked.stderr + explained.stderr or "999 × ValueError" in explained.stderr
