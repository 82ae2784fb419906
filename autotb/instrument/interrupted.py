"""What the workers of pools were doing when a Ctrl-C ended the program: the tasks that it ended, and those that ran on.

A terminal's Ctrl-C reaches each process.  A worker's task raises KeyboardInterrupt, which comes back as the outcome of a future
that nobody asks for any more; a thread's task goes on, and the pool waits for it when it is left.

Flows in: the outcomes of futures, the pools when they are left, the KeyboardInterrupt that the program ends with.  Flows out:
lines beside it.
"""

from __future__ import annotations

from autotb import engine_facts
from autotb.record import static
from autotb.record.capture import attached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.instrument.waited_tasks import Task

KEY = "_autotb_waited"
MOST = 10  # tasks that are named
_KEPT = 100
_ended: list[tuple[BaseException, Any]] = []  # what workers' tasks raised, and where these were submitted


class Seen:
    """On a KeyboardInterrupt: what ran when a pool was left."""

    __slots__ = ("tasks",)

    def __init__(self, tasks: dict[object, Task]) -> None:
        self.tasks = tasks

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (dict, ())  # elsewhere nobody knows these pools


def is_one(error: object) -> bool:
    """Whether it is a KeyboardInterrupt of this very process."""
    return type(error) is KeyboardInterrupt and "type" not in (attached(error) or {})


def ended(error: BaseException, site: Any) -> None:
    """A worker's task has raised KeyboardInterrupt."""
    if len(_ended) < _KEPT:
        _ended.append((error, site))


def look(error: BaseException, tasks: dict[object, Task] | None = None) -> None:
    """A pool is left while an error passes; it waits for what runs, or ends it.  ``tasks`` are of a pool that knows its own."""
    if not is_one(error):
        return
    from autotb.instrument import pool_tasks

    fields = static.fields_of(error)
    seen = dict.get(fields, KEY)
    before = seen.tasks if type(seen) is Seen else {}
    fields[KEY] = Seen({**(tasks or pool_tasks.Pools().running()), **before})


def opened(error: BaseException) -> engine_facts.Opened | None:
    """What the story of a KeyboardInterrupt says beside it."""
    if not is_one(error):
        return None
    from autotb.instrument import pool_tasks, waited_tasks

    seen = dict.get(static.fields_of(error), KEY)
    tasks = {**pool_tasks.Pools().running(), **(seen.tasks if type(seen) is Seen else {})}
    for other, site in _ended:
        if other is not error:
            tasks.update(pool_tasks.interrupted(other, site))
    said = waited_tasks.told(tasks.values(), MOST)
    return engine_facts.Opened(broken=said) if said else None
