"""Werkzeug's and Flask's debugger: a worker's error has the frames of a direct call, each with its own variables.

It reads the exception and what ``traceback`` makes of it side by side, frame by frame. Where the worker ran stands with the
notes, which its page shows; before Python 3.11, which has none, between the frames of the text for copying alone.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("werkzeug.debug.tbtools",)
NAME = "Werkzeug, Flask"
DISTRIBUTION = "werkzeug"
TESTED = "3.1"
CAPTURED = "workers' errors in the debugger"

HAS_NOTES = sys.version_info >= (3, 11)


def _wrap_init(original: Function) -> Function:
    """The debugger's view of an exception is made here."""

    @functools.wraps(original)
    def __init__(self: Any, exc: Any, te: Any = None, **options: Any) -> None:
        from autotb.record import chain

        if te is not None or not chain.concerns(exc):
            original(self, exc, te, **options)
            return
        from autotb.render import retold

        def read(_: Any) -> None:
            with retold.silence() if HAS_NOTES else contextlib.nullcontext():
                original(self, exc, te, **options)

        _, tales = retold.read(exc, exc.__traceback__, read, in_notes=True)
        if tales and tales[0] is not None:
            self._te._str = tales[0].message(self._te._str)

    return __init__


PATCHES = (Patch("werkzeug.debug.tbtools", "DebugTraceback.__init__", _wrap_init, costs=Lost.SHOWN),)
