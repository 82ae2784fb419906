"""A pool in the driver: what is wrapped does as it did, and what comes besides never stops it."""

from __future__ import annotations

import _thread
import gc
import multiprocessing.pool
import multiprocessing.reduction
import pickle
import weakref
from types import SimpleNamespace

import pytest

from autotb import settings
from autotb.engines.multiprocessing import driver, recovery
from autotb.engines.multiprocessing.messages import untold
from autotb.record import annotate, callsite
from autotb.record.capture import KEY, VERSION


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(annotate, "_texts", True)
    monkeypatch.setattr(settings, "switch", lambda name: True)


class Result:
    """As ``ApplyResult``."""

    __module__ = "multiprocessing.pool"

    def __init__(self, error=None):
        self.error, self._autotb_site = error, callsite.here(1)


def get(self, timeout=None):
    if self.error is not None:
        raise self.error
    return "value", timeout


def test_a_value_is_had_as_ever():
    assert driver.wrap_get(get)(Result(), 3) == ("value", 3)


def test_a_workers_error_has_the_place_of_its_submission():
    error = ValueError()
    with pytest.raises(ValueError):
        driver.wrap_get(get)(Result(error))

    assert error.__dict__[KEY]["submitted"]["path"] == __file__


@pytest.mark.parametrize("error", [multiprocessing.TimeoutError(), StopIteration()])
def test_an_error_of_the_asking_itself_has_none(error):
    with pytest.raises(type(error)):
        driver.wrap_get(get)(Result(error))

    assert KEY not in error.__dict__


def test_the_error_keeps_nothing_alive():
    def fails(self, timeout):
        del self
        raise error

    error = ValueError()
    job = Result(error)
    job.error = None
    reference = weakref.ref(job)
    with pytest.raises(ValueError):
        driver.wrap_get(fails)(job)
    del job
    gc.collect()

    assert reference() is None


class Queue:
    """A pool's queue of results, of processes where it has a lock."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


class Pool:
    def __init__(self, queue):
        self._outqueue, self._pool = queue, ["a process"]


@pytest.mark.parametrize(("fields", "watched"), [({"_wlock": None}, True), ({}, False)])
def test_a_queue_of_results_knows_its_pool_and_only_processes_are_watched(monkeypatch, fields, watched):
    pool, seen = Pool(Queue(**fields)), []
    monkeypatch.setattr(recovery, "watch", seen.append)

    assert driver.wrap_setup_queues(lambda self: "done")(pool) == "done"
    assert pool._outqueue._autotb_pool() is pool
    assert bool(seen) is watched


def test_a_queue_of_another_kind_is_not_watched():
    assert driver.wrap_setup_queues(lambda self: "done")(Pool(object())) == "done"


def exits(process):
    def original(pool):
        pool.remove(process)
        return True

    return original


@pytest.mark.parametrize("are_replaced", [True, False])
def test_the_dead_are_told_and_it_is_said_whether_they_are_replaced(monkeypatch, are_replaced):
    seen = []
    monkeypatch.setattr(recovery, "after", lambda dead, pool: seen.append((dead, list(pool))) or are_replaced)

    assert driver.wrap_join_exited(exits("b"))(["a", "b", "c"]) is are_replaced
    assert seen == [(["b"], ["a", "c"])]


def test_what_fails_there_leaves_the_pool_to_replace_them(monkeypatch):
    monkeypatch.setattr(recovery, "after", lambda dead, pool: 1 / 0)

    assert driver.wrap_join_exited(exits("b"))(["a", "b"]) is True


def test_where_nobody_has_died_nobody_is_told_of(monkeypatch):
    monkeypatch.setattr(recovery, "after", lambda dead, pool: 1 / 0)

    assert driver.wrap_join_exited(lambda pool: False)(["a"]) is False


def maintain(original, outqueue):
    return driver.wrap_maintain(original)(None, None, 2, [], None, outqueue, None, (), None, True)


def test_who_waits_is_told_once_the_others_were_started():
    order = []

    def original(*args):
        untold[_thread.get_ident()].append("a casualty")
        order.append("started")
        return args[2]

    assert maintain(original, SimpleNamespace(put=order.append)) == 2
    assert order == ["started", "a casualty"]
    assert _thread.get_ident() not in untold


def test_where_they_cannot_be_started_he_is_told_all_the_same():
    told = []

    def original(*args):
        untold[_thread.get_ident()].append("a casualty")
        raise OSError("no more processes")

    with pytest.raises(OSError):
        maintain(original, SimpleNamespace(put=told.append))
    assert told == ["a casualty"]


def test_a_pool_that_is_gone_is_not_told():
    def original(*args):
        untold[_thread.get_ident()].append("a casualty")

    maintain(original, SimpleNamespace(put=lambda message: 1 / 0))


@pytest.mark.parametrize(("rescue", "unlocked"), [(True, ["inqueue"]), (False, [])])
def test_the_lock_of_the_queue_of_tasks_is_freed_before_it_is_taken(monkeypatch, rescue, unlocked):
    seen = []
    monkeypatch.setattr(settings, "switch", lambda name: rescue)
    monkeypatch.setattr(recovery, "unlock", seen.append)

    assert driver.wrap_help_finish(lambda *args: args)("inqueue", "handler", 2) == ("inqueue", "handler", 2)
    assert seen == unlocked


@pytest.mark.parametrize("wrap", [driver.wrap_terminate, driver.wrap_join])
def test_ended_workers_leave_nothing_behind(monkeypatch, wrap):
    seen = []
    monkeypatch.setattr(recovery, "see_off", lambda pool: seen.append("seen off"))
    monkeypatch.setattr(recovery, "forget", lambda processes: seen.append(processes))

    assert wrap(lambda self: seen.append("ended") or "done")(Pool(Queue(_wlock=None))) == "done"
    assert seen[-2:] == ["ended", ["a process"]]
    assert ("seen off" in seen) is (wrap is driver.wrap_join)


def test_a_pool_of_threads_has_none_to_leave(monkeypatch):
    monkeypatch.setattr(recovery, "forget", lambda processes: 1 / 0)

    assert driver.wrap_terminate(lambda self: "done")(Pool(Queue())) == "done"


def test_what_fails_at_the_end_does_not_keep_it_from_ending(monkeypatch):
    for name in ("see_off", "forget"):
        monkeypatch.setattr(recovery, name, lambda argument: 1 / 0)

    assert driver.wrap_join(lambda self: "done")(Pool(Queue(_wlock=None))) == "done"


def test_what_is_pickled_is_rebuilt_by_the_engine():
    boxed = multiprocessing.pool.ExceptionWithTraceback(ValueError("x"), None)
    boxed._autotb = {"v": VERSION, "type": "ValueError", "message": "x", "hops": []}
    function, arguments = driver.wrap_reduce(type(boxed).__reduce__)(boxed)

    assert function is multiprocessing.pool.rebuild_exc
    assert len(arguments) == 2


@pytest.fixture
def pickler(monkeypatch):
    """The package's own; what it was asked."""
    asked = []

    class Noted:
        @staticmethod
        def dumps(value):
            asked.append("dumps")
            return pickle.dumps(value)

        @staticmethod
        def loads(data):
            asked.append("loads")
            return pickle.loads(data)

    monkeypatch.setattr(multiprocessing.reduction, "ForkingPickler", Noted)
    return asked


def test_whether_it_survives_is_tried_with_the_packages_own_pickler(pickler):
    class Odd(ValueError):
        pass

    boxed = multiprocessing.pool.ExceptionWithTraceback(Odd("x"), None)
    driver.wrap_reduce(type(boxed).__reduce__)(boxed)

    assert "dumps" in pickler


def test_what_arrives_has_the_workers_text_as_its_cause_though_it_refuses_attributes():
    class Refuses(Exception):
        def __setattr__(self, name, value):
            raise TypeError

    error = Refuses()

    assert driver.wrap_rebuild(multiprocessing.pool.rebuild_exc)(error, "the text") is error
    assert type(error.__cause__) is multiprocessing.pool.RemoteTraceback
