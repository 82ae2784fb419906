"""The part of a value that cannot be pickled is found and named, within bounds."""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing.pool
import multiprocessing.reduction
import pickle
import textwrap
import threading
from typing import NamedTuple

import cloudpickle
import pytest

from autotb.record import pickle_diagnosis

LOCK = threading.Lock()
LAMBDA = lambda: 1  # noqa: E731


def deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


class Holder:
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def method(self):
        pass


class Pair(NamedTuple):
    first: object
    second: object


class Slotted:
    __slots__ = ("empty", "held")

    def __init__(self, held):
        self.held = held


def local():
    class Local:
        pass

    return Local


Local = local()


class Ends:
    def __reduce_ex__(self, protocol):
        raise SystemExit(3)


class EnginesFuture(concurrent.futures.Future):
    def __init__(self):
        super().__init__()
        self.manager = LOCK


def closure():
    held = LOCK

    def inner():
        return held

    return inner


def work(config, x=1):
    return config, x


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"inputs": [EnginesFuture()]}, f"result['inputs'][0] → {__name__}.EnginesFuture"),
        (LOCK, "result → _thread.lock"),
        ([1, (2, LOCK)], "result[1][1] → _thread.lock"),
        ({"a": [LOCK]}, "result['a'][0] → _thread.lock"),
        ({LOCK: 1}, "a key of result → _thread.lock"),
        ({LOCK}, "an element of result → _thread.lock"),
        (Holder(a=1, b=Holder(fh=LOCK)), "result.b.fh → _thread.lock"),
        (Holder(a=LOCK).method, "result.__self__.a → _thread.lock"),
        (functools.partial(work, LOCK), "result.args[0] → _thread.lock"),
        (functools.partial(work, x=LOCK), "result.keywords['x'] → _thread.lock"),
        (closure(), f"result → function {closure().__qualname__}"),
        ({"a": Pair(1, LOCK)}, "result['a'].second → _thread.lock"),
        (Slotted(LOCK), "result.held → _thread.lock"),
        ([threading.Event()], "result[0] → threading.Event"),
        ([Ends()], f"result[0] → {__name__}.Ends"),
        ([1, "sound"], ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_deepest_part_that_fails(value, path):
    assert pickle_diagnosis.of_result(value) == path


@pytest.mark.parametrize(
    ("args", "kwargs", "path"),
    [
        ((1, LOCK), {}, "x → _thread.lock"),
        (([LOCK],), {}, "config[0] → _thread.lock"),
        ((1, 2, LOCK), {}, "args[2] → _thread.lock"),
        ((), {"key": {"inner": lambda: 1}}, "key['inner'] → function <lambda>"),
        ((), {"key": textwrap}, "key → module textwrap"),
        ((), {"key": Local}, "key → class tests.record.test_pickle_diagnosis.local.<locals>.Local"),
    ],
)
def test_an_argument_bears_its_parameters_name(args, kwargs, path):
    assert pickle_diagnosis.of_call(work, args, kwargs) == path


def test_the_function_may_be_at_fault_itself():
    assert pickle_diagnosis.of_call(closure(), (), {}) == f"function {closure().__qualname__}", (
        "pickled by its name, not by what it holds"
    )
    assert pickle_diagnosis.of_call(closure(), (), {}, cloudpickle.CloudPickler) == "held in inner → _thread.lock"


@pytest.mark.parametrize("pickler", [pickle.Pickler, cloudpickle.CloudPickler])
def test_what_is_nested_too_deeply_is_named_where_nothing_else_fails(pickler):
    assert pickle_diagnosis.of_call(work, (1, deep()), {}, pickler) == "x → list (nested too deeply)"
    assert pickle_diagnosis.of_call(work, (deep(), LOCK), {}, pickler) == "x → _thread.lock"


def test_a_function_that_is_partly_called_is_told_by_its_arguments():
    assert pickle_diagnosis.of_call(functools.partial(work, x={"k": LOCK}), (1,), {}) == "x['k'] → _thread.lock"
    assert pickle_diagnosis.of_call(LAMBDA, (), {}) == "function <lambda>"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"k": LOCK}, "it['k'] → _thread.lock"),
        ((0, None, work, (1,), {"x": LOCK}), "x → _thread.lock"),
        ((0, 1, multiprocessing.pool.mapstar, ((work, (1, [LOCK])),), {}), "config[0] → _thread.lock"),
        ((0, 1, (True, {"r": LOCK})), "result['r'] → _thread.lock"),
    ],
)
def test_what_an_engine_gave_to_a_pickler_is_in_the_traceback(value, path):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with receiver, sender, pytest.raises(TypeError) as caught:
        sender.send(value)

    assert pickle_diagnosis.of_traceback(caught.value.__traceback__, "it") == path


def test_what_the_users_own_line_pickles_is_the_users():
    with pytest.raises(TypeError) as caught:
        multiprocessing.reduction.ForkingPickler.dumps(LOCK)

    assert pickle_diagnosis.of_traceback(caught.value.__traceback__, "it") == ""
    assert pickle_diagnosis.of_traceback(None, "it") == ""


def test_a_process_is_told_by_its_call():
    process = multiprocessing.get_context("spawn").Process(target=work, args=(1,), kwargs={"x": LOCK})
    with pytest.raises(TypeError) as caught:
        process.start()

    assert pickle_diagnosis.of_traceback(caught.value.__traceback__, "it") == "x → _thread.lock"


def test_what_a_process_may_be_given_as_it_starts_is_not_at_fault():
    context = multiprocessing.get_context("spawn")
    mine, other = context.Pipe()
    given = [context.Queue(), context.SimpleQueue(), context.Lock(), mine, LOCK]
    process = context.Process(target=work, args=(given,))
    with pytest.raises(TypeError) as caught:
        process.start()

    assert pickle_diagnosis.of_traceback(caught.value.__traceback__, "it") == "config[4] → _thread.lock"
    assert multiprocessing.context.get_spawning_popen() is None
    with pytest.raises(RuntimeError, match="inheritance"):
        multiprocessing.reduction.ForkingPickler.dumps(given[1])
    mine.close(), other.close(), given[0].close()


def test_the_arguments_of_a_pools_initializer_are_told_and_not_its_queues():
    with pytest.raises(TypeError) as caught:
        multiprocessing.get_context("spawn").Pool(1, initializer=work, initargs=({"model": LOCK},))

    assert pickle_diagnosis.of_traceback(caught.value.__traceback__, "it") == "initargs[0]['model'] → _thread.lock"


def nested(depth):
    value = LOCK
    for _ in range(depth):
        value = [value]
    return value


def test_the_search_ends_at_a_depth():
    assert pickle_diagnosis.of_result(nested(15)) == f"result{'[0]' * 15} → _thread.lock"
    assert pickle_diagnosis.of_result(nested(30)) == f"result{'[0]' * pickle_diagnosis.MAX_DEPTH} → list"


def test_a_part_that_is_larger_than_is_looked_at_is_taken_to_be_sound():
    assert pickle_diagnosis.of_result([b"x" * 20_000_000, LOCK]) == ""


def test_the_search_ends_after_a_number_of_parts():
    wide = {number: number for number in range(pickle_diagnosis.MAX_PARTS)} | {"last": LOCK}

    assert pickle_diagnosis.of_result(wide) == "result → dict"


def test_a_pickler_that_does_not_work_here_blames_nobody():
    def broken(file):
        raise TypeError

    assert pickle_diagnosis.of_result([LOCK], broken) == ""


def test_the_engines_own_pickler_decides():
    class Takes(pickle.Pickler):
        def reducer_override(self, value):
            return (str, ()) if value is LOCK else NotImplemented

    assert pickle_diagnosis.of_result([LOCK], Takes) == ""
