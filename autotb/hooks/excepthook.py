"""Draws an uncaught error.

Flows in: an uncaught exception.  Flows out: its story on stderr; Python's own display where anything of ours fails.
"""

from __future__ import annotations

import importlib
import io
import sys
from types import TracebackType
from typing import Any

from autotb import plain_errors, runtime


def excepthook(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
    """Show an exception as autotb does, for hooks that want to chain to it (``sys.excepthook``'s signature)."""
    show_uncaught(kind, value, traceback)


def show_uncaught(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
    """Draw the story; fail open."""
    if not plain_errors.are_an_errors(value, traceback):
        runtime.pythons()(kind, value, traceback)
        return
    try:
        _show_once_more(value, traceback)
    except BaseException as error:
        runtime.pythons()(kind, value, traceback)
        runtime.report("drawing the error", error)
    # Python itself does so for this very class, where it calls the hook: a program that calls it by hand goes on.
    if type(value) is KeyboardInterrupt and getattr(sys, "last_value", None) is value:
        _keep_status_of_sigint()


def _show_once_more(value: BaseException, traceback: TracebackType | None) -> None:
    """A handler of the program's for a signal may raise in the midst of ours, as PyTorch's does when a worker dies."""
    try:
        _show(value, traceback)
        return
    except Exception as error:
        if not _came_by_a_signal(error.__traceback__):
            raise
        interruption = error
    _show(value, traceback)
    runtime.report("a first try at drawing the error", interruption)


def _came_by_a_signal(traceback: TracebackType | None) -> bool:
    """Whether a handler for a signal is among the frames: anything else would happen again, and may be the user's code."""
    import signal

    handlers = [signal.getsignal(number) for number in range(1, signal.NSIG)]
    codes = {getattr(getattr(handler, "__func__", handler), "__code__", None) for handler in handlers} - {None}
    while traceback is not None:
        if traceback.tb_frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _show(value: BaseException, traceback: TracebackType | None) -> None:
    from autotb import render, settings
    from autotb.record import static

    if sys.stderr is None or _is_shown_elsewhere(value):
        return
    if type(sys.stderr) is io.TextIOWrapper and sys.stderr.closed:  # Python's own display goes past it
        runtime.pythons()(type(value), value, traceback)
        return
    is_plain_ctrl_c = issubclass(type(value), KeyboardInterrupt) and static.context_of(value) is None
    if is_plain_ctrl_c and _is_an_engines_process(traceback):
        _show_interruption(traceback)
        return
    trace, style = _story(value, traceback)
    if settings.value("dir"):
        from autotb.render import files

        trace = files.keep(trace)
    _tell_of_its_pool(value)
    render.show_uncaught(trace, style=style)


def _story(value: BaseException, traceback: TracebackType | None) -> tuple[Any, str]:
    """With the style in which it is told, where the settings do not say it."""
    from autotb.trace import build

    ranks = sys.modules.get("autotb.instrument.ranks")
    if ranks is None or not ranks.here():
        return build.build(value, traceback), ""
    from autotb.hooks import events, rank

    trace = events.traced(value, traceback, rank.hop(value, traceback))
    return build.from_elsewhere(trace), rank.style(value)


def keep_story(value: BaseException, traceback: TracebackType | None) -> None:
    """Under ``AUTOTB_DIR``: the story of an error that Python has shown."""
    try:
        from autotb.render import files
        from autotb.trace import build

        files.keep(build.build(value, traceback))
    except Exception as error:
        runtime.report("keeping the error", error)


def _tell_of_its_pool(value: BaseException) -> None:
    """One line, where other futures of the pool that this error came from failed and were never retrieved."""
    if "autotb.instrument.unretrieved" not in sys.modules:
        return
    try:
        importlib.import_module("autotb.hooks.unretrieved_report").with_the_end(value)
    except Exception as error:
        runtime.report("counting the other failures of a pool", error)


def _is_an_engines_process(traceback: TracebackType | None) -> bool:
    """Whether no line of the user's was running: a worker that was interrupted while it started or waited."""
    from autotb.record import ownership

    found = traceback is not None
    while traceback is not None:
        frame = traceback.tb_frame
        if ownership.kind_of_frame(frame) == ownership.USER:
            return False
        traceback = traceback.tb_next
    return found


def _show_interruption(traceback: TracebackType | None) -> None:
    import os

    from autotb.record import static
    from autotb.render import clean, terminal

    traceback = static.innermost(traceback)
    if traceback is not None:
        code = traceback.tb_frame.f_code
        where = f"{code.co_filename}:{traceback.tb_lineno} in {code.co_name}"
        terminal.write(sys.stderr, clean.line(f"pid {os.getpid()}: KeyboardInterrupt, at {where}") + "\n")


def _is_shown_elsewhere(value: BaseException) -> bool:
    """Whether an adapter has handed this error to a process that tells it on this very terminal."""
    from autotb.record.capture import attached

    return bool((attached(value) or {}).get("told"))


def _keep_status_of_sigint() -> None:
    """Python up to 3.13 ends with the status of SIGINT only if no string was run after the KeyboardInterrupt (rich runs some)."""
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        pass
