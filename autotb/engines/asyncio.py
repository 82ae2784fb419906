"""asyncio: the exception object itself reaches the awaiting coroutine, with its own traceback.

Only what is in between is asyncio's: its frames, and the log record of a task that nobody awaited.  CPython 3.10 to 3.15.
Source: https://docs.python.org/3/library/asyncio-eventloop.html#error-handling-api
"""

from __future__ import annotations

import functools

from autotb import callsite, registry
from autotb.patch import Patch, put_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULES = ("asyncio.base_events",)
NAME = "asyncio"
DISTRIBUTION = None
CAPTURED = "gather, wait, TaskGroup, to_thread, run_in_executor, tasks nobody awaited"
NOISE: dict[str, str] = {}

registry.register(own=("uvloop",))


def _wrap_default_handler(original: Any) -> Any:
    """A task that failed and that nobody awaited is told here, as a log record that goes to stderr where no log was set up."""

    @functools.wraps(original)
    def default_exception_handler(self: Any, context: Any) -> None:
        try:
            if isinstance(context.get("exception"), Exception) and registry.surface("asyncio_failed", context):
                return
        except Exception:
            pass  # a context of another form: asyncio knows it
        original(self, context)

    return default_exception_handler


def _wrap_create_task(original: Any) -> Any:
    """With the setting ``asyncio`` tasks remember where they were created."""

    @functools.wraps(original)
    def create_task(self: Any, coro: Any, **kwargs: Any) -> Any:
        task = original(self, coro, **kwargs)
        try:
            task._autotb_site = callsite.here(3)
        except Exception:
            pass  # a task of another kind
        return task

    return create_task


CREATION = Patch("asyncio.base_events", "BaseEventLoop.create_task", _wrap_create_task)


def _wrap_loop_init(original: Any) -> Any:
    """Before the first task of a loop it must be known whether tasks remember their place; many import asyncio and run none."""

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            from autotb import settings

            if settings.switch("asyncio"):
                put_on(CREATION, __name__)
        except Exception:
            pass  # the places of its tasks are not known
        original(self, *args, **kwargs)

    return __init__


PATCHES = (
    Patch("asyncio.base_events", "BaseEventLoop.default_exception_handler", _wrap_default_handler),
    Patch("asyncio.base_events", "BaseEventLoop.__init__", _wrap_loop_init),
)
