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
    from collections.abc import Callable
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
                    _remember(value, site)
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
                    _remember(getattr(self, name), site)
            except Exception:
                pass  # the line is not told
            return original(self, *args, **kwargs)

        return __call__

    return call


call = call_of("_obj")  # Dask's ``delayed``, a ``DelayedLeaf``


def _remember(value: object, site: Site) -> None:
    code = _code_of(value)
    if code is None:
        return
    known = _made.get(id(code))
    if known is None:
        callsite.remember(_made, id(code), (code, site))
    elif known[1] is not None and not callsite.is_same(known[1], site):
        _made[id(code)] = code, None


def _code_of(value: Any) -> CodeType | None:
    """The code that runs when ``value`` is called: a function's, or that of ``__call__`` of a class or an object."""
    if type(value) is FunctionType:
        return value.__code__
    from autotb.record import safe_repr

    function = static.behind_partials(value)
    code = safe_repr.code_of(function)
    kind = function if issubclass(type(function), type) else type(function)
    if code is not None or static.is_builtin(kind):
        return code
    found = next((static.own(each)["__call__"] for each in static.mro(kind) if "__call__" in static.own(each)), None)
    return safe_repr.code_of(found)


def note_made(hop: Hop) -> None:
    """Fill in where the operation was made whose function a worker's frames begin with."""
    from autotb.instrument import engine_frames
    from autotb.record import ownership

    if not _made or "made" in hop:
        return
    first = next((frame for frame in hop.get("frames", ()) if frame.get("kind") == ownership.USER), None)
    sites = [site for code, site in list(_made.values()) if first is not None and _is_of(first, code)]
    place = engine_frames.place_of(sites[0]) if len(sites) == 1 else None
    if place is not None:
        hop["made"] = place


def _is_of(frame: Frame, code: CodeType) -> bool:
    if (frame.get("path"), frame.get("name")) != (code.co_filename, code.co_name):
        return False
    return any(line == frame.get("line") for _, _, line in code.co_lines())
