"""What a worker process is doing, for engines whose workers run one function a task: told as each begins and ends.

Flows in: a task's call.  Flows out: the worker's breadcrumb, from which its death is told, and its log where one is wanted.
Threads of one worker run several tasks at once; the breadcrumb names them all.
"""

from __future__ import annotations

import functools
from _thread import get_ident

from autotb import settings

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this
    from typing import Any

_running: dict[int, tuple[str, str]] = {}  # thread: the call in brief, and as it is logged
_crumb: Any = None


def begins(function: Any, args: Any, kwargs: Any = None, job: int = 0, text: str = "") -> None:
    """A task begins in this thread; ``job`` is a number by which the driver finds it, ``text`` its call where it is known."""
    from autotb.engines import entry

    crumb = _begin()
    logged = ""
    log = entry.log()
    if log is not None:
        logged = text or entry.call_of(function, args, kwargs)
        log.start(logged)
    if crumb is None and log is None:
        return
    if not text:
        text = _brief(function, args, kwargs)
    _running[get_ident()] = text, logged
    if crumb is not None:
        crumb.runs(job, 0, text if len(_running) == 1 else _several())


def ended(well: bool) -> None:
    """The task of this thread has ended; only a result is logged."""
    done = _running.pop(get_ident(), None)
    if done is None:
        return
    crumb = _crumb
    if crumb is not None:
        from autotb.postmortem import crumbs

        if not _running:
            crumb.words[crumbs.STATE] = crumbs.IDLE
        else:
            crumb.says(_several())
    if done[1] and well:
        from autotb.engines import entry

        log = entry.log()
        if log is not None:
            log.end(done[1])


def around(original: Any, call: Any, is_well: Any = None) -> Any:
    """Wraps an engine's function that runs a task.

    ``call(*args, **kwargs)`` gives what :func:`begins` takes, or None for what is no task of the user's; ``is_well(result)``
    tells, of a function that returns what the task raised, whether it is a result.
    """

    @functools.wraps(original)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            given = call(*args, **kwargs)
            if given is not None:
                begins(*given)
        except Exception:
            given = None  # less will be known of this task
        if given is None:
            return original(*args, **kwargs)
        well = False
        try:
            result = original(*args, **kwargs)
            well = True if is_well is None else is_well(result)
            return result
        finally:
            safely_ended(well)

    return run


def safely_ended(well: bool) -> None:
    """:func:`ended`, for a ``finally``."""
    try:
        ended(well)
    except Exception:
        pass  # it has ended all the same


def _brief(function: Any, args: Any, kwargs: Any) -> str:
    if settings.switch("args"):
        from autotb.postmortem import crumbs

        return crumbs.plain(function, args, kwargs)
    from autotb import summary

    return summary.function_name(function)


def _several() -> str:
    calls = [text for text, _ in list(_running.values())]
    return calls[0] if len(calls) == 1 else f"one of {', '.join(calls)}"


def _begin() -> Any:
    """This process's breadcrumb, taken away when the process ends in good order."""
    global _crumb
    from autotb.postmortem import crumbs

    if _crumb is None or _crumb is not crumbs._mine:
        _running.clear()  # of the process that forked this one
        _crumb = crumbs.begin()
        if _crumb is not None:
            import atexit
            from multiprocessing import util

            atexit.register(_crumb.end)
            util.Finalize(None, _crumb.end, exitpriority=-1_000)  # a process of multiprocessing knows no atexit
    return _crumb
