"""Which rank of a distributed job this process is, and which errors say only that another rank was lost.

Flows in: an engine, once a rank has met the others.  Flows out: words for the story, to whoever tells an uncaught error of this
process.  A rank is a worker, however its process was started: by hand, by a launcher, as the program itself.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern

_rank: tuple[int, str, str, str] | None = None  # the process that joined, what it is, its engine, its number: a child is no rank

#: The connection to another rank, in gloo's and NCCL's words and in those of the store at which they meet.
_CLOSED = (
    r"connection (closed|reset) by peer|connection was likely closed|broken pipe|remote process exited|communicator was aborted"
    r"|failed to (recv|send), got 0 bytes"
)
GONE: Pattern[str] = re.compile(_CLOSED, re.I)
#: The same, or a wait for another that came to its end: that one may be at work still.
LOST: Pattern[str] = re.compile(
    rf"{_CLOSED}|watchdog caught collective operation timeout|timed out waiting .* for (recv|send) operation|socket timeout", re.I
)


def joined(engine: str, rank: int, world: int) -> None:
    """This process has met the others; one that is alone is a plain program."""
    global _rank
    _rank = (os.getpid(), f"rank {rank} of {world}", engine, str(rank)) if world > 1 else None


def here() -> str:
    """``rank 1 of 2``, or nothing in a process that is none."""
    return _rank[1] if _rank is not None and _rank[0] == os.getpid() else ""


def number() -> str | None:
    """Which rank this process is, where it is one."""
    return _rank[3] if _rank is not None and here() else None


def engine() -> str:
    """Whose rank it is."""
    return _rank[2] if _rank is not None else ""


def has_lost_another(exc: BaseException) -> bool:
    """Whether an error of this rank says that another's connection was closed: that one's error is the story."""
    if not here() or not issubclass(type(exc), (RuntimeError, OSError)):
        return False
    from autotb.record import static

    return any(GONE.search(text) for text in map(static.text_of, static.args_of(exc)))
