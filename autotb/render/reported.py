"""What error trackers are told besides frames: where the worker ran, what it was given, and by what such errors are one.

Flows in: what is retold of an exception.  Flows out: plain builtins, texts of one line, values masked as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotb import settings
from autotb.record import chain, ownership, static
from autotb.render import clean, retold
from autotb.trace import visible
from autotb.trace.parts import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autotb.render.retold import Retold
    from autotb.trace.parts import Hop

MAX_TEXT = 2_000  # of a call
MAX_MEMBERS = 15  # as many as Python shows of a group


def of(tales: Sequence[Retold | None], *, with_call: bool = True) -> dict[str, Any]:
    """The innermost worker of the first exception of a chain that came from one; ``before`` has the workers on the way there."""
    with_call = with_call and bool(settings.value("args"))
    for told in tales:
        if told is not None:
            hops = [each for each in (_hop(hop, with_call=with_call) for hop in told.trace.stack.hops) if each]
            if hops:
                return {**hops[-1], **({"before": hops[:-1]} if hops[1:] else {})}
    return {}


def of_members(error: BaseException, *, with_call: bool = True) -> list[dict[str, Any]]:
    """The same of the members of groups in a chain: of each that came from a worker, with its type."""
    shown = {id(each) for each in chain.line(error)}
    found: list[dict[str, Any]] = []
    for each in chain.every(error):
        told = retold.of(each, static.traceback_of(each)) if id(each) not in shown else None
        worker = of([told], with_call=with_call) if told is not None and len(found) < MAX_MEMBERS else {}
        if worker:
            found.append({"type": type(each).__name__, **worker})
    return found


def _hop(hop: Hop, *, with_call: bool) -> dict[str, Any]:
    if not (hop.where or hop.submitted):
        return {}
    known = {
        "worker": hop.where,
        "pid": hop.pid,
        "host": hop.host,
        "thread": hop.thread,
        **dict(hop.job),
        "task": hop.label,
        hop.verb: str(hop.submitted) if hop.submitted else "",
        "made": str(hop.made) if hop.made else "",
        "call": hop.call[:MAX_TEXT] if with_call else "",
        "died": "; ".join(hop.died),
        "log": hop.log,
        "call again": f"python -m autotb rerun {hop.inputs}" if hop.inputs else "",
    }
    return {
        name: clean.line(value) if isinstance(value, str) else value for name, value in known.items() if value not in ("", None)
    }


def fingerprint(tales: Sequence[Retold | None]) -> list[str]:
    """What errors have in common that are one: their type, and the function in the worker that raised them.

    Of an exception that the program has raised of a worker's there is none: it is its own.
    """
    stack = tales[0].trace.stack if tales and tales[0] is not None else None
    frame = innermost(stack.hops) if stack is not None else None
    if stack is None or frame is None:
        return []
    return [
        stack.type,
        frame.module if frame.module not in ("", "__main__", "__mp_main__") else _file(frame.path),
        frame.qualname or frame.name,
    ]


def innermost(hops: Sequence[Hop]) -> Frame | None:
    """The worker's last frame of the user's; where it has none, its last one that is no engine's."""
    for hop in reversed(hops):
        frames = [frame for frame in hop.frames if isinstance(frame, Frame) and frame.kind not in visible.HIDDEN]
        if frames and hop.where:
            return next((frame for frame in reversed(frames) if frame.kind == ownership.USER), frames[-1])
    return None


def _file(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
