"""An executor's worker: its loop runs as ever over queues that note what passes, and what failed is named."""

from __future__ import annotations

import functools
import json
import pickle
import queue
import threading
from concurrent.futures.process import _process_chunk
from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace

import pytest

from autotb import engine_facts, settings
from autotb.instrument import executor_internals, executor_worker, worker_log
from autotb.instrument.executor_internals import Internals
from autotb.postmortem import status_file
from autotb.record import annotate
from autotb.record.capture import KEY, VERSION


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    monkeypatch.setattr(annotate, "_texts", True)
    monkeypatch.setattr(settings, "switch", lambda name: name != "keep_inputs")


class Status:
    """A status file; what is said in it, in order."""

    def __init__(self):
        self.words, self.said = {}, []

    def runs(self, job, index, text):
        self.words[status_file.STATE] = status_file.RUNNING
        self.said.append(("runs", job, index))

    def fails(self, error):
        self.said.append(("fails", type(error)))

    def raised(self, kind, record):
        self.words[status_file.STATE] = status_file.RAISED
        self.said.append((kind, json.loads(record)))

    def end(self):
        self.said.append("end")


@pytest.fixture
def status(monkeypatch):
    found = Status()
    monkeypatch.setattr(status_file, "begin", lambda: found)
    monkeypatch.setattr(worker_log, "log", lambda: None)
    return found


def score(x):
    return 1 / x


def item(number, function=score, *args, **kwargs):
    return SimpleNamespace(work_id=number, fn=function, args=args, kwargs=kwargs)


def filled(*items):
    found = queue.Queue()
    for each in items:
        found.put(each)
    return found


def loop(call_queue, result_queue, initializer, initargs):
    """As the engine's: until there is None."""
    taken = []
    while (task := call_queue.get()) is not None:
        taken.append(task)
    return taken, initializer, initargs, result_queue


def test_the_engines_loop_gets_what_it_would_and_the_status_file_is_told(status):
    tasks, results = [item(7), item(8)], queue.Queue()
    taken = executor_worker.run(loop, filled(*tasks, None), results, "initializer", "arguments")

    assert taken == (tasks, "initializer", "arguments", results)
    assert status.said == [("runs", 0, 7), ("runs", 0, 8), "end"]


@pytest.mark.parametrize(("initializer", "state"), [(None, status_file.IDLE), (print, status_file.STARTING)])
def test_before_the_first_task_it_starts_or_is_idle(status, initializer, state):
    seen = []
    executor_worker.run(lambda *args: seen.append(status.words[status_file.STATE]), queue.Queue(), None, initializer)

    assert seen == [state]


def test_a_loop_that_fails_leaves_its_status_file(status):
    with pytest.raises(ZeroDivisionError):
        executor_worker.run(lambda *args: 1 / 0, queue.Queue(), None, None)
    assert status.said == []


@pytest.mark.parametrize(("kind", "said"), [(queue.Empty, []), (pickle.UnpicklingError, [("fails", pickle.UnpicklingError)])])
def test_a_task_that_cannot_be_unpickled_is_what_it_dies_of(status, kind, said):
    class Calls:
        def get(self, timeout=None):
            raise kind

    with pytest.raises(kind):
        executor_worker._Calls(Calls(), status).get(timeout=1)
    assert status.said == said


def test_where_no_word_can_be_left_the_engines_own_queues_are_used(monkeypatch):
    monkeypatch.setattr(worker_log, "log", lambda: 1 / 0)
    calls, results = queue.Queue(), queue.Queue()

    assert executor_worker.run(lambda *args: args, calls, results, None, 1) == (calls, results, None, 1)


class Log:
    def __init__(self, _log=None):
        self.said = []

    def began(self, call):
        self.said.append(call())

    def ended(self, well):
        self.said.append(well)


def test_a_worker_that_logs_tells_each_task_and_how_it_ended():
    log = Log()
    calls, results = executor_worker._Begins(filled(item(1, score, 2), None), log), executor_worker._Ends(queue.Queue(), log)
    assert [calls.get() is None for _ in range(2)] == [False, True]
    for exception in (None, ValueError()):
        results.put(SimpleNamespace(exception=exception))

    assert log.said == [("score(x=2)", score), True, False]
    assert results.qsize() == 2


CHUNK = functools.partial(_process_chunk, score)


@pytest.mark.parametrize(
    ("function", "args", "call"),
    [
        (score, (2,), "score(x=2)"),
        (CHUNK, ([(2,)],), "score(x=2)"),
        (CHUNK, ([(2,), (0,)],), "score, for one of 2 elements: [(2,), (0,)]"),
    ],
)
def test_the_call_of_an_item_or_of_a_chunk(function, args, call):
    assert executor_worker.call_of(function, args, {}, None) == call


@pytest.mark.parametrize("function", [functools.partial(score, 1), functools.partial(len), score, 5])
def test_another_partial_is_no_chunk(function):
    assert executor_worker.called(function) is function


def _process_worker(tell):
    """As the engine's loop: ``call_item`` is the running one."""
    call_item = item(1, score, 0)
    return tell(call_item)


INTERNALS = Internals("engine.process")
executor_internals._every.remove(INTERNALS)


def record(exc):
    import sys

    return _process_worker(
        lambda _: executor_worker.record("process pool", "in a worker", exc, exc.__traceback__, sys._getframe(), INTERNALS)
    )


def test_the_record_has_the_call_of_the_loop_up_the_stack():
    try:
        score(0)
    except ZeroDivisionError as error:
        tree = record(error)
    (hop,) = tree["hops"]

    assert (tree["type"], hop["engine"], hop["call"]) == ("ZeroDivisionError", "process pool", "score(x=0)")


def _sendback_result(result):
    import sys

    return executor_worker.unsent({"v": VERSION}, sys._getframe(), INTERNALS)


def test_the_part_of_a_result_that_could_not_be_sent_is_named():
    assert _sendback_result({"a": threading.Lock()})["culprit"] == "result['a'] → _thread.lock"
    assert "culprit" not in _sendback_result("sound")


def test_the_part_of_a_call_that_could_not_be_sent_is_named():
    import sys

    error = ValueError()
    executor_worker.note_unsent(error, (score, (threading.Lock(),), {}), sys._getframe())
    assert error.__dict__[KEY]["culprit"] == "x → _thread.lock"
    assert error.__dict__[KEY]["hops"] == [{"frames": [], "call": "score(x=<_thread.lock object>)"}], "and no worker has seen it"

    assert error.__dict__[KEY]["unsent"] is True

    sound = ValueError()
    executor_worker.note_unsent(sound, (score, (1,), {}), sys._getframe())
    assert "culprit" not in sound.__dict__[KEY], "what is at fault is not known"
    assert sound.__dict__[KEY]["hops"] == [{"frames": [], "call": "score(x=1)"}], "but which call it was"

    unknown = ValueError()
    executor_worker.note_unsent(unknown, None, sys._getframe())
    assert KEY not in unknown.__dict__


def test_what_an_initializer_raises_is_left_for_the_driver(status):
    def loop(call_queue, result_queue, initializer, *initargs):
        with pytest.raises(ZeroDivisionError):
            executor_worker.initialize("loky", "loky worker", initializer, *initargs)

    executor_worker.run(loop, queue.Queue(), None, score, 0)
    ((kind, tree),) = status.said  # and the file is not taken away

    assert (kind, tree["type"], tree["message"]) == ("ZeroDivisionError", "ZeroDivisionError", "division by zero")
    assert (tree["hops"][0]["where"], tree["hops"][0]["call"]) == ("in the initializer of a loky worker", "score(x=0)")
    assert [frame["name"] for frame in tree["hops"][0]["frames"]] == ["score"]


def test_what_an_initializer_raises_is_raised_with_the_place_where_it_ran():
    with pytest.raises(ZeroDivisionError) as caught:
        executor_worker.initialize("process pool", "process-pool worker", score, 0)
    (hop,) = caught.value.__dict__[KEY]["hops"]

    assert (hop["where"], hop["call"]) == ("in the initializer of a process-pool worker", "score(x=0)")


def frame_of(package):
    names = {"__name__": f"{package}.process_executor"}
    exec("import sys\ndef at(): return sys._getframe()", names)
    return names["at"]()


def test_the_pickler_is_the_engines_own(monkeypatch):
    import sys

    theirs = SimpleNamespace(get_loky_pickler=lambda: "theirs")
    monkeypatch.setitem(sys.modules, "an_engine.backend.reduction", theirs)

    assert executor_worker.pickler_of(frame_of("an_engine")) == "theirs"
    assert executor_worker.pickler_of(frame_of("concurrent.futures")) is ForkingPickler
