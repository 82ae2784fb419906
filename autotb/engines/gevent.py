"""gevent: greenlets, pools, ``gevent.threadpool``, the standard library under ``monkey.patch_all``.

A greenlet's exception is the same object for who asks (``get``, ``joinall(raise_error=True)``); besides, the hub prints every one
at once, since nobody may ask.  That print is our story.  Where a greenlet was spawned, gevent remembers itself.
Source: https://www.gevent.org/api/gevent.hub.html
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb import engine_facts, surface
from autotb.assumption import Attributes, Lost
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, ownership
from autotb.record.capture import attached

if TYPE_CHECKING:
    from types import TracebackType

    from autotb.instrument.types import Function
    from autotb.record.schema import Place

MODULES = ("gevent.hub",)
NAME = "gevent"
DISTRIBUTION = "gevent"
CAPTURED = "greenlets, pools, thread pools, monkey-patched threads"
TESTED = "22.10 to 26.9"

_RUN = "gevent._gevent_cgreenlet.Greenlet.run"
engine_facts.register(own=("gevent", "greenlet"), runs=(("gevent._gevent_cgreenlet", _RUN), ("gevent.greenlet", "run")))

STACK = Attributes("gevent.greenlet", "Greenlet", "spawning_stack", costs="the line that spawned a greenlet")


def _wrap_print(original: Function) -> Function:
    """Prints an error of a greenlet, whether or not somebody asks for it later."""

    @functools.wraps(original)
    def print_exception(self: Any, context: object, t: object, v: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if v is not None and self.exception_stream and engine_frames.has_user_frame(tb):
                if any(hop.get("engine") == "gevent" for hop in (attached(v) or {}).get("hops", ())):
                    return  # told when the first greenlet failed of it; this one only asked for that one's result
                name = getattr(context, "name", None)
                where = f"in greenlet {name}" if isinstance(name, str) else "in a greenlet"
                hop = build.hop("gevent", where, call=engine_frames.frame_call(tb))
                hop["verb"] = "spawned"
                spawned = _spawned(context)
                if spawned is not None:
                    hop["submitted"] = spawned
                shown = surface.events.greenlet_failed(v, tb, hop, getattr(context, "name", ""))
                annotate.note_live(v, hop)
                if shown:
                    return
        except Exception:
            pass  # gevent's own print will do
        original(self, context, t, v, tb)

    return print_exception


def _spawned(context: object) -> Place | None:
    """The user's line in the stack that gevent keeps of where a greenlet was spawned."""
    (frame,) = STACK.read(context) or (None,)
    while frame is not None:
        code = frame.f_code
        if ownership.kind_of(code.co_filename, dict.get(frame.f_globals or {}, "__name__")) == ownership.USER:
            return {"path": code.co_filename, "line": frame.f_lineno, "name": code.co_name}
        frame = frame.f_back
    return None


PATCHES = (Patch("gevent.hub", "Hub.print_exception", _wrap_print, costs=Lost.TWICE),)
ASSUMPTIONS = (STACK,)

#: What ``python -m autotb demo --engine gevent`` runs: a user's script.
DEMO = '''\
"""Greenlets score eight items; one of them is bad."""

import gevent

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    jobs = [gevent.spawn(score, item) for item in ITEMS]
    gevent.joinall(jobs, raise_error=True)


if __name__ == "__main__":
    main()
'''
