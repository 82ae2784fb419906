"""What helps for a value that cannot be pickled is said for that very kind of value."""

from __future__ import annotations

import pytest

from autotb.trace import unsendable
from autotb.trace.parts import Frame, Hop, Stack

CLOUDPICKLE = "or take an engine that pickles with cloudpickle (loky, joblib, Dask, Ray)"


@pytest.mark.parametrize(
    ("culprit", "helps"),
    [
        ("x.fh → _io.TextIOWrapper", "pass the path of a file instead of the open file, and open it in the worker"),
        ("x → tempfile._TemporaryFileWrapper", "pass the path of a file instead of the open file, and open it in the worker"),
        ("x → _thread.RLock", "make the lock in the worker, or pass one of multiprocessing.Manager()"),
        ("x → threading.Event", "make the lock in the worker, or pass one of multiprocessing.Manager()"),
        ("x → multiprocessing.queues.Queue", "give it to processes as they start (initargs= of a pool, args= of a Process)"),
        ("x → queue.Queue", "make the queue in the worker, or pass a multiprocessing.Manager().Queue()"),
        ("x → threading.Thread", "make it in the worker"),
        ("x → concurrent.futures.process.ProcessPoolExecutor", "make the pool in the worker"),
        ("x → concurrent.futures._base.Future", "pass its result instead"),
        ("x → parsl.dataflow.futures.AppFuture", "pass its result instead"),
        ("x → _asyncio.Future", "pass its result instead"),
        ("x → sqlite3.Connection", "connect in the worker"),
        ("x → psycopg2.extensions.connection", "connect in the worker"),
        ("rows → generator", "pass list(...) of the generator, or make it in the worker"),
        ("x → coroutine", "run it, and pass what it returns"),
        ("x → module json", "import the module in the worker"),
        ("x → dict_keys", "pass list(...) of it"),
        ("x → somebodys.Handle", "leave it out of what is passed, or make it in the worker"),
        ("function <lambda>", f"a lambda has no name to be found by; make it a def at module level, {CLOUDPICKLE}"),
        ("x → function main.<locals>.helper", f"it is defined inside a function; move it to module level, {CLOUDPICKLE}"),
        ("x → main.<locals>.Job", f"its class is defined inside a function; move it to module level, {CLOUDPICKLE}"),
    ],
)
def test_what_helps_for_an_argument(culprit, helps):
    assert unsendable.remedy(Stack("TypeError", "", culprit=culprit)).startswith(f"{culprit} cannot be pickled: {helps}")


@pytest.mark.parametrize(
    ("kind", "helps"),
    [
        ("_io.TextIOWrapper", "return the path of a file, or what it holds, instead of the open file"),
        ("_thread.lock", "leave it out of what is returned, which is pickled"),
        ("generator", "return list(...) of the generator"),
        ("sqlite3.Cursor", "return what was read from it instead"),
    ],
)
def test_what_helps_for_a_result(kind, helps):
    stack = Stack("TypeError", "", (Hop(where="in a worker"),), culprit=f"result[0] → {kind}")

    assert unsendable.remedy(stack) == f"result[0] → {kind} cannot be pickled: {helps}"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("cannot pickle '_thread.lock' object", "_thread.lock cannot be pickled: make the lock in the worker"),
        ("can't pickle generator objects", "generator cannot be pickled: pass list(...)"),
        ("Can't pickle local object 'main.<locals>.<lambda>'", "main.<locals>.<lambda> cannot be pickled: a lambda has no name"),
        (
            "Can't pickle local object <function main.<locals>.work at 0x7f>",
            "main.<locals>.work cannot be pickled: it is defined inside a function",
        ),
        ("Can't get local object 'main.<locals>.Job'", "main.<locals>.Job cannot be pickled: it is defined inside a function"),
        (
            "Can't pickle <function work at 0x7f>: it's not the same object as __main__.work",
            "work cannot be pickled: functions and classes are pickled by their names, and that name is of another object now",
        ),
        (
            "Can't pickle <function inner at 0x7f>: attribute lookup inner on __main__ failed",
            "inner cannot be pickled: functions and classes are pickled by their names, and there is nothing of that name",
        ),
        ("something else", ""),
    ],
)
def test_what_a_picklers_message_tells(message, told):
    found = unsendable.remedy(Stack("TypeError", message))

    assert found.startswith(told) if told else found == ""


def test_an_object_that_raises_as_it_is_pickled():
    frames = (Frame("main.py", 3, "__getstate__"),)
    stack = Stack("ValueError", "no", (Hop(frames=frames),), culprit="x → Job")

    assert unsendable.remedy(stack) == "x → Job cannot be pickled: its __getstate__ raised this error"

    reason = Stack("pkg.OddError", "no", (Hop(frames=frames),))
    engines = Stack("PicklingError", "Could not pickle the task", culprit="x → Job", cause=reason)
    assert unsendable.remedy(engines, [engines, reason]) == "x → Job cannot be pickled: its __getstate__ raised OddError"


@pytest.mark.parametrize(
    ("culprit", "message", "helps"),
    [
        (
            "x → Job",
            "Can't pickle <class '__main__.Job'>: it's not the same object as __main__.Job",
            "that name is of another object",
        ),
        ("x → Pt", "Can't pickle <class '__main__.Pt'>: attribute lookup Pt on __main__ failed", "there is nothing of that name"),
        ("x → Job", "Can't pickle <class '__main__.BlobJob'>: attribute lookup BlobJob on __main__ failed", "leave it out of"),
        ("x → list (nested too deeply)", "maximum recursion depth exceeded", "pass it flat"),
    ],
)
def test_an_object_whose_class_is_at_fault(culprit, message, helps):
    assert helps in unsendable.remedy(Stack("PicklingError", message, culprit=culprit))
