"""An error that reached the program speaks for the futures that were submitted before, where they failed of the same."""

from __future__ import annotations

import gc

from autotb.instrument import delivery


class Executor:
    pass


def test_futures_that_are_submitted_between_two_deliveries_are_one_batch():
    executor = Executor()
    first = delivery.of(executor)
    assert delivery.of(executor) is first

    first.pool.has_delivered(ValueError(), "kind")
    assert delivery.of(executor) is not first


def test_a_delivery_speaks_for_what_was_submitted_before():
    executor = Executor()
    before = delivery.of(executor)
    before.pool.has_delivered(ValueError(), "kind")
    after = delivery.of(executor)

    assert before.knows("kind")
    assert not after.knows("kind")


def test_it_does_not_speak_for_another_failure():
    batch = delivery.of(Executor())
    batch.pool.has_delivered(ValueError(), "kind")

    assert not batch.knows("other")
    assert not batch.knows(None)


def test_the_same_failure_once_more_speaks_for_all_before_it():
    executor = Executor()
    pool = delivery.of(executor).pool
    pool.has_delivered(ValueError(), "kind")
    between = delivery.of(executor)
    pool.has_delivered(ValueError(), "kind")

    assert between.knows("kind")


def test_an_interrupt_took_down_whatever_was_submitted_before_it():
    executor = Executor()
    before = delivery.of(executor)
    before.pool.was_interrupted()

    assert before.knows(None)
    assert before.knows("any")
    assert not delivery.of(executor).knows("any")


def test_an_error_of_no_kind_is_only_the_last_one():
    pool = delivery.of(Executor()).pool
    error = ValueError()
    batch = pool.batch
    pool.has_delivered(error, None)

    assert (pool.last, pool.is_plain, pool.batch, pool.reached) == (id(error), False, batch, {})


def test_the_kinds_that_are_remembered_are_the_latest(monkeypatch):
    monkeypatch.setattr(delivery, "MOST_REACHED", 3)
    batch = delivery.of(Executor())
    for kind in (0, 1, 2, 0, 3):
        batch.pool.has_delivered(ValueError(), kind)

    assert list(batch.pool.reached) == [2, 0, 3]


def test_a_pool_is_not_kept_alive_by_what_is_known_of_it():
    executor = Executor()
    pool = delivery.of(executor).pool
    assert pool.executor() is executor

    del executor
    gc.collect()
    assert pool.executor() is None
