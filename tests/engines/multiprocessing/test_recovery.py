"""Workers of multiprocessing.Pool that die: without autotb every one of these programs waits for ever."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.postmortem.test_executor_deaths import KILLED, flat

PROGRAMS = Path(__file__).parent / "programs"
PROGRAM = (PROGRAMS / "kills.py").read_text()


REPLACED = (PROGRAMS / "replaced.py").read_text()


def test_what_the_program_prints_then_is_not_printed_by_the_next_worker_as_well(run):
    """Its output is a pipe, where lines wait to be flushed: a worker that is forked meanwhile has them, too."""
    ran = run(REPLACED)
    assert ran.stdout == "died work(3)\n", ran.stderr


@pytest.mark.behaviour("S1-44", "S1-52")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_task_of_a_killed_worker_fails_and_the_pool_goes_on(run, method):
    ran = run(PROGRAM, method, timeout=120)
    died = "died 9 -9 work(3)"
    assert ran.stdout.splitlines() == [
        f"apply {died}",
        "status died None 4 work(3, 'exit')",
        f"map {died}",
        f"starmap {died}",
        "after [0, 1, 2]",
        f"imap [0, 1, 2, {died!r}, 4, 5]",
        f"unordered ['0', '1', '2', '4', '5', {died!r}]",
        "callback WorkerDied True",
        "soon True",
    ]
    story = flat(ran.stderr)
    assert re.search(KILLED, story)
    assert re.search(r"in a pool worker, pid \d+", story)
    assert "submitted at" in story
    assert re.match(
        r"autotb.WorkerDied: worker process \d+ died while it ran work\(3\): killed by signal 9 \(SIGKILL\)", ran.last
    )
    assert "hint: a worker process died" in ran.stderr


CHAOS = (PROGRAMS / "random_kills.py").read_text()


@pytest.mark.parametrize("end", ["close", "terminate"])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_two_hundred_tasks_under_random_kills_all_end(run, method, seed, end):
    ran = run(CHAOS, method, str(seed), "100", end, timeout=150)
    assert ran.stdout.splitlines() == ["200 0 True True", "joined"], ran.stderr


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_large_messages_under_random_kills_never_wait_for_ever(run, seed):
    ran = run(CHAOS, "fork", str(seed), "300000", "close", timeout=150)
    lines = ran.stdout.splitlines()
    assert lines[0].split()[:2] == ["200", "0"], ran.stderr
    assert lines[1] == "joined"


LATE = (PROGRAMS / "lacking_function.py").read_text()


@pytest.mark.behaviour("S1-46")
def test_a_function_that_the_worker_does_not_have_is_an_error_and_not_a_wait(run):
    ran = run(LATE, timeout=60)
    lacking = (
        "AttributeError: Can't get attribute 'later' on <module '__main__'",
        "AttributeError: module '__main__' has no attribute 'later'",
    )
    assert ran.last.startswith(lacking), ran.last
    assert "in a pool worker, which unpickled a task" in flat(ran.stderr)


INITIALIZER = (PROGRAMS / "killing_initializer.py").read_text()


def test_an_initializer_that_kills_each_worker_ends_the_wait(run):
    ran = run(INITIALIZER, timeout=60)
    assert ran.last.startswith("autotb.WorkerDied: worker process ")
    assert "died in its initializer, before its first task: killed by signal 9 (SIGKILL)" in flat(ran.stderr)


RAISES_AT_FIRST = (PROGRAMS / "raising_initializer.py").read_text()


def test_an_initializer_that_raises_is_told_as_such_where_no_word_is_left(run):
    """Such workers end with status 1, and of a worker that leaves no word nobody knows whether it had a task."""
    ran = run(RAISES_AT_FIRST, AUTOTB_POSTMORTEM="0", timeout=60)
    assert ran.stdout == "RuntimeError no GPU here\n" * 6


DIES_AT_LOAD = (PROGRAMS / "dies_at_load.py").read_text()


@pytest.mark.parametrize("when", ["first", "later"])
@pytest.mark.parametrize("kind", ["pool", "executor"])
def test_a_worker_that_dies_as_it_unpickles_a_task_ran_none(run, kind, when):
    """Nothing had begun, so nothing is said of how long it took, nor of a task that it was between."""
    ran = run(DIES_AT_LOAD, kind, when, AUTOTB_STYLE="plain", timeout=60)
    wanted = {
        ("pool", "first"): "received a task, and died before that began",
        ("pool", "later"): "received a task, and died before that began",
        ("executor", "first"): "died before its first task began",
        ("executor", "later"): "died after a task, before another began",
    }

    assert f"[{wanted[kind, when]}: killed by signal 9 (SIGKILL)" in ran.stderr
    assert not re.search("started and then crashed|within|with the tasks", ran.stderr)


JOBLIB = (PROGRAMS / "joblib_backend.py").read_text()


def test_joblibs_multiprocessing_backend_ends_too(run):
    ran = run(JOBLIB, timeout=60)
    assert "died while it ran work(3): killed by signal 9 (SIGKILL)" in ran.last


def test_without_rescue_the_pool_waits_as_ever(run):
    program = PROGRAM.partition("def main")[0] + (
        "if __name__ == '__main__':\n"
        "    with mp.get_context('fork').Pool(2) as pool:\n"
        "        job = pool.apply_async(work, (3,))\n"
        "        try:\n"
        "            job.get(3)\n"
        "        except mp.TimeoutError:\n"
        "            print('waits')\n"
    )
    assert run(program, AUTOTB_RESCUE="0", timeout=60).stdout.strip() == "waits"
