"""How many calls of a step are sent at once: one at first, then as many as take a fraction of a second, fewer towards the end.

Flows in: how many calls a worker has made, and in which time.  Flows out: the size of the next chunk, and how many chunks may be
with the executor.
"""

from __future__ import annotations

AIM, LIMIT = 0.2, 0.4  # seconds that a chunk is to take, and after which a worker hands back what is left of it
_LEAST = 0.002  # chunks that take less are not made smaller, towards the end either
_GROWTH = 16  # a chunk has at most so many times the calls that the last one made: they may take longer
MOST_CALLS = 1 << 14  # of a chunk: its arguments are packed while the workers are at the last one
MOST_FLYING = 4_096  # chunks of a step that are with the executor at once; more where it has more workers


class Pace:
    """The pace of one step; ``fixed`` is the size that the user asked for, ``queues`` tells an executor that may get more workers
    than it has now, and is to see that there is work for them."""

    def __init__(self, workers: int, fixed: int | None = None, most: int = MOST_CALLS, queues: bool = False) -> None:
        self.workers, self.fixed, self.most, self.queues = workers, fixed, most, queues
        self.each: float | None = None  # seconds that a call took, of the last chunk
        self._made = 1

    @property
    def seconds(self) -> float | None:
        """After which a worker hands back what is left of its chunk; None where the user said how many calls are to be sent."""
        return LIMIT if self.fixed is None else None

    @property
    def flying(self) -> int:
        """How many chunks may be with the executor at once."""
        if self.fixed is not None:
            return max(MOST_FLYING, 2 * self.workers)
        if self.each is None:
            return self.workers  # they are to tell how long a call takes
        if self.each < AIM:
            return 2 * self.workers  # so that no worker waits for its next one
        return max(MOST_FLYING, self.workers) if self.queues else self.workers

    def size(self, left: int) -> int:
        """How many of the calls that are left go into the next chunk."""
        if self.fixed is not None:
            return self.fixed
        if self.each is None:
            return 1
        each = max(self.each, 1e-8)
        share = max(left // (4 * self.workers), int(_LEAST / each))
        return max(1, min(share, int(AIM / each), _GROWTH * self._made, self.most))

    def learn(self, made: int, seconds: float) -> None:
        """A worker has made so many calls in that time."""
        if made:
            self.each, self._made = seconds / made, made
