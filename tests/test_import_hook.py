"""An engine's module runs as it would, with its adapters told before and after; what goes wrong with those is reported."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pickle
import sys
from types import ModuleType, SimpleNamespace

import pytest

from autotb import first_use, import_hook, runtime
from autotb.import_hook import Loader


@pytest.fixture(autouse=True)
def reported(monkeypatch):
    found = []
    monkeypatch.setattr(runtime, "report", lambda where, error: found.append((where, type(error))))
    return found


class Real:
    """A loader as an engine's may be."""

    path = "/engine.py"

    def __init__(self, order=None):
        self.order = order if order is not None else []

    def __eq__(self, other):
        return type(other) is Real

    def __hash__(self):
        return 7

    def __repr__(self):
        return "<real>"

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.order.append(("runs", module.__spec__.loader is self, module.__loader__ is self))


def engine(loader):
    return importlib.util.module_from_spec(importlib.machinery.ModuleSpec("an_engine", loader))


def test_the_loader_is_the_real_one_in_every_respect():
    real = Real()
    loader = Loader(real, ())

    assert isinstance(loader, Real)
    assert (loader.path, repr(loader), hash(loader)) == ("/engine.py", "<real>", 7)
    assert loader == real
    assert Loader(real, ()) == loader


def test_the_loader_is_pickled_as_the_real_one():
    real = importlib.machinery.SourceFileLoader("name", "/there.py")

    assert type(pickle.loads(pickle.dumps(Loader(real, ())))) is importlib.machinery.SourceFileLoader


def test_a_loader_that_is_only_being_made_has_no_attributes():
    with pytest.raises(AttributeError):
        Loader.__new__(Loader).path  # noqa: B018


def test_adapters_are_told_before_and_after_and_the_module_never_sees_our_loader(monkeypatch):
    real = Real()
    tell = [lambda *args, when=when: real.order.append((when, *args)) for when in ("before", "after")]
    monkeypatch.setattr(import_hook, "load", lambda names: [(*names, *tell)])
    module = engine(Loader(real, ("adapter",)))
    module.__spec__.loader.exec_module(module)

    assert real.order == [("before", "adapter", "an_engine"), ("runs", True, True), ("after", "adapter", "an_engine")]


def test_an_adapter_that_fails_fails_alone(monkeypatch, reported):
    def fails(adapter, name):
        raise ValueError

    real = Real()
    monkeypatch.setattr(import_hook, "load", lambda names: [("adapter", fails, fails)])
    module = engine(Loader(real, ("adapter",)))
    module.__spec__.loader.exec_module(module)

    assert len(real.order) == 1
    assert [kind for _, kind in reported] == [ValueError, ValueError]
    assert reported[0][0].endswith("fails an_engine")


def test_an_engines_own_error_is_not_ours(monkeypatch, reported):
    class Fails(Real):
        def exec_module(self, module):
            raise KeyError("the engine's")

    monkeypatch.setattr(import_hook, "load", lambda names: [])
    module = engine(Loader(Fails(), ()))
    with pytest.raises(KeyError):
        module.__spec__.loader.exec_module(module)
    assert reported == []


def test_an_adapter_that_cannot_be_had_is_reported_and_the_others_are_there(reported):
    found = import_hook.load(["autotb.engines.no_such", "autotb.engines.threads"])

    assert [adapter.__name__ for adapter, _, _ in found] == ["autotb.engines.threads"]
    assert reported == [("loading autotb.engines.no_such", ModuleNotFoundError)]


def test_a_module_of_ours_that_is_empty_is_found_out_before_it_is_called():
    adapter, helper, empty = ModuleType("autotb.adapter"), ModuleType("autotb.helper"), ModuleType("autotb.empty")
    adapter.helper, helper.empty, helper.back = helper, empty, adapter  # a circle ends all the same
    with pytest.raises(ImportError, match="autotb.empty is empty"):
        import_hook.check(adapter, set())

    empty.something = 1
    import_hook.check(adapter, set())


def finder(spec):
    return SimpleNamespace(find_spec=lambda name, path, target: spec)


def test_a_spec_is_found_by_the_others_and_its_loader_replaced_once(monkeypatch):
    spec = importlib.machinery.ModuleSpec("an_engine", Real())
    ours = SimpleNamespace(triggers={"an_engine": ("adapter",)}, find_spec=None)
    monkeypatch.setattr(sys, "meta_path", [ours, object(), finder(None), finder(spec)])
    for _ in range(2):
        assert import_hook.find(ours, "an_engine", None, None) is spec

    assert type(spec.loader) is Loader
    assert type(spec.loader._real) is Real


def test_a_loader_of_the_old_kind_stays_as_it_is(monkeypatch):
    spec = importlib.machinery.ModuleSpec("an_engine", object())
    ours = SimpleNamespace(triggers={"an_engine": ("adapter",)})
    monkeypatch.setattr(sys, "meta_path", [finder(spec)])

    assert type(import_hook.find(ours, "an_engine", None, None).loader) is object


def test_a_module_that_nobody_finds_is_not_found(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [finder(None)])

    assert import_hook.find(SimpleNamespace(triggers={"an_engine": ()}), "an_engine", None, None) is None


@pytest.fixture
def late(monkeypatch):
    """A module of which few programs call anything; ``use`` is noted in ``applied``."""
    for name in ("held", "waiting"):
        monkeypatch.setattr(first_use, name, type(getattr(first_use, name))())
    monkeypatch.setattr(import_hook, "LATE", {"late": ("Pool.start", "Pool.stop")})
    module = ModuleType("late")
    exec("class Pool:\n    def start(self):\n        return 'started'\n    def stop(self): ...", module.__dict__)
    module.applied = []

    def load(names):
        module.applied.append(names)
        return [("adapter", None, lambda adapter, name: None)]

    monkeypatch.setattr(import_hook, "load", load)
    return module


def test_a_late_modules_adapters_are_loaded_by_its_first_call_and_only_then(late):
    own = late.Pool.start
    import_hook.wait_for_use(late, ("adapter",))
    assert late.applied == []

    assert [late.Pool().start() for _ in range(2)] == ["started", "started"]
    assert late.applied == [("adapter",)]
    assert late.Pool.start is own


def test_what_the_engine_has_made_is_noted_as_it_was(late):
    start, stop = late.Pool.start, late.Pool.stop
    import_hook.wait_for_use(late, ("adapter",))

    assert first_use.held == {"late.Pool.start": start, "late.Pool.stop": stop}


def test_a_wrapper_that_somebody_has_made_of_our_code_calls_the_engines(late):
    import_hook.wait_for_use(late, ("adapter",))
    code = late.Pool.start.__code__
    start = late.Pool.start
    copied = type(start)(code, start.__globals__)
    start.__code__ = compile("def f(self): return 'theirs'", "", "exec").co_consts[0]

    assert copied(late.Pool()) == "started"
    assert late.Pool().start() == "theirs"


def test_a_script_of_a_late_modules_name_is_left_alone(late):
    del late.Pool
    import_hook.wait_for_use(late, ("adapter",))

    assert (first_use.waiting, late.applied) == ([], [])


def test_a_compiled_function_has_its_adapter_at_once(late):
    late.Pool.start = len
    import_hook.wait_for_use(late, ("adapter",))

    assert late.applied == [("adapter",)]


def test_a_forked_child_imports_anew_what_another_thread_was_importing(monkeypatch):
    locks = sys.modules["_frozen_importlib"]._module_locks
    monkeypatch.setitem(locks, "autotb.half", object())
    monkeypatch.setitem(locks, "users.half", object())
    monkeypatch.setitem(sys.modules, "autotb.half", ModuleType("autotb.half"))
    import_hook.finish_imports()

    assert "autotb.half" not in locks
    assert "users.half" in locks
    assert "autotb.half" not in sys.modules


def test_a_threads_error_that_nobody_shows_is_pythons(monkeypatch):
    import threading

    shown = []
    monkeypatch.setattr(threading, "__excepthook__", shown.append)
    args = SimpleNamespace(exc_type=ValueError)
    for answer in (True, False):
        surface = SimpleNamespace(events=SimpleNamespace(thread_failed=lambda args, answer=answer: answer))
        monkeypatch.setattr(import_hook, "open_surface", lambda surface=surface: surface)
        import_hook.thread_excepthook(args)
    assert shown == [args]


def test_a_threads_exit_is_pythons(monkeypatch):
    import threading

    shown = []
    monkeypatch.setattr(threading, "__excepthook__", shown.append)
    surface = SimpleNamespace(events=SimpleNamespace(thread_failed=lambda args: True))
    monkeypatch.setattr(import_hook, "open_surface", lambda: surface)
    import_hook.thread_excepthook(SimpleNamespace(exc_type=SystemExit))

    assert len(shown) == 1
