"""A story to plain builtins and back, as they come out of a JSON file; nothing is unpickled.

Flows in: the parts of a story; what somebody's file holds, which may be anything.  Flows out: dicts, whose version is
:data:`SCHEMA`; the fields of a :class:`~autotb.trace.model.Trace`, or ValueError.
"""

from __future__ import annotations

from typing import Any

from autotb.record import arrival
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack

SCHEMA = 1  # version of the form
MAX_DEPTH = 200  # exceptions in one another
MAX_PARTS = 100_000  # exceptions, processes and frames of one story


def fields_of(data: Any) -> dict[str, Any]:
    """A story's fields; ValueError where ``data`` is none, or of another version."""
    if not isinstance(data, dict) or "error" not in data or "schema" not in data:
        raise ValueError("it holds no story of autotb's (an object with `schema` and `error`)")
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


# To plain builtins


def stack_dict(stack: Stack) -> dict[str, Any]:
    result: dict[str, Any] = {
        "type": stack.type,
        "message": stack.message,
        "notes": list(stack.notes),
        "hops": [_hop_dict(hop) for hop in stack.hops],
        "cause": stack_dict(stack.cause) if stack.cause else None,
        "context": stack_dict(stack.context) if stack.context else None,
        "members": [stack_dict(member) for member in stack.members] if stack.members is not None else None,
    }
    if stack.also:
        result["also"] = [stack_dict(other) for other in stack.also]
    for key in ("final", "broken", "lost", "cut", "skipped", "unlisted", "alike", "unnoted", "culprit"):
        if getattr(stack, key):
            value = getattr(stack, key)
            result[key] = list(value) if isinstance(value, tuple) else value
    return result


def _hop_dict(hop: Hop) -> dict[str, Any]:
    more: dict[str, Any] = {"died": list(hop.died)} if hop.died else {}
    more |= {"versions": dict(hop.versions)} if hop.versions else {}
    more |= {key: value for key, value in (("log", hop.log), ("inputs", hop.inputs)) if value}
    return {
        "where": hop.where,
        "engine": hop.engine,
        "pid": hop.pid,
        "host": hop.host,
        "thread": hop.thread,
        "job": dict(hop.job),
        "call": hop.call,
        "label": hop.label,
        "submitted": _place_dict(hop.submitted) if hop.submitted else None,
        "verb": hop.verb,
        "frames": [_frame_dict(frame) for frame in hop.frames],
        **more,
    }


def _place_dict(place: Place) -> dict[str, Any]:
    return {"path": place.path, "line": place.line, "name": place.name}


def _frame_dict(frame: Frame | Gap) -> dict[str, Any]:
    if isinstance(frame, Gap):
        return {"repeated": frame.repeated, "cycle": frame.cycle, "omitted": frame.omitted}
    return {
        **_place_dict(frame),
        "module": frame.module,
        "qualname": frame.qualname,
        "kind": frame.kind,
        "source": [[number, text] for number, text in frame.source],
        "span": list(frame.span) if frame.span else None,
        **({"end": list(frame.end)} if frame.end else {}),
        "locals": dict(frame.locals),
        "changed": frame.changed,
    }
