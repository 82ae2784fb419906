"""Futures of Dask that a program holds, for ``unwrap`` and ``collect``: when they are done, whether their task can run again.

Flows in: a ``distributed.Future``.  Flows out: its handle; why its task may find other arguments than at first.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from autotb.engines import distributed_waits

if TYPE_CHECKING:
    from autotb.engines.distributed_chains import Client, Scheduler
    from autotb.instrument.types import Function

    class Future(Protocol):
        """``distributed.Future``."""

        client: Client
        key: Any
        status: str

        def add_done_callback(self, fn: Function, /) -> object: ...


def handle(future: object) -> Any:
    """The scheduler keeps every task, and runs it anew when it is told to."""
    module = sys.modules.get("distributed.client")
    if module is None or not isinstance(future, module.Future):
        return None
    from autotb.instrument import future_handles

    class Handle(future_handles.Handle):
        def check(self, future: Future) -> None:
            if future.client.asynchronous:
                raise TypeError(
                    "this future is of a Client(asynchronous=True): await it, or use `await autotb.collect_async([...])`"
                )

        def when_done(self, future: Future, callback: Function) -> bool:
            future.add_done_callback(callback)
            return True

        def label(self, future: Future) -> str:
            return str(future.key)

        def resubmit_obstacle(self, future: Future) -> str:
            if future.status in ("cancelled", "lost"):
                return "it was cancelled"
            return _resubmit_obstacle(future) if future.status == "error" else ""

        def resubmit(self, future: Future) -> Any:
            why = self.resubmit_obstacle(future)
            if why:
                raise future_handles.ResubmitError(why)
            try:
                future.client.sync(_retry, future.client, future.key)
            except Exception as error:
                raise future_handles.ResubmitError(
                    f"the scheduler does not run it again ({type(error).__name__}: {error})"
                ) from error
            return future

    return Handle()


async def _retry(client: Client, key: object) -> None:
    """``Client.retry``, which fails where the program holds no future of a failed task upstream, after it has started it."""
    for one in await client.scheduler.retry(keys=[key], client=client.id):
        state = client.futures.get(one)
        if state is not None:
            state.retry()


def _resubmit_obstacle(future: Future) -> str:
    try:
        return _why_not_same(future)
    except Exception as error:
        return f"the scheduler does not tell what it works on ({type(error).__name__}: {error})"


def _why_not_same(future: Future) -> str:
    """Why a failed task, or one that failed upstream of it, may find other arguments than at first."""
    shared, made, args = future.client.run_on_scheduler(distributed_waits.by_value(_look_at), key=future.key)
    for name, kind in made:
        if kind not in _FIXED:
            return (
                f"it works on the result of {name}, a {kind}, which the failed attempt may have changed in the worker's memory; "
                "client.submit(..., retries=...) retries in Dask itself"
            )
    if shared and not args:
        return (
            "its worker shares the memory of this program, so the failed attempt may have changed what it was given; "
            "client.submit(..., retries=...) retries in Dask itself"
        )
    return ""


#: Types of results that a task cannot change, as the scheduler names them.
_FIXED = frozenset(
    ("int", "float", "complex", "bool", "str", "bytes", "NoneType", "datetime.datetime", "datetime.date", "datetime.timedelta")
) | frozenset(f"numpy.{kind}" for kind in ("bool", "bool_", "int32", "int64", "uint8", "uint32", "uint64", "float32", "float64"))


def _look_at(key: object, dask_scheduler: Scheduler) -> Any:
    """Runs on the scheduler: whether workers share its memory, what tasks to run again work on, whether arguments are fixed."""
    plain = (int, float, complex, bool, str, bytes, type(None))
    seen: set[Any] = set()
    made: list[Any] = []
    stack, fixed = [key], True
    while stack:
        task = dask_scheduler.tasks[stack.pop()]
        if task.key in seen:
            continue
        seen.add(task.key)
        failed = [one for one in task.dependencies if one.state == "erred"]
        stack.extend(one.key for one in failed)
        made.extend((str(one.key), str(one.type)) for one in task.dependencies if one.state == "memory")
        spec = task.run_spec
        given = (*getattr(spec, "args", (None, [])), *(getattr(spec, "kwargs", None) or {}).values())
        kinds = {type(one).__name__ for one in given if type(one) not in plain}
        fixed = fixed and kinds <= {"TaskRef", "Alias"}
    workers = list(dask_scheduler.workers)
    return any(str(address).startswith("inproc:") for address in workers), made, fixed
