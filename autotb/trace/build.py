"""``build(exc)``: from a live exception, or from a tree that travelled, to a :class:`Trace`.

Flows in: exceptions, or trees of ``capture``.  Flows out: frozen data for ``visible`` and the renderers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any

from autotb import settings
from autotb.imports import own
from autotb.record import arrival, capture, ownership, schema, shipped_code, sources, static
from autotb.trace import hints, parts
from autotb.trace.data import replace
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack, made

LAST_LINES = 8  # of a worker's text that is no traceback


def build(exc: BaseException, tb: TracebackType | None = None) -> Trace:
    """The story of ``exc`` as it is now; ``tb`` where its traceback is not the one that it carries."""
    with own:
        in_force = settings.used("context", "locals")
        tb = static.in_place_of_copy(exc, tb)
        tree = capture.Capture(context=in_force.context, local_variables=in_force.locals != "0").tree(exc, tb)
        return from_tree(tree)


def headlines(exc: BaseException) -> Trace:
    """Types and messages alone, without any frames: many errors are told by one line each."""
    return Trace(_stack(_Headlines().tree(exc)))


def root_of(exc: BaseException) -> Stack:
    """The root cause's type and message."""
    return headlines(exc).root_cause


class _Headlines(capture.Capture):
    def _hops(self, *_: Any) -> list[schema.Hop]:
        return []


def from_tree(tree: schema.Tree, heading: str = "") -> Trace:
    """The story that a tree tells."""
    host = os.uname().nodename if hasattr(os, "uname") else ""
    return _with_hints(Trace(_stack(tree), host=host, pid=os.getpid(), heading=heading))


def _with_hints(trace: Trace) -> Trace:
    try:
        return replace(trace, hints=hints.of(trace))
    except Exception:
        return trace  # the story is told without them


def _stack(tree: schema.Tree) -> Stack:
    told = parts.told(tree, _STACK, _OF)
    stack = made(Stack, {**told, "type": told.get("type") or "<unknown>", "message": told.get("message", "")})
    text = tree.get("text")
    return _located(_with_text(stack, text, _str(tree.get("where"))) if text else stack)


_CALL_THAT_DOES_NOT_FIT = re.compile(r"(?:[\w<>]+\.)*(?P<name>[\w<>]+)\(\) (?:got |missing |takes )")


def _located(stack: Stack) -> Stack:
    """A call that does not fit its function's parameters began no line of it: its place is the line that submitted it."""
    match = _CALL_THAT_DOES_NOT_FIT.match(stack.message) if stack.type == "TypeError" and stack.hops else None
    if match is None:
        return stack
    hop = stack.hops[-1]
    is_engines = all(isinstance(frame, Frame) and frame.kind in (ownership.ENGINE, ownership.OWN) for frame in hop.frames)
    called = hop.call.partition("(")[0].rpartition(".")[2]
    if hop.submitted is None or not hop.where or not is_engines or called not in ("", match["name"]):
        return stack
    place = hop.submitted
    asked = next((frame for frame in reversed(stack.frames) if frame.kind == ownership.USER), None)
    there = Frame(place.path, place.line, place.name, source=local_source(place.path, place.line))
    more = () if asked is not None and (asked.path, asked.line) == (place.path, place.line) else (there,)
    located = replace(hop, where="", submitted=None, call="", frames=(*hop.frames, *more))
    return replace(stack, hops=(*stack.hops[:-1], located, *((Hop(call=hop.call),) if hop.call else ())))


def _with_text(stack: Stack, remote: str, where: str) -> Stack:
    """Add what a worker's traceback text tells, where no record arrived."""
    from autotb.trace import parse_traceback

    remote = remote[-arrival.MAX_WORKER_TEXT :]
    parsed = parse_traceback.parse(remote)
    if parsed is None:
        said = "\n".join([line for line in remote.split("\n") if line.strip()][-LAST_LINES:])
        known = not said or said.split("\n")[-1].strip() in stack.message
        return stack if known else replace(stack, notes=(*stack.notes, f"{where or 'in a worker'}:\n{said}"))
    if stack.reached_no_worker:
        here = Hop(frames=tuple(_sourced(frame) for hop in parsed.hops for frame in hop.frames))
        reason = replace(parsed, hops=(here,), cause=_all_sourced(parsed.cause), context=_all_sourced(parsed.context))
        return stack if parsed.message in ("", stack.message) else replace(stack, cause=stack.cause or reason)
    hops = list(stack.hops)
    submitted = hops.pop().submitted if hops and hops[-1].submitted and not hops[-1].frames else None
    worker = parsed.hops[0] if parsed.hops else Hop()
    worker = Hop(
        frames=tuple(_sourced(frame) for frame in worker.frames),
        where=where or "in a worker",
        submitted=submitted,
    )
    cause, context = _all_sourced(parsed.cause), _all_sourced(parsed.context)
    if _is_another(parsed, stack):
        reason = replace(parsed, hops=(worker,), cause=cause, context=context)
        return replace(stack, hops=tuple(hops), cause=stack.cause or reason)
    return replace(
        stack,
        hops=(*hops, worker),
        cause=stack.cause or cause,
        context=stack.context or context,
        members=_sourced_members(parsed) if _tell_nothing(stack.members, parsed.members) else stack.members,
    )


def _tell_nothing(members: tuple[Stack, ...] | None, told: tuple[Stack, ...] | None) -> bool:
    """Whether the members of a group are known by the worker's text alone: they came without their tracebacks."""
    if told is None:
        return False
    return members is None or (len(members) == len(told) and not any(member.frames for member in members))


def _is_another(parsed: Stack, stack: Stack) -> bool:
    """Whether a worker's text is of another error than the one that it hangs on: the reason of that one, which it alone tells."""
    theirs = parsed.type.rpartition(".")[2]
    if not theirs or theirs in stack.type or parsed.message == stack.message:
        return False
    return not (parsed.message and parsed.headline in stack.message)


def _all_sourced(stack: Stack | None) -> Stack | None:
    if stack is None:
        return None
    hops = tuple(Hop(frames=tuple(_sourced(frame) for frame in hop.frames)) for hop in stack.hops)
    return Stack(
        stack.type,
        stack.message,
        hops,
        cause=_all_sourced(stack.cause),
        context=_all_sourced(stack.context),
        members=_sourced_members(stack),
    )


def _sourced_members(stack: Stack) -> tuple[Stack, ...] | None:
    return None if stack.members is None else tuple(filter(None, map(_all_sourced, stack.members)))


def _sourced(frame: Frame | Gap) -> Frame | Gap:
    if isinstance(frame, Gap):
        return frame
    path = frame.path if frame.path != shipped_code.NAME else shipped_code.found_again(frame.name, frame.line)
    kind = ownership.kind_of(path, ownership.module_of(path))
    return Frame(sources.called(path), frame.line, frame.name, kind=kind, source=local_source(path, frame.line) or frame.source)


def local_source(path: str, line: int) -> tuple[tuple[int, str], ...]:
    around = settings.value("context")
    lines = sources.lines_from_elsewhere(path)
    if not 1 <= line <= len(lines):
        return ()
    first = max(1, line - around)
    chosen = enumerate(lines[first - 1 : line + around], first)
    return tuple((number, arrival.shortened(static.text_of(text_).rstrip("\r\n"), arrival.MAX_LINE)) for number, text_ in chosen)


def _hop(hop: schema.Hop) -> Hop:
    return made(Hop, parts.told(hop, _HOP, _OF))


def _place(place: schema.Place) -> Place | None:
    if not isinstance(place, dict):
        return None
    path, line, name = place["path"], place["line"], place["name"]
    return Place(_absolute(path if path != shipped_code.NAME else shipped_code.found_again(name, line)), line, name)


def _frame(frame: schema.Frame) -> Frame | Gap:
    if "path" not in frame:
        return Gap(frame.get("repeated", 0), frame.get("cycle", 0), frame.get("omitted", 0))
    if frame["path"] == shipped_code.NAME:
        found = shipped_code.found_again(frame["name"], frame["line"], frame.get("code", ""), frame.get("module", ""))
        frame = {**frame, "path": found}
    path, line = frame["path"], frame["line"]
    values = {
        **parts.told(frame, _FRAME, _OF),
        "path": _absolute(path),
        "line": line,
        "name": frame["name"],
        "source": _source(frame),
        "span": _span(frame),
        "end": (frame["end_line"], frame["end_col"]) if frame.get("end_line", line) > line else None,
    }
    return made(Frame, values)


def _absolute(path: str) -> str:
    """Absolute where that is a file here; names like ``<string>`` and files of other machines as they are; a cell as the notebook
    calls it."""
    path = sources.called(path)
    if path.startswith("<") or os.path.isabs(path):
        return path
    full = os.path.abspath(path)
    return full if os.path.exists(full) else path


def _source(frame: schema.Frame) -> tuple[tuple[int, str], ...]:
    """The lines that travelled, as many as are wanted here; more of them, or all, from this machine's file where it agrees."""
    wanted = settings.value("context")
    sent = frame.get("source")
    line = frame["line"]
    if not sent:
        return local_source(frame["path"], line) if frame.get("kind") not in (ownership.ENGINE, ownership.OWN) else ()
    numbered = tuple((sent[0] + i, text_) for i, text_ in enumerate(sent[1]))
    if numbered[0][0] > max(1, line - wanted) or numbered[-1][0] < line + wanted:
        here = dict(local_source(frame["path"], line))
        if all(here.get(number, text_) == text_ for number, text_ in numbered) and len(here) > len(numbered):
            return tuple(here.items())
    last = max(line + wanted, frame.get("end_line", line))
    return tuple(pair for pair in numbered if line - wanted <= pair[0] <= last)


def _span(frame: schema.Frame) -> tuple[int, int] | None:
    if "col" not in frame:
        return None
    end = frame["end_col"] if frame["end_line"] == frame["line"] else 1_000_000
    return (frame["col"], end)


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _str(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(_str, values))


def _pairs(values: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_str(name), _str(value)) for name, value in values.items())


_STACK, _HOP, _FRAME = map(schema.shown, (schema.Tree, schema.Hop, schema.Frame))
for _key in ("path", "line", "name", "source"):
    del _FRAME[_key]  # which are looked up first
_OF: dict[str, Callable[[Any], Any]] = {
    "Line": _str,
    "Text": _str,
    "WorkerText": _str,
    "Time": float,
    "Texts": _texts,
    "Pairs": _pairs,
    "Count": _count,
    "Number": _number,
    "Flag": bool,
    "Place": _place,
    "Frames": lambda frames: tuple(map(_frame, frames)),
    "Hops": lambda hops: tuple(map(_hop, hops)),
    "Tree": _stack,
    "Trees": lambda trees: tuple(map(_stack, trees)),
}


def from_elsewhere(trace: Trace) -> Trace:
    """A story that names its own process, as one that is read beside other processes' output must."""
    return _with_hints(Trace(trace.stack, host=trace.host, pid=None, heading=trace.heading))
