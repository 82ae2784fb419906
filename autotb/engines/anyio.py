"""AnyIO: task groups and threads on asyncio or trio; the exceptions themselves arrive, several as an ``ExceptionGroup``.

Of these nothing is carried; here are the frames that are AnyIO's own.  ``to_process`` pickles the bare exception in a worker that
runs as ``__main__``: what it is given to call is wrapped, and the record rides in the exception's ``__dict__``.
Source: https://anyio.readthedocs.io/en/stable/subprocesses.html#running-functions-in-worker-processes
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("anyio", "anyio.to_process")
NAME = "AnyIO"
DISTRIBUTION = "anyio"
CAPTURED = "task groups with every member of the group, to_thread, to_process; on asyncio and trio"
TESTED = "4.3 to 4.16"

engine_facts.register(own=("anyio", "sniffio"))


class _Task:
    """What a worker process is given to call."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, *args: object) -> Any:
        try:
            return self.function(*args)
        except BaseException as error:
            try:
                _attach(error, self.function, args)
            except Exception:
                pass  # then it arrives without its frames
            raise


def _attach(error: BaseException, function: Function, args: tuple[object, ...]) -> None:
    """Not where its class would not have it: such an exception arrives as it would without us."""
    import pickle

    from autotb.record import annotate, build, pickling, static
    from autotb.record.capture import KEY, fields_of

    tb = static.traceback_of(error)
    hop = build.hop("anyio", "in an AnyIO worker process", call=build.call_text(function, args))
    annotate.attach(error, build.record(error, tb.tb_next if tb is not None else None, hop))
    if pickling.is_suspect(error) and not pickling.Trip(pickle.dumps, pickle.loads).survives(error):
        dict.pop(fields_of(error), KEY, None)


def _wrap_run_sync(original: Function) -> Function:
    """Runs in the program."""

    @functools.wraps(original)
    async def run_sync(func: Function, *args: object, **kwargs: Any) -> Any:
        try:
            return await original(_Task(func), *args, **kwargs)
        except BaseException as error:
            try:
                _came(error)
            except Exception:
                pass  # others who read its traceback find no frames of the worker's
            raise

    return run_sync


def _came(error: BaseException) -> None:
    from autotb.record import annotate
    from autotb.record.capture import attached

    if "hops" in (attached(error) or {}):
        annotate.raised(error)


PATCHES = (Patch("anyio.to_process", "run_sync", _wrap_run_sync, costs=Lost.RECORD),)

#: What ``python -m autotb demo --engine anyio`` runs: a user's script.
DEMO = '''\
"""A task group runs eight calls in threads; one of them fails."""

import anyio

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


async def work():
    async with anyio.create_task_group() as tasks:
        for item in ITEMS:
            tasks.start_soon(anyio.to_thread.run_sync, score, item)


def main():
    anyio.run(work)


if __name__ == "__main__":
    main()
'''
