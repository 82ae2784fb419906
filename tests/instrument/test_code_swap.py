"""Functions that others wrap too: no patch of ours needs to stand outermost, and whoever holds a function holds the patched one.

Other tools put wrappers around the same functions, before ours and after, and take them off again; ours is taken off underneath.
"""

from __future__ import annotations

import sys

import pytest

EVERY = """
import asyncio, functools, importlib, os, sys, threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.pool import ThreadPool
from unittest import mock
import autotb, wrapt

MODULES = ["threading", "concurrent.futures.thread", "concurrent.futures.process", "multiprocessing.pool", "asyncio.base_events"]
for module in MODULES:
    importlib.import_module(module)
from autotb.cli.triggers import adapters
TARGETS = sorted({
    (declared.module, declared.qualname)
    for name in adapters() for declared in importlib.import_module(name).PATCHES
    if declared.module.startswith(("threading", "concurrent.futures.", "multiprocessing.", "asyncio.")) and declared.module in sys.modules
})
PICKLED = ("_rebuild_exc", "rebuild_exc")  # engines send these by name: what is put there must pickle, whoever puts it there
called = set()

def around(target, raw):
    function = raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw
    if WAY == "mock":
        return mock.create_autospec(function, side_effect=lambda *args, **kwargs: (called.add(target), function(*args, **kwargs))[1])
    def wrapper(*args, **kwargs):
        called.add(target)
        return function(*args, **kwargs)
    return functools.wraps(function)(wrapper) if WAY == "wraps" else wrapper

def wrap():
    for target in TARGETS:
        module, qualname = target
        owner = sys.modules[module]
        *path, name = qualname.split(".")
        for part in path:
            owner = getattr(owner, part)
        raw = vars(owner)[name]
        if name in PICKLED and WAY != "wraps" or WAY == "mock" and name.startswith("__"):
            continue
        if WAY == "wrapt":
            def notes(wrapped, instance, args, kwargs, target=target):
                called.add(target)
                return wrapped(*args, **kwargs)
            wrapt.wrap_function_wrapper(module, qualname, notes)
        else:
            new = around(target, raw)
            setattr(owner, name, type(raw)(new) if isinstance(raw, (staticmethod, classmethod)) else new)

def work(x):
    return 1 // x

def caught(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return repr(error)

async def awaited():
    asyncio.get_running_loop().call_exception_handler({"message": "told"})
    return await asyncio.to_thread(work, 1)

def use():
    said = []
    thread = threading.Thread(target=said.append, args=(1,))
    thread.start()
    thread.join()
    future = Future()
    future.set_exception(ValueError("x"))
    future.add_done_callback(lambda _: said.append("back"))
    said += [caught(future.result), repr(future.exception())]
    fork = get_context("fork")
    for pool in (ThreadPoolExecutor(1), ProcessPoolExecutor(1, mp_context=fork)):
        with pool:
            said += [caught(pool.submit(work, x).result) for x in (1, 0)]
    for pool in (ThreadPool(1), fork.Pool(1)):
        with pool:
            said += [caught(pool.apply, work, (x,)) for x in (1, 0)] + [list(pool.imap(work, [1]))]
            pool.close()
            pool.join()
    said.append(asyncio.run(awaited()))
    return said

for WAY in ("plain", "wraps", "wrapt", "mock"):
    for WHEN in ("before ours", "before the first use", "after it"):
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            if WHEN == "before ours":
                autotb.uninstall()
                wrap()
                autotb.install()
            else:
                if WHEN == "after it":
                    use()
                wrap()
            first, seen = use(), len(called)
            left = autotb.uninstall()
            called.clear()
            print(WAY, WHEN, first, seen, left, use() == first, len(called) == seen, flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            print(WAY, WHEN, "died")
"""


def test_every_function_is_wrapped_by_others_before_ours_and_after_and_ours_taken_off_underneath(run):
    ran = run(EVERY, timeout=110)
    bare = run(EVERY, timeout=110, autotb="0")

    assert ran.stdout == bare.stdout, ran.stderr
    assert len(ran.stdout.splitlines()) == 12
    assert "died" not in ran.stdout
    assert ran.stdout.count("True True") == 12


TOOLS = """
import asyncio, sys, threading
BEFORE, TOOL = sys.argv[1:]
if BEFORE == "started before":
    first = threading.Thread(target=int)
    first.start()
    first.join()
if BEFORE == "pools before":
    import concurrent.futures.process, concurrent.futures.thread
if TOOL == "sentry":
    import sentry_sdk
    sentry_sdk.init()
    off = lambda: None
else:
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor
    ThreadingInstrumentor().instrument()
    off = ThreadingInstrumentor().uninstrument
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
import autotb

def work(x):
    return 1 / x

def use():
    said = []
    threads = [threading.Thread(target=said.append, args=(1,)), threading.Timer(0, said.append, args=(1,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pool in (ThreadPoolExecutor(1), ProcessPoolExecutor(1, mp_context=get_context("fork"))):
        with pool:
            said.append(pool.submit(work, 2).result())
            said.append(repr(pool.submit(work, 0).exception()))
    said.append(asyncio.run(asyncio.to_thread(work, 1)))
    return said

print(use())
autotb.uninstall()
print(use())
off()
print(use())
autotb.install()
print(use(), flush=True)
with ThreadPoolExecutor(1) as pool:
    pool.submit(work, 0).result()
"""


@pytest.mark.on_main("started before", "pools before")
@pytest.mark.parametrize("tool", ["sentry", "opentelemetry"])
@pytest.mark.parametrize("before", ["nothing before", "started before", "pools before"])
def test_monitoring_tools_wrap_threads_and_pools(run, tool, before):
    ran = run(TOOLS, before, tool)
    bare = run(TOOLS, before, tool, autotb="0")

    assert ran.stdout == bare.stdout, ran.stderr
    assert ran.status == bare.status == 1
    assert len(ran.stdout.splitlines()) == 4
    assert any(line.startswith("in a thread-pool worker") or "in a thread-pool worker" in line for line in ran.lines), ran.stderr


MOCK = """
import threading
from unittest import mock
with mock.patch.object(threading.Thread, "start", autospec=True, side_effect=threading.Thread.start) as start:
    thread = threading.Thread(target=print, args=("started",))
    thread.start()
    thread.join()
    print(start.call_count, threading.Thread.start is start)
with mock.patch.object(threading.Thread, "start") as start:
    threading.Thread(target=print).start()
    print(start.call_count, threading.Thread.start is start)
thread = threading.Thread(target=print, args=("again",))
thread.start()
thread.join()
"""


def test_mocks_of_the_first_start(run):
    ran = run(MOCK)

    assert (ran.stdout, ran.stderr, ran.status) == ("started\n1 True\n1 True\nagain\n", "", 0)


TAKEN = """
import importlib, inspect, pickle, sys
import cloudpickle, dill
FIRST, MODULES = sys.argv[1], sys.argv[2].split(",")
import threading
from concurrent.futures._base import Future
import multiprocessing.process
taken = [threading.Thread.start, *(getattr(Future, name) for name in ("result", "exception", "add_done_callback", "set_exception")),
         multiprocessing.process.BaseProcess.start]
for module in MODULES:
    importlib.import_module(module)
import autotb
if FIRST == "install":
    from autotb.instrument import patch
    autotb.install()
    autotb.uninstall()
    for entry in list(patch.applied.values()):
        owner = sys.modules.get(entry.patch.module)
        for part in entry.patch.qualname.split("."):
            owner = getattr(owner, part, None)
        if owner is not None:
            taken.append(owner)
    autotb.install()

def closure():
    return taken

for function in taken:
    for pickler in (pickle, cloudpickle, dill):
        data = pickler.dumps(function)
        assert b"autotb" not in data, (function, pickler.__name__)
        assert pickler.loads(data) == function, (function, pickler.__name__)
    if inspect.isfunction(function):
        assert "autotb" not in inspect.getsourcefile(function), function
for pickler in (cloudpickle, dill):
    assert b"autotb" not in pickler.dumps(closure), pickler.__name__
print(len(taken), [pickle.dumps(function) for function in taken[:6]])
"""
PICKLED = "threading,concurrent.futures.thread,concurrent.futures.process,multiprocessing.pool,asyncio,logging,code"
ENGINES = "joblib,loky,multiprocess.pool,dask.local,dask.multiprocessing,distributed,parsl,pebble,mpire,ray"


def test_a_function_that_was_taken_before_its_patch_pickles(run):
    ran, bare = (run(TAKEN, "-", PICKLED, autotb=autotb) for autotb in "10")

    assert ran.stdout == bare.stdout, ran.stderr
    assert ran.status == 0


@pytest.mark.parametrize("modules", [PICKLED, ENGINES])
def test_every_function_that_was_taken_before_autotb_was_switched_on_pickles(run, modules):
    ran = run(TAKEN, "install", modules)

    assert ran.status == 0, ran.stderr
    assert int(ran.stdout.partition(" ")[0]) > 30


AUDITED = """
import sys
def refuse(event, args):
    if event == "object.__setattr__" and args[1] == "__code__":
        raise RuntimeError("no")
sys.addaudithook(refuse)
import threading
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
    print(pool.submit(int, "3").result())
"""


def test_where_no_code_may_be_exchanged_the_engine_is_left_as_it_is(run):
    ran = run(AUDITED)

    assert (ran.stdout, ran.status) == ("3\n", 0), ran.stderr
    assert len(ran.lines) <= 1


def test_others_find_the_functions_own_file_and_line(run):
    code = """
    import inspect, threading
    from concurrent.futures import Future, ThreadPoolExecutor
    for function in (threading.Thread.start, Future.result, ThreadPoolExecutor.submit):
        print(inspect.getsourcefile(function), inspect.getsourcelines(function), inspect.signature(function), vars(function))
        print(function.__code__.co_varnames[:function.__code__.co_argcount], function.__defaults__, function.__doc__)
    """
    ran, bare = run(code), run(code, autotb="0")

    assert ran.stdout == bare.stdout
    assert "threading.py" in ran.stdout


RAISES = """
import sys, threading, traceback
from concurrent.futures import Future, ThreadPoolExecutor
import multiprocessing.pool
thread = threading.Thread(target=int)
thread.start()
pool = ThreadPoolExecutor(1)
pool.shutdown()
future = Future()
future.set_exception(ValueError("x"))
for call in (thread.start, lambda: pool.submit(int), future.result, lambda: future.result(1, 2), lambda: Future.result(),
             lambda: Future().result(0), lambda: future.set_exception()):
    try:
        call()
    except BaseException:
        print("\\n".join(line for line in traceback.format_exc().splitlines()))
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 puts a frame that raises again into the traceback")
def test_what_a_patched_function_raises_has_pythons_own_traceback(run):
    ran, bare = run(RAISES), run(RAISES, autotb="0")

    assert ran.stdout == bare.stdout
    assert ran.stdout.count("Traceback") == 7


ANEW = """
import importlib, sys, threading
HOW, WHEN = sys.argv[1:]
import concurrent.futures._base, concurrent.futures.thread, multiprocessing.pool, queue
NAMES = ["threading", "queue", "concurrent.futures._base", "concurrent.futures.thread", "multiprocessing.pool"]

def loaded():
    return {name: importlib.import_module(name) for name in NAMES}

def taken_out():
    tops = {name.partition(".")[0] for name in NAMES}
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in tops}

def work(x):
    return 1 // x

def caught(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return repr(error)

def use(modules):
    said, threading = [], modules["threading"]
    for thread in (threading.Thread(target=said.append, args=(1,)), threading.Timer(0, said.append, args=(2,))):
        thread.start()
        thread.join()
    with modules["concurrent.futures.thread"].ThreadPoolExecutor(1) as pool:
        said += [caught(pool.submit(work, x).result) for x in (1, 0)]
    with modules["multiprocessing.pool"].ThreadPool(1) as pool:
        said += [caught(pool.apply, work, (x,)) for x in (1, 0)]
    pool.join()  # no thread may be ending while its module is loaded anew
    return said

first = loaded()
if WHEN == "used":
    print(use(first))
if HOW == "reloaded":
    second = {name: importlib.reload(module) for name, module in first.items()}
elif HOW == "threading alone":
    del sys.modules["threading"]
    second = {**first, "threading": importlib.import_module("threading")}
    sys.modules["threading"] = first["threading"]
else:
    former = taken_out()
    second = loaded()
    if HOW == "a copy":  # eventlet's way: the program goes on with the former ones
        taken_out()
        sys.modules.update(former)
import autotb
for modules in (first, second, first):
    print(use(modules), flush=True)
print(autotb.uninstall())
for modules in (first, second):
    print(use(modules), [vars(owner)[name].__code__.co_name for owner, name in (
        (modules["threading"].Thread, "start"), (modules["concurrent.futures.thread"].ThreadPoolExecutor, "submit"))], flush=True)
"""


@pytest.mark.parametrize("when", ["used", "unused"])
@pytest.mark.parametrize("how", ["reloaded", "threading alone", "a copy", "in its place"])
def test_a_module_that_is_imported_anew(run, how, when):
    ran = run(ANEW, how, when)
    bare = run(ANEW, how, when, autotb="0")

    assert ran.stdout == bare.stdout, ran.stderr
    assert (ran.status, ran.stderr) == (bare.status, bare.stderr) == (0, "")


EXCHANGED = """
import sys, types
from collections import Counter
WHEN = sys.argv[1]
import asyncio, threading, concurrent.futures.thread, concurrent.futures._base
import multiprocessing.pool, asyncio.base_events
seen = Counter()
TARGETS = [(threading.Thread, "start"), (concurrent.futures.thread.ThreadPoolExecutor, "submit"), (concurrent.futures._base.Future, "result"),
           (concurrent.futures._base.Future, "set_exception"), (multiprocessing.pool.Pool, "apply_async"), (asyncio.base_events.BaseEventLoop, "run_in_executor")]

def exchange():
    # As ddtrace does: the function stays, its code calls a copy of what it was.
    for owner, name in TARGETS:
        function = vars(owner)[name]
        copy = types.FunctionType(function.__code__, function.__globals__, name, function.__defaults__, function.__closure__)
        copy.__kwdefaults__ = function.__kwdefaults__
        space = function.__globals__
        space["_seen"], space["_copy_" + name] = seen, copy
        exec(f"def _{name}(*args, **kwargs):\\n _seen[{name!r}] += 1\\n return _copy_{name}(*args, **kwargs)", space)
        function.__code__ = space["_" + name].__code__

def work(x):
    return 1 // x

def use():
    said = []
    threads = [threading.Thread(target=said.append, args=(1,)), threading.Timer(0, said.append, args=(1,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with concurrent.futures.thread.ThreadPoolExecutor(1) as pool:
        said.append(pool.submit(work, 1).result())
        try:
            pool.submit(work, 0).result()
        except Exception as error:
            said.append(repr(error))
    with multiprocessing.pool.ThreadPool(1) as pool:
        said.append(pool.apply(work, (1,)))
    said.append(asyncio.run(asyncio.to_thread(work, 1)))
    return said

if WHEN == "after":
    print(use())
exchange()
for _ in range(2):
    print(use(), sorted(seen.items()), flush=True)
import autotb
print(len(autotb.uninstall()) >= 0)
print(use(), sorted(seen.items()))
autotb.install()
print(use(), sorted(seen.items()))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_others_exchange_the_code_of_a_function_too(run, when):
    ran = run(EXCHANGED, when)
    bare = run(EXCHANGED, when, autotb="0")

    assert ran.stdout == bare.stdout, ran.stderr
    assert (ran.status, ran.stderr) == (bare.status, bare.stderr) == (0, "")
