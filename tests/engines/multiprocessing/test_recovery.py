"""Workers of multiprocessing.Pool that die: without autotb every one of these programs waits for ever; then its parts by themselves."""

from __future__ import annotations

import re
import struct
import threading
import time
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest

from autotb import settings
from autotb.engines.multiprocessing import queue_repair, recovery
from autotb.engines.multiprocessing.messages import CASUALTY, INITIALIZER, untold
from autotb.postmortem import status_file, status_reader
from autotb.postmortem.status_file import RUNNING
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


KILLING_INITIALIZER = (PROGRAMS / "killing_initializer.py").read_text()


def test_an_initializer_that_kills_each_worker_ends_the_wait(run):
    ran = run(KILLING_INITIALIZER, timeout=60)
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


IMPORTS_AT_TIMES = """
import multiprocessing, os

if __name__ == "__mp_main__":
    with open("counter", "a") as counter:
        counter.write("x")
        if counter.tell() % 3 == 0:
            raise OSError("the license server is busy")

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        jobs = [pool.apply_async(abs, (x,)) for x in range(8)]
        print([job.get(30) for job in jobs])
"""


def test_a_pool_whose_workers_import_the_program_at_times_goes_on(run):
    ran = run(IMPORTS_AT_TIMES, timeout=60)
    assert ran.stdout == "[0, 1, 2, 3, 4, 5, 6, 7]\n", ran.stderr


class Process:
    """A worker, dead where it has an exit status."""

    name = "ForkPoolWorker-1"

    def __init__(self, pid, exitcode=None):
        self.pid, self.exitcode, self.killed, self.joined = pid, exitcode, False, []

    def kill(self):
        self.killed = True

    def join(self, timeout=None):
        self.joined.append(timeout)
        self.exitcode = 0 if self.exitcode is None else self.exitcode


class Thread:
    """One of a pool's."""

    _state = "RUN"

    def __init__(self):
        self.joined = 0

    def is_alive(self):
        return False

    def join(self):
        self.joined += 1


class Queue:
    """A pool's queue; what is put into it is kept."""

    def __init__(self):
        self._rlock, self._wlock = threading.Lock(), threading.Lock()
        self._reader, self._writer, self.sent = SimpleNamespace(_recv=None, _recv_bytes=None), SimpleNamespace(send=self.put), []

    def put(self, message):
        self.sent.append(message)


class Pool:
    """A pool of processes, as far as it is looked at."""

    def __init__(self, *workers):
        self._pool, self._state, self._cache = list(workers), "RUN", {}
        self._inqueue, self._outqueue, self._taskqueue = Queue(), Queue(), Queue()
        self._worker_handler, self._task_handler, self._result_handler = Thread(), Thread(), Thread()
        recovery._pools.add(self)

    def close(self):
        self._state = "CLOSE"


def remains(state=RUNNING, text="work(1)", job=3, index=4, pid=5):
    words = [0] * status_file.WORDS
    words[status_file.JOB], words[status_file.INDEX], words[status_file.OOM] = job, index, -1
    words[status_file.MARK], words[status_file.PID], words[status_file.STATE] = status_file.MARKED, pid, state
    words[status_file.STARTED] = time.time_ns()
    data = struct.pack(f"{status_file.WORDS}q", *words) + text.encode()
    return status_reader.Remains(data.ljust(status_file.PAGE, b"\0"))


@pytest.fixture
def left(monkeypatch):
    """What processes left, by their numbers; those that were buried, in ``buried``."""
    found = {"buried": []}
    monkeypatch.setattr(recovery, "_pools", weakref.WeakSet())
    monkeypatch.setattr(status_reader, "of_child", lambda process: found.get(process.pid))
    monkeypatch.setattr(status_reader, "bury", found["buried"].append)
    monkeypatch.setattr(settings, "switch", lambda name: True)
    return found


def casualties(pool):
    """The jobs of the messages that were sent, with their errors."""
    return [(message[2][1], recovery.told(message[1])) for message in pool._outqueue.sent if message[0] == CASUALTY]


def test_the_task_of_a_dead_worker_is_sent_as_a_casualty(left):
    pool, dead = Pool(), Process(5, -9)
    left[5] = remains()

    assert recovery.after([dead], pool._pool) is True
    ((job, error),) = casualties(pool)
    assert job == (3, 4)
    assert str(error) == "worker process 5 died while it ran work(1): killed by signal 9 (SIGKILL)"
    assert left["buried"] == [5]
    assert pool._autotb_left == {}


@pytest.mark.parametrize("exitcode", [0, -9])
def test_one_that_ran_no_task_is_no_casualty(left, exitcode):
    pool = Pool()
    left[5] = remains(status_file.IDLE)
    recovery.after([Process(5, exitcode)], pool._pool)

    assert pool._outqueue.sent == []


@pytest.mark.parametrize(("exitcode", "kinds"), [(-9, [INITIALIZER]), (1, []), (0, [])])
def test_an_initializer_that_killed_it_is_told_and_one_that_raised_has_told_so_itself(left, exitcode, kinds):
    pool = Pool()
    left[5] = remains(status_file.STARTING)
    recovery.after([Process(5, exitcode)], pool._pool)

    assert [message[0] for message in pool._outqueue.sent] == kinds


@pytest.mark.parametrize(("uncertain", "exitcode", "count"), [({5}, -9, 1), ({5}, 0, 0), (set(), -9, 0)])
def test_of_one_that_leaves_no_word_nobody_knows_the_task(left, uncertain, exitcode, count):
    pool = Pool()
    pool._outqueue._autotb_uncertain = uncertain
    recovery.after([Process(5, exitcode)], pool._pool)

    assert [job for job, _ in casualties(pool)] == [None] * count


def unloaded(pid, text="OSError: busy"):
    return remains(status_file.UNLOADED, text, pid=pid)


def test_a_pool_that_cannot_import_the_program_is_given_up_when_none_of_its_workers_could_in_a_row(left):
    pool = Pool()
    pool._processes = 1
    for pid in range(5, 20):
        left[pid] = unloaded(pid) if pid % 3 else remains(status_file.IDLE)
        recovery.after([Process(pid, 1)], pool._pool)
    assert not hasattr(pool, recovery.BROKEN)

    living = Process(4)
    left[4] = remains(status_file.IDLE)
    pool._pool.append(living)
    for pid in range(20, 30):
        left[pid] = unloaded(pid)
        recovery.after([Process(pid, 1)], pool._pool)
    assert not hasattr(pool, recovery.BROKEN)

    pool._pool.remove(living)
    for pid in range(30, 33):
        left[pid] = unloaded(pid)
        recovery.after([Process(pid, 1)], pool._pool)
    assert hasattr(pool, recovery.BROKEN)


@pytest.mark.parametrize("rescue", [True, False])
def test_of_those_that_could_not_import_the_program_one_of_each_kind_is_left(left, monkeypatch, rescue):
    monkeypatch.setattr(settings, "switch", lambda name: rescue)
    pool = Pool()
    pool._processes = 100
    for pid in range(5, 9):
        left[pid] = unloaded(pid, "OSError: busy" if pid % 2 else "OSError: down")
        recovery.after([Process(pid, 1)], pool._pool)
    assert left["buried"] == [5, 6]
    assert pool._autotb_left == {}

    for pid in range(20, 40):
        left[pid] = unloaded(pid, f"OSError: {pid}")
        recovery.after([Process(pid, 1)], pool._pool)
    assert len(left["buried"]) == 24 - recovery._MOST


def test_without_rescue_nothing_is_sent(left, monkeypatch):
    monkeypatch.setattr(settings, "switch", lambda name: False)
    pool = Pool()
    left[5] = remains()
    recovery.after([Process(5, -9)], pool._pool)

    assert pool._outqueue.sent == []


def test_a_pool_that_is_terminated_is_left_alone(left):
    pool = Pool()
    pool._state, left[5] = "TERMINATE", remains()
    recovery.after([Process(5, -9)], pool._pool)

    assert pool._outqueue.sent == []


@pytest.mark.parametrize("state", ["RUN", "TERMINATE"])
def test_workers_of_a_broken_pool_are_not_replaced(left, state):
    pool = Pool()
    setattr(pool, recovery.BROKEN, True)
    pool._state = state

    assert recovery.after([Process(5, -9)], pool._pool) is False


def test_workers_of_a_pool_that_is_not_known_are_replaced(left):
    assert recovery.after([Process(5, -9)], []) is True


def test_a_pipe_of_tasks_that_nobody_can_read_breaks_the_pool(left, monkeypatch):
    def broken(*args):
        raise queue_repair.Broken

    monkeypatch.setattr(queue_repair, "settle", broken)
    living = Process(6)
    pool = Pool(living)
    left[5] = remains()

    assert recovery.after([Process(5, -9)], pool._pool) is False
    assert living.killed
    assert (pool._state, pool._task_handler._state) == ("CLOSE", "CLOSE")


def test_a_message_waits_while_others_are_started(left):
    pool = Pool()
    left[5] = remains()
    later = untold[threading.get_ident()] = []
    try:
        recovery.after([Process(5, -9)], pool._pool)
    finally:
        del untold[threading.get_ident()]

    assert [message[0] for message in later] == [CASUALTY]
    assert pool._outqueue.sent == []


def test_the_last_message_is_put_past_a_dead_holder_of_the_lock(left, monkeypatch):
    pool, settled = Pool(), []

    def settle(pool, living, waiting):
        settled.append(1)
        pool._outqueue._wlock.release()

    monkeypatch.setattr(queue_repair, "settle_results", settle)
    queue = pool._outqueue
    queue._autotb_pool = weakref.ref(pool)
    queue._wlock.acquire()
    recovery._put(queue, "the last")

    assert (queue.sent, settled, queue._wlock.locked()) == (["the last"], [1], False)


def test_a_worker_puts_as_the_engine_does():
    queue = Queue()
    recovery.guard(queue)
    assert "put" in vars(queue)
    recovery.unguard(queue)
    assert "put" not in vars(queue)


def test_a_lock_of_the_queue_of_tasks_is_taken_from_the_dead_alone(left, monkeypatch):
    pool, asked = Pool(), []
    monkeypatch.setattr(queue_repair, "release", lambda lock, which, living: asked.append(lock.release()) or True)
    recovery.unlock(pool._inqueue)
    assert (asked, pool._inqueue._rlock.locked()) == ([], False)

    pool._inqueue._rlock.acquire()
    recovery.unlock(pool._inqueue)
    assert (asked, pool._inqueue._rlock.locked()) == ([None], False)


def test_a_queue_of_no_pool_is_not_waited_for(left):
    queue = Queue()
    queue._rlock.acquire()
    recovery.unlock(queue)

    assert queue._rlock.locked()


@pytest.mark.parametrize(("ended", "releases"), [(0, 0), (-9, 2)])
def test_the_last_workers_are_seen_off_and_freed_where_one_was_killed(left, monkeypatch, ended, releases):
    released = []
    monkeypatch.setattr(queue_repair, "release", lambda lock, which, living: released.append(which))
    living = Process(6)
    pool = Pool(Process(5, ended), living)
    pool._state = "CLOSE"
    recovery.see_off(pool)

    assert living.joined == [0.2]
    assert len(released) == releases
    assert [thread.joined for thread in (pool._worker_handler, pool._task_handler, pool._result_handler)] == [1, 1, 1]


def test_a_pool_that_still_runs_is_not_joined_before_the_engine_says_so(left):
    pool = Pool(Process(6))
    recovery.see_off(pool)

    assert pool._worker_handler.joined == 0


def test_only_dead_workers_are_forgotten(left):
    recovery.forget([Process(5, -15), Process(6)])

    assert left["buried"] == [5]


def test_a_task_that_is_not_known_is_not_named(left):
    error = recovery._error(Process(5, -9), remains(job=status_file.UNKNOWN, text="of the task before"))

    assert error.task == ""
    assert "of the task before" not in str(error)
