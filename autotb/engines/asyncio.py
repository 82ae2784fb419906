"""asyncio: the exception object itself reaches the awaiting coroutine, with its own traceback.

Only what is in between is asyncio's: its frames, and the log record of a task that nobody awaited.  Many import asyncio and run
nothing in it, so ``import_hook`` loads this adapter when the first event loop is made.  CPython 3.10 to 3.15.
Source: https://docs.python.org/3/library/asyncio-eventloop.html#error-handling-api
"""

from __future__ import annotations

import functools
import sys

from autotb import first_use, surface
from autotb.assumption import Lost
from autotb.instrument.patch import Patch, put_on
from autotb.record import callsite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.instrument.types import Function

MODULES = ("asyncio.base_events",)
NAME = "asyncio"
DISTRIBUTION = None
CAPTURED = "gather, wait, TaskGroup, to_thread, run_in_executor, tasks nobody awaited"
ERROR = 40  # logging's


def _wrap_default_handler(original: Function) -> Function:
    """A task that failed and that nobody awaited is told here, as a log record: what becomes of it is logging's affair.

    The handler logs as ever; the record's formatter is told what the record is about, in case it ends on stderr.
    """

    @functools.wraps(original)
    def default_exception_handler(self: Any, context: dict[str, Any]) -> Any:
        told = _has_an_error(context) and _will_log() and surface.events.asyncio_reports(context)
        try:
            return original(self, context)
        finally:
            if told:
                surface.events.asyncio_has_reported()

    return default_exception_handler


def _has_an_error(context: dict[str, Any]) -> bool:
    return type(context) is dict and isinstance(context.get("exception"), BaseException)


def _will_log() -> bool:
    """Whether asyncio's logger, unless it is one of another make, takes errors: one that was silenced costs no import of ours."""
    try:
        logger = sys.modules["asyncio.base_events"].logger
        return type(logger) is not sys.modules["logging"].Logger or logger.isEnabledFor(ERROR)
    except Exception:
        return True


def _wrap_convert(original: Function) -> Function:
    """Up to 3.12 a thread's or a process's TimeoutError is made anew for who awaits it, and has lost where it was raised."""

    @functools.wraps(original)
    def _convert_future_exc(exc: BaseException) -> BaseException:
        made: BaseException = original(exc)
        if made is not exc:
            try:
                from autotb.record import annotate

                annotate.handed_on(exc, made)
            except Exception:
                pass  # it is told where it was awaited
        return made

    return _convert_future_exc


def _wrap_create_task(original: Function) -> Function:
    """With the setting ``asyncio`` tasks remember where they were created."""

    @functools.wraps(original)
    def create_task(self: Any, coro: object, **kwargs: object) -> Any:
        task = original(self, coro, **kwargs)
        try:
            task._autotb_site = callsite.here(3)
        except Exception:
            pass  # a task of another kind
        return task

    return create_task


CREATION = Patch("asyncio.base_events", "BaseEventLoop.create_task", _wrap_create_task, costs=Lost.SITE)


def _wrap_loop_init(original: Function) -> Function:
    """Before the first task of a loop it must be known whether tasks remember their place."""

    @functools.wraps(original)
    def __init__(self: Any, *args: object, **kwargs: object) -> None:
        try:
            from autotb import settings

            if settings.switch("asyncio"):
                put_on(CREATION, __name__)
        except Exception:
            pass  # the places of its tasks are not known
        original(self, *args, **kwargs)

    return __init__


def _wrap_shutdown(original: Function) -> Function:
    """A loop's end waits for what runs in its threads: what a passing error of a wait left there is looked up before."""

    @functools.wraps(original)
    async def shutdown_default_executor(self: Any, *args: object, **kwargs: object) -> Any:
        error = sys.exc_info()[1]
        if error is not None:
            try:
                from autotb.instrument import waiting

                waiting.look(error)
            except Exception:
                pass  # less is told of what was waited for
        return await original(self, *args, **kwargs)

    return shutdown_default_executor


def begins(module: str) -> None:
    """Autotb is switched on while asyncio is there already."""
    first_use.stop_waiting(module)


PATCHES = (
    Patch("asyncio.base_events", "BaseEventLoop.default_exception_handler", _wrap_default_handler, costs=Lost.UNRETRIEVED),
    Patch("asyncio.base_events", "BaseEventLoop.__init__", _wrap_loop_init, costs=Lost.SITE),
    Patch("asyncio.futures", "_convert_future_exc", _wrap_convert, optional=True, costs=Lost.RECORD),
    Patch("asyncio.base_events", "BaseEventLoop.shutdown_default_executor", _wrap_shutdown, costs=Lost.WAITED),
)

#: What ``python -m autotb demo --engine asyncio`` runs: a user's script.
DEMO = '''\
"""asyncio fetches 300 items at once; one of them is bad."""

import asyncio

ITEMS = [{"id": n, "clicks": n % 7, "views": 500 - n} for n in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


async def score(item):
    await asyncio.sleep(0.01)
    return item["id"], rate(item["clicks"], item["views"])


async def main():
    return await asyncio.gather(*(score(item) for item in ITEMS))


if __name__ == "__main__":
    asyncio.run(main())
'''
