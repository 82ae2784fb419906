"""Consoles inside programs (``code.InteractiveConsole``): Python's own hook means to them "write the error yourself".

One that writes to a place of its own (a window, a socket) goes on doing so, and syntax errors stay the three lines that they are.
Source: https://docs.python.org/3/library/code.html#code.InteractiveInterpreter.showtraceback
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from autotb import plain_errors, runtime
from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("code",)
NAME = "code.InteractiveConsole"
DISTRIBUTION = None
TESTED = "3.10 to 3.13"
CAPTURED = "errors of consoles on stderr; those that write elsewhere are left as they are"


def _wrap_showtraceback(original: Function) -> Function:
    """Called where a line of the console's has raised."""
    instead = _with_pythons_hook(original)

    @functools.wraps(original)
    def showtraceback(self: Any, *args: object, **kwargs: object) -> Any:
        ours = _writes_to_stderr(self) and plain_errors.is_ours(sys.exc_info()[1])
        return (original if ours else instead)(self, *args, **kwargs)

    return showtraceback


def _with_pythons_hook(original: Function) -> Function:
    """While it looks, the hook is the one that would be there without ours."""

    @functools.wraps(original)
    def shown(self: Any, *args: object, **kwargs: object) -> Any:
        changed = [(place, place.excepthook, _puts_pythons(place)) for place in _places_of_ours()]
        try:
            return original(self, *args, **kwargs)
        finally:
            for place, ours, pythons in changed:
                if place.excepthook is pythons:
                    place.excepthook = ours

    return shown


def _places_of_ours() -> list[Any]:
    """Where the console looks for a hook and finds ours: ``sys``, and what a test has put in its place that hands on to it."""
    found = [sys] if sys.excepthook is runtime.hook else []
    try:
        stand_in = sys.modules["code"].__dict__["sys"]
        if stand_in is not sys and stand_in.excepthook._mock_wraps is runtime.hook:
            found.insert(0, stand_in)  # before the hook that it hands on to is another
    except Exception:
        pass  # its hook is its own
    return found


def _puts_pythons(place: Any) -> Any:
    place.excepthook = runtime.pythons() if place is sys else place.__excepthook__
    return place.excepthook


def _writes_to_stderr(console: Any) -> bool:
    try:
        stock = sys.modules["code"].InteractiveInterpreter.write
        return type(console).write is stock and "write" not in console.__dict__
    except Exception:
        return False  # a console of another make


PATCHES = (
    Patch("code", "InteractiveInterpreter.showtraceback", _wrap_showtraceback, costs=Lost.SHOWN),
    Patch("code", "InteractiveInterpreter.showsyntaxerror", _with_pythons_hook, costs=Lost.SHOWN),
)
