"""Failed futures that were never retrieved."""

from __future__ import annotations

import functools

import pytest

from autotb import engine_facts
from autotb.instrument import unretrieved

PROGRAM = """
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait, as_completed

def work(x):
    return 1 / x

case = sys.argv[1]
if __name__ == "__main__":
    with (ProcessPoolExecutor if case == "process" else ThreadPoolExecutor)(1) as pool:
        if case == "map":
            pool.map(work, [0])
        elif case == "ok":
            pool.submit(work, 1)
        else:
            futures = [pool.submit(work, 0) for _ in range(40)]
            if case == "wait":
                wait(futures)
            elif case == "exception":
                [future.exception() for future in futures]
            elif case == "result":
                for future in futures:
                    try:
                        future.result()
                    except ZeroDivisionError:
                        pass
            elif case == "callback":
                for future in futures:
                    future.add_done_callback(lambda done: None)
            elif case == "one":
                try:
                    futures[0].result()
                except ZeroDivisionError:
                    pass
            elif case == "dropped":
                del futures
            elif case == "raises":
                futures[0].result()
"""


@pytest.mark.parametrize("case", ["held", "dropped", "wait", "process"])
def test_they_are_told_once(shows, case):
    def check(ran):
        assert ran.status == 0
        assert "the exception of a failed future was never retrieved, submitted at " in ran.lines[0]
        assert "ZeroDivisionError: division by zero" in ran.stderr
        assert "39 × ZeroDivisionError" in ran.stderr
        assert len(ran.lines) <= 20

    shows(PROGRAM, check, case)


@pytest.mark.parametrize("case", ["map", "ok", "exception", "result", "callback", "one"])
def test_nothing_is_told_where_somebody_asked_or_nothing_failed(run, case):
    ran = run(PROGRAM, case)

    assert ran.stderr == ""
    assert ran.status == 0


def test_an_error_that_reached_the_program_speaks_for_its_pool(run):
    ran = run(PROGRAM, "raises")

    assert "never retrieved" not in ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"
    assert ran.status == 1


def test_the_switch(run):
    assert run(PROGRAM, "held", AUTOTB_UNRETRIEVED="0").stderr == ""


class Kernel:
    def bookkeeping(self, task, future):
        pass


def test_what_an_engine_has_called_of_each_future_is_no_ones_asking(monkeypatch):
    name = f"{__name__}.Kernel.bookkeeping"
    own = functools.partial(Kernel().bookkeeping, "task")
    monkeypatch.setattr(engine_facts.facts, "callbacks", {name})

    assert not unretrieved._is_asked([own])
    assert unretrieved._is_asked([own, print]) and unretrieved._is_asked([lambda future: None])
    monkeypatch.setattr(engine_facts.facts, "callbacks", set())
    assert unretrieved._is_asked([own])
