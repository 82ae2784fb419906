"""Tasks that were waited for in vain, in words: the same for every engine.

Flows in: what an adapter knows of each task.  Flows out: lines beside the engine's own message.
"""

from __future__ import annotations

from autotb.record import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from autotb.record.schema import Place

MOST = 3  # tasks that are named
INTERRUPTED = "interrupted"
RUNNING, WAITING, NOT_DONE, DONE = "running", "not started", "not done", "done by now"
CANCELLED, NEVER = "cancelled", "cancelled before it started"
_ORDER = (INTERRUPTED, RUNNING, NOT_DONE, WAITING, CANCELLED, NEVER, DONE)


class Task:
    """What is known of one task: what it does, its call, more of it (where it runs), and where it was submitted."""

    __slots__ = ("call", "more", "place", "state")

    def __init__(self, state: str, call: str = "", more: str = "", place: Place | None = None) -> None:
        self.state, self.call, self.more, self.place = state, call, more, place

    def __str__(self) -> str:
        place = self.place
        where = f"submitted at {sources.place(**place)}" if place is not None else ""
        return ", ".join(part for part in (self.call or "a task", self.more, where) if part)


def first(calls: list[str], count: int) -> str:
    """The first few of so many calls in a line, and how many others there are."""
    return "; ".join([*calls[:MOST], *([f"{count - MOST:,} more"] if count > MOST else [])])


def told(tasks: Iterable[Task], most: int = MOST) -> tuple[str, ...]:
    """A line for each of the first few tasks, those that run before others, and one for the rest."""
    known = sorted(tasks, key=lambda task: (_ORDER.index(task.state), task.call))
    said = [f"{task.state}: {task}" for task in known[:most]]
    rest = known[most:]
    if rest:
        counts = [(state, sum(task.state == state for task in rest)) for state in _ORDER]
        said.append(f"and {len(rest):,} more: {', '.join(f'{count:,} {state}' for state, count in counts if count)}")
    return tuple(said)
