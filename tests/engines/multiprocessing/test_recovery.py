"""Workers of multiprocessing.Pool that die: without autotb every one of these programs waits for ever."""

from __future__ import annotations

import re

import pytest

from tests.postmortem.test_executor_deaths import KILLED, flat

PROGRAM = """
import multiprocessing as mp
import os
import sys
import threading
import time

import autotb

def work(x, how="kill"):
    if x == 3:
        if how == "kill":
            os.kill(os.getpid(), 9)
        os._exit(4)
    return x

def outcome(call):
    try:
        return call()
    except mp.ProcessError as error:
        assert type(error) is autotb.WorkerDied, error
        return f"died {error.signal} {error.exitcode} {error.task}"

def main(method):
    seen = threading.Event()
    told = []
    def failed(error):
        told.append(error)
        seen.set()
    with mp.get_context(method).Pool(2) as pool:
        print("apply", outcome(lambda: pool.apply(work, (3,))))
        print("status", outcome(lambda: pool.apply(work, (3, "exit"))))
        print("map", outcome(lambda: pool.map(work, range(6), 1)))
        print("starmap", outcome(lambda: pool.starmap(work, [(1,), (3,)], 1)))
        print("after", pool.map(work, [0, 1, 2]))
        results = pool.imap(work, range(6))
        print("imap", [outcome(lambda: next(results)) for _ in range(6)])
        results = pool.imap_unordered(work, range(6))
        print("unordered", sorted(str(outcome(lambda: next(results))) for _ in range(6)))
        pool.apply_async(work, (3,), callback=print, error_callback=failed)
        seen.wait(30)
        print("callback", type(told[0]).__name__, told[0].pid > 0)
        began = time.monotonic()
        outcome(lambda: pool.apply(work, (3,)))
        print("soon", time.monotonic() - began < 5)
        pool.apply(work, (3,))

if __name__ == "__main__":
    main(sys.argv[1])
"""


REPLACED = """
import multiprocessing as mp
import os
import time

import autotb

fork = os.fork

def slowly():
    time.sleep(0.5)
    return fork()

def work(x):
    os.kill(os.getpid(), 9)

if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool:
        os.fork = slowly
        try:
            pool.apply(work, (3,))
        except autotb.WorkerDied as error:
            print("died", error.task)
        pool.close()
        pool.join()
"""


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


CHAOS = """
import collections
import multiprocessing as mp
import os
import random
import sys
import threading
import time

def work(task):
    number, data = task
    time.sleep(random.random() * 0.005)
    return number, data

def main(method, seed, size, end):
    chance = random.Random(seed)
    pool = mp.get_context(method).Pool(4)
    over = threading.Event()
    kills = 0

    def kill():
        nonlocal kills
        while not over.is_set():
            time.sleep(chance.random() * (0.05 if method == "fork" else 0.4))
            try:
                os.kill(chance.choice(pool._pool).pid, 9)
                kills += 1
            except (ProcessLookupError, IndexError, TypeError):
                pass

    killer = threading.Thread(target=kill)
    killer.start()
    jobs = [pool.apply_async(work, ((k, b"x" * size),)) for k in range(200)]
    came = collections.Counter()
    for number, job in enumerate(jobs):
        try:
            assert job.get(60) == (number, b"x" * size)
            came["result"] += 1
        except mp.TimeoutError:
            came["waited for ever"] += 1
            break
        except mp.ProcessError:
            came["died"] += 1
    over.set()
    killer.join()
    print(came["result"] + came["died"], came["waited for ever"], came["died"] <= kills, came["result"] > 0)
    if end == "close":
        pool.close()
    else:
        pool.terminate()
    pool.join()
    print("joined")

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""


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


LATE = """
import multiprocessing as mp

if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool:
        exec("def later(x): return x", globals())
        pool.apply(later, (1,))
"""


@pytest.mark.behaviour("S1-46")
def test_a_function_that_the_worker_does_not_have_is_an_error_and_not_a_wait(run):
    ran = run(LATE, timeout=60)
    lacking = (
        "AttributeError: Can't get attribute 'later' on <module '__main__'",
        "AttributeError: module '__main__' has no attribute 'later'",
    )
    assert ran.last.startswith(lacking), ran.last
    assert "in a pool worker, which unpickled a task" in flat(ran.stderr)


INITIALIZER = """
import multiprocessing as mp
import os

def broken():
    os.kill(os.getpid(), 9)

if __name__ == "__main__":
    with mp.get_context("fork").Pool(2, broken) as pool:
        pool.apply(abs, (1,))
"""


def test_an_initializer_that_kills_each_worker_ends_the_wait(run):
    ran = run(INITIALIZER, timeout=60)
    assert ran.last.startswith("autotb.WorkerDied: worker process ")
    assert "died in its initializer, before its first task: killed by signal 9 (SIGKILL)" in flat(ran.stderr)


RAISES_AT_FIRST = """
import multiprocessing as mp
import time

def broken():
    raise RuntimeError("no GPU here")

if __name__ == "__main__":
    for pause in (0, 0.3) * 3:
        with mp.get_context("fork").Pool(2, broken) as pool:
            time.sleep(pause)
            try:
                pool.apply(abs, (1,))
            except Exception as error:
                print(type(error).__name__, error)
"""


def test_an_initializer_that_raises_is_told_as_such_where_no_word_is_left(run):
    """Such workers end with status 1, and of a worker that leaves no word nobody knows whether it had a task."""
    ran = run(RAISES_AT_FIRST, AUTOTB_POSTMORTEM="0", timeout=60)
    assert ran.stdout == "RuntimeError no GPU here\n" * 6


DIES_AT_LOAD = """
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

def dies(signal):
    os.kill(os.getpid(), signal)

class DiesAtLoad:
    def __reduce__(self):
        return dies, (9,)

def same(x):
    return x

if __name__ == "__main__":
    if sys.argv[1] == "pool":
        with get_context("fork").Pool(1) as pool:
            assert sys.argv[2] == "first" or pool.apply(same, (1,)) == 1
            pool.apply(same, (DiesAtLoad(),))
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        assert sys.argv[2] == "first" or pool.submit(same, 1).result() == 1
        pool.submit(same, DiesAtLoad()).result()
"""


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


JOBLIB = """
import os
from joblib import Parallel, delayed

def work(x):
    if x == 3:
        os.kill(os.getpid(), 9)
    return x

if __name__ == "__main__":
    Parallel(n_jobs=2, backend="multiprocessing")(delayed(work)(k) for k in range(10))
"""


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
