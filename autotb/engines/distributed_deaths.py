"""Dask's workers that died, as far as their nanny, which runs in the program of a ``LocalCluster``, has seen it.

Flows in: the end of a worker's process, and what it left.  Flows out: the death, on the error of the tasks that it took along.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from autotb.assumption import Attributes, Lost
from autotb.engines import distributed_interrupts, distributed_logs, distributed_memory
from autotb.engines.distributed_tasks import number, sites
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch
from autotb.record import annotate, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from autotb.instrument.types import Function
    from autotb.postmortem.status_reader import Remains
    from autotb.record.schema import Hop

NANNY = Attributes("distributed.nanny", "WorkerProcess", "process", "worker_address", costs=Lost.DEATH)
PROCESS = Attributes("distributed.process", "AsyncProcess", "pid", "exitcode", costs=Lost.DEATH)


class Death(NamedTuple):
    """A worker that died."""

    hop: Hop
    left: Remains | None


_dead: dict[int, list[Death]] = {}  # by the number of each task that ran, or of the one that ran last; the latest last
_dead_at: dict[str, Death] = {}  # by the worker's address
_MOST_DEAD = 1_000


def _wrap_mark_stopped(original: Function) -> Function:
    """Runs in the nanny, that of a LocalCluster in this program, when its worker's process has ended."""

    @functools.wraps(original)
    def mark_stopped(self: Any) -> None:
        try:
            process, address = NANNY.read(self) or (None, None)
            pid, exitcode = PROCESS.read(process) or (0, None)
            if exitcode and len(_dead_at) < _MOST_DEAD:
                _note_death(pid, exitcode, address)
        except Exception:
            pass  # then it is told that a worker died, and no more
        original(self)

    return mark_stopped


def _note_death(pid: int, exitcode: int, address: object) -> None:
    from autotb.postmortem import death_report, status_file, status_reader

    left = status_reader.of(pid)
    status_reader.bury(pid)
    distributed_interrupts.ended(left, sites)
    hop = death_report.hop("dask", "in a Dask worker", pid, exitcode, left)
    hop["died"][0] += distributed_memory.why(pid)
    death = _dead_at[str(address)] = Death(hop, left)
    if left is not None and left.words[status_file.STARTED]:
        for task in left.tasks:
            _dead.setdefault(task.job, []).append(death)


def _tell(error: BaseException) -> bool:
    """Whether it is known now who died of an error's task, or of another one, on the worker that the scheduler had chosen."""
    from autotb.postmortem import death_report

    key, last = error.args[:2]
    known = attached(error)
    if known is not None and any(hop.get("died") for hop in known["hops"]):
        return True
    found = _dead.get(number(key)) or []
    # A worker that is given the task as soon as it has started may die before its nanny knows its address.
    if last.address not in _dead_at and len(found) <= _allowed(error):
        return False
    if found:
        hop, left = found[-1]
        hops = death_report.to_who_asks(hop, left, number(key)) if left is not None else [hop]
        if len(found) > 1:
            before, s = len(found) - 1, "s" if len(found) > 2 else ""
            pids = ", ".join(str(earlier.hop["pid"]) for earlier in found[:-1])
            hops[0]["died"] = [*hops[0]["died"], f"{before} worker{s} before it died of the same task, pid{s} {pids}"]
    else:
        fate = "not known to have started: the workers it was given to died, the last one as follows"
        hop, left = _dead_at[last.address]
        hops = [{"engine": "dask", "where": "in a Dask cluster", "frames": [], "died": [fate]}, hop]
    annotate.note_death(error, hops, engine_frames.place_of(sites.get(key)), left.raised() if left is not None else None)
    return True


def _allowed(error: BaseException) -> int:
    """How many workers may die of a task; the next one is the last."""
    import dask

    return int(error.args[2] if len(error.args) > 2 else dask.config.get("distributed.scheduler.allowed-failures"))


async def of(address: str) -> Any:
    """What is known of the death of a worker, which a nanny of this program may notice later than its peers do."""
    import asyncio

    for _ in range(50 if distributed_logs.local else 0):
        if address in _dead_at:
            return _dead_at[address].hop
        await asyncio.sleep(0.02)
    return None


async def wait_for(error: BaseException) -> None:
    """The scheduler may learn of a death before the nanny does."""
    if not distributed_logs.local or static.name(type(error)) != "KilledWorker":
        return
    import asyncio

    try:
        for _ in range(50):
            if _tell(error):
                return
            await asyncio.sleep(0.02)
    except Exception:
        pass  # the error is Dask's and goes on


PATCHES = (Patch("distributed.nanny", "WorkerProcess.mark_stopped", _wrap_mark_stopped, costs=Lost.DEATH),)
ASSUMPTIONS = (NANNY, PROCESS)
