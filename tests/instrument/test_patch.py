"""Every patch of every adapter: the names it keeps, the pickles it leaves alone, on and off in every order."""

from __future__ import annotations

import importlib
import importlib.util
import inspect

import pytest

from autotb.cli import triggers
from autotb.instrument import code_swap, patch
from tests import programs

ADAPTERS = sorted(triggers.adapters())


def test_the_table_of_triggers_is_fresh():
    assert triggers.TABLE.read_text(encoding="utf-8") == triggers.table()


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_declares_what_the_others_need(name):
    adapter = importlib.import_module(name)

    assert adapter.__doc__
    assert isinstance(adapter.NAME, str)
    assert isinstance(adapter.CAPTURED, str)
    assert adapter.DISTRIBUTION is None or isinstance(adapter.DISTRIBUTION, str)
    for declared in adapter.PATCHES:
        assert declared.wrap.__doc__, f"{declared.wrap.__name__} does not say why it is there"
        assert declared.costs, f"{declared.qualname} does not say what is lost without it"


ORDERS = """
import importlib, sys
ORDER, MODULES = sys.argv[1], sys.argv[2].split(",")

def targets():
    from autotb.cli.triggers import adapters
    for name in adapters():
        adapter = importlib.import_module(name)
        for declared in adapter.PATCHES:
            if declared.module in sys.modules:
                owner = sys.modules[declared.module]
                *path, last = declared.qualname.split(".")
                for part in path:
                    owner = getattr(owner, part)
                yield f"{declared.module}.{declared.qualname}", owner, last

def state():
    return {name: (found, code(found)) for name, owner, last in targets() for found in [vars(owner).get(last)]}

def code(found):
    return getattr(getattr(found, "__func__", found), "__code__", None)

def is_ours(found):
    return found[1] is not None and found[1].co_name == "<autotb>"

import autotb
autotb.uninstall()
sys.excepthook = sys.__excepthook__
for step in ORDER:
    if step == "e":
        for module in MODULES:
            importlib.import_module(module)
    elif step == "i":
        autotb.install()
    elif step == "u":
        assert autotb.uninstall() == []
if ORDER.rstrip("e").endswith("u") and ORDER.index("e") < ORDER.index("i"):
    bare = state()
    autotb.install()
    patched = state()
    assert any(patched[name][1] is not bare[name][1] for name in bare)
    autotb.install()
    assert state() == patched
    autotb.uninstall()
    after = state()
    same = {name: (one is other, code is former) for name in bare for one, code, other, former in [(*after[name], *bare[name])]}
    assert all(map(all, same.values())), [name for name, both in same.items() if not all(both)]
    assert sys.excepthook is sys.__excepthook__
    assert not any(map(is_ours, after.values()))
elif ORDER.endswith("i") or ORDER.endswith("e"):
    if "asyncio.base_events" in sys.modules:
        sys.modules["asyncio.base_events"].BaseEventLoop()  # whose adapter waits for the first one
    found = state()
    assert found and all(map(is_ours, found.values())), found
print("fine")
"""
STDLIB = "threading,concurrent.futures.thread,concurrent.futures.process,multiprocessing.pool,asyncio"


@pytest.mark.parametrize("order", ["ie", "ei", "iie", "eii", "eiu", "eiiuu", "euiu", "iue", "iuie"])
def test_every_order_of_import_install_and_uninstall(tmp_path, order):
    ran = programs.run(tmp_path, ORDERS.replace('ORDER.endswith("e")', 'ORDER.endswith("ie")'), order, STDLIB)

    assert ran.stdout == "fine\n", ran.stderr


PICKLES = """
import importlib, pickle, sys, types
import cloudpickle, dill
for module in sys.argv[2].split(","):
    importlib.import_module(module)
import autotb
autotb.install()
from autotb.instrument import patch

CODE = "import pickle, sys; sys.path[:0] = []; value = pickle.loads(bytes.fromhex(sys.stdin.read())); print(callable(value))"
for entry in patch.applied.values():
    if entry.state != patch.APPLIED or entry.patch.module.startswith("autotb"):
        continue
    function = entry.function
    for pickler in (pickle, cloudpickle, dill):
        data = pickler.dumps(function)
        assert b"autotb" not in data, (entry.patch.qualname, pickler.__name__)
        assert pickler.loads(data) is function or pickler is not pickle
from concurrent.futures import Future, ThreadPoolExecutor
taken = Future.result

def closure():
    return taken, ThreadPoolExecutor.submit

for pickler in (cloudpickle, dill):
    data = pickler.dumps(closure)
    assert b"autotb" not in data, pickler.__name__
print("fine")
"""


def test_patched_functions_pickle_as_their_originals(tmp_path):
    ran = programs.run(tmp_path, PICKLES, "", STDLIB)

    assert ran.stdout == "fine\n", ran.stderr


@pytest.mark.parametrize("module", [*STDLIB.split(","), "ray", "parsl"])
def test_signatures_and_names_are_kept(module):
    importlib.import_module(module)
    import autotb

    autotb.install()
    own = [entry for entry in patch.applied.values() if entry.patch.module.startswith(module.partition(".")[0])]
    assert any(entry.state == patch.APPLIED for entry in own)
    for entry in patch.applied.values():
        if entry.state == patch.APPLIED:
            old, new = entry.twin, entry.function
            assert new.__name__ == old.__name__
            assert new.__module__ == entry.patch.module or entry.owner is None
            assert inspect.signature(new) == inspect.signature(old)
            assert inspect.iscoroutinefunction(new) == inspect.iscoroutinefunction(old)
            if code_swap.can_be(old):  # a generator cannot: another function stands in its place
                assert inspect.getsourcefile(new) == inspect.getsourcefile(old)
                assert inspect.getsource(new) == inspect.getsource(old)


def test_a_function_whose_code_somebody_exchanged_stays_and_is_reported(tmp_path):
    ran = programs.run(
        tmp_path,
        """
        import autotb, concurrent.futures.thread
        from concurrent.futures import Future
        Future.result.__code__ = (lambda self, timeout=None: 7).__code__
        print(autotb.uninstall(), Future().result())
        """,
    )

    assert ran.stdout == "['concurrent.futures._base.Future.result'] 7\n"


BROKEN = """
import sys
sys.argv = ["x"]
from autotb.record import annotate, build, capture, pickling
import autotb.instrument.engine_frames as worker
def broken(*args, **kwargs):
    raise RuntimeError("ours")
for module, name in ((build, "record"), (annotate, "note_submitted"), (annotate, "note_live"), (pickling, "travelling"), (worker, "place_of")):
    setattr(module, name, broken)
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool

def work(x):
    return 1 / x

if __name__ == "__main__":
    for kind in (ProcessPoolExecutor, ThreadPoolExecutor):
        with kind(1) as pool:
            print(pool.submit(work, 2).result())
            try:
                pool.submit(work, 0).result()
            except ZeroDivisionError as error:
                print(repr(error))
    for kind in (Pool, ThreadPool):
        with kind(1) as pool:
            print(pool.map(work, [2]))
            try:
                pool.map(work, [0])
            except ZeroDivisionError as error:
                print(repr(error))
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work, 0).result()
"""


def test_errors_inside_autotb_never_replace_the_users(tmp_path):
    ran = programs.run(tmp_path, BROKEN)

    assert ran.stdout == "0.5\nZeroDivisionError('division by zero')\n" * 2 + "[0.5]\nZeroDivisionError('division by zero')\n" * 2
    assert ran.last == "ZeroDivisionError: division by zero"
    assert any(head.endswith("in work") for head in ran.heads), ran.stderr  # from the engine's text
    assert ran.status == 1


LIFETIME = """
import gc, weakref
from concurrent.futures import Future, ThreadPoolExecutor, ProcessPoolExecutor

class Thing:
    pass

def work(thing):
    raise ValueError("x")

gc.disable()
with ThreadPoolExecutor(1) as pool:
    thing = Thing()
    watch = weakref.ref(thing)
    future = pool.submit(work, thing)
    try:
        future.result()
    except ValueError as error:
        kept = error
    futures = weakref.ref(future)
    del future
    assert futures() is None, "the future is kept alive"
    del thing
    kept.__traceback__ = None
    pool.submit(int).result()
    assert watch() is None, "the argument is kept alive"
print("fine")
"""


def test_nothing_of_the_users_is_kept_alive(tmp_path):
    assert programs.run(tmp_path, LIFETIME, autotb="0").stdout == "fine\n"

    ran = programs.run(tmp_path, LIFETIME)

    assert ran.stdout == "fine\n", ran.stderr
