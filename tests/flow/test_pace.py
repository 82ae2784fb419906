"""How many calls are sent at once."""

from __future__ import annotations

import pytest

from autotb.flow import pace
from autotb.flow.pace import Pace


def test_the_first_calls_are_sent_one_by_one_one_for_each_worker():
    made = Pace(3)

    assert (made.size(1_000_000), made.flying, made.seconds) == (1, 3, pace.LIMIT)


@pytest.mark.parametrize(
    ("made", "seconds", "left", "size"),
    [
        (1, 2.0, 1_000, 1),  # slower than a chunk is to be
        (100, 1.0, 100_000, 20),  # as many as take a fraction of a second
        (1, 0.001, 100_000, 16),  # no more than some times those that are known
        (100, 1.0, 64, 8),  # fewer towards the end
        (10_000, 0.001, 64, pace.MOST_CALLS),  # but not less than is worth the sending
        (10_000, 0.0, 10**9, pace.MOST_CALLS),
    ],
)
def test_by_what_the_last_chunk_took(made, seconds, left, size):
    one = Pace(2)
    one.learn(made, seconds)

    assert one.size(left) == size


def test_a_chunk_of_which_nothing_was_made_tells_nothing():
    one = Pace(2)
    one.learn(0, 1.0)

    assert one.each is None


@pytest.mark.parametrize(
    ("queues", "seconds", "flying"),
    [(False, 0.001, 4), (False, 5.0, 2), (True, 0.001, 4), (True, 5.0, pace.MOST_FLYING)],
)
def test_how_many_chunks_wait_for_a_worker(queues, seconds, flying):
    """None where calls are slow and the executor has all its workers: each takes what comes next when it is free."""
    one = Pace(2, queues=queues)
    one.learn(1, seconds)

    assert one.flying == flying


def test_what_the_user_asked_for():
    one = Pace(2, fixed=7)
    one.learn(7, 100.0)

    assert (one.size(1_000), one.seconds, one.flying) == (7, None, pace.MOST_FLYING)
