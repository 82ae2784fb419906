"""Dask workers that die while several of their threads run tasks: who asks for one of them is told which it was that ended them."""

from __future__ import annotations

import re

import pytest

from tests.postmortem.test_executor_deaths import flat

PROGRAM = """
import ctypes, os, signal, sys, time
import dask
from dask.distributed import Client, Event, LocalCluster

def load(name):
    Event(name).set()
    time.sleep(60)

def work(how):
    if how == "exit":
        os._exit(3)
    elif how == "leave":
        sys.exit(4)
    elif how == "signal":
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGSEGV)
    else:
        ctypes.string_at(0)

if __name__ == "__main__":
    how, asked, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with LocalCluster(n_workers=1, threads_per_worker=threads, dashboard_address=None) as cluster, Client(cluster) as client:
        loads = client.map(load, ["first", "second"]) if threads > 1 else []
        for name in ["first", "second"][: len(loads)]:
            Event(name).wait()
        futures = {"load": loads, "work": [client.submit(work, how)]}
        futures[asked][0].result(timeout=100)
"""
BOTH = pytest.mark.parametrize("how", ["crash", "leave"])


@BOTH
def test_who_asks_for_the_task_that_ended_the_worker_is_told_what_ran_beside_it(shows, how):
    def check(ran):
        story = flat(ran.stderr)
        assert re.search(rf"in a Dask worker, pid \d+, submitted at \S+ in <module> work\('{how}'\) started", story)
        assert re.search(r"beside it ran load\('\w+'\), load\('\w+'\) ", story)
        assert "not known" not in story
        assert " in work" in ran.stderr

    shows(PROGRAM, check, how, "work", "4")


@BOTH
def test_who_asks_for_another_one_is_told_which_it_was(shows, how):
    def check(ran):
        story = flat(ran.stderr)
        assert re.search(
            r"load\('first'\) ran beside another task, of which its worker died as follows "
            rf"in a Dask worker, pid \d+ work\('{how}'\) started",
            story,
        )
        assert "not known to have started" not in story
        assert " in work" in ran.stderr

    shows(PROGRAM, check, how, "load", "4")


@pytest.mark.parametrize("asked", ["load", "work"])
def test_of_several_none_is_accused_where_nothing_tells_which(shows, asked):
    def check(ran):
        story = flat(ran.stderr)
        call = {"load": r"load\('first'\)", "work": r"work\('exit'\)"}[asked]
        assert re.search(rf"{call} started and then crashed: exit status 3 beside it ran ", story)
        assert re.search(r"beside it ran \w+\('\w+'\), \w+\('\w+'\): which of them ended the worker is not known", story)

    shows(PROGRAM, check, "exit", asked, "4")


def test_a_task_whose_signal_the_main_thread_took_has_run(shows):
    """It goes on while that thread writes down the crash: it may have ended, or still be where it sent the signal."""

    def check(ran):
        story = flat(ran.stderr)
        assert re.search(
            r"work\('signal'\) (had ended when its worker died|started and then crashed, after \d\.\d s): killed", story
        )
        assert "not known to have started" not in story

    shows(PROGRAM, check, "signal", "work", "1")
