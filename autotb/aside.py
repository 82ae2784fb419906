"""Where a program has files that are named like modules that we need (``random.py`` beside the script), ours are loaded aside.

They stand in ``sys.modules`` under names of their own, so that the program's later ``import random`` gets what it would have got.
Only what the standard library imports late, in a function that we call, is there under its own name, for that moment.

Flows in: ``imports``.  Flows out: modules of the standard library and of site-packages, never others.
"""

import _imp
import _thread
import os
import sys

from autotb import imports, runtime

PREFIX = "autotb._aside."
_NAMES = imports.NEEDED | sys.stdlib_module_names
_bootstrap = sys.modules["_frozen_importlib"]
_PathFinder = sys.modules["_frozen_importlib_external"].PathFinder
_lock = _thread.RLock()

_ALWAYS_SHARED = {*sys.builtin_module_names, "importlib"}  # the import system is one, and keeps its parts under fixed names
modules = {}  # what was loaded aside, by its real name
_genuine = set()  # loaded modules that are known to be none of the user's
_places = None
_seen = None  # the program's folders when they were looked through


def _stdlib():
    here = os.path.dirname(os.path.abspath(os.__file__))
    zipped = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    platform = os.path.join(sys.base_exec_prefix, getattr(sys, "platlibdir", "lib"))
    found = (
        os.path.join(os.path.dirname(here), zipped),
        here,
        os.path.realpath(here),
        os.path.join(here, "lib-dynload"),
        os.path.join(platform, os.path.basename(here), "lib-dynload"),
        os.path.join(sys.base_exec_prefix, "DLLs"),
    )
    return list(dict.fromkeys(found))


STDLIB = _stdlib()
_IMPORTLIB = os.path.join(STDLIB[1], "importlib") + os.sep
FROZEN = getattr(sys, "frozen", False) or not os.path.isfile(os.path.join(STDLIB[1], "os.py"))


def _folders_of_the_user():
    """The script's folder, the current one, and those of PYTHONPATH."""
    found = set()
    for name in ("__main__", "__mp_main__"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if type(file) is str:
            found |= {os.path.dirname(os.path.abspath(file)), os.path.dirname(os.path.realpath(file))}
    if not sys.flags.ignore_environment:
        found |= {os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path}
    try:
        found.add(os.getcwd())
    except OSError:
        pass  # it was removed: nothing is imported from it
    return found


class Places:
    """The folders of ``sys.path``: ``installed`` are those that packages are installed into, or that start-up files have added,
    ``others`` the program's; ``library`` begins the paths of code that is not the user's."""

    def __init__(self):
        users = _folders_of_the_user()
        prefixes = tuple({prefix + os.sep for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)})
        self.installed, self.others = [], []
        for entry in sys.path:
            if type(entry) is str and entry not in STDLIB:
                folder = os.path.abspath(entry)
                named = os.path.basename(folder) in ("site-packages", "dist-packages")
                added = named or folder.endswith(".whl") or entry in runtime.path  # the second in a pex
                holds_us = runtime.FOLDER.startswith(folder + os.sep) and os.path.isfile(folder)  # packed together in one archive
                good = (named and folder.startswith(prefixes)) or (added and folder not in users) or holds_us
                (self.installed if good else self.others).append(entry)
        self.library = ("<frozen ", *[entry + os.sep for entry in (*STDLIB, *self.installed)])

    def of(self, name):
        return STDLIB if name in sys.stdlib_module_names else self.installed


def _look():
    """The places as they are now; looked through again when the path has changed."""
    global _places
    key = (tuple(sys.path), os.environ.get("PYTHONPATH"), getattr(sys.modules.get("__main__"), "__file__", None))
    if _places is None or _places[0] != key:
        _places = (key, Places())
    return _places[1]


def decide():
    """Whether the program has files of its own under names of ours: then what is not loaded yet is loaded aside from now on."""
    global _seen
    if FROZEN:
        return  # there is no folder of the user's
    places = _look()
    seen = [(entry, _changed(entry)) for entry in places.others]
    if seen != _seen:
        _seen = seen
        for name in _named_in(places.others):
            his, ours = _spec(name, sys.path), _spec(name, places.of(name))
            differs = his is not None and (ours is None or his.origin != ours.origin)
            if differs and not (name in sys.modules and _is_genuine(name)):
                imports.users.add(name)
    loaded = (_NAMES & sys.modules.keys()) - _genuine
    imports.users.update(name for name in loaded if not _is_genuine(name))


def _changed(entry):
    try:
        return os.stat(entry or ".").st_mtime_ns
    except OSError:
        return None


def _named_in(folders):
    found = set()
    for entry in folders:
        try:
            found |= {file.partition(".")[0] for file in os.listdir(entry or ".")} & _NAMES
        except OSError:  # a zip file, or none at all
            if os.path.isfile(entry):
                found |= {name for name in _NAMES if _spec(name, [entry]) is not None}
    return found - set(sys.builtin_module_names)


def _spec(name, path):
    try:
        return _PathFinder.find_spec(name, path)
    except Exception:
        return None  # a finder of another make, or a folder that cannot be read now


def _is_genuine(name):
    """Whether the module that is loaded under this name is not the user's."""
    if name in _genuine:
        return True
    module = sys.modules.get(name)
    # No attribute is asked for: a module may be one that is loaded when it is first used.
    known = object.__getattribute__(module, "__dict__") if issubclass(type(module), type(sys)) else {}
    origin = getattr(known.get("__spec__"), "origin", None) or known.get("__file__")
    if name in sys.builtin_module_names or origin in ("built-in", "frozen"):
        good = bool(known)
    else:
        good = type(origin) is str and os.path.abspath(origin).startswith(_look().library)
    if good:
        _genuine.add(name)
    return good


def find(name, path, session, frame):
    """A spec for what this thread imports for us; ModuleNotFoundError for what only the user's folders have."""
    if FROZEN or not _for_us(name, frame):
        return None
    session.names.append(name)
    fixed = path is not None or name in sys.builtin_module_names or _imp.is_frozen(name)  # nothing can stand in for it
    if not fixed:
        decide()
    if imports.users:
        session.tainted = True
        if not _is_shared(name):
            return _bootstrap.ModuleSpec(name, HandOver())
    spec = None if fixed else _PathFinder.find_spec(name, _look().of(name))
    if spec is None and not fixed:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return spec


class HandOver:
    """Gives the module that was loaded aside to who asks for it under its own name, as ``importlib.import_module`` does."""

    def create_module(self, spec):
        with _lock:
            self.module = _load(spec.name)
        self.spec = self.module.__spec__
        return self.module

    def exec_module(self, module):
        module.__spec__ = self.spec


def _for_us(name, frame):
    """Whether it is our code that needs a module, itself or by a library: not the user's code that they have called.

    Where our code itself names something else, by importlib or in a pickle, it is the program's.
    """
    library = _look().library
    known = name.partition(".")[0] in _NAMES
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(runtime.FOLDER):
            return known
        if not path.startswith(library):
            return False
        known = known or not path.startswith(("<frozen ", _IMPORTLIB))
        frame = frame.f_back
    return False


def give_up(sessions):
    """In a forked child: threads that are no more leave no module half loaded, and no lock of one."""
    global _lock
    _lock = _thread.RLock()  # the thread that held it may be no more
    locks = getattr(_bootstrap, "_module_locks", {})
    for name in list(locks):
        lock = locks[name]()
        if getattr(lock, "owner", None) in sessions:
            del locks[name]
    for session in sessions.values():
        for name in session.names:
            _drop_half(name)
    for name in list(modules):
        _drop_half(PREFIX + name)


def _drop_half(name):
    if getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False):
        for each in [each for each in sys.modules if each == name or each.startswith(name + ".")]:
            del sys.modules[each]
            modules.pop(each.removeprefix(PREFIX), None)


def import_(name, globals, fromlist, level):
    """``__import__`` of the standard library and of site-packages, from a table of our own."""
    if level:
        package = (globals or {}).get("__package__") or ""
        name = _bootstrap._resolve_name(name, package, level)
        if not name.startswith(PREFIX):
            return imports.real(name, None, None, fromlist)
        name = name[len(PREFIX) :]
    with _lock, imports.own:
        module = _load(name)
        if type(fromlist) is list and not fromlist:
            return _for_the_interpreter(name, module)
        if not fromlist:
            return _load(name.partition(".")[0])
        if hasattr(module, "__path__"):
            for item in getattr(module, "__all__", ()) if "*" in fromlist else fromlist:
                if not hasattr(module, item):
                    _load_if_any(f"{name}.{item}")
        return module


def _for_the_interpreter(name, module):
    """Code in C takes a module from ``sys.modules`` once it is imported: there it is until what is done for us has ended.

    ``PyImport_Import`` gives an empty list of names, which nobody else does."""
    session = imports.busy[_thread.get_ident()]
    if session.depth > 1 and name not in sys.modules:
        sys.modules[name] = module
        session.names.append(name)
        session.tainted = True
    return module


def _load_if_any(name):
    try:
        _load(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise


def _is_shared(name):
    """Whether the program has the module, or the package that it is of, and it is the library's."""
    top = name.partition(".")[0]
    return top in _ALWAYS_SHARED or (top in sys.modules and top not in modules and _is_genuine(top))


def _load(name):
    top = name.partition(".")[0]
    if name in modules:
        return modules[name]
    if _is_shared(name):
        imports.real(name)
        return modules.setdefault(name, sys.modules[name]) if name != top else sys.modules[name]
    parent, _, child = name.rpartition(".")
    spec = _PathFinder.find_spec(PREFIX + name, _load(parent).__path__ if parent else _look().of(top))
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = _run(name, spec)
    if parent:
        setattr(modules[parent], child, module)
    return module


def _inside(name):
    return {each for each in sys.modules if each.startswith(name + ".")}


def _run(name, spec):
    module = _bootstrap.module_from_spec(spec)
    module.__builtins__ = imports.names
    before = _inside(name)
    sys.modules[spec.name] = modules[name] = module
    spec._initializing = True
    try:
        spec.loader.exec_module(module)
    except BaseException:
        modules.pop(name, None)
        sys.modules.pop(spec.name, None)
        raise
    finally:
        spec._initializing = False
    module = modules[name] = sys.modules[spec.name]  # some put another one in their place
    for each in _inside(name) - before:  # put there by the module itself: `collections.abc`, from Python 3.14 on
        modules[each] = sys.modules.pop(each)
    return module
