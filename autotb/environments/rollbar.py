"""Rollbar: the item of a worker's error has the frames of a direct call, and the worker's own cause.

Where the worker ran is custom data. By their fingerprint all such errors of one function are one item; a fingerprint of the
program's goes before it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("rollbar",)
NAME = "Rollbar"
DISTRIBUTION = "rollbar"
TESTED = "1.5"
CAPTURED = "items of workers' errors: frames, custom data, fingerprint"


def _wrap_walk(original: Function) -> Function:
    """The frames of an exception and of what it came out of."""

    @functools.wraps(original)
    def _walk_trace_chain(cls: Any, exc: Any, trace: Any) -> Any:
        from autotb.record import chain, static

        if not chain.concerns(exc):
            return original(cls, exc, trace)
        from autotb.render import retold

        def read(tb: Any) -> Any:
            return _with_variables(original(cls, exc, tb), [tb, *(static.traceback_of(each) for each in chain.line(exc)[1:])])

        found, tales = retold.read(exc, trace, read)
        for data, tale in zip(found, tales):
            if tale is not None:
                data["exception"]["message"] = tale.message(data["exception"]["message"])
        return found

    return _walk_trace_chain


def _with_variables(found: Any, tracebacks: list[Any]) -> Any:
    """Rollbar shows the values of builtin types alone; those of a worker's frames are texts."""
    from autotb.record import made_frames

    for data, tb in zip(found, tracebacks):
        entries = []
        while tb is not None:
            entries.append(tb)
            tb = tb.tb_next
        for frame, entry in zip(data["frames"], entries if len(entries) == len(data["frames"]) else ()):
            texts = entry.tb_frame.f_locals if frame.get("locals") and made_frames.is_made(entry.tb_frame) else {}
            frame.get("locals", {}).update(
                {name: repr(text) for name, text in texts.items() if isinstance(text, made_frames.Text)}
            )
    return found


def _wrap_report(original: Function) -> Function:
    """An exception is about to be reported, with data of the program's."""

    @functools.wraps(original)
    def _report_exc_info(exc_info: Any, request: Any, extra_data: Any, payload_data: Any, level: Any = None) -> Any:
        try:
            extra_data, payload_data = _with_ours(exc_info[1], exc_info[2], extra_data, payload_data)
        except Exception:
            pass  # the frames are there
        return original(exc_info, request, extra_data, payload_data, level)

    return _report_exc_info


def _with_ours(error: Any, tb: Any, extra: Any, payload: Any) -> tuple[Any, Any]:
    from autotb.record import chain

    if not chain.concerns(error):
        return extra, payload
    from autotb.render import reported, retold

    _, tales = retold.read(error, tb, lambda _: None, members=False)
    told, fingerprint = reported.of(tales), reported.fingerprint(tales)
    members = [line for tale in tales if tale is not None for line in tale.members]
    if told or members:
        given = extra if isinstance(extra, dict) else {"value": extra} if extra else {}
        hidden = [line for tale in tales if tale is not None for line in tale.after]
        more = {"frames": "; ".join(hidden), "members": "\n".join(members)}
        extra = {"autotb": {**told, **{name: text for name, text in more.items() if text}}, **given}
    if fingerprint:
        payload = {"fingerprint": " ".join(fingerprint), **(payload or {})}
    return extra, payload


PATCHES = (
    Patch("rollbar", "_walk_trace_chain", _wrap_walk, costs=Lost.SHOWN),
    Patch("rollbar", "_report_exc_info", _wrap_report, costs=Lost.SHOWN),
)
