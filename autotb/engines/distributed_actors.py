"""Dask's actors: which call of theirs failed, where the program made it, and of what their worker died.

Flows in: the futures of methods' calls, as the program makes them.  Flows out: the place of the call, the worker's death.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from autotb import assumption
from autotb.assumption import Frame, Lost
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch
from autotb.record import annotate, callsite, static

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotb.instrument.types import Function
    from autotb.record.schema import Hop

METHOD = Frame("distributed.actor", "Actor.__getattr__.<locals>.func", "self", "key", costs=Lost.DEATH, optional=True)
UNREACHABLE = "Unable to contact Actor's worker"


def _wrap_init(original: Function) -> Function:
    """A method is called: the user's line is up the stack."""

    @functools.wraps(original)
    def __init__(self: Any, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        try:
            actor, method = assumption.read(sys._getframe(2), METHOD) or (None, "")
            event = self._event  # the future itself has slots
            event._autotb_site = callsite.here(3)
            event._autotb_actor = getattr(actor, "_address", ""), getattr(actor, "_key", ""), method
        except Exception:
            pass  # the place of the call is not told

    return __init__


def wrap_result(death_of: Callable[[str], Any]) -> Function:
    """``death_of(address)`` waits for what is known of a dead worker: its hop, or None."""

    def wrap(original: Function) -> Function:
        """``result()``, awaited or not, ends here."""

        @functools.wraps(original)
        async def _result(self: Any) -> Any:
            try:
                return await original(self)
            except Exception as error:
                await _note(self, error, death_of)
                raise

        return _result

    return wrap


async def _note(future: Any, error: BaseException, death_of: Callable[[str], Any]) -> None:
    try:
        place = engine_frames.place_of(future._event._autotb_site)
        if type(error) is OSError and static.args_of(error) == (UNREACHABLE,):
            address, key, method = future._event._autotb_actor
            hop: Hop | None = await death_of(address)
            if hop is not None:
                annotate.note_death(error, [{**hop, "label": f"actor {key}, method {method}"}], place)
                return
        annotate.note_submitted(error, place)
    except Exception:
        pass  # the error is the user's and goes on


def patches(death_of: Callable[[str], Any]) -> tuple[Patch, ...]:
    """Of the futures of actors' methods."""
    return (
        Patch("distributed.actor", "ActorFuture.__init__", _wrap_init, optional=True, costs=Lost.SITE),
        Patch("distributed.actor", "ActorFuture._result", wrap_result(death_of), optional=True, costs=Lost.SITE),
    )


ASSUMPTIONS = (METHOD,)
