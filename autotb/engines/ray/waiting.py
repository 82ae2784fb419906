"""What a ``ray.get`` waited for that timed out or that a Ctrl-C ended, and which task was cancelled: Ray names neither.

Source: https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html
"""

from __future__ import annotations

import functools
import math
import sys
import time
from typing import TYPE_CHECKING, Any

from autotb import assumption, settings
from autotb.assumption import Attributes, Frame
from autotb.instrument import engine_frames, interrupted, task_events
from autotb.instrument.waited_tasks import CANCELLED, MOST, NOT_DONE, RUNNING, Task, told
from autotb.postmortem.death_report import duration
from autotb.record import safe_repr, static

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from autotb.instrument.types import Function

GET = Frame("ray._private.worker", "get", "object_refs", costs="what a ray.get waited for that timed out")
WAIT = Frame("ray._private.worker", "wait", "ray_waitables", costs="what a ray.wait waited for at a Ctrl-C", optional=True)
_ASKS = "what a ray.get of Ray Client's waited for"
CLIENT_GET = Frame("ray.util.client.worker", "Worker.get", "vals", costs=_ASKS, optional=True)
CLIENT_WAIT = Frame("ray.util.client.worker", "Worker.wait", "object_refs", costs=_ASKS, optional=True)
_ASKING = {GET.module: (GET, WAIT), CLIENT_GET.module: (CLIENT_GET, CLIENT_WAIT)}
TASK_ID = Attributes("ray.exceptions", "TaskCancelledError", "task_id", costs="which task was cancelled")


def lines(exc: BaseException, sites: Mapping[bytes, Any], calls: Mapping[bytes, Any]) -> tuple[str, ...]:
    """What the story says of a time-out, a Ctrl-C or a cancellation beside Ray's message."""
    try:
        kind = static.name(type(exc))
        if kind not in ("GetTimeoutError", "TaskCancelledError", "KeyboardInterrupt"):
            return ()
        if kind == "KeyboardInterrupt" and not interrupted.is_one(exc):
            return ()
        asked = _asked(static.traceback_of(exc))
        if kind == "GetTimeoutError":
            return _not_ready(asked, sites, calls) or ("all results are ready by now",) * bool(asked)
        if kind == "KeyboardInterrupt":
            return _not_ready(asked, sites, calls, interrupted.MOST)
        (task,) = TASK_ID.read(exc) or (None,)
        task = asked[0].task_id() if task is None and len(asked) == 1 else task
        if task is None:
            return ()
        place = engine_frames.place_of(sites.get(task.binary()))
        return told([Task(CANCELLED, call(task.binary(), calls), place=place)])
    except Exception:
        pass  # then Ray's message is all
    return ()


def _asked(tb: TracebackType | None) -> list[Any]:
    """The references that ``ray.get`` or ``ray.wait`` was given."""
    found: Any = None
    while tb is not None:
        (found,) = assumption.read(tb.tb_frame, *_ASKING.get(static.name_of(tb.tb_frame), ())) or (found,)
        tb = tb.tb_next
    return found if type(found) is list else [found] if found is not None else []


def _not_ready(
    references: list[Any], sites: Mapping[bytes, Any], calls: Mapping[bytes, Any], most: int = MOST
) -> tuple[str, ...]:
    ray: Any = sys.modules["ray"]
    unique = list(dict.fromkeys(references))
    if not unique or not ray.is_initialized():
        return ()
    _, missing = ray.wait(unique, num_returns=len(unique), timeout=0, fetch_local=False)
    if not missing:
        return ()
    run = _running()
    tasks = {reference.task_id().binary(): None for reference in missing}  # some have several results
    return (
        f"{len(missing):,} of {len(unique):,} results {'is' if len(missing) == 1 else 'are'} not ready:",
        *told([_task(task, run, sites, calls) for task in tasks], most),
    )


def _running() -> dict[int, tuple[int, float, str]]:
    """What the workers of this machine run, by the numbers of the tasks: the worker's process, since when, the call."""
    from autotb.postmortem import status_file, status_reader

    alive = [left for left in status_reader.every() if left.running and status_file.lives(left.pid)]
    return {task.job: (left.pid, status_reader.seconds_since(task.begun), task.call) for left in alive for task in left.tasks}


def wrap_cancel(sites: Mapping[bytes, Any]) -> Function:
    """Of who cancels tasks because of a Ctrl-C, as a flow does: by the time that it is told of they run no more."""

    def wrap(original: Function) -> Function:
        """Called within the handling of a KeyboardInterrupt, it looks first."""

        @functools.wraps(original)
        def cancel(*args: object, **kwargs: object) -> Any:
            try:
                error = sys.exc_info()[1]
                if error is not None and issubclass(type(error), KeyboardInterrupt):
                    _look(error, sites)
            except Exception:
                pass  # less is told
            return original(*args, **kwargs)

        return cancel

    return wrap


_looked = -math.inf  # when somebody did, who may have thousands of tasks to cancel


def _look(error: BaseException, sites: Mapping[bytes, Any]) -> None:
    global _looked
    if time.monotonic() < _looked + 1 or _asked(static.traceback_of(error)):  # of a ray.get the tasks are told anyway
        return
    _looked = time.monotonic()
    run, found = _running(), dict[object, Task]()
    for task, site in list(sites.items()):
        pid, seconds, called = run.get(task_events.number(task), (0, 0.0, ""))
        if pid:
            shown = called if settings.switch("args") else called.partition("(")[0]
            found["ray", pid, task] = Task(RUNNING, shown, f"for {duration(seconds)}, pid {pid}", engine_frames.place_of(site))
    interrupted.look(error, found)


def _task(task: bytes, run: dict[int, tuple[int, float, str]], sites: Mapping[bytes, Any], calls: Mapping[bytes, Any]) -> Task:
    running = run.get(task_events.number(task))
    called, place = call(task, calls), engine_frames.place_of(sites.get(task))
    if running is None:
        return Task(NOT_DONE, called, place=place)
    pid, seconds, _ = running
    return Task(RUNNING, called, f"for {duration(seconds)}, pid {pid}", place)


def call(task: bytes, calls: Mapping[bytes, Any]) -> str:
    """The call of a task, where it is kept."""
    if task not in calls or not settings.switch("args"):
        return ""
    remote, args, kwargs = calls[task]
    name = str(getattr(remote, "_function_name", "") or getattr(remote, "_method_name", "")).rpartition(".")[2]
    given = kwargs.get("args") or (args[0] if args else ())
    named = kwargs.get("kwargs") or (args[1] if len(args) > 1 else {})
    shown = [*map(safe_repr.brief, given), *(f"{key}={safe_repr.brief(value, key)}" for key, value in named.items())]
    return f"{name}({', '.join(shown)})" if name else ""


ASSUMPTIONS = (GET, WAIT, CLIENT_GET, CLIENT_WAIT, TASK_ID)
