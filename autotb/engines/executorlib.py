"""executorlib: executors whose workers are scripts, on this node or by a queueing system, fed through sockets or files.

A worker sends ``{"error": exception}``, pickled by cloudpickle, without its traceback; one that cannot be pickled ends the
worker, one that cannot be unpickled arrives as the error of unpickling it.  The record is put on the exception before it is
sent, and it is made fit to travel.  Source: https://executorlib.readthedocs.io/en/latest/
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Lost
from autotb.instrument import engine_frames, inherited_settings, submission
from autotb.instrument.patch import Patch, together_with
from autotb.record import build, pickling, static

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = (
    "executorlib.standalone.interactive.communication",
    "executorlib.standalone.hdf",
    "executorlib.standalone.interactive.spawner",
    "executorlib.task_scheduler.file.spawner_subprocess",
    "executorlib.executor.base",
    "executorlib.task_scheduler.interactive.dependency",
    "executorlib.task_scheduler.interactive.blockallocation",
)
NAME = "executorlib"
DISTRIBUTION = "executorlib"
CAPTURED = "SingleNodeExecutor: submit, map, dependent tasks, block allocation, cache folders"
TESTED = "1.5 to 1.11"

engine_facts.register(own=("executorlib", "cloudpickle", "zmq"))


def _wrap_send(original: Function) -> Function:
    """Runs in the worker; the exception still has its traceback."""

    @functools.wraps(original)
    def interface_send(socket: object, result_dict: Any) -> Any:
        return original(socket, _with_record(result_dict))

    return interface_send


def _wrap_dump(original: Function) -> Function:
    """Runs in the worker of a task that is kept in a file."""

    @functools.wraps(original)
    def dump(file_name: str, data_dict: Any) -> Any:
        return original(file_name, _with_record(data_dict))

    return dump


def _with_record(message: Any) -> Any:
    try:
        error = message.get("error")
        if not issubclass(type(error), BaseException) or static.traceback_of(error) is None:
            return message
        import cloudpickle

        tb = static.traceback_of(error)
        tree = build.record(error, tb, build.hop("executorlib", "in an executorlib worker", call=engine_frames.frame_call(tb)))
        return {**message, "error": pickling.packed(error, tree, cloudpickle.dumps, cloudpickle.loads)}
    except Exception:
        return message  # then as executorlib does it


def ready(_module: str) -> None:
    """The futures are the standard library's, which nothing else may have loaded."""
    together_with("autotb.engines.futures")


PATCHES = (
    Patch("executorlib.standalone.interactive.communication", "interface_send", _wrap_send, costs=Lost.FIT),
    Patch(
        "executorlib.standalone.hdf",
        "dump",
        _wrap_dump,
        also=("executorlib.task_scheduler.file.backend",),
        optional=True,
        costs=Lost.FIT,
    ),
    Patch(
        "executorlib.standalone.interactive.spawner",
        "SubprocessSpawner.bootup",
        inherited_settings.telling,
        optional=True,
        costs=Lost.SETTINGS,
    ),
    Patch(
        "executorlib.task_scheduler.file.spawner_subprocess",
        "subprocess_execute",
        inherited_settings.telling,
        optional=True,
        costs=Lost.SETTINGS,
    ),
    Patch(
        "executorlib.task_scheduler.file.spawner_subprocess",
        "execute_in_subprocess",
        inherited_settings.telling,
        optional=True,
        costs=Lost.SETTINGS,
    ),
    Patch("executorlib.executor.base", "BaseExecutor.submit", submission.on_result, costs=Lost.SITE),
    Patch(
        "executorlib.task_scheduler.interactive.dependency",
        "DependencyTaskScheduler.submit",
        submission.on_result,
        optional=True,
        costs=Lost.SITE,
    ),
    Patch(
        "executorlib.task_scheduler.interactive.blockallocation",
        "BlockAllocationTaskScheduler.submit",
        submission.on_result,
        optional=True,
        costs=Lost.SITE,
    ),
)

#: What ``python -m autotb demo --engine executorlib`` runs: a user's script.
DEMO = '''\
"""executorlib runs eight calls in worker scripts; one of them fails."""

from executorlib import SingleNodeExecutor

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with SingleNodeExecutor(max_workers=2) as executor:
        futures = [executor.submit(score, item) for item in ITEMS]
        return [future.result() for future in futures]


if __name__ == "__main__":
    main()
'''
