"""Pebble: process and thread pools with timeouts and cancellation, ``@concurrent`` and ``@asynchronous`` functions.

A worker process sends what a task raised inside ``RemoteException(exception, traceback text)``; the record rides on that
wrapper's ``__reduce__``.  Threads hand over the exception itself.  A chunk of ``map`` sends the outcome of each element, raised
by ``MapResults.next``.  Source: https://pebble.readthedocs.io/en/latest/
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType

from autotb import assumption, engine_facts
from autotb.assumption import Attributes, Frame, Lost
from autotb.instrument import exception_wrappers, submission
from autotb.instrument.patch import Patch, together_with
from autotb.record import ownership, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

    from autotb.instrument.types import Function
    from autotb.record.schema import Light, Tree

MODULES = (
    "pebble.common",
    "pebble.common.process",
    "pebble.common.types",
    "pebble.common.shared",
    "pebble.pool.base_pool",
    "pebble.pool.thread",
    "pebble.concurrent.process",
)
NAME = "Pebble"
DISTRIBUTION = "pebble"
CAPTURED = "ProcessPool, ThreadPool: schedule, submit, map; concurrent.process and concurrent.thread; timeouts, expired processes"
TESTED = "5.0.3 to 5.2"

engine_facts.register(
    own=("pebble",),
    runs=(("pebble.common.shared", "execute"), ("pebble.common", "execute")),
    crashes=("pebble.common.types.ProcessExpired", "pebble.common.ProcessExpired"),
    remote_texts=("pebble.common.types.RemoteTraceback", "pebble.common.RemoteTraceback"),
)

EXECUTE = Frame(
    "pebble.common.process", "process_execute", "function", "args", "kwargs", also=("pebble.common",), costs=Lost.CALL
)
EXPIRATION = Frame("pebble.pool.process", "PoolManager.handle_worker_expiration", "worker_id", "exitcode", costs=Lost.DEATH)
HANDLER = Frame("pebble.concurrent.process", "_worker_handler", "worker", also=("pebble.asynchronous.process",), costs=Lost.DEATH)
STATUS = Attributes(
    "pebble.common.types", "Result", "status", "value", also=("pebble.common",), costs="the call that failed in a thread"
)


def _wrap_boxed_init(original: Function) -> Function:
    """Runs in a worker process with the exception alive: ``_record`` is called here."""
    return exception_wrappers.wrap_init(original, _record)


def _record(exc: BaseException, tb: TracebackType | None, caller: FrameType) -> Tree | Light:
    from autotb.record import build

    given = assumption.read(caller, EXECUTE)
    return build.record(exc, tb, build.hop("pebble", "in a Pebble worker", call=build.call_text(*given) if given else None))


def _wrap_rebuild(original: Function) -> Function:
    """Runs in the driver, on what arrives."""
    return exception_wrappers.wrap_rebuild(original, sys.modules[original.__module__].RemoteTraceback)


def _wrap_execute(original: Function) -> Function:
    """Runs a task in a thread: who ran it, and with which arguments, is known here."""

    @functools.wraps(original)
    def execute(function: Function, *args: object, **kwargs: object) -> Any:
        result = original(function, *args, **kwargs)
        try:
            status, value = STATUS.read(result) or (0, None)
            if status:  # 0 is success
                from autotb.instrument import engine_frames
                from autotb.record import build

                engine_frames.note_thread(
                    value, "pebble", "in a Pebble worker thread", lambda: build.call_text(function, args, kwargs)
                )
        except Exception:
            pass  # its frames are in its traceback
        return result

    return execute


def _wrap_results_init(original: Function) -> Function:
    """The results of a ``map``, made when it is done: its futures remember its line."""

    @functools.wraps(original)
    def __init__(self: Any, futures: object, *args: object, **kwargs: object) -> None:
        original(self, futures, *args, **kwargs)
        self._autotb_site = getattr(futures[0], "_autotb_site", None) if isinstance(futures, (list, tuple)) and futures else None

    return __init__


# Workers that die


def _wrap_process_execute(original: Function) -> Function:
    """Runs a task, or an element of a chunk, in a worker process."""
    from autotb.instrument import task_events

    return task_events.around(original, _task, _is_well)


def _is_well(result: Any) -> bool:
    if static.module(type(result)).partition(".")[0] == "pebble":
        return not result.status  # 0 is success
    return not issubclass(type(result), BaseException)  # before 5.1


def _task(function: Function, *args: object, **kwargs: object) -> Any:
    if type(function) is FunctionType and function.__name__ == "_trampoline":  # its own function is found by name
        return None, (), None, 0, f"{args[0]}({', '.join(map(_brief, args[2:]))})"
    return None if ownership.is_engines(function) else (function, args, kwargs)


def _brief(value: object) -> str:
    from autotb import settings
    from autotb.postmortem import status_file

    return status_file._brief(value) if settings.switch("args") else "…"


def _note_death(error: BaseException, caller: FrameType) -> None:
    """A worker was found dead: whose process that is, the callers of the error's class know."""
    from autotb.postmortem import death_report, status_reader
    from autotb.record import annotate

    found = assumption.read(caller, EXPIRATION)
    if found is None:
        (process,) = assumption.read(caller, HANDLER, limit=2) or (None,)
        if process is None:
            return
        process.join(2)  # it has closed its pipe
        found = process.pid, process.exitcode
    pid, exitcode = found
    left = status_reader.of(pid)
    status_reader.bury(pid)
    annotate.note_death(error, [death_report.hop("pebble", "in a Pebble worker", pid, exitcode, left)], None)


def ready(_module: str) -> None:
    """The futures are the standard library's, which nothing else may have loaded."""
    together_with("autotb.engines.futures")


PATCHES = (
    Patch(
        "pebble.common.process",
        "process_execute",
        _wrap_process_execute,
        also=("pebble.common", "pebble.pool.process"),
        costs=Lost.DEATH,
    ),
    Patch("pebble.common.types", "ProcessExpired.__init__", exception_wrappers.when_made(_note_death), costs=Lost.DEATH),
    Patch("pebble.common.types", "RemoteException.__init__", _wrap_boxed_init, costs=Lost.RECORD),
    Patch("pebble.common.types", "RemoteException.__reduce__", exception_wrappers.wrap_reduce, costs=Lost.FIT),
    Patch("pebble.common.types", "RemoteException.rebuild_exception", _wrap_rebuild, costs=Lost.RECORD),
    # Before 5.1 all of these were in one module, which names them still.
    Patch("pebble.common", "RemoteException.__init__", _wrap_boxed_init, optional=True, costs=Lost.RECORD),
    Patch("pebble.common", "RemoteException.__reduce__", exception_wrappers.wrap_reduce, optional=True, costs=Lost.FIT),
    Patch("pebble.common", "rebuild_exception", _wrap_rebuild, optional=True, costs=Lost.RECORD),
    Patch(
        "pebble.common",
        "process_execute",
        _wrap_process_execute,
        also=("pebble.pool.process", "pebble.concurrent.process", "pebble.asynchronous.process"),
        optional=True,
        costs=Lost.DEATH,
    ),
    Patch("pebble.common", "ProcessExpired.__init__", exception_wrappers.when_made(_note_death), optional=True, costs=Lost.DEATH),
    Patch("pebble.common", "execute", _wrap_execute, also=("pebble.pool.thread",), optional=True, costs=Lost.CALL),
    Patch("pebble.common", "ProcessFuture.__init__", submission.on_self, optional=True, costs=Lost.SITE),
    Patch("pebble.common.types", "ProcessFuture.__init__", submission.on_self, costs=Lost.SITE),
    Patch("pebble.common.shared", "execute", _wrap_execute, also=("pebble.common", "pebble.pool.thread"), costs=Lost.CALL),
    Patch("pebble.pool.thread", "ThreadPool.schedule", submission.on_result, costs=Lost.SITE),
    Patch("pebble.pool.base_pool", "MapResults.__init__", _wrap_results_init, costs=Lost.SITE),
    Patch(
        "pebble.pool.base_pool",
        "MapResults.next",
        submission.when_raised(submission.note_site, but=StopIteration),
        alias="__next__",
        costs=Lost.SITE,
    ),
)
ASSUMPTIONS = (EXECUTE, EXPIRATION, HANDLER, STATUS)

#: What ``python -m autotb demo --engine pebble`` runs: a user's script.
DEMO = '''\
"""Pebble's process pool scores eight items, each within ten seconds; one of them is bad."""

from pebble import ProcessPool

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with ProcessPool(max_workers=2) as pool:
        futures = [pool.schedule(score, args=(item,), timeout=10) for item in ITEMS]
        return [future.result() for future in futures]


if __name__ == "__main__":
    main()
'''
