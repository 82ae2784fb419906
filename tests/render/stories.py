"""Stories to be drawn, and the settings to draw them with."""

from __future__ import annotations

from types import SimpleNamespace

from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Hop, Place, Stack

ENGINES = Frame("/site-packages/pool.py", 8, "run", kind="engine")


def settings(**more):
    return SimpleNamespace(**{"frames": "user", "args": True, "locals": "auto", "context": 1, **more})


def frame(name="score", line=2, **more):
    source = ((line - 1, f"def {name}(x):"), (line, "    return 1 / x"), (line + 1, ""))
    return Frame("/job.py", line, name, **{"source": source, **more})


WORKER = Hop(
    (ENGINES, frame()),
    where="in a worker",
    pid=7,
    call="score(x=0)",
    submitted=Place("/main.py", 5, "main"),
)
ZERO = Stack("ZeroDivisionError", "division by zero", (Hop((frame("main", 5),)), WORKER))


def plain_error(message="division by zero", type_="ZeroDivisionError", **more):
    return Stack(type_, message, (Hop((frame(),)),), **more)


def trace(stack, **more):
    return Trace(stack, **{"host": "here", "pid": 1, **more})
