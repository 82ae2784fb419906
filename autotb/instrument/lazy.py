"""Collections that are lazy: which line made the operation whose function failed; the line that asks for a result made nothing.

Engines run several operations in one task, and send functions by value.  What failed is found by its first frame: the file, the
name and the lines of a function that was given to ``map`` or the like.

Flows in: an engine's functions that make operations, run with the user's line up the stack.  Flows out: ``made`` on a hop.
"""

from __future__ import annotations

import functools
from types import FunctionType

from autotb.record import callsite, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType
    from typing import Any

    from autotb.instrument.types import Function
    from autotb.record.callsite import Site
    from autotb.record.schema import Frame, Hop

COSTS = "the line that made a failing operation of a lazy collection"

# By the ``id`` of the functions' code: that, and where they were given; None where that was at several lines.
_made: dict[int, tuple[CodeType, Site | None]] = {}


def operation(original: Function) -> Function:
    """Remembers the line that gives a function to a collection."""

    @functools.wraps(original)
    def make(*args: Any, **kwargs: Any) -> Any:
        try:
            site = callsite.here(3)
            if site is not None:
                for value in (*args[:3], *kwargs.values()):
                    remember(value, site)
        except Exception:
            pass  # the line is not told
        return original(*args, **kwargs)

    return make


def call_of(name: str) -> Callable[[Function], Function]:
    """The same of an object that holds the function under this name, and makes an operation by being called."""

    def call(original: Function) -> Function:
        """Remembers the line that calls such an object."""

        @functools.wraps(original)
        def __call__(self: Any, *args: object, **kwargs: object) -> Any:
            try:
                site = callsite.here(3)
                if site is not None:
                    remember(getattr(self, name), site)
            except Exception:
                pass  # the line is not told
            return original(self, *args, **kwargs)

        return __call__

    return call


call = call_of("_obj")  # Dask's ``delayed``, a ``DelayedLeaf``


def held(original: Function) -> Function:
    """The same of a method that is given objects which hold the functions: Ray Data's aggregations."""

    @functools.wraps(original)
    def make(self: Any, *holders: Any, **kwargs: Any) -> Any:
        try:
            site = callsite.here(3)
            if site is not None:
                for holder in holders:
                    for function in _functions_of(holder, static.module_of(original).partition(".")[0]):
                        remember(function, site)
        except Exception:
            pass  # the line is not told
        return original(self, *holders, **kwargs)

    return make


def _functions_of(holder: object, engine: str) -> Iterator[FunctionType]:
    """Those that an object has as attributes, or wrapped in them, and the methods that its class adds to an engine's."""
    for value in list(static.attributes(holder).values()):
        if type(value) is FunctionType:
            yield value
            yield from (cell.cell_contents for cell in value.__closure__ or () if type(cell.cell_contents) is FunctionType)
    for kind in static.mro(type(holder)):
        if static.module(kind).partition(".")[0] == engine:
            return
        yield from (value for value in list(static.own(kind).values()) if type(value) is FunctionType)


def remember(value: object, site: Site) -> None:
    """A function, or what holds one, was given to a collection at this line."""
    for code in _codes_of(value):
        known = _made.get(id(code))
        if known is None:
            callsite.remember(_made, id(code), (code, site))
        elif known[1] is not None and not callsite.is_same(known[1], site):
            _made[id(code)] = code, None


def called(value: object) -> None:
    """A function was given to the engine by itself: of a failure of it nobody knows whether it was a collection's."""
    for code in _codes_of(value):
        if _made.get(id(code), (code, True))[1] is not None:
            callsite.remember(_made, id(code), (code, None))


def _codes_of(value: Any) -> Iterator[CodeType]:
    """The code that runs for ``value``: a function's, an object's ``__call__``, of a class that and its ``__init__``."""
    if type(value) is FunctionType:
        yield value.__code__
        return
    from autotb.record import safe_repr

    function = static.behind_partials(value)
    code = safe_repr.code_of(function)
    is_class = issubclass(type(function), type)
    kind = function if is_class else type(function)
    if code is not None:
        yield code
    elif not static.is_builtin(kind):
        for name in ("__init__", "__call__") if is_class else ("__call__",):
            code = safe_repr.code_of(static.lookup(kind, name))
            if code is not None:
                yield code


def note_made(hop: Hop) -> None:
    """Fill in where the operation was made whose function a worker's frames begin with."""
    from autotb.instrument import engine_frames
    from autotb.record import ownership

    if not _made or "made" in hop:
        return
    first = next((frame for frame in hop.get("frames", ()) if frame.get("kind") == ownership.USER), None)
    sites = [site for code, site in list(_made.values()) if first is not None and _is_of(first, code)]
    place = engine_frames.place_of(callsite.common(sites))
    if place is not None:
        hop["made"] = place


def _is_of(frame: Frame, code: CodeType) -> bool:
    from autotb.record import shipped_code

    # A class that the engine has unpickled here as well (Dask, for its keys) has methods without a file's name from then on.
    if code.co_filename not in (frame.get("path"), shipped_code.NAME) or frame.get("name") != code.co_name:
        return False
    return any(line == frame.get("line") for _, _, line in code.co_lines())
