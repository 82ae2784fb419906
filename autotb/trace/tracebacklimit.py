"""``sys.tracebacklimit``: the frames that the program wants to be shown, of each exception.

Flows in: a :class:`Trace`.  Flows out: the same story with fewer frames.  Python's rules: the innermost ones stay (in
``traceback``, which logging uses, the outermost), none and no header where the limit is 0 or less, all where it is no number.
Source: https://docs.python.org/3/library/sys.html#sys.tracebacklimit
"""

from __future__ import annotations

import sys

from autotb.trace import visible as show
from autotb.trace.data import replace
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Hop, Stack


def frames() -> int | None:
    """How many frames of an exception are wanted; None: all."""
    limit = getattr(sys, "tracebacklimit", None)
    return max(0, int(limit)) if isinstance(limit, int) else None


def limited(trace: Trace, *, outermost: bool = False) -> Trace:
    """The story with as many frames of each exception as are wanted; hidden ones are not counted."""
    limit = frames()
    if limit is None:
        return trace
    hints = trace.hints if limit else ()
    return replace(trace, stack=_stack(trace.stack, limit, outermost), hints=hints)


def _stack(stack: Stack, limit: int, outermost: bool) -> Stack:
    def each(others: tuple[Stack, ...]) -> tuple[Stack, ...]:
        return tuple(_stack(other, limit, outermost) for other in others)

    return replace(
        stack,
        hops=_hops(stack, limit, outermost),
        cause=_stack(stack.cause, limit, outermost) if stack.cause is not None else None,
        context=_stack(stack.context, limit, outermost) if stack.context is not None else None,
        members=each(stack.members) if stack.members is not None else None,
        also=each(stack.also),
    )


def _hops(stack: Stack, limit: int, outermost: bool) -> tuple[Hop, ...]:
    """The hops that have a frame within the limit; of a worker that died the story stays, unless nothing is wanted."""
    whole = all(frame.kind in show.HIDDEN for frame in stack.frames)
    step = 1 if outermost else -1
    wanted = limit
    kept: list[Hop] = []
    for hop in stack.hops[::step]:
        taken = []
        for item in hop.frames[::step]:
            if limit <= 0:
                break
            limit -= whole or not (isinstance(item, Frame) and item.kind in show.HIDDEN)
            taken.append(item)
        if taken or (hop.died and wanted):
            kept.append(replace(hop, frames=tuple(taken[::step])))
    return tuple(kept[::step])
