"""Finds autotb's own modules, and what they import.

Flows in: ``boot``'s finder, import statements of ours.  Flows out: specs and modules.
"""

import _thread
import sys

from autotb import imports
from autotb.import_hook import Loader, report
from autotb.imports import NEEDED, busy, own, real

# Start-up has these already, or they serve the program's own ``import autotb`` and command lines: they import as any library.
_AS_ANY = {"_triggers", "aside", "boot", "first_use", "import_hook", "imports", "own_finder", "plain_errors", "runtime"}
_AS_ANY |= {"instrument", "instrument.code_swap", "api", "cli", "flow", "futures", "__main__"}
_AS_ANY_IN = ("cli.", "flow.", "futures.")
# Engines bring these while the program still succeeds: nothing is looked for then.
_EARLY = {"engines", "environments", "hooks", "record", "assumption", "engine_facts", "surface", "uncaught", "project"}
_EARLY |= {"record.callsite", "record.ownership", "record.safe_repr", "record.inputs", "record.static"}
_EARLY_IN = ("engines.", "environments.", "hooks.", "instrument.")
_PathFinder = sys.modules["_frozen_importlib_external"].PathFinder


class Future:
    """Stands for ``__future__``, whose names the compiler alone has a use for."""

    def __getattr__(self, name):
        return name


future = Future()


def import_(name, globals=None, locals=None, fromlist=(), level=0):
    """The ``__import__`` of our modules."""
    top = name.partition(".")[0]
    if top == "autotb":
        module = sys.modules.get(name)  # the real one takes a microsecond, and a failure comes by here seven times
        if (
            module is not None
            and fromlist
            and len(fromlist) == 1
            and fromlist[0] in vars(module)
            and not _is_in_the_making(module)
        ):
            return module
        return real(name, globals, locals, fromlist, level)
    if name == "__future__":
        return future
    if not level and top not in NEEDED and top not in sys.stdlib_module_names and not _is_aside(globals):
        return _as_the_program(name, globals, locals, fromlist)
    if not imports.users and name not in sys.modules:
        _aside().decide()
    if imports.users:
        return _aside().import_(name, globals, fromlist, level)
    with own:
        return real(name, globals, locals, fromlist, level)


def _is_in_the_making(module):
    return getattr(module.__spec__, "_initializing", False)


def _is_aside(globals):
    return str((globals or {}).get("__name__")).startswith("autotb._aside.")


def _as_the_program(name, globals, locals, fromlist):
    """An engine, or what the user has chosen to install: found where the program finds it."""
    session = busy.pop(_thread.get_ident(), None)
    try:
        return real(name, globals, locals, fromlist, 0)
    finally:
        if session is not None:
            busy[_thread.get_ident()] = session


def find(ours, name, path):
    """A spec where the module is ours, or is wanted by us; None leaves the matter to the other finders."""
    if name.startswith("autotb."):
        return _find_own(ours, name, path)
    session = busy.get(_thread.get_ident())
    if session is None:
        return None
    return _aside().find(name, path, session, sys._getframe(3))


def _find_own(ours, name, path):
    for finder in sys.meta_path:
        if finder is not ours and hasattr(finder, "find_spec"):
            spec = ours.near(name, path) if finder is _PathFinder else None
            spec = spec or finder.find_spec(name, path, None)
            if spec is not None:
                if hasattr(spec.loader, "exec_module") and not _is_among(name, _AS_ANY, _AS_ANY_IN):
                    spec.loader = OwnLoader(spec.loader, ())
                return spec
    return None


def _is_among(name, modules, folders):
    rest = name[len("autotb.") :]
    return rest in modules or rest.startswith(folders)


class OwnLoader(Loader):
    """The real loader, for a module of ours: its imports are ours."""

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._real
        if not _is_among(module.__name__, _EARLY, _EARLY_IN):
            _aside().decide()
        module.__builtins__ = imports.names
        with own:
            self._real.exec_module(module)


def _aside():
    from autotb import aside

    return aside


def _after_fork():
    """In a forked child: what another thread was importing for us is as if it had not begun."""
    me = _thread.get_ident()
    others = {thread: busy.pop(thread) for thread in list(busy) if thread != me}
    if others:
        try:
            _aside().give_up(others)
        except Exception as error:
            report("tidying up after a fork", error)


imports.names["__import__"] = import_
if hasattr(sys.modules["os"], "register_at_fork"):
    sys.modules["os"].register_at_fork(after_in_child=_after_fork)
