"""A pool's worker: no exception of a task or an initializer kills it, and each is told as what it was."""

from __future__ import annotations

import multiprocessing.pool
import os
import sys

import pytest

from autotb import settings
from autotb.engines.multiprocessing import queue_repair, recovery, worker
from autotb.engines.multiprocessing.messages import INITIALIZER
from autotb.instrument import worker_log
from autotb.postmortem import status_file
from autotb.postmortem.status_file import IDLE, RUNNING, STARTING, STATE
from autotb.record import annotate
from autotb.record.capture import KEY

pools = multiprocessing.pool


@pytest.fixture
def switches(monkeypatch):
    """Which are off."""
    off = {"keep_inputs"}
    monkeypatch.setattr(settings, "switch", lambda name: name not in off)
    return off


@pytest.fixture(autouse=True)
def fresh(monkeypatch, switches):
    monkeypatch.setattr(annotate, "_texts", True)
    monkeypatch.setattr(worker_log, "log", lambda: None)


class Tasks:
    """A queue of tasks; what it gives is raised where it is an exception."""

    def __init__(self, *items):
        self.items = list(items)

    def get(self):
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


class Results:
    """A queue of results."""

    def __init__(self):
        self.items = []

    def put(self, item):
        self.items.append(item)


class Status:
    """A status file."""

    def __init__(self):
        self.words, self.begun, self.page = {STATE: IDLE}, [], b"page"

    def runs(self, job, index, text):
        self.words[STATE] = RUNNING
        self.begun.append((job, index, text))

    def idles(self):
        self.words[STATE] = IDLE

    def end(self):
        self.begun.append("end")


@pytest.fixture
def status(monkeypatch):
    found = Status()
    monkeypatch.setattr(recovery, "begin", lambda inqueue, outqueue: found)
    monkeypatch.setattr(recovery, "unguard", lambda queue: None)
    return found


def score(x):
    return 1 / x


def ends(kind):
    raise kind("x")


def task(function, *args, job=1, index=0):
    return (job, index, function, args, {})


def loop(inqueue, outqueue, initializer, initargs, maxtasks, wrap_exception):
    """As the engine's, with what it catches and boxes."""
    if initializer is not None:
        initializer(*initargs)
    while (item := inqueue.get()) is not None:
        job, index, func, args, kwds = item
        try:
            result = (True, func(*args, **kwds))
        except Exception as error:
            result = (False, error)
        outqueue.put((job, index, result))


loop.__module__ = "multiprocessing.pool"


def run(*items, initializer=None, initargs=(), in_process=True):
    results = Results()
    worker.wrap_worker(loop)(Tasks(*items, None), results, initializer, initargs, None, in_process)
    return results.items


def test_results_are_the_engines(status):
    assert run(task(score, 2), task(score, 4, job=3, index=7)) == [(1, 0, (True, 0.5)), (3, 7, (True, 0.25))]


def test_the_status_file_has_each_task_while_it_runs(status):
    run(task(score, 2), task(len, "ab"))

    assert status.begun == [(1, 0, "score(2)"), (1, 0, "len('ab')"), "end"]
    assert status.words[STATE] == IDLE


def test_arguments_that_are_not_to_be_captured_are_not_in_it(status, switches):
    switches.add("args")
    run(task(score, 2))

    assert status.begun[0] == (1, 0, "score")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_would_kill_the_worker_is_the_tasks_result(status, kind):
    (_, _, (success, error)), after = run(task(ends, kind), task(score, 1))

    assert (success, type(error), error.args) == (False, kind, ("x",))
    assert after == (1, 0, (True, 1.0))


def test_without_rescue_it_kills_the_worker_as_ever(status, switches):
    switches.add("rescue")

    with pytest.raises(KeyboardInterrupt):
        run(task(ends, KeyboardInterrupt))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a frame that raises again stays in the traceback")
def test_the_tasks_traceback_has_no_frame_of_ours(status):
    ((_, _, (_, error)),) = run(task(score, 0))
    names, tb = [], error.__traceback__
    while tb is not None:
        names.append(tb.tb_frame.f_code.co_name)
        tb = tb.tb_next

    assert names == ["loop", "score"]


def test_an_iterable_that_failed_in_the_driver_is_raised_as_the_engine_raises_it(status):
    error = ValueError("x")
    ((_, _, (success, raised)),) = run(task(pools._helper_reraises_exception, error))

    assert (success, raised) == (False, error)


def test_a_message_of_another_form_goes_through():
    results = Results()
    worker._Results(results, worker._Tasks(Tasks(), pools, in_thread=False)).put("text")

    assert results.items == ["text"]


def test_a_threads_failure_tells_in_which_thread_and_of_what_call(monkeypatch):
    ((_, _, (_, error)),) = run(task(score, 0), in_process=False)
    (hop,) = error.__dict__[KEY]["hops"]

    assert (hop["engine"], hop["call"], hop["live"]) == ("thread pool", "score(x=0)", True)


def test_a_task_that_cannot_be_unpickled_fails_and_the_worker_goes_on(status, monkeypatch):
    from autotb.postmortem import status_reader

    monkeypatch.setattr(status_reader, "Remains", lambda page: page)
    monkeypatch.setattr(queue_repair, "job_of", lambda remains: (7, 3))

    class Received(Tasks):
        def get(self):
            status.words[STATE] = RUNNING  # it was received whole
            return super().get()

    results = Results()
    queue = Received(AttributeError("no such function"), task(score, 1), None)
    worker.wrap_worker(loop)(queue, results, None, (), None, True)
    (job, index, (success, box)), after = results.items

    assert (job, index, success, type(box)) == (7, 3, False, pools.ExceptionWithTraceback)
    assert box._autotb["hops"][0]["where"] == "in a pool worker, which unpickled a task"
    assert after[2] == (True, 1.0)


@pytest.mark.parametrize("kind", [EOFError, OSError])
def test_a_pipe_at_its_end_ends_the_worker(status, kind):
    with pytest.raises(kind):
        run(kind())


def test_an_initializers_error_is_sent_and_ends_the_worker(status):
    results = Results()
    with pytest.raises(SystemExit) as caught:
        worker.wrap_worker(loop)(Tasks(None), results, score, (0,), None, True)
    ((kind, pid, (success, box)),) = results.items

    assert (caught.value.code, kind, pid, success) == (1, INITIALIZER, os.getpid(), False)
    assert box._autotb["hops"][0]["call"] == "score(x=0)"


def test_while_its_initializer_runs_it_is_starting(status):
    seen = []
    run(initializer=lambda: seen.append(status.words[STATE]))

    assert seen == [STARTING]


def test_in_a_thread_it_is_raised_there():
    with pytest.raises(ZeroDivisionError):
        run(initializer=score, initargs=(0,), in_process=False)


def test_an_initializer_that_succeeds_is_called_once(status):
    called = []
    run(task(score, 1), initializer=called.append, initargs=(1,))

    assert called == [1]


def test_where_nothing_can_be_set_up_the_engines_loop_runs_alone(monkeypatch):
    monkeypatch.setattr(worker_log, "log", lambda: 1 / 0)

    assert run(task(score, 2)) == [(1, 0, (True, 0.5))]


def test_a_status_file_that_cannot_be_made_is_done_without(monkeypatch):
    monkeypatch.setattr(recovery, "begin", lambda inqueue, outqueue: 1 / 0)

    assert run(task(score, 2)) == [(1, 0, (True, 0.5))]


CHUNK = (score, (2, 4))


@pytest.mark.parametrize(
    ("function", "args", "brief", "call"),
    [
        (score, (2,), "score(2)", "score(x=2)"),
        (pools.mapstar, ((score, (2,)),), "score(2)", "score(x=2)"),
        (pools.mapstar, (CHUNK,), "score(2) or one of the 1 calls after it", "score, for one of 2 elements: [2, 4]"),
        (
            pools.starmapstar,
            ((score, ((2,), (4,))),),
            "score(2) or one of the 1 calls after it",
            "score, for one of 2 elements: [(2,), (4,)]",
        ),
    ],
)
def test_the_call_of_a_task_or_of_a_chunk(function, args, brief, call):
    assert worker._brief((1, 0, function, args, {}), status_file.plain) == brief
    assert worker._call_of(function, args, {}, None) == call


def test_a_guarded_function_is_told_by_its_own_name():
    assert worker._call_of(worker._Guarded(score), (2,), {}, None) == "score(x=2)"


@pytest.mark.parametrize(("function", "args", "called"), [(score, (2,), score), (pools.mapstar, (CHUNK,), score)])
def test_the_users_function_is_what_a_chunk_calls(function, args, called):
    assert worker._called(function, args) is called


def test_what_was_carried_is_boxed_as_itself():
    error = KeyboardInterrupt()
    assert worker._unpacked(worker._Carried(error), "tb") == (error, None)

    plain = ValueError()
    assert worker._unpacked(plain, "tb") == (plain, "tb")


def test_the_wrapped_loop_is_pickled_by_the_engines_name():
    assert worker.wrap_worker(loop).__qualname__ == "worker"


def test_the_log_has_each_task_and_how_it_ended(status, monkeypatch):
    said = []

    class Logged:
        def __init__(self, log):
            pass

        def began(self, call):
            said.append(call())

        def ended(self, well):
            said.append(well)

    monkeypatch.setattr(worker_log, "log", lambda: "a log")
    monkeypatch.setattr(worker_log, "LoggedTask", Logged)
    run(task(score, 2), task(score, 0))

    assert said == [("score(x=2)", score), True, ("score(x=0)", score), False]
