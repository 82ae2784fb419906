"""What a wait for Dask's futures waited for that timed out, and which tasks were cancelled: the scheduler and the workers know.

They are asked when a client is left by such an error, or else when it is told; who does not answer soon is left out.
Source: https://distributed.dask.org/en/stable/scheduling-state.html
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from autotb import assumption, engine_facts
from autotb.assumption import Attributes, Frame, Lost
from autotb.instrument import engine_frames
from autotb.instrument.waited_tasks import CANCELLED, DONE, MOST, NOT_DONE, RUNNING, WAITING, Task, told
from autotb.postmortem.death_report import duration
from autotb.record import annotate, ownership, shipped_code, sources, static
from autotb.record.capture import attached
from autotb.record.cpython_text import FRAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

RESULT = Frame("distributed.client", "Future.result", "self", costs=Lost.WAITED)
WAIT = Frame("distributed.client", "wait", "fs", costs=Lost.WAITED)
NEXT = Frame("distributed.client", "as_completed.__next__", "self", costs=Lost.WAITED)
COMPLETED = Attributes("distributed.client", "as_completed", "futures", costs=Lost.WAITED)
ONE = Attributes("distributed.client", "FutureCancelledError", "key", costs=Lost.WAITED, optional=True)
MANY = Attributes("distributed.client", "FuturesCancelledError", "error_groups", costs=Lost.WAITED, optional=True)
SHARED = {
    Frame("distributed.variable", "Variable._get", "self", "timeout", costs=Lost.WAITED): (
        "waited {time} for the variable {name!r}, which nobody has set"
    ),
    Frame("distributed.queues", "Queue._get", "self", "timeout", costs=Lost.WAITED): (
        "waited {time} for the queue {name!r}, which was empty"
    ),
    Frame("distributed.queues", "Queue._put", "self", "timeout", costs=Lost.WAITED): (
        "waited {time} for the queue {name!r}, which was full"
    ),
}
ASSUMPTIONS = (RESULT, WAIT, NEXT, COMPLETED, ONE, MANY, *SHARED)
_PATIENCE = 2  # seconds that the scheduler has for an answer


def opened(exc: BaseException, sites: Mapping[Any, Any]) -> engine_facts.Opened | None:
    """What the story says beside Dask's message."""
    if not _is_wait(exc) or "type" in (attached(exc) or {}):
        return None
    said = tuple((attached(exc) or {}).get("broken") or ()) or lines(exc, sites)
    return engine_facts.Opened(broken=said) if said else None


def look(exc: Any, sites: Mapping[Any, Any]) -> None:
    """A client, or a cluster, is left by this error, and nobody can be asked afterwards."""
    if static.is_exception(exc) and _is_wait(exc) and attached(exc) is None:
        said = lines(exc, sites)
        if said:
            annotate.note(exc, broken=list(said))


def _is_wait(exc: BaseException) -> bool:
    return static.name(type(exc)) in ("TimeoutError", "FutureCancelledError", "FuturesCancelledError")


def lines(exc: BaseException, sites: Mapping[Any, Any]) -> tuple[str, ...]:
    """What is known of the tasks that were waited for."""
    cancelled = _cancelled(exc)
    if cancelled:
        return told(Task(CANCELLED, f"task {key}", place=engine_frames.place_of(sites.get(key))) for key in cancelled)
    futures = [future for future in _asked(static.traceback_of(exc)) if future.status == "pending"]
    if not futures:
        return _shared(static.traceback_of(exc))
    known = _ask(futures[0].client, [future.key for future in futures])
    return told(_task(future.key, known, sites) for future in futures)


def _cancelled(exc: BaseException) -> list[Any]:
    (groups,) = MANY.read(exc) or ((),)
    keys = ONE.read(exc) if not groups and static.name(type(exc)) == "FutureCancelledError" else None
    return list(keys or ()) or [error.key for group in groups for error in group.errors]


def _asked(tb: TracebackType | None) -> list[Any]:
    """The futures that a frame of Dask's waited for."""
    found: list[Any] = []
    while tb is not None:
        frame = tb.tb_frame
        if static.name_of(frame) == RESULT.module:
            (one,) = assumption.read(frame, RESULT) or (None,)
            (many,) = assumption.read(frame, WAIT) or (None,)
            (completed,) = assumption.read(frame, NEXT) or (None,)
            many = _futures(many) if many is not None else None
            many = (COMPLETED.read(completed) or (None,))[0] if completed is not None else many
            found = [one] if one is not None else list(many) if many is not None else found
        tb = tb.tb_next
    return [future for future in found if hasattr(future, "client") and hasattr(future, "status")]


def _futures(given: Any) -> list[Any]:
    """Of what ``wait`` was given: one, some, or a collection that is computed of them."""
    found: list[Any] = sys.modules["distributed.client"].futures_of(given)
    return found


def _shared(tb: TracebackType | None) -> tuple[str, ...]:
    """What a wait for a variable or a queue of the cluster's waited for."""
    while tb is not None:
        for frame, said in SHARED.items():
            if frame.matches(tb.tb_frame) and static.name_of(tb.tb_frame) == frame.module:
                one, seconds = frame.read(tb.tb_frame) or (None, None)
                if type(getattr(one, "name", None)) is str and type(seconds) in (int, float):
                    return (said.format(name=one.name, time=duration(seconds)),)
        tb = tb.tb_next
    return ()


def _ask(client: Any, keys: list[Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """What the scheduler knows of tasks and of what they need, and the stacks of those that run."""
    states: dict[Any, Any] = {}
    stacks: dict[Any, Any] = {}
    try:
        look = by_value(_states)
        states = client.sync(client._run_on_scheduler, look, keys=keys[:1_000], callback_timeout=_PATIENCE)
        found = client.sync(
            client.scheduler.call_stack, keys=[key for key in keys if key in states] or None, callback_timeout=_PATIENCE
        )
        for of_worker in found.values():
            stacks.update(of_worker)
    except Exception:
        pass  # it is gone, or too busy: less is known
    return states, stacks


def by_value(function: Any) -> Any:
    """A function that the scheduler, whose Python need not have us, is sent whole."""
    made = types.FunctionType(function.__code__, {"__builtins__": __builtins__, "__name__": "__main__"}, function.__name__)
    made.__module__ = "__main__"
    return made


def _states(keys: Any, dask_scheduler: Any) -> Any:
    """Runs on the scheduler: of each task its state, its worker, for how long it runs, what it needs; the number of workers."""
    found: dict[Any, Any] = {}
    queue = list(keys)
    while queue and len(found) < 2_000:
        key = queue.pop(0)
        task = dask_scheduler.tasks.get(key)
        if task is None or key in found:
            continue
        needs = [other.key for other in task.waiting_on or ()]
        worker = task.processing_on
        since = (getattr(worker, "executing", None) or {}).get(task) if worker is not None else None
        found[key] = task.state, getattr(worker, "address", ""), since, needs, len(dask_scheduler.workers)
        queue += needs
    return found


def _task(key: Any, known: tuple[dict[Any, Any], dict[Any, Any]], sites: Mapping[Any, Any]) -> Task:
    place, call = engine_frames.place_of(sites.get(key)), f"task {key}"
    states, stacks = known
    state, worker, since, needs, workers = states.get(key) or (None, "", None, (), 1)
    if key in stacks:
        return Task(RUNNING, call, _runs(worker, since, stacks[key]), place)
    if state in ("memory", "erred"):
        return Task(DONE, call, place=place)
    if state == "waiting":
        others = [f"task {need}, {_runs(states[need][1], None, stacks[need])}" for need in states if need in stacks][:MOST]
        return Task(WAITING, call, f"it needs {'; '.join(others)}" if others else f"it needs {len(needs):,} more", place)
    if state in ("no-worker", "queued", "processing"):
        busy = f"given to worker {worker}" if worker else f"no worker is {'free' if state == 'queued' else 'fit'} for it"
        return Task(WAITING, call, busy if workers else "the cluster has no workers", place)
    return Task(NOT_DONE, call, place=place)


def _runs(worker: str, since: float | None, stack: Any) -> str:
    """Where a task runs, for how long by the last word of its worker, and at which line of the user's."""
    parts = [_users_line(stack), f"on worker {worker}", f"for over {duration(since)}" if since else ""]
    return ", ".join(filter(None, parts))


def _users_line(stack: Any) -> str:
    for text in reversed([str(text) for text in stack or ()]):
        match = FRAME.match(f"  {text.lstrip().partition(chr(10))[0]}")
        if match is not None and ownership.kind_of(match["path"], ownership.module_of(match["path"])) == ownership.USER:
            path, line, name = match["path"], int(match["line"]), match["name"]
            path = path if path != shipped_code.NAME else shipped_code.found_again(name, line)
            return f"at {sources.place(path, line, name)}"
    return ""
