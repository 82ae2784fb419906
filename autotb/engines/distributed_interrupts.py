"""What the workers of a program's own Dask cluster do when a Ctrl-C ends it.

A terminal's Ctrl-C reaches each worker's main thread, which ends the process while the tasks run on in threads: it leaves word of
them in its status file.  Where the program alone is interrupted, the workers go on, and their status files say with what.

Flows in: the processes of a ``LocalCluster``, their status files.  Flows out: what ``instrument.interrupted`` tells.
"""

from __future__ import annotations

import re
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from autotb.instrument import engine_frames, task_events
from autotb.record import ownership, safe_repr, shipped_code

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from autotb.assumption import Frame
    from autotb.instrument.types import Process
    from autotb.instrument.waited_tasks import Task
    from autotb.postmortem.status_reader import Remains

_workers: weakref.WeakSet[Any] = weakref.WeakSet()  # processes that this one has started


def started(process: Process) -> None:
    """A cluster of this program's starts a worker."""
    _workers.add(process)


def running(sites: Mapping[Any, Any], run: Frame) -> dict[object, Task]:
    """What the workers run just now, or were ended in.

    ``sites`` are the places of submission by tasks' keys, ``run`` is the frame that runs a task in a worker that is this process.
    """
    from autotb.postmortem import status_reader

    found = _in_threads(sites, run)
    for process in list(_workers):
        left = status_reader.of_child(process) if process.pid else None
        if left is not None:
            found.update(_tasks(left, sites))
    return found


def _in_threads(sites: Mapping[Any, Any], run: Frame) -> dict[object, Task]:
    """The tasks of workers that are threads of this process."""
    from autotb import settings
    from autotb.instrument.waited_tasks import RUNNING, Task

    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found: dict[object, Task] = {}
    for ident, top in sys._current_frames().items():
        frame: FrameType | None = top
        users = None
        while frame is not None and not run.matches(frame):
            users = frame if ownership.kind_of_frame(frame) == ownership.USER else users
            frame = frame.f_back
        (task,) = (run.read(frame) if frame is not None else None) or (None,)
        if task is not None:
            key = getattr(task, "key", "")
            call = safe_repr.frame_call(users) if users is not None and settings.switch("args") else None
            at = _found_again(engine_frames.users_line(top)) if users is not None else ""
            more = f"in thread {names.get(ident, ident)}"
            place = engine_frames.place_of(sites.get(key))
            found[ident] = Task(RUNNING, call or f"task {key}", f"{at}, {more}" if at else more, place)
    return found


def ended(left: Remains | None, sites: Mapping[Any, Any]) -> None:
    """A worker's process has ended: of a Ctrl-C, perhaps, in the midst of tasks."""
    if left is not None and left.running and left.stopped_after is not None:
        from autotb.instrument import interrupted

        interrupted.left(_tasks(left, sites))


def _tasks(left: Remains, sites: Mapping[Any, Any]) -> dict[object, Task]:
    """The tasks of a worker's threads, each by a key of its own."""
    from autotb import settings
    from autotb.instrument.waited_tasks import RUNNING, Task
    from autotb.postmortem import status_reader
    from autotb.postmortem.death_report import duration

    if not left.running or left.received:
        return {}
    places = {task_events.number(str(key).encode()): engine_frames.place_of(site) for key, site in list(sites.items())}
    found = dict[object, Task]()
    for call, where, job, _, begun in left.tasks:
        more = f"{_found_again(where) or f'for {duration(status_reader.seconds_since(begun))}'}, pid {left.pid}"
        shown = call if settings.switch("args") else call.partition("(")[0]
        found["pid", left.pid, call] = Task(RUNNING, shown, more, places.get(job))
    return found


def _found_again(where: str) -> str:
    """A worker's line, with its file where the code was sent there without one."""
    found = _SHIPPED.match(where)
    if found is None:
        return where
    return f"at {shipped_code.found_again(found['name'], int(found['line']))}{where[found.end('path') :]}"


_SHIPPED = re.compile(rf"at (?P<path>{re.escape(shipped_code.NAME)}):(?P<line>\d+) in (?P<name>\S+?)(?:,|$)")
