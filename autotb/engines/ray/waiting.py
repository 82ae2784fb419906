"""What a ``ray.get`` waited for that timed out, and which task was cancelled: Ray's own errors name neither.

Source: https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotb import assumption, settings
from autotb.assumption import Attributes, Frame
from autotb.instrument import engine_frames
from autotb.record import safe_repr, static

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

GET = Frame("ray._private.worker", "get", "object_refs", costs="what a ray.get waited for that timed out")
CANCELLED = Attributes("ray.exceptions", "TaskCancelledError", "task_id", costs="which task was cancelled")
MOST = 3  # calls that are named


def lines(exc: BaseException, sites: Mapping[bytes, Any], calls: Mapping[bytes, Any]) -> tuple[str, ...]:
    """What the story says of a time-out or a cancellation beside Ray's message."""
    try:
        kind = static.name(type(exc))
        if kind not in ("GetTimeoutError", "TaskCancelledError"):
            return ()
        asked = _asked(static.traceback_of(exc))
        if kind == "GetTimeoutError":
            return _not_ready(asked, sites, calls)
        (task,) = CANCELLED.read(exc) or (None,)
        task = asked[0].task_id() if task is None and len(asked) == 1 else task
        return (f"cancelled: {_named(task.binary(), sites, calls)}",) if task is not None else ()
    except Exception:
        pass  # then Ray's message is all
    return ()


def _asked(tb: TracebackType | None) -> list[Any]:
    """The references that ``ray.get`` was given."""
    found: Any = None
    while tb is not None:
        if static.name_of(tb.tb_frame) == GET.module:
            (found,) = assumption.read(tb.tb_frame, GET) or (found,)
        tb = tb.tb_next
    return found if type(found) is list else [found] if found is not None else []


def _not_ready(references: list[Any], sites: Mapping[bytes, Any], calls: Mapping[bytes, Any]) -> tuple[str, ...]:
    ray: Any = sys.modules["ray"]
    unique = list(dict.fromkeys(references))
    if not unique or not ray.is_initialized():
        return ()
    _, missing = ray.wait(unique, num_returns=len(unique), timeout=0, fetch_local=False)
    if not missing:
        return ("all results are ready by now",)
    named = list(dict.fromkeys(_named(reference.task_id().binary(), sites, calls) for reference in missing))
    more = f", and {len(named) - MOST:,} more" if len(named) > MOST else ""
    return (f"{len(missing):,} of {len(unique):,} results are not ready: {'; '.join(named[:MOST])}{more}",)


def _named(task: bytes, sites: Mapping[bytes, Any], calls: Mapping[bytes, Any]) -> str:
    """The call of a task, where it is kept, and where it was submitted."""
    call = "a task"
    if task in calls and settings.switch("args"):
        remote, args, kwargs = calls[task]
        name = str(getattr(remote, "_function_name", "") or getattr(remote, "_method_name", "")).rpartition(".")[2]
        given = kwargs.get("args") or (args[0] if args else ())
        named = kwargs.get("kwargs") or (args[1] if len(args) > 1 else {})
        shown = [*map(safe_repr.brief, given), *(f"{key}={safe_repr.brief(value, key)}" for key, value in named.items())]
        call = f"{name}({', '.join(shown)})" if name else call
    place = engine_frames.place_of(sites.get(task))
    return f"{call} submitted at {place['path']}:{place['line']} in {place['name']}" if place else call


ASSUMPTIONS = (GET, CANCELLED)
