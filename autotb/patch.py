"""Wrap a function of a module once it is loaded; remember it; take it off again.

Flows in: adapters' ``PATCHES``, and the boot loader's calls before and after an engine's module runs.  Flows out: patched
classes and modules, and :data:`state` for ``doctor``.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

APPLIED, ABSENT, LEFT, OFF, COVERED = "applied", "absent", "left in place", "off", "covered by another patch"
MARK = "__autotb_original__"


class Patch:
    """One function to wrap: ``wrap(original)`` gives the replacement, a plain function with the same name and signature.

    ``also`` names modules that imported a module-level function by name, ``alias`` a second name of a method in its class;
    ``optional`` says that some versions lack the target.
    """

    __slots__ = ("alias", "also", "module", "optional", "qualname", "wrap")

    def __init__(
        self,
        module: str,
        qualname: str,
        wrap: Callable[[Any], Any],
        also: tuple[str, ...] = (),
        alias: str = "",
        optional: bool = False,
    ) -> None:
        self.module, self.qualname, self.wrap, self.optional = module, qualname, wrap, optional
        self.also, self.alias = also, alias


class Applied:
    """A patch and what became of it."""

    def __init__(self, patch: Patch, adapter: str) -> None:
        self.patch = patch
        self.adapter = adapter
        self.state = OFF
        self.why = ""
        self.owner: Any = None
        self.name = ""
        self.raw: Any = None  # what stood in the owner's __dict__ before, descriptor and all
        self.replacement: Any = None
        self.inherited = False


applied: dict[tuple[str, str], Applied] = {}
noise: dict[str, str] = {}  # settings that we gave engines, for doctor
_prepared: set[str] = set()


def noise_is_kept() -> bool:
    """Whether the user wants the engines' own copies of an error."""
    from autotb import settings  # few patches ask

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
    raw = getattr(raw, "__autotb_stub__", raw)  # of loading, until the first thread is started
    if hasattr(_function(raw), MARK):
        if entry.state != APPLIED:  # inherited from a class that is wrapped, or another name of the same
            entry.state = COVERED
        return
    replacement = _replacement(patch, raw)
    if inherited:  # the names of a base class's function would pickle as that
        replacement.__module__, replacement.__qualname__ = patch.module, patch.qualname
    setattr(owner, name, replacement)
    if patch.alias and vars(owner).get(patch.alias) is raw:
        setattr(owner, patch.alias, replacement)
    for module in patch.also:
        if module in sys.modules and getattr(sys.modules[module], name, None) is raw:
            setattr(sys.modules[module], name, replacement)
    entry.owner, entry.name, entry.raw, entry.replacement = owner, name, raw, replacement
    entry.state, entry.inherited, entry.why = APPLIED, inherited, ""


def _function(raw: Any) -> Any:
    return raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw


def _replacement(patch: Patch, raw: Any) -> Any:
    function = _function(raw)
    new = patch.wrap(function)
    _check_signature(new, function)
    setattr(new, MARK, True)
    return type(raw)(new) if isinstance(raw, (staticmethod, classmethod)) else new


class Moved(Exception):  # noqa: N818
    """An engine's function is no longer called as it was when its wrapper was written."""


def _check_signature(new: Any, function: Any) -> None:
    """Refuse a wrapper that cannot be called as the function can: a call that it does not take would be the user's error.

    Read off the code objects; ``inspect`` costs more to import than all of this.
    """
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
        raise Moved(f"it is called in another way by now: ({names})")


def take_off(entry: Applied) -> None:
    """Put the identical original back, unless somebody wrapped ours: then it stays and says so."""
    if entry.state != APPLIED:
        return
    current = getattr(entry.owner, entry.name, None) if isinstance(entry.owner, type(sys)) else vars(entry.owner).get(entry.name)
    if current is not entry.replacement:
        entry.state, entry.why = LEFT, "somebody else wrapped it after us"
        return
    if entry.inherited:
        delattr(entry.owner, entry.name)
    else:
        setattr(entry.owner, entry.name, entry.raw)
    if entry.patch.alias and vars(entry.owner).get(entry.patch.alias) is entry.replacement:
        setattr(entry.owner, entry.patch.alias, entry.raw)
    for module in entry.patch.also:
        if getattr(sys.modules.get(module), entry.name, None) is entry.replacement:
            setattr(sys.modules[module], entry.name, entry.raw)
    entry.state = OFF


def take_all_off() -> list[Applied]:
    """Undo every patch; what is returned could not be undone."""
    for entry in applied.values():
        take_off(entry)
    return [entry for entry in applied.values() if entry.state == LEFT]


def catch_up(triggers: Mapping[str, tuple[str, ...]]) -> None:
    """Patch engines that were imported before us."""
    import importlib

    for module, adapters in triggers.items():
        if module in sys.modules:
            for name in adapters:
                adapter = importlib.import_module(name)
                before(adapter, module)
                after(adapter, module)
