"""loky: reusable executors and process pools whose workers are started afresh and pickle by cloudpickle.

The worker wraps what a task raises in ``_ExceptionWithTraceback(exc)``, as concurrent.futures does but without the traceback as
an argument; the record rides on its ``__reduce__``.  An exception that cannot be pickled kills the worker,
one that cannot be unpickled breaks the pool: both are made fit to travel.  joblib carries a copy of loky, which its adapter
patches in the same way.  Source: https://loky.readthedocs.io/en/stable/API.html
"""

from __future__ import annotations

import functools
import pickle
import sys

from autotb import engine_facts
from autotb.assumption import Lost
from autotb.engines import futures
from autotb.instrument import delivery, exception_wrappers, executor_worker, inherited_settings
from autotb.instrument.executor_internals import Internals
from autotb.instrument.patch import Patch
from autotb.record import callsite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

    from autotb.instrument.types import Function, Queue
    from autotb.record.schema import Light, Tree

MODULES = ("loky.process_executor", "loky.reusable_executor", "loky.backend.spawn")
NAME = "loky"
DISTRIBUTION = "loky"
CAPTURED = "get_reusable_executor, ProcessPoolExecutor: submit, map, initializers"
TESTED = "3.4 to 3.7"

engine_facts.register(
    own=("loky", "cloudpickle"),
    remote_texts=("loky.process_executor._RemoteTraceback",),
    crashes=("loky.process_executor.TerminatedWorkerError",),
)
INTERNALS = Internals("loky.process_executor")


def _wrap_submit(original: Function) -> Function:
    """Remembers the line of ``submit`` or ``map``, through loky's own frames."""

    @functools.wraps(original)
    def submit(self: Any, fn: Function, *args: object, **kwargs: object) -> Any:
        snapshot = futures._snapshot(fn, args, kwargs)
        future = original(self, fn, *args, **kwargs)
        try:
            if snapshot:
                future._autotb_given = snapshot
            found = callsite.here(3)
            if found is not None:
                found = callsite.in_batch(found, delivery.of(self), callsite.code_of(found) is sys._getframe(2).f_code)
            future._autotb_site = found
        except Exception:
            pass  # the place of submission is lost, nothing else
        return future

    return submit


def _wrap_boxed_init(original: Function) -> Function:
    """Runs in a worker process with the exception alive: ``_record`` is called here."""
    return exception_wrappers.wrap_init(original, _record)


def _record(exc: BaseException, tb: TracebackType | None, caller: FrameType) -> Tree | Light:
    return executor_worker.record("loky", "in a loky worker", exc, tb, caller, INTERNALS)


def wrap_reduce(original: Function) -> Function:
    """What is pickled carries the record and is tried beforehand with loky's own pickler."""
    package = original.__module__.rpartition(".")[0]

    def dumps(value: object) -> Any:
        return sys.modules[package + ".backend.reduction"].dumps(value)

    return exception_wrappers.wrap_reduce(original, dumps, pickle.loads)


def wrap_rebuild(original: Function) -> Function:
    """Runs in the driver, on what arrives."""
    return exception_wrappers.wrap_rebuild(original, sys.modules[original.__module__]._RemoteTraceback)


def wrap_process_worker(original: Function) -> Function:
    """The worker's loop: should it die, the driver learns of which task, or what its initializer raised."""

    @functools.wraps(original)
    def _process_worker(call_queue: Queue, result_queue: Queue, initializer: Function, *more: object) -> Any:
        run, initialize = (getattr(executor_worker, name, None) for name in ("run", "initialize"))
        if run is None or initialize is None:  # our file is half written
            return original(call_queue, result_queue, initializer, *more)
        if initializer is not None:
            initializer = functools.partial(initialize, "loky", "loky worker", initializer)
        return run(original, call_queue, result_queue, initializer, *more)

    return _process_worker


PATCHES = (
    *inherited_settings.patches("loky.backend.spawn"),
    Patch("loky.process_executor", "_process_worker", wrap_process_worker, costs=Lost.DEATH),
    Patch("loky.process_executor", "_ExceptionWithTraceback.__init__", _wrap_boxed_init, costs=Lost.RECORD),
    Patch("loky.process_executor", "_ExceptionWithTraceback.__reduce__", wrap_reduce, costs=Lost.FIT),
    Patch("loky.process_executor", "_rebuild_exc", wrap_rebuild, costs=Lost.RECORD),
    Patch("loky.process_executor", "ProcessPoolExecutor.submit", _wrap_submit, costs=Lost.SITE),
    Patch("loky.process_executor", "ProcessPoolExecutor.shutdown", futures.wrap_shutdown, costs=Lost.WAITED),
    Patch("loky.reusable_executor", "_ReusablePoolExecutor.submit", _wrap_submit, costs=Lost.SITE),
)
ASSUMPTIONS = INTERNALS.all

#: What ``python -m autotb demo --engine loky`` runs: a user's script.
DEMO = '''\
"""A reusable executor of loky maps over eight items; one of them is bad."""

from loky import get_reusable_executor

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return list(get_reusable_executor(max_workers=2).map(score, ITEMS))


if __name__ == "__main__":
    main()
'''
