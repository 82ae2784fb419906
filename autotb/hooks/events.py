"""Errors that no program will catch, handed up by the engines: each function shows one kind and returns True once it has.

Flows in: ``surface``.  Flows out: stories on stderr.  What draws is imported when there is something to draw: the first record of
a process comes by here too, and most programs catch that error.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from autotb import plain_errors, settings
from autotb.instrument import engine_frames
from autotb.record import build as records
from autotb.record import callsite, capture, schema, static

if TYPE_CHECKING:
    from types import TracebackType

    from autotb.instrument.types import Process
    from autotb.record.schema import Hop, Place


def traced(exc: BaseException, tb: TracebackType | None, place: Hop, heading: str = "") -> Any:
    """The story of an error whose frames ran in ``place``."""
    from autotb.trace import build

    in_force = settings.used("context", "locals")
    captured = capture.Capture(context=in_force.context, local_variables=in_force.locals != "0")
    return build.from_tree(captured.tree(exc, tb, place), heading)


def thread_failed(args: Any) -> bool:
    """An error in a ``threading.Thread`` (the argument is that of ``threading.excepthook``)."""
    if sys.stderr is None or args.exc_value is None:
        return False
    from autotb import render

    thread = args.thread
    name = thread.name if thread is not None else "unknown"
    hop = records.hop(
        "thread",
        f"in thread {name}",
        submitted=callsite.decode(getattr(thread, "_autotb_site", None)),
        verb="started",
        call=_given(args.exc_traceback),
    )
    hop.pop("thread", None)
    # In a pipe: Python's grammar, and one line more, that of the start.
    style = "" if plain_errors.is_ours(args.exc_value, args.exc_traceback) else "plain"
    render.show_uncaught(traced(args.exc_value, args.exc_traceback, hop, f"Exception in thread {name}:"), style=style)
    return True


def _given(tb: TracebackType | None) -> str | None:
    """The call that was started; one without arguments says no more than its frame."""
    call = engine_frames.frame_call(tb)
    return None if call is None or call.endswith("()") else call


def process_failed(exc: BaseException, process: Process) -> bool:
    """An error in a ``multiprocessing.Process``, shown by the process itself."""
    if sys.stderr is None:
        return False
    from autotb import render
    from autotb.render import clean, terminal
    from autotb.trace import build

    if issubclass(type(exc), KeyboardInterrupt) and not engine_frames.has_user_frame(static.traceback_of(exc)):
        does = _tasks_in_threads() or "waited for work"
        told = f"Process {process.name}, pid {os.getpid()}: KeyboardInterrupt while it {does}"
        terminal.write(sys.stderr, clean.line(told) + "\n")
        return True
    hop = records.hop(
        "process",
        f"in process {process.name}",
        submitted=getattr(process, "_autotb_started", None),
        verb="started",
        call=_given(static.traceback_of(exc)),
    )
    style = _of_a_rank(exc, hop)
    trace = traced(exc, static.traceback_of(exc), hop, f"Process {process.name}:")
    render.show_uncaught(build.from_elsewhere(trace), style=style)
    return True


def _of_a_rank(exc: BaseException, hop: Hop) -> str:
    """Add to the hop which rank of a distributed job the process is; the style in which its error is told."""
    ranks = sys.modules.get("autotb.instrument.ranks")
    if ranks is None or not ranks.here():
        return ""
    from autotb.hooks import rank

    hop["where"] = f"{hop['where']}, {ranks.here()}"
    hop.pop("call", None)
    call = rank.call(exc, static.traceback_of(exc))
    if call is not None:
        hop["call"] = call
    return rank.style(exc)


def _tasks_in_threads() -> str:
    """What threads of a worker process run whose main thread a Ctrl-C has ended."""
    task_events = sys.modules.get("autotb.instrument.task_events")
    calls = task_events.interrupted() if task_events is not None else []
    return f"ran {', '.join(calls)}" if calls else ""


def launched_failed(exc: BaseException) -> bool:
    """An error that a process has left to its launcher, which raises another or goes on."""
    if sys.stderr is None:
        return False
    from autotb import render

    render.show_uncaught(render.explain(exc))
    return True


def told_in_a_line(line: str) -> bool:
    """An error whose story stands above already, or that is of one kind with one that does."""
    if sys.stderr is None:
        return False
    from autotb.render import clean, terminal

    terminal.write(sys.stderr, clean.line(line) + "\n")
    return True


def greenlet_failed(exc: BaseException, tb: TracebackType | None, place: Hop, name: str) -> bool:
    """An error in a greenlet, which the hub tells at once."""
    if sys.stderr is None:
        return False
    from autotb import render

    render.show_uncaught(traced(exc, tb, place, f"Exception in greenlet {name}:".replace(" :", ":")))
    return True


def never_retrieved(failures: list[tuple[BaseException, Place | None]]) -> bool:
    """Failed futures that were dropped, or that were held to the end."""
    from autotb.hooks import unretrieved_report

    unretrieved_report.report(failures)
    return True


def never_retrieved_at_exit(over: dict[Any, int] | None = None) -> bool:
    """What was only counted so far; ``over`` are those of a pool whose error ended the program."""
    from autotb.hooks import unretrieved_report

    unretrieved_report.report_the_rest()
    unretrieved_report.report_in_a_line(over or {})
    return True


def shorten_texts() -> bool:
    """The first record was attached: log records of such exceptions, and what ``traceback`` prints of them, are to be short."""
    from autotb.hooks import logs, tracebacks

    logs.install()
    tracebacks.install()
    return True


def asyncio_reports(context: dict[str, Any]) -> bool:
    """What ``loop.default_exception_handler`` is about to log: its formatter may have to show it."""
    from autotb.hooks import logs

    return logs.expect(context["exception"], functools.partial(_asyncio_story, context))


def asyncio_has_reported() -> bool:
    """The record was logged, or not."""
    from autotb.hooks import logs

    return logs.expect(None, None)


def _is_a_task(value: Any) -> bool:
    """Whether it is one of asyncio's: what else a program hands to the loop's handler is not asked for a name."""
    return issubclass(type(value), sys.modules["asyncio"].Task)


def _asyncio_story(context: dict[str, Any]) -> str:
    """In place of the traceback, below the lines that asyncio tells of the task, handle or transport."""
    from autotb import render

    error = context["exception"]
    task = next((each for each in (context.get("task"), context.get("future")) if _is_a_task(each)), None)
    name = task.get_name() if task is not None else ""
    submitted = callsite.decode(getattr(task, "_autotb_site", None))
    hop = records.hop("asyncio", f"in task {name}" if name else "", submitted=submitted, verb="created")
    nameless = schema.without(hop, "pid", "thread")
    return render.draw(traced(error, static.traceback_of(error), nameless), sys.stderr).rstrip("\n")
