"""A story from the plain builtins that ``Trace.to_dict`` gave, as they come out of a JSON file; nothing is unpickled.

Flows in: what somebody's file holds, which may be anything.  Flows out: a :class:`Trace`, or ValueError.
"""

from __future__ import annotations

from typing import Any

from autotb.record import arrival
from autotb.trace.model import SCHEMA, Frame, Gap, Hop, Place, Stack, Trace

MAX_DEPTH = 200  # exceptions in one another
MAX_PARTS = 100_000  # exceptions, processes and frames of one story


def trace(data: Any) -> Trace:
    """The story; ValueError where ``data`` is none, or of another version."""
    if not isinstance(data, dict) or "error" not in data or "schema" not in data:
        raise ValueError("it holds no story of autotb's (an object with `schema` and `error`)")
    if data["schema"] != SCHEMA:
        raise ValueError(f"its form is of version {data['schema']!r}; this autotb reads version {SCHEMA}")
    parts = Parts()
    try:
        return Trace(
            _stack(data["error"], 0, parts),
            host=_text(data.get("host")),
            pid=_number(data.get("pid")),
            told_hints=_texts(data.get("hints")),
        )
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

    def inner(key: str) -> Stack | None:
        return _stack(data[key], depth + 1, parts) if data.get(key) is not None else None

    members = data.get("members")
    return Stack(
        type=_text(data["type"]),
        message=_text(data["message"]),
        hops=tuple(_hop(hop) for hop in data["hops"]),
        final=_texts(data.get("final")),
        notes=_texts(data.get("notes")),
        cause=inner("cause"),
        context=inner("context"),
        members=None if members is None else tuple(_stack(member, depth + 1, parts) for member in members),
        also=tuple(_stack(other, depth + 1, parts) for other in data.get("also") or ()),
        broken=_texts(data.get("broken")),
        lost=_texts(data.get("lost")),
        cut=_text(data.get("cut")),
        **{key: max(0, _number(data.get(key)) or 0) for key in ("skipped", "unlisted", "alike", "unnoted")},
        culprit=_text(data.get("culprit")),
    )


def _hop(data: dict[str, Any]) -> Hop:
    return Hop(
        frames=tuple(_frame(frame) for frame in data["frames"]),
        **{key: _text(data.get(key)) for key in ("where", "engine", "host", "thread", "call", "label", "log", "inputs")},
        pid=_number(data.get("pid")),
        submitted=_place(data["submitted"]) if data.get("submitted") else None,
        verb=_text(data.get("verb")) or "submitted",
        job=tuple((_text(name), _text(value)) for name, value in (data.get("job") or {}).items()),
        died=_texts(data.get("died")),
        versions=tuple((_text(name), _text(value)) for name, value in (data.get("versions") or {}).items()),
    )


def _place(data: dict[str, Any]) -> Place:
    return Place(_text(data["path"]), _line(data["line"]), _text(data["name"]))


def _frame(data: dict[str, Any]) -> Frame | Gap:
    if "path" not in data:
        return Gap(_line(data["repeated"]), _line(data["cycle"]), _line(data["omitted"]))
    span, end = data.get("span"), data.get("end")
    return Frame(
        _text(data["path"]),
        _line(data["line"]),
        _text(data["name"]),
        module=_text(data.get("module")),
        qualname=_text(data.get("qualname")),
        kind=_text(data.get("kind")) or "user",
        source=tuple((_line(number), _text(text)) for number, text in data.get("source") or ()),
        span=(_line(span[0]), _line(span[1])) if span else None,
        end=(_line(end[0]), _line(end[1])) if end else None,
        locals=tuple((_text(name), _text(value)) for name, value in (data.get("locals") or {}).items()),
        changed=bool(data.get("changed")),
    )


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
