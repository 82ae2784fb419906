"""What was waited for, when a wait for tasks of a pool timed out or a task was cancelled: which run, where, and which do not yet.

The states of tasks change while an error is on its way up: a pool that is left waits for its tasks.  They are looked up when the
pool is about to be shut down while the error passes, or else when the error is told.

Flows in: such an error, and the future that was asked, or the frame that waited.  Flows out: lines beside the engine's message.
"""

from __future__ import annotations

import weakref

from autotb import engine_facts
from autotb.record import annotate, static
from autotb.record.capture import attached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from autotb.instrument.types import Future

    Tell = Callable[[BaseException], tuple[str, ...]]

KEY = "_autotb_waited"
_MODULES = ("builtins", "concurrent.futures._base", "asyncio.exceptions")


class Waited:
    """On an error that came of waiting: the future, or a pool's job, that was asked, and its state at that moment."""

    __slots__ = ("future", "state")

    def __init__(self, future: Any, state: str) -> None:
        self.future, self.state = weakref.ref(future), state

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (dict, ())  # elsewhere nobody knows that future


def is_wait(error: object) -> bool:
    """Whether it is an error by which a wait ended, and not one of a task, as far as its class tells."""
    kind = type(error)
    return static.name(kind) in ("TimeoutError", "CancelledError") and static.module(kind) in _MODULES


def note(future: Future, error: BaseException) -> None:
    """The wait for a future that was asked raised this; nothing is looked up yet, as programs poll with short timeouts."""
    if is_wait(error):
        note_asked(error, future, future._state)


def note_asked(error: BaseException, future: object, state: str = "") -> None:
    """The same of an error that is known to be one."""
    static.fields_of(error)[KEY] = Waited(future, state)


def asked(error: BaseException) -> Any:
    """The future, or job, that was asked; None where that is not known, or gone."""
    waited = dict.get(static.fields_of(error), KEY)
    return waited.future() if type(waited) is Waited else None


def opened(error: BaseException) -> engine_facts.Opened | None:
    """What the story says beside the engine's message."""
    return story(error, lines) if is_wait(error) else None


def story(error: BaseException, tell: Tell) -> engine_facts.Opened | None:
    """The same of an error that is known to have ended a wait: what was kept of its tasks, or what there is to ``tell`` now."""
    try:
        known = attached(error)
        if known is not None and "type" in known:
            return None  # it came from elsewhere, with all that was known there
        said = tuple(known.get("broken") or ()) if known is not None else tell(error)
        return engine_facts.Opened(broken=said) if said else None
    except Exception:
        return None  # then the engine's message is all


def look(error: BaseException | None) -> None:
    """A pool is about to end while an error passes, and its tasks with it: this is the last moment to see them."""
    for each in static.chain(error):
        if is_wait(each):
            keep(each, lines)


def keep(error: BaseException, tell: Tell) -> None:
    """Keep what there is to tell of an error that ended a wait, unless that was done."""
    if attached(error) is None and (said := tell(error)):
        annotate.note(error, broken=list(said))


def lines(error: BaseException) -> tuple[str, ...]:
    """What is known by now of the tasks that were waited for."""
    from autotb.instrument import pool_tasks, waited_tasks

    waited = dict.get(static.fields_of(error), KEY)
    if type(waited) is Waited:
        future = asked(error)
        return waited_tasks.told(pool_tasks.Pools().found([future], waited.state)) if future is not None else ()
    tb = static.traceback_of(error)
    pending = pool_tasks.pending(tb)
    if pending:
        return waited_tasks.told(pool_tasks.Pools().found(pending))
    if tb is not None and static.name(type(static.cause_of(error))) == "CancelledError":
        left = pool_tasks.Pools().abandoned()[: waited_tasks.MOST]
        return tuple(f"runs on, though nobody awaits it any more: {task}" for task in left)
    return ()
