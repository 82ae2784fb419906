"""Loads an engine's adapter when the engine is imported, and tells it before and after the engine's module runs.

Flows in: ``boot``'s finder, for the modules of ``_triggers``.  Flows out: calls of ``patch.before`` and ``patch.after``.
"""

import os
import sys

from autotb import first_use


def find(ours, name, path, target, spec=None):
    """The real spec of an engine's module, its loader in a :class:`Loader`."""
    for finder in sys.meta_path:
        if spec is not None:
            break
        if finder is not ours and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
    if spec is not None and hasattr(spec.loader, "exec_module") and type(spec.loader) is not Loader:
        spec.loader = Loader(spec.loader, ours.triggers[name])
    return spec


class Loader:
    """The real loader in every respect, but that adapters are told before and after the module runs.

    It takes itself off the module before the module runs: engines pickle their modules' globals by value.
    """

    def __init__(self, real, adapters):
        self._real = real
        self._adapters = adapters

    @property
    def __class__(self):
        return type(self._real)

    def __getattr__(self, name):
        if name in ("_real", "_adapters"):  # an instance that is being unpickled has no attributes yet
            raise AttributeError(name)
        return getattr(self._real, name)

    def __reduce__(self):
        return self._real.__reduce_ex__(4)

    def __eq__(self, other):
        return self._real == (other._real if type(other) is Loader else other)

    def __hash__(self):
        return hash(self._real)

    def __repr__(self):
        return repr(self._real)

    def create_module(self, spec):
        create = getattr(self._real, "create_module", None)
        return create(spec) if create is not None else None

    def exec_module(self, module):
        real = self._real
        spec = getattr(module, "__spec__", None)
        if spec is not None:
            spec.loader = real
        if type(getattr(module, "__loader__", None)) is Loader:
            module.__loader__ = real
        name = module.__name__
        if name in LATE:
            real.exec_module(module)
            guarded(wait_for_use, module, self._adapters)
            return
        adapters = load(self._adapters)
        for adapter, before, _ in adapters:
            guarded(before, adapter, name)
        real.exec_module(module)
        for adapter, _, after in adapters:
            guarded(after, adapter, name)


def load(names):
    """The adapters of these names, each with what patches before and after; one that cannot be had is reported and left out."""
    found = []
    for name in names:
        try:
            __import__(name)
            __import__("autotb.instrument.patch")
            open_surface()
            adapter, patch = sys.modules[name], sys.modules["autotb.instrument.patch"]
            check(adapter, set())
            found.append((adapter, patch.before, patch.after))
        except Exception as error:
            report("loading " + name, error)
    return found


def report(where, error):
    try:
        from autotb import runtime
    except Exception:
        return  # our files are gone
    runtime.report(where, error)


def open_surface():
    """What engines cannot handle goes up to where it is shown; that is loaded by the first such error."""
    from autotb import surface

    surface.fill(hooks)
    return surface


def hooks():
    from autotb.hooks import events

    return events


def check(module, seen):
    """Raise ImportError where a module of ours that this one needs was half written, and lacks names that are called later."""
    seen.add(module)
    for used in [*vars(module).values()]:
        if type(used) is type(sys) and used.__name__.startswith("autotb.") and used not in seen:
            if all(name.startswith("__") for name in vars(used)):
                raise ImportError(f"{used.__name__} is empty", name=used.__name__)
            check(used, seen)


def guarded(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        report(f"{function.__qualname__} {arguments[-1]}", error)


def finish_imports():
    """In a forked child: a module of ours that another thread was importing would wait for ever for that thread's lock."""
    try:
        locks = sys.modules["_frozen_importlib"]._module_locks
        for name in [name for name in locks if name.startswith("autotb.")]:
            del locks[name]
            sys.modules.pop(name, None)
    except Exception:
        pass  # an import system of another make


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=finish_imports)

# Nearly every program imports these, and few use them: their adapters are loaded by the first call of the first function, of
# one parameter; the others are noted as the engine has made them.
LATE = {
    "threading": ("Thread.start",),
    "asyncio.base_events": ("BaseEventLoop.__init__", "BaseEventLoop.default_exception_handler", "BaseEventLoop.create_task"),
}


def wait_for_use(module, adapters):
    """Some programs have more than one threading: eventlet and test suites import it anew, and go on with either."""
    name = module.__name__
    found = {f"{name}.{each}": first_use.function_of(module, each) for each in LATE[name]}
    function = next(iter(found.values()))
    if function is None:
        return  # a script of that name
    if name == "threading" and module.excepthook is module.__excepthook__:
        module.excepthook = thread_excepthook
    first_use.held.update(found)
    if type(function) is not type(first_use.stand_in):
        apply(name, adapters)  # compiled: it runs no code of ours
        return
    own = function.__code__

    def first(self):
        exchanged = function.__code__ is not code  # somebody has put code around ours since then, which has called us
        use(name, adapters, found)
        if exchanged:
            return type(function)(own, function.__globals__, "", function.__defaults__, function.__closure__)(self)
        return function(self)

    code = function.__code__ = first_use.code_of_stand_in(own, first)
    first_use.waiting.append((name, function, own, code))


def use(name, adapters, found):
    """A first call: another thread may be at its first one too, and nobody goes on without the adapter."""
    if first_use.waits(name):
        mine = first_use.lock.acquire(True, 10)
        try:
            if first_use.waits(name):
                first_use.held.update(found)
                apply(name, adapters)
        finally:
            if mine:
                first_use.lock.release()


def apply(name, adapters):
    found = load(adapters)
    first_use.stop_waiting(name)
    for adapter, _, after in found:
        guarded(after, adapter, name)


def thread_excepthook(args):
    """Show a thread's error; Python's own display where that fails."""
    threading = sys.modules["threading"]
    try:
        surface = open_surface()
    except Exception as error:
        threading.__excepthook__(args)
        report("loading the renderer", error)
    else:
        if args.exc_type is SystemExit or not surface.events.thread_failed(args):
            threading.__excepthook__(args)
