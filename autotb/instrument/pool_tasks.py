"""The tasks of the pools of this process: which run just now, where, and which wait for a worker.

Flows in: the running stacks of threads, the pools' queues and processes, the status files of workers.  Flows out: a
``waiting.Task`` for a future.  Nothing is kept for this while tasks run: it is looked up once a wait has failed.
"""

from __future__ import annotations

import gc
import sys
import threading
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any

from autotb import assumption, engine_facts, settings
from autotb.instrument import engine_frames, executor_internals, executor_worker
from autotb.instrument.executor_internals import AS_COMPLETED, CHAINED, QUEUES, RUN, TASK, WORK
from autotb.instrument.waited_tasks import CANCELLED, DONE, INTERRUPTED, MOST, NEVER, NOT_DONE, RUNNING, WAITING, Task, first
from autotb.postmortem import status_file, status_reader
from autotb.postmortem.death_report import duration
from autotb.record import ownership, safe_repr, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from autotb.instrument.types import Future
    from autotb.record.schema import Place


class _Seen:
    """A pool's work item: what it does, and what else was seen of it; ``call`` where that is known from elsewhere."""

    __slots__ = ("call", "item", "more", "runner", "state")

    def __init__(self, item: Any, state: str, more: str = "", runner: object = None, call: str = "") -> None:
        self.item, self.state, self.more, self.runner = item, state, more, runner
        self.call = call or _call_of(item)


class Pools:
    """One look at all pools, of which several tasks may be told."""

    def __init__(self) -> None:
        self.seen: dict[int, _Seen] = {}  # by the future's ``id``
        self.busy: dict[int | None, str] = {}  # by the thread that runs it
        for look in (self._look_at_threads, self._look_at_queues, self._look_at_processes):
            try:
                look()
            except Exception:
                pass  # less is known

    def found(self, futures: list[Any], before: str = "") -> list[Task]:
        """What is known of futures' tasks; ``before`` was the state when the wait failed, where it was noted then."""
        return [task for future in futures if (task := self._task(future, before)) is not None]

    def _task(self, future: Future, before: str) -> Task | None:
        seen, place = self.seen.get(id(future)), _place_of(future)
        call = seen.call if seen is not None else ""
        if before == "CANCELLED" or (seen is None and future.cancelled()):
            return Task(NEVER if _is_of_pools(future) else CANCELLED, call, place=place)
        if seen is not None:
            return Task(seen.state, call, seen.more, place)
        is_done = future.done()
        return Task(DONE if is_done else NOT_DONE, more=_THEN.get(before, "") if is_done else "", place=place) if place else None

    def running(self) -> dict[object, Task]:
        """All that run now, or that a Ctrl-C has ended just now, by their process or thread."""
        return {
            seen.runner: Task(seen.state, seen.call, seen.more, _place_of(seen.item.future))
            for seen in self.seen.values()
            if seen.state in (RUNNING, INTERRUPTED)
        }

    def abandoned(self) -> list[Task]:
        """Tasks that run on though the asyncio future that stood for them was cancelled."""
        return [
            Task(RUNNING, seen.call, seen.more, _place_of(seen.item.future))
            for seen in self.seen.values()
            if seen.state == RUNNING and any(map(_is_cancelled, list(seen.item.future._done_callbacks)))
        ]

    def _look_at_threads(self) -> None:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, top in sys._current_frames().items():
            item, users = _item_of(top)
            if item is not None:
                at = f"{engine_frames.users_line(top)}, " if users is not None else ""
                where = f"{at}in thread {names.get(ident, ident)}"
                self.seen[id(item.future)] = seen = _Seen(item, RUNNING, where, ident, _call_in(item, users))
                self.busy[ident] = f"{seen.call}, {at}".rstrip(", ")

    def _look_at_queues(self) -> None:
        (queues,) = QUEUES.read(sys.modules.get(QUEUES.module)) or ({},)
        threads: dict[Any, list[str]] = {}
        for thread, queue in list(queues.items()):
            threads.setdefault(queue, []).append(self.busy.get(thread.ident, ""))
        for queue, calls in threads.items():
            busy = f"each thread is busy: {first(calls, len(calls))}" if all(calls) else ""
            for before, item in enumerate(_inside(queue)):
                more = ", ".join(filter(None, (_ahead(before), busy)))
                self.seen.setdefault(id(item.future), _Seen(item, WAITING, more))

    def _look_at_processes(self) -> None:
        for internals in executor_internals.every():
            (managers,) = internals.managers.read(sys.modules.get(internals.managers.module)) or ({},)
            for manager in list(managers):
                items, processes = internals.manager.read(manager) or ({}, {})
                self._look_at_pool(dict(items), list(dict(processes).values()))

    def _look_at_pool(self, items: dict[int, Any], processes: list[Any]) -> None:
        told = [left for process in processes if (left := status_reader.of_child(process)) is not None]
        known = {left.words[status_file.INDEX]: (left.pid, *does) for left in told if (does := doing(left)) is not None}
        run = {left.words[status_file.INDEX]: left for left in told if left.running}
        busy = _others(run, items) if run and len(run) == len(processes) else ""
        for number, item in items.items():
            if number in known:
                pid, state, more = known[number]
                seen = _Seen(item, state, more, ("pid", pid))
            elif busy or item.future._state == "PENDING":
                seen = _Seen(item, WAITING, busy)
            else:
                seen = _Seen(item, NOT_DONE)
            self.seen[id(item.future)] = seen


def doing(left: status_reader.Remains) -> tuple[str, str] | None:
    """What a worker does by its status file, where and how long: its task runs, or a Ctrl-C ended it; None for neither."""
    if left.stopped_after is not None:
        return INTERRUPTED, f"after {duration(left.stopped_after)}, pid {left.pid}"
    if left.running:
        return RUNNING, f"for {duration(left.seconds)}, pid {left.pid}"
    return None


def interrupted(error: BaseException, site: Any) -> dict[object, Task]:
    """The task that a Ctrl-C has ended in a worker, by its process; nothing where its record does not say."""
    hops = (attached(error) or {}).get("hops") or []
    found: dict[object, Task] = {}
    for hop in hops[:1]:
        users = [frame for frame in hop["frames"] if frame.get("kind") == ownership.USER]
        at = "at {path}:{line} in {name}".format(**users[-1]) if users else ""
        ran = f"after {duration(hop['ran'])}" if "ran" in hop else ""
        pid = hop.get("pid")
        more = ", ".join(filter(None, (at, ran, f"pid {pid}" if pid else "")))
        found["pid", pid] = Task(INTERRUPTED, hop.get("call", ""), more, engine_frames.place_of(site))
    return found


_THEN = {"RUNNING": "it ran when the wait ended", "PENDING": "it had not started when the wait ended"}


def _place_of(future: Any) -> Place | None:
    return engine_frames.place_of(getattr(future, "_autotb_site", None))


def _is_of_pools(future: object) -> bool:
    """Whether it is of the make of ``concurrent.futures``: such a one cannot be cancelled once its task runs."""
    packages = {internals.managers.module.rpartition(".")[0] for internals in executor_internals.every()}
    return static.module(type(future)) in {f"{package}._base" for package in packages}


def _inside(queue: object) -> list[Any]:
    """The work items in a queue that cannot be asked for them: the garbage collector knows what it refers to."""
    found = [each for one in gc.get_referents(queue) for each in (one if type(one) is list else [one])]
    return [item for item in found if static.module(type(item)) == RUN.module]


def _ahead(count: int) -> str:
    return f"{count:,} {'task' if count == 1 else 'tasks'} before it in the queue" if count else ""


def _others(run: dict[int, Any], items: dict[int, Any]) -> str:
    """What the workers of a pool do, all of which are busy."""
    calls = [
        f"pid {left.pid} with {_call_of(items[number]) if number in items else 'another task'}, for {duration(left.seconds)}"
        for number, left in list(run.items())[:MOST]
    ]
    return f"each worker is busy: {first(calls, len(run))}"


def _item_of(frame: FrameType | None) -> tuple[Any, FrameType | None]:
    """What a pool's thread works on, and the first frame of the user's in it; nothing of another thread."""
    users = None
    while frame is not None:
        if RUN.matches(frame) and static.name_of(frame) == RUN.module:
            (item,) = RUN.read(frame) or (None,)
            if hasattr(item, "future"):  # from 3.14 on a worker's context has a method of that name, which the item calls
                return item, users
        if ownership.kind_of_frame(frame) == ownership.USER:
            users = frame
        frame = frame.f_back
    return None, None


def _call_in(item: Any, users: FrameType | None) -> str:
    """The user's call, where a pool runs an engine's function that makes it."""
    function = _given_to(item)[0]
    if users is None or not ownership.is_engines(function) or ownership.batch_of(function) or not settings.switch("args"):
        return ""
    return safe_repr.frame_call(users) or ""


def _given_to(item: Any) -> tuple[Any, Any, Any]:
    """What a work item calls: the function, which may run in a copy of the context, its arguments and keywords."""
    function, args, kwargs = (TASK.read(item) or (None,))[0] or WORK.read(item) or (None, (), {})
    if args and type(function) is BuiltinFunctionType and safe_repr.is_run_of_a_context(function):
        return args[0], args[1:], kwargs
    return function, args, kwargs


def _call_of(item: Any) -> str:
    function, args, kwargs = _given_to(item)
    if function is None:
        return ""
    named = next(filter(None, (name(function, args) for name in engine_facts.facts.names)), "")
    if named:
        return named
    batch = ownership.batch_of(function)
    if batch:
        (function, args, kwargs), *others = batch
        return _call(function, args, kwargs) + (f" and {len(others):,} more" if others else "")
    return _call(function, args, kwargs)


def _call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    called = executor_worker.called(function)
    if not settings.switch("args"):
        return safe_repr.function_name(called)
    if called is not function:
        chunk = list(args[0])
        more = f" and {len(chunk) - 1} more" if len(chunk) > 1 else ""
        return safe_repr.call(called, tuple(chunk[0])) + more
    return safe_repr.call(function, args, kwargs)


def pending(tb: TracebackType | None) -> list[Any]:
    """The futures that an ``as_completed`` waited for which raised this traceback."""
    found: Any = ()
    while tb is not None:
        (found,) = assumption.read(tb.tb_frame, AS_COMPLETED) or (found,)
        tb = tb.tb_next
    return list(found) if type(found) is set else []


def _is_cancelled(callback: Any) -> bool:
    """Whether it hands a result on to a future of asyncio's that was cancelled."""
    code, cells = getattr(callback, "__code__", None), getattr(callback, "__closure__", None) or ()
    for name, cell in zip(getattr(code, "co_freevars", ()), cells, strict=False):
        if name == CHAINED.names[0]:
            return bool(cell.cell_contents.cancelled())
    return False
