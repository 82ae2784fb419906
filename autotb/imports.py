"""What autotb's own code imports after start-up comes from the standard library, site-packages and this package alone.

A ``random.py`` beside the user's script must not run because something failed.  Our modules are loaded with an ``__import__`` of
their own; while one of them runs, and ``with own``, the imports that this thread makes for us are looked up by ``aside``.
Other threads, and the user's code that runs in the midst of ours, import as ever.

Flows in: ``boot``'s finder, import statements of ours.  Flows out: specs and modules.
"""

import _thread
import builtins
import os
import sys

from autotb import boot
from autotb.import_hook import Loader

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Start-up has these already, or they serve the program's own ``import autotb`` and command lines: they import as any library.
_AS_ANY = {
    "boot",
    "import_hook",
    "_triggers",
    "imports",
    "aside",
    "instrument",
    "instrument.code_swap",
    "api",
    "cli",
    "flow",
    "futures",
}
_AS_ANY |= {"__main__"}
_AS_ANY_IN = ("cli.", "flow.", "futures.")
# Engines bring these while the program still succeeds: nothing is looked for then.
_EARLY = {"engines", "environments", "hooks", "record", "engine_facts", "surface", "uncaught", "project"}
_EARLY |= {"record.callsite", "record.ownership", "record.safe_repr", "record.inputs", "record.static"}
_EARLY_IN = ("engines.", "environments.", "hooks.", "instrument.")
NEEDED = {"rich", "pygments", "markdown_it", "mdurl", "commonmark", "typing_extensions", "exceptiongroup", "tomli"}
busy = {}  # by thread: what it imports for us at this moment
apart = None  # aside.import_, once the program turned out to have files that are named like what we import


class Session:
    """What one thread imports for us: how often it entered, the names, and whether one of them is a name of the user's too."""

    __slots__ = ("depth", "names", "tainted")

    def __init__(self):
        self.depth, self.names, self.tainted = 0, [], False


class Future:
    """Stands for ``__future__``, whose names the compiler alone has a use for."""

    def __getattr__(self, name):
        return name


class Own:
    """``with own:`` what this thread imports is for us, but where the user's code does it."""

    def __enter__(self):
        thread = _thread.get_ident()
        session = busy.get(thread)
        if session is None:
            session = busy[thread] = Session()
        session.depth += 1

    def __exit__(self, *error):
        thread = _thread.get_ident()
        session = busy.get(thread)
        if session is not None:
            session.depth -= 1
            if session.depth <= 0:
                del busy[thread]
                if session.tainted:
                    _aside().forget(session)


own, future = Own(), Future()


def import_(name, globals=None, locals=None, fromlist=(), level=0):
    """The ``__import__`` of our modules."""
    top = name.partition(".")[0]
    if top == "autotb":
        return real(name, globals, locals, fromlist, level)
    if name == "__future__":
        return future
    if not level and top not in NEEDED and top not in sys.stdlib_module_names and not _is_aside(globals):
        return _as_the_program(name, globals, locals, fromlist)
    if apart is None and name not in sys.modules:
        _aside().decide()
    if apart is not None:
        return apart(name, globals, fromlist, level)
    with own:
        return real(name, globals, locals, fromlist, level)


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


real = builtins.__import__
_PathFinder = boot.files.PathFinder
names = {**vars(builtins), "__import__": import_}  # the builtins of our modules


def find(name, path):
    """A spec where the module is ours, or is wanted by us; None leaves the matter to the other finders."""
    if name.startswith("autotb."):
        return _find_own(name, path)
    session = busy.get(_thread.get_ident())
    if session is None:
        return None
    return _aside().find(name, path, session, sys._getframe(3))


def _find_own(name, path):
    for finder in sys.meta_path:
        if finder is not boot.finder and hasattr(finder, "find_spec"):
            spec = boot.near(name, path) if finder is _PathFinder else None
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
        module.__builtins__ = names
        with own:
            self._real.exec_module(module)


def is_the_users(name):
    """Whether a name that we need is one of the program's own modules, loaded or not."""
    return apart is not None and name in _aside().users


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
            boot.report("tidying up after a fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
