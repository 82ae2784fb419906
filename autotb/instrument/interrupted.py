"""What the workers of pools were doing when a Ctrl-C ended the program: the tasks that it ended, and those that ran on.

A terminal's Ctrl-C reaches each process.  A worker's task raises KeyboardInterrupt, which comes back as the outcome of a future
that nobody asks for any more; a thread's task goes on, and the pool waits for it when it is left.

Flows in: the outcomes of futures, the pools when they are left, the KeyboardInterrupt that the program ends with.  Flows out:
lines beside it.
"""

from __future__ import annotations

import collections
import time
from typing import Any

from autotb import engine_facts
from autotb.instrument import pool_tasks, waited_tasks
from autotb.instrument.waited_tasks import INTERRUPTED, NOT_DONE, Task
from autotb.record import static
from autotb.record.capture import attached

KEY = "_autotb_waited"
MOST = 10  # tasks that are named
_LEEWAY = 5.0  # seconds by which an outcome may come before the waiting ends: older ones are of another Ctrl-C
_ended: collections.deque[tuple[float, BaseException, Any]] = collections.deque(
    maxlen=100
)  # when it came, where it was submitted
_left: collections.deque[tuple[float, dict[object, Task]]] = collections.deque(maxlen=100)


class Seen:
    """On a KeyboardInterrupt: when it ended the waiting, and what ran when pools were left."""

    __slots__ = ("tasks", "when")

    def __init__(self) -> None:
        self.when, self.tasks = time.monotonic(), dict[object, Task]()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (dict, ())  # elsewhere nobody knows these pools


def is_one(error: object) -> bool:
    """Whether it is a KeyboardInterrupt of this very process."""
    return type(error) is KeyboardInterrupt and "type" not in (attached(error) or {})


def ended(error: BaseException, site: Any) -> None:
    """A worker's task has raised KeyboardInterrupt."""
    _ended.append((time.monotonic(), error, site))


def left(tasks: dict[object, Task]) -> None:
    """A worker has left word of what a Ctrl-C ended it in; the keys are those under which its tasks were seen to run."""
    _left.append((time.monotonic(), tasks))


def noticed(error: BaseException) -> Seen:
    """The waiting for a task was ended by this."""
    fields = static.fields_of(error)
    seen = dict.get(fields, KEY)
    if type(seen) is not Seen:
        seen = fields[KEY] = Seen()
    return seen


def look(error: BaseException, tasks: dict[object, Task] | None = None) -> None:
    """A pool is left while an error passes; it waits for what runs, or ends it.  ``tasks`` are of a pool that knows its own."""
    if is_one(error):
        seen = noticed(error)
        seen.tasks = {**(_running(error) if tasks is None else tasks), **seen.tasks}


def _running(error: BaseException) -> dict[object, Task]:
    """What runs just now: in the pools of this process, and in the workers of engines."""
    found = pool_tasks.Pools().running()
    for tell in engine_facts.facts.running:
        try:
            found.update(tell(error))
        except Exception:
            pass  # less is told
    return found


def opened(error: BaseException) -> engine_facts.Opened | None:
    """What the story of a KeyboardInterrupt says beside it."""
    if not is_one(error):
        return None
    found = dict.get(static.fields_of(error), KEY)
    seen = found if type(found) is Seen else Seen()  # to be told does not alter it
    now = _running(error)
    tasks = {**now, **seen.tasks, **{key: task for key, task in now.items() if task.state == INTERRUPTED}}
    for when, other, site in list(_ended):
        if other is not error and when >= seen.when - _LEEWAY:
            tasks.update(pool_tasks.interrupted(other, site))
    for when, of_worker in list(_left):
        if when >= seen.when - _LEEWAY:
            tasks.update(of_worker)
    known = [task for task in tasks.values() if task.state != NOT_DONE]
    said = waited_tasks.told(known or tasks.values(), MOST)
    return engine_facts.Opened(broken=said) if said else None
