"""A story to plain builtins and back, as they come out of a JSON file; nothing is unpickled.

Flows in: the parts of a story; what somebody's file holds, which may be anything.  Flows out: dicts, whose version is
:data:`SCHEMA`; the fields of a :class:`~autotb.trace.model.Trace`, or ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autotb.record import arrival, schema
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack, made, told

SCHEMA = 1  # version of the form
MAX_DEPTH = 200  # exceptions in one another
MAX_PARTS = 100_000  # exceptions, processes and frames of one story


class NoStoryError(ValueError):
    """What is read is another thing altogether, and not a story that is damaged."""


def fields_of(data: Any) -> dict[str, Any]:
    """A story's fields; ValueError where ``data`` is none, or of another version."""
    if not isinstance(data, dict) or "error" not in data or "schema" not in data:
        raise NoStoryError("it holds no story of autotb's (an object with `schema` and `error`)")
    if data["schema"] != SCHEMA:
        raise ValueError(f"its form is of version {data['schema']!r}; this autotb reads version {SCHEMA}")
    parts = Parts()
    try:
        return {
            "stack": _stack(data["error"], 0, parts),
            "host": _text(data.get("host")),
            "pid": _number(data.get("pid")),
            "hints": _texts(data.get("hints")),
        }
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"its story is not whole ({type(error).__name__}: {error})") from error


class Parts:
    """Counts what a story is made of."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, count: int) -> None:
        self.count += count
        if self.count > MAX_PARTS:
            raise ValueError(f"it has more than {MAX_PARTS:,} exceptions, processes and frames")


def _stack(data: dict[str, Any], depth: int, parts: Parts) -> Stack:
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} exceptions are inside one another")
    parts.add(1 + len(data["hops"]) + sum(len(hop["frames"]) for hop in data["hops"]))

    def inner(value: Any) -> Stack:
        return _stack(value, depth + 1, parts)

    of = {**_OF, "Tree": inner, "Trees": lambda others: tuple(map(inner, others))}
    return made(Stack, {**told(data, _STACK, of), "type": _text(data["type"]), "message": _text(data["message"])})


def _hop(data: dict[str, Any]) -> Hop:
    return made(Hop, told(data, _HOP, _OF))


def _place(data: dict[str, Any]) -> Place:
    return Place(_text(data["path"]), _line(data["line"]), _text(data["name"]))


def _frame(data: dict[str, Any]) -> Frame | Gap:
    if "path" not in data:
        return Gap(_line(data["repeated"]), _line(data["cycle"]), _line(data["omitted"]))
    span, end = data.get("span"), data.get("end")
    values = {
        **told(data, _FRAME, _OF),
        "path": _text(data["path"]),
        "line": _line(data["line"]),
        "name": _text(data["name"]),
        "span": (_line(span[0]), _line(span[1])) if span else None,
        "end": (_line(end[0]), _line(end[1])) if end else None,
    }
    return made(Frame, values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.50} is no text")
    return arrival.shortened(value)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text(value) for value in values or ())


def _line(value: Any) -> int:
    if not isinstance(value, int) or arrival.number(int(value)) != value:
        raise TypeError(f"{value!r:.50} is no number")
    return value


def _number(value: Any) -> int | None:
    return None if value is None else _line(value)


_STACK, _HOP, _FRAME = map(schema.shown, (schema.Tree, schema.Hop, schema.Frame))
_OF: dict[str, Callable[[Any], Any]] = {
    "Line": _text,
    "Text": _text,
    "WorkerText": _text,
    "Time": float,
    "Texts": _texts,
    "Pairs": lambda pairs: tuple((_text(name), _text(value)) for name, value in pairs.items()),
    "Count": lambda value: max(0, _line(value)),
    "Number": _line,
    "Flag": bool,
    "Source": lambda lines: tuple((_line(number), _text(text)) for number, text in lines),
    "Place": lambda place: _place(place) if place else None,
    "Frames": lambda frames: tuple(map(_frame, frames)),
    "Hops": lambda hops: tuple(map(_hop, hops)),
}

# To plain builtins

ALWAYS = {
    Stack: ("type", "message", "notes", "hops", "cause", "context", "members"),
    Hop: ("where", "engine", "pid", "host", "thread", "job", "call", "label", "reads", "submitted", "verb", "frames"),
    Frame: ("path", "line", "name", "module", "qualname", "kind", "source", "span", "locals", "changed"),
}  # these keys are there however little there is to say


def stack_dict(stack: Stack) -> dict[str, Any]:
    return _plain(stack, _STACK, ALWAYS[Stack])


def _plain(part: Stack | Hop | Frame, forms: dict[str, str], always: tuple[str, ...]) -> dict[str, Any]:
    more = dict(part.more)
    values = {key: more[key] if key in more else getattr(part, key, None) for key in (*always, *forms)}
    return {key: _PLAIN[forms[key]](value) for key, value in values.items() if key in always or value}


def _hop_dict(hop: Hop) -> dict[str, Any]:
    return _plain(hop, _HOP, ALWAYS[Hop])


def _place_dict(place: Place) -> dict[str, Any]:
    return {"path": place.path, "line": place.line, "name": place.name}


def _frame_dict(frame: Frame | Gap) -> dict[str, Any]:
    if isinstance(frame, Gap):
        return {"repeated": frame.repeated, "cycle": frame.cycle, "omitted": frame.omitted}
    return _plain(frame, {**_FRAME, "span": "Span", "end": "Span"}, ALWAYS[Frame])


_PLAIN: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("Line", "Text", "WorkerText", "Count", "Number", "Time", "Flag"), lambda value: value),
    "Texts": list,
    "Pairs": dict,
    "Source": lambda lines: [[number, text] for number, text in lines],
    "Span": lambda ends: list(ends) if ends else None,
    "Place": lambda place: _place_dict(place) if place else None,
    "Frames": lambda frames: [_frame_dict(frame) for frame in frames],
    "Hops": lambda hops: [_hop_dict(hop) for hop in hops],
    "Tree": lambda stack: stack_dict(stack) if stack else None,
    "Trees": lambda stacks: [stack_dict(stack) for stack in stacks] if stacks is not None else None,
}
