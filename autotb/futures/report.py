"""What is said of one failed future: the log record's text and the JSON record.

Flows in: the error as the engine raised it.  Flows out: text for a logger, plain builtins for a file.
"""

from __future__ import annotations

import sys
import traceback
from types import FrameType, TracebackType
from typing import Any

from autotb.record import ownership, safe_repr, static
from autotb.render import as_text, clean
from autotb.trace import build
from autotb.trace.model import Trace
from autotb.trace.parts import Stack


def story(error: BaseException) -> Trace:
    """The story of an error that is being handled here: the caller's frames come before those of its traceback."""
    return build.build(error, _with_callers(static.traceback_of(error)))


def _with_callers(tb: TracebackType | None) -> TracebackType | None:
    """The traceback as it would be had the error gone up to the program's first line; from the user's first frame on."""
    tb = _outside(tb)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_own(frame):
        frame = frame.f_back
    callers = []
    while frame is not None:
        callers.append(frame)
        frame = frame.f_back
    while callers and _kind(callers[-1]) != ownership.USER:
        callers.pop()
    for frame in callers:
        tb = TracebackType(tb, frame, frame.f_lasti, frame.f_lineno)
    return tb


def _kind(frame: FrameType) -> str:
    return ownership.kind_of_frame(frame)


def _is_own(frame: FrameType) -> bool:
    return _kind(frame) == ownership.OWN


def without_our_frames(error: BaseException) -> BaseException:
    """The error whose traceback begins outside of autotb."""
    return BaseException.with_traceback(error, _outside(static.traceback_of(error)))


def _outside(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and _is_own(tb.tb_frame):
        tb = tb.tb_next
    return tb


def text(name: str, error: BaseException, trace: Trace, cancelled: bool = False) -> str:
    """The report, one log record's message: header, traceback, the worker's output, the error's type and attributes.

    ``cancelled`` says that the future was; a task may raise an error of that name too.
    """
    place = "before it reached a worker" if trace.stack.reached_no_worker else "in worker"
    lines = [f"[{name}] FAILED {place}:", as_text(trace)]
    for which, said in (_outputs_of(error) or _outputs_in(trace)).items():
        lines += [f"---- WORKER {which.upper()} ----", said.rstrip("\n")]
    lines.append(f"Exception type: {short_type(trace.stack)}")
    lines.append(f"Exception attributes: {_attributes(error)}")
    if cancelled:
        lines.append("The future was cancelled: it has no result.")
    lines += trace.hints
    if trace.kept:
        lines.append(f"kept in {trace.kept}")
    return clean.text("\n".join(lines))


def short_type(stack: Stack) -> str:
    """The class's bare name, as ``type(error).__name__`` has it."""
    return stack.type.rpartition(".")[2]


def _outputs_of(error: BaseException) -> dict[str, str]:
    """Texts that the error itself brings along as ``stdout`` and ``stderr`` (subprocess.CalledProcessError does)."""
    found = {}
    for which in ("stdout", "stderr"):
        try:
            value = getattr(error, which, None)
            if type(value) is bytes or type(value) is bytearray:
                value = bytes(value).decode(errors="replace")
            if static.text_of(value):
                found[which] = static.text_of(value)
        except BaseException:
            pass  # an attribute that cannot be read, were it for a SystemExit, is as good as none
    return found


def _outputs_in(trace: Trace) -> dict[str, str]:
    """The same of a command that a task ran, of which the worker tells."""
    hop = next((hop for hop in reversed(trace.stack.hops) if hop.command), None)
    told = {"stdout": hop.stdout, "stderr": hop.stderr} if hop is not None else {}
    return {which: said for which, said in told.items() if said}


def _attributes(error: BaseException) -> list[str]:
    try:
        return list(map(static.text_of, dir(error)))
    except BaseException:  # of a class that answers for itself; it ends nothing here
        return sorted({*BaseException.__dict__, *filter(None, map(static.text_of, static.own(type(error))))})


def message(stack: Stack) -> str:
    """The error's text; its type where it has none."""
    return stack.message or short_type(stack)


def failed(name: str, error: BaseException, trace: Trace, when: float = 0.0) -> dict[str, Any]:
    """The JSON record of a failure; ``when`` it was, in seconds since the epoch, if that is known."""
    return {
        "name": name,
        **({"time": when} if when else {}),
        "status": "failed",
        "error_type": short_type(trace.stack),
        "error_message": trace.stack.message,
        "traceback": _pieces(error, trace),
        **trace.to_dict(),
    }


def _pieces(error: BaseException, trace: Trace) -> list[str]:
    try:
        return [line + "\n" for line in as_text(trace).split("\n")]
    except Exception:
        return traceback.format_exception(type(error), error, static.traceback_of(error))


def succeeded(name: str, value: Any) -> dict[str, Any]:
    """The JSON record of a success; the value's string form, or why there is none."""
    try:
        shown = str(value)
        if type(shown) is not str:
            shown = str.__str__(shown)
    except Exception as error:
        shown = f"<{safe_repr.brief(value)}: its str() raised {type(error).__name__}>"
    return {"name": name, "status": "success", "result": shown}
