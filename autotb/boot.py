"""What start-up runs: the opt-out, the excepthook and the import hook.

Flows in: the ``autotb.pth`` line, or ``autotb.install()``.  Flows out: a finder on ``sys.meta_path`` that loads an engine's
adapter when the engine is imported.  Nothing of ours but the generated table of triggers is imported before that.
"""

import os
import sys

OFF = ("0", "off", "false", "no")
_started = False
_hooked = False  # whether start-up itself put our hook on sys.excepthook
problems = []  # what went wrong inside autotb, for doctor


def main():
    """Switch autotb on in this interpreter.  Harmless when called twice; does nothing under ``AUTOTB=0``."""
    global _started
    if _started or os.environ.get("AUTOTB", "").lower() in OFF:
        return
    _started = True
    try:
        start()
    except Exception as error:
        report("start-up", error)


def start():
    global _hooked
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = excepthook
        _hooked = True
    for finder in sys.meta_path:
        if type(finder) is Finder:
            return
    sys.meta_path.insert(0, Finder())


def report(where, error):
    """One line on stderr; errors of ours never become the program's."""
    problems.append(f"{where}: {type(error).__name__}: {error}")
    try:
        sys.stderr.write(f"autotb: {where} failed ({type(error).__name__}: {error}); Python goes on without it\n")
    except Exception:
        pass  # stderr may be None or closed: there is nobody left to tell


def excepthook(kind, value, traceback):
    """Show an uncaught exception as autotb does; Python's own display where that fails."""
    try:
        from autotb.hooks.interpreter import show_uncaught
    except BaseException as error:
        sys.__excepthook__(kind, value, traceback)
        report("loading the renderer", error)
    else:
        show_uncaught(kind, value, traceback)


class Finder:
    """Steps aside for every name that is not an engine's; puts a :class:`Loader` before the real one for those that are."""

    _triggers = None

    def find_spec(self, name, path=None, target=None):
        triggers = self._triggers
        if triggers is None:
            triggers = read_triggers()
        if name not in triggers:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module") and type(spec.loader) is not Loader:
                    spec.loader = Loader(spec.loader, triggers[name])
                return spec
        return None


def read_triggers():
    Finder._triggers = {}  # importing the table comes back here
    try:
        from autotb._triggers import TRIGGERS
    except Exception as error:
        report("reading the table of engines", error)
    else:
        Finder._triggers = TRIGGERS
    return Finder._triggers


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
        adapters = load(self._adapters)
        for adapter, patch in adapters:
            guarded(patch.before, adapter, name)
        real.exec_module(module)
        for adapter, patch in adapters:
            guarded(patch.after, adapter, name)


def load(names):
    """The adapters of these names, each with our patch module; one that cannot be imported is reported and left out."""
    found = []
    for name in names:
        try:
            __import__(name)
            __import__("autotb.patch")
            found.append((sys.modules[name], sys.modules["autotb.patch"]))
        except Exception as error:
            report("loading " + name, error)
    return found


def guarded(function, adapter, name):
    try:
        function(adapter, name)
    except Exception as error:
        report(f"{adapter.__name__} ({name})", error)
