"""Where work was submitted, remembered on the object that its submission makes: the wrappers that engines share.

Flows in: an engine's function, run with the user's line up the stack.  Flows out: ``_autotb_site`` on an object, and, once that
object raises a worker's error, the place on the error.  What only failures need is imported when something failed.
"""

from __future__ import annotations

import functools

from autotb.record import callsite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def on_self(original: Any, through_engines: bool = True) -> Any:
    """For an ``__init__`` that runs at submission: the new object remembers the user's line.

    With ``through_engines`` false an engine that has an adapter of its own, and notes the place itself, ends the search.
    """

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            self._autotb_site = callsite.here(3, through_engines)
        except Exception:
            pass  # the place of submission is lost, nothing else

    return __init__


def on_result(original: Any) -> Any:
    """For a function that submits: what it returns remembers the user's line."""

    @functools.wraps(original)
    def submit(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        try:
            made._autotb_site = callsite.here(3)
        except Exception:
            pass  # the place of submission is lost, nothing else
        return made

    return submit


def noted_when_raised(original: Any) -> Any:
    """For what raises a worker's error in the thread that asks: the line that its object remembers is noted on the error."""

    @functools.wraps(original)
    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            try:
                from autotb.instrument import engine_frames
                from autotb.record import annotate
                from autotb.record.capture import attached

                if attached(error) is not None:
                    annotate.note_submitted(error, engine_frames.place_of(getattr(self, "_autotb_site", None)))
            except Exception:
                pass  # the error is the user's and goes on
            self = None  # the traceback's frames lead to this one
            raise

    return ask
