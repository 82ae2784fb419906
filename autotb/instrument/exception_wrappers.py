"""Engines that pickle an exception inside a wrapper object of theirs, with its traceback as text.

Flows in: the wrapper class's ``__init__`` and ``__reduce__``, and the function that rebuilds the exception.  Flows out:
their replacements; the record rides on the pickle.  What only failures need is imported when something failed.
"""

from __future__ import annotations

import functools
import sys
from types import TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from autotb.instrument.types import Function


def when_made(note: Callable[[Any, Any], None]) -> Callable[[Any], Any]:
    """Wraps the ``__init__`` of an error that an engine makes in the driver: ``note(error, the frame that makes it)``."""

    def wrap(original: Function) -> Function:
        @functools.wraps(original)
        def __init__(self: Any, *args: object, **kwargs: object) -> None:
            original(self, *args, **kwargs)
            try:
                note(self, sys._getframe(2))
            except Exception:
                pass  # then it says what the engine says, and no more

        return __init__

    wrap.__doc__ = note.__doc__
    return wrap


def wrap_init(original: Function, record: Callable[..., Any], unpack: Callable[..., Any] | None = None) -> Function:
    """Runs in the worker while the exception still has its traceback: ``record(exc, tb, caller's frame)`` is made here."""

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        exc, *given = (*args, *kwargs.values())
        if unpack is not None:
            exc, *given = unpack(exc, *given)
        tb = given[0] if given else ""
        if tb is not None and type(tb) is not TracebackType:  # a text, or what a class of the user's says is its traceback
            tb = BaseException.__dict__["__traceback__"].__get__(exc)
        try:
            self._autotb = record(exc, tb, sys._getframe(2))
        except Exception:
            pass  # without a record the driver reads the text
        try:
            from autotb.instrument import engine_frames

            engine_frames.original_init(original, self, exc, tb, *given)
        except Exception:
            original(self, exc, *given)

    return __init__


def wrap_reduce(
    original: Function, dumps: Callable[[Any], Any] | None = None, loads: Callable[[Any], Any] | None = None
) -> Function:
    """What is pickled: the engine's own rebuild function, with an exception that is fit to travel and carries its record.

    ``dumps`` and ``loads`` are the engine's, where they are not the standard library's.
    """

    @functools.wraps(original)
    def __reduce__(self: Any) -> Any:
        reduced = original(self)
        if type(reduced) is not tuple or len(reduced) != 2:
            return reduced  # of a form that is not known
        try:
            from autotb.instrument import engine_frames

            return engine_frames.reduced(self, reduced[0], reduced[1], dumps, loads)
        except Exception:
            return reduced

    return __reduce__


def wrap_rebuild(original: Function, remote_text: Callable[[str], BaseException]) -> Function:
    """Sets ``__cause__`` on what arrives; a class that refuses attributes would break the engine's receiving end here."""

    @functools.wraps(original)
    def rebuild(*args: Any, **kwargs: Any) -> Any:
        exc, tb = (*args, *kwargs.values())
        try:
            from autotb.record import annotate

            annotate.arrived(exc)
            if type(exc) is KeyboardInterrupt:
                from autotb.instrument import interrupted

                interrupted.ended(exc, None)
        except Exception:
            pass  # its story is told all the same
        try:
            return original(exc, tb)
        except Exception:
            try:
                from autotb.instrument import engine_frames
            except Exception:
                engine_frames = None  # type: ignore[assignment]
            if engine_frames is None:
                raise
            return engine_frames.set_cause(exc, remote_text(tb))

    return rebuild
