"""How far the steps of a run are, each and all together.

Flows in: how many calls of a step are settled.  Flows out: :class:`Tallies`, which know what has changed since they were told.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any


class Tally:
    """How far a step is."""

    def __init__(self, total: int) -> None:
        self.done = self.failed = self.skipped = self.retried = self.timed_out = 0
        self.left_out = self.passed = 0  # errors among the inputs of calls that were made in spite of them
        self.total = total
        self.seconds = 0.0
        self.begun: float | None = None  # when it began, by the clock of time.monotonic; so many calls were settled ``before``
        self.before = 0
        self.is_open = False  # more may come, as far as anybody knows
        self.is_part = False  # it takes one of several outputs of another step

    def took(self, made: Any) -> None:
        """A call was made in spite of errors."""
        self.left_out += 0 if made.passed else made.count
        self.passed += made.count if made.passed else 0

    @property
    def sound(self) -> int:
        """How many calls gave a value."""
        return self.done - self.failed - self.skipped

    @property
    def elapsed(self) -> float:
        """The seconds that it took, or has taken so far."""
        return time.monotonic() - self.begun if self.begun is not None and not self.seconds else self.seconds


def displayed(tallies: Mapping[str, Tally]) -> dict[str, Tally]:
    """Those that are shown: of what takes one of several outputs of a step only what itself went wrong."""
    return {name: tally for name, tally in tallies.items() if not tally.is_part or tally.failed}


class Tallies(dict[str, Tally]):
    """Those of all steps; ``all`` is their sum, ``changed`` names the steps that have changed."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__({name: Tally(size) for name, size in sizes.items()})
        self.all = Tally(sum(sizes.values()))
        self.changed: set[str] = set()

    def expect(self, name: str, size: int, is_open: bool = False) -> None:
        """A step has so many calls, as is known now that it begins; or so many by now."""
        self.all.total += size - self[name].total
        self[name].total, self[name].is_open = size, is_open

    def begin(self, name: str) -> None:
        """A step begins, in which some calls may be settled already."""
        self[name].begun, self[name].before = time.monotonic(), self[name].done

    def tried(self, name: str, retried: int = 0, timed_out: int = 0) -> None:
        """So many more calls of a step took more than one attempt, of so many one took too long."""
        for tally in (self[name], self.all):
            tally.retried += retried
            tally.timed_out += timed_out

    def took(self, name: str, made: Iterable[Any]) -> None:
        """In spite of which errors the calls of a step were made."""
        for one in made:
            self[name].took(one)
            self.all.took(one)

    def add(self, name: str, done: int, failed: int = 0, skipped: int = 0) -> None:
        """So many more calls of a step are settled."""
        for tally in (self[name], self.all):
            tally.done += done
            tally.failed += failed
            tally.skipped += skipped
        self.changed.add(name)


def left_out(count: int) -> str:
    """``1 error was left out``."""
    return f"{count:,} {'error was' if count == 1 else 'errors were'} left out"


def passed_on(count: int) -> str:
    """``1 error was passed on``."""
    return f"{count:,} {'error was' if count == 1 else 'errors were'} passed on"
