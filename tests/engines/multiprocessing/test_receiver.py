"""The thread that receives a pool's results goes on past whatever is no result, and ends the jobs that nobody else will end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from autotb import settings
from autotb.engines.multiprocessing import receiver, recovery
from autotb.engines.multiprocessing.messages import CASUALTY, INITIALIZER, NOBODYS, UNCERTAIN


class Job:
    """As ``ApplyResult``, of so many results."""

    def __init__(self, cache, number, left=1, **fields):
        self._job, self._cache, self.left, self.ended = number, cache, left, []
        self.__dict__.update(fields)
        cache[number] = self

    def _set(self, index, result):
        self.ended.append((index, result))
        self.left -= 1
        if not self.left:
            del self._cache[self._job]


class Pool:
    def __init__(self, processes=2):
        self._processes = processes


class Messages:
    """A queue of results: what it gives is raised where it is an exception."""

    def __init__(self, *messages):
        self.messages, self.pool = list(messages), Pool()

    def _autotb_pool(self):
        return self.pool

    def get(self):
        message = self.messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return message


def received(messages, cache=None):
    receive = receiver._Receiver(messages, messages.get, {} if cache is None else cache)
    return [receive() for _ in range(len(messages.messages))]


RESULT = (1, 0, (True, "value"))


def test_results_pass_and_so_does_the_end():
    assert received(Messages(RESULT, None)) == [RESULT, None]


def test_without_rescue_the_engine_receives_itself(monkeypatch):
    monkeypatch.setattr(settings, "switch", lambda name: False)

    assert receiver.wrap_handle_results(lambda *args: args)(1, 2, 3) == (1, 2, 3)


def test_with_rescue_it_receives_through_ours(monkeypatch):
    monkeypatch.setattr(settings, "switch", lambda name: True)
    outqueue, get, cache = receiver.wrap_handle_results(lambda *args: args)("queue", "get", {})

    assert (outqueue, cache, get.get) == ("queue", {}, "get")


@pytest.mark.parametrize("kind", [EOFError, OSError])
def test_a_pipe_that_is_at_its_end_ends_the_thread(kind):
    with pytest.raises(kind):
        received(Messages(kind()))


def test_a_result_that_cannot_be_unpickled_ends_every_job_for_nobody_knows_whose_it_was():
    cache, error = {}, ValueError("cannot be unpickled")
    jobs = [Job(cache, 1), Job(cache, 2, left=3, _number_left=3)]

    assert received(Messages(error), cache) == [NOBODYS]
    assert [job.ended for job in jobs] == [[(0, (False, error))], [(0, (False, error))] * 3]
    assert cache == {}


def test_half_a_result_of_a_dead_worker_ends_none():
    cache, messages = {}, Messages(ValueError())
    job = Job(cache, 1)
    messages._autotb_waiting = SimpleNamespace(spoilt=1)

    assert received(messages, cache) == [NOBODYS]
    assert (job.ended, messages._autotb_waiting.spoilt) == ([], 0)


def test_workers_that_leave_no_word_are_noted():
    messages = Messages((UNCERTAIN, 5, (True, None)), (UNCERTAIN, 6, (True, None)))

    assert received(messages) == [NOBODYS, NOBODYS]
    assert messages._autotb_uncertain == {5, 6}


def casualty(error, job):
    number = next(recovery._numbers)
    recovery._errors[number] = error
    return (CASUALTY, number, (False, job))


def test_the_task_of_a_dead_worker_fails():
    error = ValueError()

    assert received(Messages(casualty(error, (7, 3)))) == [(7, 3, (False, error))]


def test_a_task_whose_result_had_come_does_not_fail():
    assert received(Messages((7, 3, (True, "value")), casualty(ValueError(), (7, 3))))[1] == NOBODYS


def test_a_worker_of_which_nobody_knows_its_task_fails_them_all():
    cache, error = {}, ValueError()
    job = Job(cache, 1)
    received(Messages(casualty(error, None)), cache)

    assert job.ended == [(0, (False, error))]


def test_a_worker_that_has_told_its_initializers_error_had_no_task():
    cache, error = {}, SimpleNamespace(pid=5)
    job = Job(cache, 1)
    messages = Messages((INITIALIZER, 5, (False, ValueError())), casualty(error, None))
    received(messages, cache)

    assert job.ended == []


def test_an_iterator_of_a_broken_pool_that_was_not_sent_entirely_ends(monkeypatch):
    cache, error = {}, ValueError()
    messages = Messages(casualty(error, None))
    setattr(messages.pool, recovery.BROKEN, True)
    job = Job(cache, 1, _length=None, _index=4)
    received(messages, cache)

    assert job._length == 5
    assert job.ended == [(4, (False, error))]


def test_initializers_that_fail_end_the_jobs_once_as_many_have_as_there_are_workers():
    cache = {}
    job = Job(cache, 1)
    errors = [ValueError(1), ValueError(2)]
    messages = Messages(*[(INITIALIZER, number, (False, error)) for number, error in enumerate(errors)])
    receive = receiver._Receiver(messages, messages.get, cache)
    assert receive() == NOBODYS
    assert job.ended == []

    assert receive() == NOBODYS
    assert job.ended == [(0, (False, errors[1]))]


def test_a_result_in_between_says_that_initializers_succeed():
    cache = {}
    job = Job(cache, 9)
    failure = (INITIALIZER, 5, (False, ValueError()))
    received(Messages(failure, RESULT, failure), cache)

    assert job.ended == []


def test_an_iterators_missing_results_are_counted():
    cache, error = {}, ValueError()
    job = Job(cache, 1, left=3, _length=5, _index=2)
    receiver.fail_all(cache, error)

    assert len(job.ended) == 3
    assert cache == {}
