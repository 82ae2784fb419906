"""Where work was submitted, remembered on the object that its submission makes: the wrappers that engines share.

Flows in: an engine's function, run with the user's line up the stack.  Flows out: ``_autotb_site`` on an object, and, once that
object raises a worker's error, the place on the error.  What only failures need is imported when something failed.
"""

from __future__ import annotations

import functools

from autotb.record import callsite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from autotb.instrument.types import Function


def on_self(original: Function, through_engines: bool = True) -> Function:
    """For an ``__init__`` that runs at submission: the new object remembers the user's line.

    With ``through_engines`` false an engine that has an adapter of its own, and notes the place itself, ends the search.
    """

    @functools.wraps(original)
    def __init__(self: Any, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        try:
            self._autotb_site = callsite.here(3, through_engines)
        except Exception:
            pass  # the place of submission is lost, nothing else

    return __init__


def on_result(original: Function) -> Function:
    """For a function that submits: what it returns remembers the user's line."""

    @functools.wraps(original)
    def submit(*args: object, **kwargs: object) -> Any:
        made = original(*args, **kwargs)
        try:
            made._autotb_site = callsite.here(3)
        except Exception:
            pass  # the place of submission is lost, nothing else
        return made

    return submit


def when_raised(note: Callable[..., None], kinds: Any = BaseException, but: Any = ()) -> Callable[[Any], Any]:
    """Wraps what raises a worker's error in the thread that asks: ``note(error, asked)`` adds to it what the adapter knows.

    ``asked`` is the object that was asked, absent for a function without parameters.  Errors of other kinds than ``kinds``, and
    those of ``but``, pass by.
    """

    def wrap(original: Function) -> Function:
        @functools.wraps(original)
        def ask(*args: object, **kwargs: object) -> Any:
            try:
                return original(*args, **kwargs)
            except but:
                raise
            except kinds as error:
                try:
                    note(error, *args[:1])
                except Exception as failure:
                    take_over(error, failure)  # the error is the user's and goes on
                del args, kwargs  # the traceback's frames lead to this one: it must keep nothing alive
                raise

        return ask

    wrap.__doc__ = note.__doc__
    return wrap


def take_over(error: BaseException, failure: BaseException) -> None:
    """While more of an error was found out, another was raised: a handler of SIGCHLD may have known of the death by then."""
    from autotb.record import annotate
    from autotb.record.capture import attached

    try:
        known = attached(failure)
        if known and known.get("hops") and "hops" not in (attached(error) or {}):
            annotate.attach(error, known)
    except Exception:
        pass  # then it is told in the engine's words alone


def note_site(error: BaseException, asked: object) -> None:
    """The line that ``asked`` remembers, on whatever it raised."""
    from autotb.instrument import engine_frames
    from autotb.record import annotate

    try:  # ipyparallel's results have a ``__dict__`` of their own, and no code of the class's is to run
        site = object.__getattribute__(asked, "_autotb_site")
    except AttributeError:
        return
    annotate.note_submitted(error, engine_frames.place_of(site))


def note_site_of_worker(error: BaseException, asked: object) -> None:
    """The same, on an error that came with a record: a timeout, or an error of the engine's own, is none of the task's."""
    from autotb.record.capture import attached

    if attached(error) is not None:
        note_site(error, asked)


def note_caller(error: BaseException, *_: object) -> None:
    """On an error that came with a record: the user's line that is up the stack."""
    from autotb.record import annotate
    from autotb.record.capture import attached

    if attached(error) is not None:
        annotate.note_submitted(error, callsite.decode(callsite.here(4)))


noted_when_raised = when_raised(note_site_of_worker)
