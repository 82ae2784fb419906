"""Which failures of a pool the program knows: the futures of a pool, in batches between one delivered error and the next.

Flows in: every ``submit`` (which is why this module is small), and the errors that reach the program.  Flows out: whether a
failure that were never retrieved is one that the program knows.
"""

from __future__ import annotations

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_REACHED = 100  # different errors that a pool remembers to have delivered


class Batch:
    """The futures of a pool that were submitted between two deliveries; their sites have it, see ``callsite.batch_of``."""

    __slots__ = ("number", "pool")

    def __init__(self, pool: Pool, number: int) -> None:
        self.pool, self.number = pool, number

    def knows(self, failure: object) -> bool:
        """Whether the very same failure reached the program after the futures of this batch were submitted."""
        pool = self.pool
        return pool.interrupted >= self.number or (failure is not None and pool.reached.get(failure, -1) >= self.number)


class Pool:
    """What is known of a pool's deliveries.

    Attributes:
        executor: a weak reference to the pool.
        batch: the one that a future belongs to which is submitted now.
        reached: failures that reached the program, each with the newest batch whose futures had been submitted by then.
        interrupted: the newest batch of which a Ctrl-C took down what it took down.
        last: ``id`` of the error that reached the program last.
        is_over: whether the program ended with an error of this pool.
        is_plain: whether none of this has happened so far.
    """

    __slots__ = ("batch", "executor", "interrupted", "is_over", "is_plain", "last", "reached")

    def __init__(self, executor: Any) -> None:
        self.executor, self.batch = weakref.ref(executor), Batch(self, 0)
        self.reached: dict[Any, int] = {}
        self.interrupted, self.last, self.is_over, self.is_plain = -1, 0, False, True

    def has_delivered(self, error: BaseException, failure: object) -> None:
        """An error reached the program; it speaks for the futures that were submitted before, where they failed of the same."""
        self.last, self.is_plain = id(error), False
        if failure is not None:
            reached = self.reached
            reached.pop(failure, None)
            if len(reached) >= MOST_REACHED:
                del reached[next(iter(reached))]
            reached[failure] = self.batch.number
            self.batch = Batch(self, self.batch.number + 1)

    def was_interrupted(self) -> None:
        """A Ctrl-C ended the waiting for a future: nobody asks for what it took down."""
        self.interrupted, self.is_plain = self.batch.number, False
        self.batch = Batch(self, self.batch.number + 1)


def of(executor: Any) -> Batch:
    """The batch that a future belongs to which is submitted now."""
    try:
        return executor._autotb_pool.batch  # type: ignore[no-any-return]
    except AttributeError:
        executor._autotb_pool = pool = Pool(executor)
        return pool.batch
