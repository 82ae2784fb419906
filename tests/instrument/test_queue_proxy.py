"""A queue that does something besides is the engine's queue in every other respect."""

from __future__ import annotations

import pickle
import queue

import pytest

from autotb.instrument.queue_proxy import QueueProxy


class Noted(QueueProxy):
    def get(self):
        return "noted", self.queue.get()


def test_what_is_not_replaced_is_the_queues_own():
    real = queue.Queue(maxsize=3)
    noted = Noted(real)
    noted.put(1)

    assert (noted.maxsize, noted.qsize(), noted.get()) == (3, 1, ("noted", 1))


def test_what_the_queue_lacks_is_lacking():
    with pytest.raises(AttributeError):
        Noted(queue.Queue()).no_such  # noqa: B018


@pytest.mark.parametrize("name", ["queue", "__setstate__", "no_such"])
def test_one_that_is_only_being_made_does_not_recurse(name):
    with pytest.raises(AttributeError):
        getattr(Noted.__new__(Noted), name)


def test_it_survives_pickling():
    found = pickle.loads(pickle.dumps(QueueProxy([1, 2])))

    assert found.queue == [1, 2]
