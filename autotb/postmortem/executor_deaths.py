"""A pool of ``concurrent.futures`` or loky whose worker died: which task it ran, and what became of the others.

Flows in: the thread that manages the pool, at the moment at which it fails all futures with one exception.  Flows out: on each
future the hops of the story that it tells when it is asked: its own task's fate, then the dead workers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotb.postmortem import death_report, status_file, status_reader
from autotb.record import annotate, callsite, ownership

if TYPE_CHECKING:
    from autotb.record.schema import Hop, Tree

DEAD = "_autotb_dead"
_SITE = "_autotb_site"
_KNOWN = "_autotb_autopsy"
_MOST = 3  # dead workers that are told of


class Autopsy:
    """What was found once, when the pool broke: ``dead``, the hops by work item, and who ran the other items.

    ``raised`` is what a worker's initializer raised, of which it ended.
    """

    def __init__(self, manager: Any, state: tuple[Any, Any], call_of: Callable[..., str | None]) -> None:
        pending, processes = dict(state[0]), dict(state[1])  # the program may submit more meanwhile
        self.engine, self.pool = _names(manager)
        self.dead: dict[int | None, Hop] = {}
        self.raised: Tree | None = None
        alike: dict[str, int] = {}  # workers whose initializers raised the same
        self.alive: dict[int, int] = {}
        self.ended: dict[int, int] = {}  # tasks that ran to their end, with their worker, and whose results did not arrive
        self.waiting = {work_id for work_id, item in pending.items() if item.future._state == "PENDING"}  # given to no worker
        self.latest = -1  # the last task that any worker has begun: they are taken in the order of their numbers
        self.free: list[int] = []  # of each worker that runs none, the last one that it ran: it may just have taken another
        self.all_tell = True  # whether every worker left word of what it does
        self.ids = {id(item.future): work_id for work_id, item in pending.items()}
        gone = _gone(processes)
        for pid, process in processes.items():
            left = status_reader.of_child(process)
            status_reader.bury(pid)  # those that live are about to be ended
            self.all_tell = self.all_tell and left is not None
            began = left.words[status_file.INDEX] if left is not None and left.words[status_file.STARTED] else -1
            self.latest = max(self.latest, began)
            if left is not None and not left.running:
                self.free.append(began)
            work_id = left.words[status_file.INDEX] if left is not None and left.running else None
            item = pending.get(work_id)
            if left is not None and left.state == status_file.IDLE and left.words[status_file.STARTED]:
                self.ended[left.words[status_file.INDEX]] = pid
            if pid not in gone:
                if item is not None and work_id is not None:
                    self.alive[work_id] = pid
                continue
            if left is not None and left.running and item is None:
                left.state = status_file.IDLE  # its result had arrived
            if left is not None and left.dump.startswith("Fatal") and self.engine == "loky":
                os.write(2, left.dump.encode())  # where loky's own faulthandler would have written it, had ours not been there
            if left is not None and left.state in (status_file.RAISED, status_file.UNLOADED):
                alike[left.text] = alike.get(left.text, 0) + 1
                if alike[left.text] > 1:
                    continue
                self.raised = self.raised or left.raised()
            call = _call(item, call_of) if item is not None else None
            where = f"in a {self.engine} worker" if self.engine == "loky" else "in a process-pool worker"
            self.dead[work_id if item is not None else -pid] = death_report.hop(
                self.engine,
                where,
                pid,
                process.exitcode,
                left,
                call,
                label=getattr(process, "name", None),
                submitted=_place(item) if item is not None else None,
            )

    def hops(self, future: Any) -> list[Hop]:
        """What is told to whoever asks this future; empty if no worker died."""
        work_id = self.ids.get(id(future))
        told = list(self.dead.values())[:_MOST]
        own = self.dead.get(work_id)
        if own is not None:
            return [own, *(hop for hop in told if hop is not own)]
        if work_id is None or not told:
            return told
        return [{"engine": self.engine, "where": f"in a {self.pool}", "frames": [], "died": [self._fate(work_id)]}, *told]

    def _fate(self, work_id: int) -> str:
        """Of a task that the dead workers did not run; one that no worker tells of may have run all the same."""
        if work_id in self.alive:
            return f"started on worker {self.alive[work_id]}, which was ended with the pool"
        if work_id in self.waiting:
            return f"{death_report.NEVER}: the pool broke before"
        if work_id in self.ended:
            return f"ended on worker {self.ended[work_id]}, and its result did not arrive before the pool broke"
        if self.all_tell and work_id > self.latest:
            return f"{death_report.NEVER}: the pool broke before"
        if self.all_tell and all(began > work_id for began in self.free):  # whoever took it has begun another since
            return "ended on a worker, and its result did not arrive before the pool broke"
        return "not known whether it started: the pool broke"


def note(future: Any, manager: Any, state: tuple[Any, ...] | None, call_of: Callable[..., str | None]) -> None:
    """Put on a future, which is about to fail with its pool, what is known of the reason.

    ``state`` are the manager's work items by their number, and its processes.
    """
    found = look(manager, state, call_of)
    hops = found.hops(future) if found is not None else None
    if found is not None and hops:
        setattr(future, DEAD, (hops, found.raised))


def look(manager: Any, state: tuple[Any, ...] | None, call_of: Callable[..., str | None]) -> Autopsy | None:
    """What is known of a pool that has just broken, found once."""
    found: Autopsy | None = manager.__dict__.get(_KNOWN)
    if found is None and state is not None:
        found = Autopsy(manager, (state[0], state[1]), call_of)
        setattr(manager, _KNOWN, found)
    return found


def tell(error: BaseException, manager: Any) -> None:
    """Tell of the dead workers in an error of which no future is: one of ``submit``, of a pool that is broken."""
    found: Autopsy | None = manager.__dict__.get(_KNOWN)
    if found is not None and found.dead:
        annotate.note_death(error, list(found.dead.values())[:_MOST], None, found.raised)


def _names(manager: Any) -> tuple[str, str]:
    loky = "loky" in type(manager).__module__
    return ("loky", "loky pool") if loky else ("process pool", "process pool")


def _gone(processes: dict[int, Any]) -> set[int]:
    """Who is dead.  Who has closed its pipe is about to be: its status is there within moments."""
    from multiprocessing import connection

    closed = connection.wait([process.sentinel for process in processes.values()], 0)
    for process in processes.values():
        if process.sentinel in closed:
            process.join(2)
    return {pid for pid, process in processes.items() if process.exitcode is not None}


def _place(item: Any) -> Any:
    site = item.future.__dict__.get(_SITE)
    return callsite.decode(site) if site is not None else None


def _call(item: Any, call_of: Callable[..., str | None]) -> str | None:
    """The call as text; of joblib's batches the user's, and how many they are."""
    batch = ownership.batch_of(item.fn)
    if batch:
        text = call_of(*batch[0], None)
        return text if len(batch) == 1 else f"one of {len(batch)} calls, the first of which is {text}"
    return call_of(item.fn, item.args, item.kwargs, None)
