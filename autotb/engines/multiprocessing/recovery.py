"""Workers of ``multiprocessing.Pool`` that died: their task fails, and the pool goes on; it would wait for ever.

Flows in: dead processes, in the pool's own thread that replaces them, and what they left.  Flows out: a message in the pool's
queue of results, so that jobs are ended by the one thread that ends them.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from autotb import settings
from autotb.engines.multiprocessing.internals import POOL, QUEUE, SENDER, THREADS
from autotb.engines.multiprocessing.messages import CASUALTY, INITIALIZER, UNCERTAIN, untold
from autotb.postmortem import status_file, status_reader
from autotb.postmortem.status_file import READS, WRITES

if TYPE_CHECKING:
    from autotb.engines.multiprocessing.types import Message, Pool, SimpleQueue
    from autotb.instrument.types import Process
    from autotb.instrument.waited_tasks import Task

BROKEN = "_autotb_broken"
_POOL = "multiprocessing.Pool"

_pools: weakref.WeakSet[Any] = weakref.WeakSet()
_errors: dict[int, BaseException] = {}  # of casualties whose message is on its way
_numbers = itertools.count()
_unloaded: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()  # in a row could not import the main script
_TRIES = 3  # of them at least, before a pool is given up
_unburied: weakref.WeakKeyDictionary[Any, dict[str, int]] = weakref.WeakKeyDictionary()  # the last of these, by what it failed of
_MOST = 8  # of them


def watch(pool: Pool) -> None:
    """A pool of processes was made; its threads are not running yet."""
    queues, *_ = POOL.read(pool) or (None,)
    if queues is None or QUEUE.read(queues) is None:
        return
    _pools.add(pool)
    if settings.switch("rescue"):
        from autotb.engines.multiprocessing import queue_repair

        pool._outqueue._autotb_waiting = queue_repair.Waiting(pool._outqueue._reader)
        guard(pool._outqueue)


def begin(inqueue: SimpleQueue, outqueue: SimpleQueue) -> Any:
    """In the worker: its status file, or None; the queues note what they do."""
    status = status_file.begin()
    if status is None:
        outqueue.put((UNCERTAIN, os.getpid(), (True, None)))
        return None
    from autotb.engines.multiprocessing import queue_repair

    queue_repair.note(inqueue, outqueue, status)
    return status


def after(dead: list[Any], workers: list[Process]) -> bool:
    """In the parent, where dead processes were taken out of a pool's list of workers: what they leave undone.

    Returns whether they are to be replaced.
    """
    pool = next((pool for pool in list(_pools) if pool.__dict__.get("_pool") is workers), None)
    if pool is None or pool._state == "TERMINATE" or pool.__dict__.get(BROKEN):
        return pool is None or not pool.__dict__.get(BROKEN)
    for process in dead:
        _left(pool, process)  # of all: who waited for a lock may come before the one who died with it
    for process in dead:
        left = _left(pool, process)
        _bury(pool, process, left)
        if not settings.switch("rescue"):
            pool._autotb_left.pop(process.pid, None)
            continue
        if left is not None:
            _settle(pool, process, left)
            del pool._autotb_left[process.pid]
        elif process.exitcode and process.pid in getattr(pool._outqueue, "_autotb_uncertain", ()):
            _send(pool, None, _error(process, None))  # nobody knows which task it had; who never said so, had none
    return BROKEN not in pool.__dict__


def _bury(pool: Pool, process: Process, left: status_reader.Remains | None) -> None:
    """Its file is read, and of no use; others that cannot import the main script look for the last that failed of the same."""
    if left is None or left.state != status_file.UNLOADED:
        status_reader.bury(process.pid)
        if left is not None or process.exitcode == 0:
            _unloaded.pop(pool, None)  # it had imported it
        return
    kept = _unburied.setdefault(pool, {})
    before = kept.pop(left.text, None)
    kept[left.text] = process.pid
    if before is None and len(kept) > _MOST:
        before = kept.pop(next(iter(kept)))
    if before is not None:
        status_reader.bury(before)


def _settle(pool: Pool, process: Process, left: status_reader.Remains) -> None:
    from autotb.engines.multiprocessing import queue_repair

    try:
        queue_repair.settle(
            pool,
            functools.partial(_dead, pool),
            functools.partial(_living, pool),
            getattr(pool._outqueue, "_autotb_waiting", None),
        )
    except queue_repair.Broken:
        _give_up(pool, _error(process, left))
        return
    if left.state == status_file.STARTING and process.exitcode not in (0, 1):  # 1: it raised, and has told so itself
        _send(pool, None, _error(process, left), INITIALIZER)
    elif left.state == status_file.UNLOADED:
        works = any(other.state != status_file.UNLOADED for other in _living(pool))
        _unloaded[pool] = 0 if works else _unloaded.get(pool, 0) + 1
        if _unloaded[pool] >= max(_TRIES, pool._processes):
            _give_up(pool, _error(process, left))  # it would start workers for ever
    elif left.running:
        _send(pool, queue_repair.job_of(left), _error(process, left))


def _dead(pool: Pool) -> list[status_reader.Remains]:
    for process in list(pool._pool):
        if process.exitcode is not None:
            _left(pool, process)
    return list(pool._autotb_left.values())


def _left(pool: Pool, process: Process) -> status_reader.Remains | None:
    """What a dead worker left, read once, since it is amended."""
    known = pool.__dict__.setdefault("_autotb_left", {})
    if process.pid not in known and (left := status_reader.of_child(process)) is not None:
        known[process.pid] = left
    found: status_reader.Remains | None = known.get(process.pid)
    return found


def running(pool: Pool) -> dict[object, Task]:
    """What its workers do when a Ctrl-C ends it, or did until then, by their process."""
    found: dict[object, Task] = {}
    for process in list(pool._pool):
        left = _left(pool, process) if process.exitcode is not None else status_reader.of_child(process)
        if left is not None and left.words[status_file.JOB] >= 0 and (task := task_of(pool, left)):
            found["pid", left.pid] = task
    return found


def task_of(pool: Pool, left: status_reader.Remains) -> Task | None:
    """What a worker does, or did until a Ctrl-C ended it; None for one that has no task."""
    from autotb.instrument import engine_frames, pool_tasks
    from autotb.instrument.waited_tasks import Task

    does = pool_tasks.doing(left)
    if does is None:
        return None
    state, more = does
    job = pool._cache.get(left.words[status_file.JOB])
    place = engine_frames.place_of(getattr(job, "_autotb_site", None))
    call = left.text if settings.switch("args") else left.text.partition("(")[0]
    return Task(state, call, more, place)


def _living(pool: Pool) -> list[status_reader.Remains]:
    living = [process for process in list(pool._pool) if process.exitcode is None]
    return [found for process in living if (found := status_reader.of_child(process)) is not None]


def _give_up(pool: Pool, error: BaseException) -> None:
    """No worker can read the pipe of tasks any more: every job fails, and the pool takes no others, as if it were closed."""
    if SENDER.read(pool) is None:
        return
    setattr(pool, BROKEN, True)
    pool.close()
    pool._task_handler._state = pool._state  # it sends no more of what it has
    for process in list(pool._pool):
        process.kill()
    threading.Thread(target=_end_jobs, args=(pool, error), daemon=True).start()


def _end_jobs(pool: Pool, error: BaseException) -> None:
    """Read what is still being sent, so that the thread that sends it comes to its end; then end the jobs."""
    reader = pool._inqueue._reader
    pool._taskqueue.put(None)  # should it wait for more
    while pool._task_handler.is_alive():
        if reader.poll(0.05):
            os.read(reader.fileno(), 1 << 16)
    while pool._cache and pool._state != "TERMINATE":
        _send(pool, None, error)
        time.sleep(0.05)


def guard(queue: SimpleQueue) -> None:
    """In the parent: the pool's threads put a last message into its queue of results, whose lock a dead worker may hold."""
    if queue._wlock is not None:
        queue.put = functools.partial(_put, queue)  # type: ignore[method-assign]


def unguard(queue: SimpleQueue) -> None:
    """In a forked worker, which has the parent's queue."""
    queue.__dict__.pop("put", None)
    if hasattr(queue, "_make_methods"):
        queue._make_methods()


def _put(queue: SimpleQueue, message: Message) -> None:
    from autotb.engines.multiprocessing import queue_repair

    reference, lock = queue._autotb_pool, queue._wlock
    assert lock is not None
    while not lock.acquire(timeout=0.1):  # its holder may have died in the meantime, and nobody else would see to it
        pool = reference()
        if pool is not None:
            queue_repair.settle_results(pool, functools.partial(_living, pool), getattr(queue, "_autotb_waiting", None))
    try:
        queue._writer.send(message)
    finally:
        lock.release()


def unlock(inqueue: SimpleQueue) -> None:
    """In the parent, which is about to take the lock of the queue of tasks: not from somebody who died with it."""
    from autotb.engines.multiprocessing import queue_repair

    pool = next((pool for pool in list(_pools) if pool.__dict__.get("_inqueue") is inqueue), None)
    while pool is not None and not inqueue._rlock.acquire(timeout=0.1):
        if queue_repair.release(inqueue._rlock, READS, functools.partial(_living, pool)):
            return
    if pool is not None:
        inqueue._rlock.release()


def see_off(pool: Pool) -> None:
    """In ``join()``: the last workers end one by one, unless one that was killed holds the lock that they wait for."""
    threads = THREADS.read(pool)
    if pool not in _pools or threads is None or pool._state == "RUN" or not settings.switch("rescue"):
        return
    for thread in threads:
        thread.join()
    from autotb.engines.multiprocessing import queue_repair

    living = functools.partial(_living, pool)
    while left := [process for process in pool._pool if process.exitcode is None]:
        left[0].join(0.2)
        if any(process.exitcode not in (0, None) for process in pool._pool):
            queue_repair.release(pool._inqueue._rlock, READS, living)
            if pool._outqueue._wlock is not None:
                queue_repair.release(pool._outqueue._wlock, WRITES, living)


def forget(processes: list[Any]) -> None:
    """After ``join()`` or ``terminate()``: workers that were ended in the midst of a task leave nothing behind."""
    for process in processes:
        if process.exitcode is not None:
            status_reader.bury(process.pid)


def _error(process: Process, left: status_reader.Remains | None) -> BaseException:
    from autotb.postmortem import death_report
    from autotb.postmortem.died import WorkerDied
    from autotb.record import annotate

    known = left is not None and left.running and left.words[status_file.JOB] >= 0
    why = death_report.why(process.exitcode, left)
    known_why = why if "out of memory" in why or "Fatal" in why else ""
    error = WorkerDied(process.pid, process.exitcode, left.text if left is not None and known else "", known_why)
    hop = death_report.hop(_POOL, "in a pool worker", process.pid, process.exitcode, left, label=process.name)
    annotate.note_death(error, [hop], None)
    return error


def _send(pool: Pool, job: tuple[int, int] | None, error: BaseException, kind: str = CASUALTY) -> None:
    number = next(_numbers)
    _errors[number] = error
    message = (kind, number, (False, job)) if kind == CASUALTY else (kind, 0, (False, error))
    later = untold.get(threading.get_ident())
    if later is None:
        pool._outqueue.put(message)
    else:
        later.append(message)


def told(number: int) -> BaseException:
    """The error of a message that has come."""
    return _errors.pop(number)
