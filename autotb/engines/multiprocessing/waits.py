"""A wait for a job of a pool that timed out: which of its tasks run, where and since when, or what the workers do instead.

Flows in: the job that was asked, its pool's status files and threads.  Flows out: lines beside the engine's message.  They are
made when the pool is about to be ended while the error passes, or else when the error is told: programs poll with short timeouts.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from autotb import settings
from autotb.engines.multiprocessing import recovery
from autotb.engines.multiprocessing.internals import JOB, TAKEN
from autotb.instrument import engine_frames, waited_tasks, waiting
from autotb.instrument.waited_tasks import DONE, NOT_DONE, RUNNING, WAITING, Task
from autotb.postmortem import status_file, status_reader
from autotb.record import ownership, safe_repr, static

if TYPE_CHECKING:
    from types import FrameType

    from autotb.engines.multiprocessing.types import Job, Pool


def lines(error: BaseException) -> tuple[str, ...]:
    """What is known by now of the tasks of the job that was asked."""
    job = waiting.asked(error)
    try:
        return waited_tasks.told(_tasks(job)) if job is not None else ()
    except Exception:
        return ()  # then the engine's message is all


def _tasks(job: Job) -> list[Task]:
    """Those of the job that run; where none does, what keeps the workers busy."""
    place = engine_frames.place_of(getattr(job, "_autotb_site", None))
    number, pool = JOB.read(job) or (None, None)
    ready = getattr(job, "ready", None)  # an iterator has none
    if pool is None or (ready is not None and ready()):  # it lets go of its pool a moment after it has waked those that wait
        return [Task(DONE, place=place)]
    run, workers = _running(pool)
    mine = [task for owner, task in run if owner == number]
    if mine:
        return mine
    calls = [", ".join(filter(None, (task.call, task.more))) for _, task in run]
    busy = f"each worker is busy: {waited_tasks.first(calls, len(calls))}" if len(run) == workers else ""
    return [Task(WAITING if busy else NOT_DONE, more=busy, place=place)]


def _running(pool: Pool) -> tuple[list[tuple[int, Task]], int]:
    """The tasks that a pool's workers run, by their job's number, and how many workers there are."""
    workers = list(pool._pool)
    if not hasattr(pool._outqueue, "_wlock"):  # threads
        stacks, threads = sys._current_frames(), {worker.ident: worker.name for worker in workers}  # type: ignore[attr-defined]
        found = [_of_thread(pool, stacks[ident], name) for ident, name in threads.items() if ident in stacks]
        return [each for each in found if each is not None], len(workers)
    run = []
    for worker in workers:
        left = status_reader.of_child(worker)
        if (
            left is not None
            and (owner := left.words[status_file.JOB]) >= 0
            and (task := recovery.task_of(pool, left)) is not None
        ):
            run.append((owner, task))
    return run, len(workers)


def _module(pool: Pool) -> str:
    """That of the package the pool is of, which may be a class of the user's."""
    return next((static.module(kind) for kind in type(pool).__mro__ if static.name(kind) == "Pool"), "")


def _of_thread(pool: Pool, frame: FrameType | None, name: str) -> tuple[int, Task] | None:
    top, users = frame, None
    while frame is not None:
        if TAKEN.matches(frame) and static.name_of(frame) == _module(pool):
            (number,) = TAKEN.read(frame) or (None,)
            if users is None or type(number) is not int:
                return None  # it waits for a task
            call = (safe_repr.frame_call(users) if settings.switch("args") else None) or f"{static.exact(users.f_code.co_name)}()"
            place = engine_frames.place_of(getattr(pool._cache.get(number), "_autotb_site", None))
            return number, Task(RUNNING, call, f"{engine_frames.users_line(top)}, in thread {name}", place)
        if ownership.kind_of_frame(frame) == ownership.USER:
            users = frame
        frame = frame.f_back
    return None
