"""Wrap a function of a module once it is loaded; remember it; take it off again.

The function stays the object that it is and runs other code (``code_swap``): nobody can hold the one without the other.

Flows in: adapters' ``PATCHES``, and the boot loader's calls before and after an engine's module runs.  Flows out: functions
that call ours, and :data:`applied` for ``doctor``.
"""

from __future__ import annotations

import functools
import os
import sys
from types import FunctionType

from autotb import first_use
from autotb.instrument import code_swap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

APPLIED, ABSENT, LEFT, OFF, COVERED = "applied", "absent", "left in place", "off", "covered by another patch"


class Patch:
    """One function to wrap: ``wrap(original)`` gives what is called in its stead, with the function as it was to call.

    It is called from code that stands in for the function's own: who called the function is two frames up.  It takes what the
    function takes; one that takes anything (``*args, **kwargs``) is given what the caller gave, in the form that he gave it in.
    ``also`` names modules that imported a module-level function by name, ``alias`` a second name of a method in its class;
    ``optional`` says that some versions lack the target, ``costs`` what is lost where it is not patched.
    """

    __slots__ = ("alias", "also", "costs", "module", "optional", "qualname", "wrap")

    def __init__(
        self,
        module: str,
        qualname: str,
        wrap: Callable[[Any], Any],
        also: tuple[str, ...] = (),
        alias: str = "",
        optional: bool = False,
        costs: str = "",
    ) -> None:
        self.module, self.qualname, self.wrap, self.optional = module, qualname, wrap, optional
        self.also, self.alias, self.costs = also, alias, costs


class Applied:
    """A patch and what became of it."""

    def __init__(self, patch: Patch, adapter: str) -> None:
        self.patch = patch
        self.adapter = adapter
        self.state = OFF
        self.why = ""
        self.function: Any = None  # the engine's own, which runs code of ours by now, or our stand-in for it
        self.code: Any = None  # that code
        self.own: Any = None  # the function's own code
        self.twin: Any = None  # the function as it was
        self.owner: Any = None  # where a stand-in was put, and what stood there, descriptor and all
        self.name = ""
        self.raw: Any = None


applied: dict[tuple[str, str], Applied] = {}
earlier: list[Applied] = []  # of modules that were imported anew since then: parts of the program may go on with the former ones
noise: dict[str, str] = {}  # settings that we gave engines, for doctor
_prepared: set[str] = set()


def noise_is_kept() -> bool:
    """Whether the user wants the engines' own copies of an error."""
    try:
        from autotb import settings  # few patches ask
    except Exception:
        return True  # it may be that nothing can be shown in their place
    return bool(settings.value("noise") == "keep")


def before(adapter: ModuleType, name: str = "") -> None:
    """Give an engine its quiet settings just before it is imported, never over the user's own value."""
    begins = getattr(adapter, "begins", None)
    if begins is not None:
        begins(name)
    quieting = getattr(adapter, "NOISE", {})
    if not quieting or adapter.__name__ in _prepared or noise_is_kept():  # most have none, and then nobody reads a file
        return
    _prepared.add(adapter.__name__)
    for key, value in quieting.items():
        if key not in os.environ:
            os.environ[key] = value
            noise[key] = value


def after(adapter: ModuleType, name: str) -> None:
    """Apply an adapter's patches to the module ``name``, which has just run, and to its other modules that are loaded by now."""
    for patch in adapter.PATCHES:
        if patch.module == name or _is_ready(patch.module):
            put_on(patch, adapter.__name__)
    ready = getattr(adapter, "ready", None)
    if ready is not None:
        ready(name)


def together_with(name: str) -> None:
    """Apply another adapter too: an engine makes futures whose own module was not imported in the usual way."""
    import importlib

    after(importlib.import_module(name), "")


def _is_ready(module: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and not getattr(getattr(loaded, "__spec__", None), "_initializing", False)


def put_on(patch: Patch, adapter: str) -> Applied:
    """Wrap one target.  Harmless when it is wrapped already; a target that is missing is noted, nothing more."""
    key = (patch.module, patch.qualname)
    entry = applied.get(key) or Applied(patch, adapter)
    applied[key] = entry
    try:
        _wrap_target(entry)
    except AttributeError as error:
        entry.state, entry.why = ABSENT, str(error)
    except Exception as error:
        entry.state, entry.why = f"failed: {type(error).__name__}: {error}", str(error)
    return entry


def _wrap_target(entry: Applied) -> None:
    patch = entry.patch
    owner: Any = sys.modules[patch.module]
    *path, name = patch.qualname.split(".")
    for part in path:
        owner = getattr(owner, part)
    inherited = name not in vars(owner)
    raw = getattr(owner, name) if inherited else vars(owner)[name]
    function = _engines_own(patch, _function(raw))
    if code_swap.is_ours(function):
        if entry.state != APPLIED:  # inherited from a class that is wrapped, or another name of the same
            entry.state = COVERED
        return
    if inherited or not code_swap.can_be(function):
        stand_in = _stand_in(patch, function)
        _exchange(entry, stand_in, code_swap.twin(function) if code_swap.can_be(function) else function)
        entry.owner, entry.name, entry.raw = owner, name, None if inherited else raw
        _put(entry, raw, type(raw)(stand_in) if isinstance(raw, (staticmethod, classmethod)) else stand_in)
    else:
        _exchange(entry, function, code_swap.twin(function))
        entry.owner = None
    entry.state, entry.why = APPLIED, ""


def _function(raw: Any) -> Any:
    return raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw


_CALLED = ("function", "builtin_function_or_method", "method_descriptor", "wrapper_descriptor", "cython_function_or_method")


def _engines_own(patch: Patch, function: Any) -> Any:
    """The engine's function, below what others have put around it, who go on seeing every call."""
    held = first_use.held.get(f"{patch.module}.{patch.qualname}")
    if held is not None and held.__globals__ is vars(sys.modules[patch.module]):
        return held
    found, package = function, patch.module.partition(".")[0]
    for _ in range(20):
        if type(found) is FunctionType and str(found.__globals__.get("__name__")).partition(".")[0] == package:
            return found
        found = getattr(found, "__wrapped__", None)
        if found is None:
            break
    if type(function).__name__ not in _CALLED:
        raise code_swap.Moved(f"an object of {type(function).__module__}.{type(function).__qualname__} stands there")
    return function


def _stand_in(patch: Patch, function: Any) -> Any:
    """A function to be put where the engine's own cannot run other code: it is a base class's, or no plain function."""
    made = code_swap.twin(function) if code_swap.can_be(function) else _caller_of(function)
    made.__module__, made.__qualname__ = patch.module, patch.qualname  # those of a base class's would pickle as that
    return made


def _caller_of(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> Any:
        return function(*args, **kwargs)

    return call


def _exchange(entry: Applied, function: Any, twin: Any) -> None:
    """Have a function run the patch's code."""
    instead = entry.patch.wrap(twin)
    _check_signature(instead, function)
    code = code_swap.code_for(function, instead)
    by_form = code_swap.can_be(twin) and code_swap.goes_by_form(function, instead)
    if entry.state == APPLIED:
        former = Applied(entry.patch, entry.adapter)
        vars(former).update(vars(entry))
        earlier.append(former)
    entry.function, entry.code, entry.own, entry.twin = function, code, function.__code__, twin
    function.__code__ = code
    if by_form:
        function.__wrapped__ = twin  # whose signature it has


def _put(entry: Applied, before: Any, now: Any) -> None:
    """Put a stand-in in place of what stood there, or that back, under all names."""
    patch, name = entry.patch, entry.name
    setattr(entry.owner, name, now)
    if patch.alias and vars(entry.owner).get(patch.alias) is before:
        setattr(entry.owner, patch.alias, now)
    for module in patch.also:
        if module in sys.modules and getattr(sys.modules[module], name, None) is before:
            setattr(sys.modules[module], name, now)


def _check_signature(new: Any, function: Any) -> None:
    """Refuse a wrapper that cannot be called as the function can: a call that it does not take would be the user's error.

    Read off the code objects; ``inspect`` costs more to import than all of this.
    """
    if type(new) is code_swap.Body:
        code_swap.code_for(function, new)  # has the very parameters, or is refused
        return
    old, ours = getattr(function, "__code__", None), getattr(new, "__code__", None)
    if old is None or ours is None or (ours.co_flags & 0x04 and ours.co_flags & 0x08 and not ours.co_argcount):
        return
    takes_more, takes_named = bool(ours.co_flags & 0x04), bool(ours.co_flags & 0x08)
    if old.co_flags & 0x04 and old.co_flags & 0x08 and old.co_argcount <= 1:
        return  # somebody's wrapper, which takes anything
    theirs, mine = old.co_varnames[: old.co_argcount], ours.co_varnames[: ours.co_argcount]
    given = old.co_varnames[old.co_argcount : old.co_argcount + old.co_kwonlyargcount]
    known = ours.co_varnames[ours.co_argcount : ours.co_argcount + ours.co_kwonlyargcount]
    required = ours.co_argcount - len(new.__defaults__ or ())
    ok = (
        theirs[: len(mine)] == mine[: len(theirs)]
        and (len(theirs) <= len(mine) or takes_more)
        and (required <= len(theirs) - len(function.__defaults__ or ()) or required <= 1)
        and all(name in known or name in mine or takes_named for name in given)
        and (takes_more or not old.co_flags & 0x04)
        and (takes_named or not old.co_flags & 0x08)
    )
    if not ok:
        names = ", ".join([*theirs, *("*args" if old.co_flags & 0x04 else "",), *given])
        raise code_swap.Moved(f"it is called in another way by now: ({names})")


def is_applied(module: str, *qualnames: str) -> bool:
    """Whether all of these functions run our code: what is told because of what they see is not told where they see nothing."""
    entries = [applied.get((module, qualname)) for qualname in qualnames]
    return all(entry is not None and entry.state == APPLIED for entry in entries)


def take_off(entry: Applied) -> None:
    """Give the function its own code back.  What others have put around it stays, around the function as it was."""
    if entry.state != APPLIED:
        return
    function = entry.function
    if function.__code__ is not entry.code:
        entry.state, entry.why = LEFT, "somebody else has exchanged its code after us"
        return
    function.__code__ = entry.own
    if entry.owner is not None:
        _take_away(entry)
    elif function.__dict__.get("__wrapped__") is entry.twin:
        del function.__wrapped__
        function.__dict__.update(entry.twin.__dict__)
    entry.state = OFF


def _take_away(entry: Applied) -> None:
    """Put back what stood where our stand-in is; somebody's wrapper stays, and calls what it wraps, which is as it was."""
    now = vars(entry.owner).get(entry.name)
    if _function(now) is not entry.function:
        return
    if entry.raw is not None:
        _put(entry, now, entry.raw)
    else:
        delattr(entry.owner, entry.name)


def take_all_off() -> list[Applied]:
    """Undo every patch; what is returned could not be undone."""
    entries = [*earlier, *applied.values()]
    for entry in entries:
        take_off(entry)
    earlier[:] = [entry for entry in earlier if entry.state == LEFT]
    return [entry for entry in entries if entry.state == LEFT]


def catch_up(triggers: Mapping[str, tuple[str, ...]]) -> None:
    """Patch engines that were imported before us."""
    import importlib

    for module, adapters in triggers.items():
        if module in sys.modules:
            for name in adapters:
                adapter = importlib.import_module(name)
                before(adapter, module)
                after(adapter, module)
