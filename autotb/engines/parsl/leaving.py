"""Parsl: a SystemExit or KeyboardInterrupt of an app, which Parsl's ``except Exception`` lets pass.

It ends a worker process of HighThroughputExecutor, whose manager tells no more than that it was lost.  On threads Parsl never
notices, and who asks for the task waits for ever: there it fails with what it raised (``AUTOTB_RESCUE=0`` lets it wait).

Flows in: what an app raised.  Flows out: its record in the worker's status file, from which the manager tells; a failed task.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Protocol

    from autotb.instrument.types import Function, Future

    class Kernel(Protocol):
        """Parsl's ``DataFlowKernel``."""

        def render_future_description(self, dep: object) -> str: ...


def fails_task(kernel: object, task: dict[str, Any], future: Future) -> bool:
    """In the program, of an attempt that has ended: whether it raised what Parsl does not catch, and has failed now."""
    from autotb import settings

    error = future.exception()
    complete = getattr(kernel, "_complete_task_exception", None)  # from Parsl 2025.10 on
    if error is None or isinstance(error, Exception) or complete is None or not settings.switch("rescue"):
        return False
    from parsl.dataflow.states import States

    task["fail_history"].append(repr(error))
    task["fail_count"] += 1
    complete(task, States.failed, error)
    return True


def wrap_unwrap(original: Function) -> Function:
    """What a task is given, and what of that has failed: Parsl takes note of an ``Exception`` alone."""

    @functools.wraps(original)
    def _unwrap_futures(self: Kernel, args: tuple[object, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return original(self, args, kwargs)
        except (SystemExit, KeyboardInterrupt) as error:
            failed = _failed_of(self, error, args, kwargs)
            if not failed:
                raise  # a Ctrl-C, or of a future that Parsl finds deeper down
            return args, kwargs, failed

    return _unwrap_futures


def _failed_of(
    kernel: Kernel, error: BaseException, args: tuple[object, ...], kwargs: dict[str, Any]
) -> list[tuple[BaseException, str]]:
    from concurrent.futures import Future

    from autotb import settings

    try:
        given = [*args, *kwargs.values(), *kwargs.get("inputs", ())]
        futures = [one for one in given if isinstance(one, Future) and one.done()] if settings.switch("rescue") else []
        return [(error, kernel.render_future_description(one)) for one in futures if one.exception() is error]
    except Exception:
        return []
