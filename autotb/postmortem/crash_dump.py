"""The Python lines of a crash, from what faulthandler wrote of every thread.

Flows in: its text.  Flows out: the frames of one thread, outermost first; the number of the thread that crashed.
"""

from __future__ import annotations

import re

from autotb.record import ownership
from autotb.record.cpython_text import FRAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from autotb.record.schema import Frame

_CRASHED = re.compile(r"^Current thread 0x([0-9a-f]+)", re.M)


def thread(dump: str) -> int:
    """The number of the thread that crashed, as ``threading.get_ident()`` has it; 0 where that is not told."""
    match = _CRASHED.search(dump)
    return int(match[1], 16) if match is not None else 0


def frames(dump: str) -> tuple[list[Frame], bool]:
    """The frames of the thread that crashed, and False.

    Where these are none of the user's, and one other thread has such frames, its frames, and True: a signal that a task's thread
    sends to its own process is taken by the main thread, which may run an engine's loop.
    """
    crashed, *others = _threads(dump)
    if not any(frame["kind"] == "user" for frame in crashed):
        of_user = [other for other in others if any(frame["kind"] == "user" for frame in other)]
        if len(of_user) == 1:
            return of_user[0], True
    return crashed, False


def outermost(dump: str) -> str:
    """The user's function that the thread that crashed was in, the outermost one; "" where there is none."""
    return next((frame["name"] for frame in _threads(dump)[0] if frame["kind"] == "user"), "")


def _threads(dump: str) -> list[list[Frame]]:
    """The frames of every thread, that which crashed first."""
    crashed: list[Frame] = []
    others: list[list[Frame]] = []
    found: list[Frame] | None = None
    for line in dump.splitlines():
        if line.startswith(("Current thread ", "Stack (")):
            found = crashed if not crashed else None
        elif line.startswith("Thread "):
            others.append(found := [])
        elif found is not None and (match := FRAME.match(line)) and match["name"]:
            if match["path"] != "<string>" or match["name"] != "<module>":  # an engine's own way of calling
                kind = ownership.kind_of(match["path"], ownership.module_of(match["path"]))
                found.append({"path": match["path"], "line": int(match["line"]), "name": match["name"], "kind": kind})
        elif found and not line.startswith("    "):
            found = None
    turn = 1 if "recent call last" in dump[:100] else -1
    return [_of_task(one[::turn]) for one in (crashed, *others)]


def _of_task(outermost_first: list[Frame]) -> list[Frame]:
    """A forked worker has its parent's frames below its own."""
    begins = max((at for at, frame in enumerate(outermost_first) if frame["name"] == "_bootstrap"), default=-1)
    return outermost_first[begins + 1 :]
