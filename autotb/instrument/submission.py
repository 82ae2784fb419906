"""Where work was submitted, remembered on the object that its submission makes: the wrappers that engines share.

Flows in: an engine's function, run with the user's line up the stack.  Flows out: ``_autotb_site`` on an object, and, once that
object raises a worker's error, the place on the error.  What only failures need is imported when something failed.
"""

from __future__ import annotations

import functools
import sys

from autotb.record import callsite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def unwatched(found: Any) -> Any:
    """A site as ``futures`` has it, of a future that is not told when nobody asks for it."""
    return (*found, [False], False) if found else None


def on_self(original: Any, form: Any = None, through_engines: bool = True) -> Any:
    """For an ``__init__`` that runs at submission: the new object remembers the user's line, in the ``form`` its adapter reads.

    With ``through_engines`` false an engine that has an adapter of its own, and notes the place itself, ends the search.
    """

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            site = callsite.here(3, through_engines)
            self._autotb_site = form(site) if form is not None else site
        except Exception:
            pass  # the place of submission is lost, nothing else

    return __init__


def on_result(original: Any, form: Any = None) -> Any:
    """For a function that submits: what it returns remembers the user's line, in the ``form`` that its adapter reads."""

    @functools.wraps(original)
    def submit(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        try:
            frame = sys._getframe(2)
            code = frame.f_code
            site = (code, frame.f_lasti) if callsite.whose(frame) == callsite.USER else callsite.here(3)
            made._autotb_site = form(site) if form is not None else site
        except Exception:
            pass  # the place of submission is lost, nothing else
        return made

    return submit


# The same for futures of the standard library, whose adapter reads more of a site than the line.
on_future = functools.partial(on_result, form=unwatched)
on_new_future = functools.partial(on_self, form=unwatched)


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
