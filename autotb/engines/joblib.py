"""joblib: ``Parallel`` on loky (a copy of it inside joblib), threads, ``multiprocessing`` pools and Dask.

A worker runs a batch of calls and wraps what one of them raises in loky's ``_ExceptionWithTraceback(exc)``; on loky that is
raised by the future, on the other backends it is the task's value, rebuilt in the driver.  The exception loses its own
``__cause__`` to the text of the worker's traceback.  The record rides on the wrapper's ``__reduce__``, or, in threads, is taken
from it.  Source: https://joblib.readthedocs.io/en/stable/generated/joblib.Parallel.html
"""

from __future__ import annotations

import functools
import sys

from autotb import assumption, engine_facts
from autotb.assumption import Attributes, Frame, Lost
from autotb.engines.futures import wrap_shutdown
from autotb.engines.loky import wrap_process_worker, wrap_rebuild, wrap_reduce
from autotb.instrument import exception_wrappers, executor_worker, inherited_settings, submission
from autotb.instrument.executor_internals import Internals
from autotb.instrument.patch import Patch
from autotb.record import callsite, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

    from autotb.instrument.types import Function
    from autotb.record.schema import Light, Tree

MODULES = (
    "joblib.externals.loky.process_executor",
    "joblib.externals.loky.backend.spawn",
    "joblib._utils",
    "joblib._parallel_backends",
    "joblib.parallel",
    "joblib.pool",
)
NAME = "joblib"
DISTRIBUTION = "joblib"
CAPTURED = "Parallel on loky, threading, multiprocessing and dask, lists and generators, nested; scikit-learn's n_jobs"
TESTED = "1.2 to 1.6"

engine_facts.register(
    own=("joblib", "threadpoolctl"),
    remote_texts=("joblib.externals.loky.process_executor._RemoteTraceback",),
    crashes=("joblib.externals.loky.process_executor.TerminatedWorkerError",),
)
BATCH = Frame("joblib.parallel", "BatchedCalls.__call__", "func", "args", "kwargs", costs=Lost.CALL)
ITEMS = Attributes("joblib.parallel", "BatchedCalls", "items", costs=Lost.CALL)
INTERNALS = Internals("joblib.externals.loky.process_executor")


def _wrap_call(original: Function) -> Function:
    """Remembers the line that called ``Parallel``: a generator is asked elsewhere."""

    @functools.wraps(original)
    def __call__(self: Any, iterable: object) -> Any:
        try:
            self._autotb_site = callsite.here(3)
        except Exception:
            pass  # the place of submission is lost, nothing else
        return original(self, iterable)

    return __call__


def _note_batch(error: BaseException, batch: Any) -> None:
    """A batch raised: the line of ``Parallel`` is noted on its error."""
    from autotb.record import annotate

    annotate.raised(error)  # joblib has taken its traceback away
    submission.note_site(error, batch.parallel)


def _wrap_boxed_init(original: Function) -> Function:
    """Runs in a worker with the exception alive: ``_record`` is called here."""
    return exception_wrappers.wrap_init(original, _record)


def _record(exc: BaseException, tb: TracebackType | None, caller: FrameType) -> Tree | Light:
    from autotb.record import build

    key = _dask_task()
    label = f"task {key}" if key else None
    hop = build.hop("joblib", "in a joblib worker", call=_call(tb) or _unsent(caller), ran=executor_worker.ran(exc), label=label)
    if label:
        hop["where"] = "in a Dask worker"
    elif "thread" in hop:
        hop["where"] = "in a joblib worker thread"
    return executor_worker.unsent(build.record(exc, tb, hop), caller, INTERNALS)


def _dask_task() -> str:
    """The key of the task that this thread of a Dask worker runs: with ``parallel_config("dask")`` a batch is one."""
    key = getattr(getattr(sys.modules.get("distributed.worker"), "thread_state", None), "key", "")
    return key if type(key) is str else ""


def _call(tb: TracebackType | None) -> str | None:
    """The failing call of a batch: a local variable of joblib's loop over it."""
    from autotb import settings
    from autotb.instrument import engine_frames
    from autotb.record import build, safe_repr

    whole = tb
    while tb is not None:
        frame, tb = tb.tb_frame, tb.tb_next
        found = BATCH.read(frame) if static.name_of(frame) == BATCH.module else None
        if found is not None:
            function, args, kwargs = found
            if function is None:  # a comprehension of Python 3.12 and newer, whose variables are gone with it
                break
            wrapped = static.attributes(function).get("__wrapped__")
            if wrapped is not None and safe_repr.code_of(function) is None:
                # A library's own wrapper (scikit-learn's): that library submitted it, not the user.
                return safe_repr.call(wrapped, args, kwargs) if settings.switch("args") else None
            return build.call_text(function, args, kwargs)
    return engine_frames.frame_call(whole)


def _unsent(caller: FrameType) -> str | None:
    """The call whose result could not be sent, where its batch was of one."""
    from autotb.record import build

    (item,) = assumption.read(caller, INTERNALS.worker, limit=5) or (None,)
    (batch, *_) = INTERNALS.item.read(item) or (None,)
    (items,) = ITEMS.read(batch) or ((),)
    return build.call_text(*items[0]) if len(items) == 1 else None


def _wrap_reduce(original: Function) -> Function:
    """On threads joblib calls this itself, to take the wrapper apart: nothing may ride on what is not pickled."""
    pickled = wrap_reduce(original)

    @functools.wraps(original)
    def __reduce__(self: Any) -> Any:
        module = static.name_of(sys._getframe(2))
        in_place = module.startswith("joblib.") and not module.startswith("joblib.externals.") and module != "joblib.pool"
        return original(self) if in_place else pickled(self)

    return __reduce__


def _wrap_retrieve(original: Function) -> Function:
    """On threads the wrapper arrives as it was made, nothing pickled in between: what rides on pickles is taken from it here."""

    @functools.wraps(original)
    def _retrieve_traceback_capturing_wrapped_call(out: object) -> Any:
        _unbox(out)
        return original(out)

    return _retrieve_traceback_capturing_wrapped_call


def _wrap_retrieve_callback(original: Function) -> Function:
    """The same in joblib 1.3, which had no function for it."""

    @functools.wraps(original)
    def retrieve_result_callback(self: Any, *out: object) -> Any:  # newer ones name it otherwise
        _unbox(*out)
        return original(self, *out)

    return retrieve_result_callback


def _unbox(out: Any = None) -> None:
    tree = getattr(out, "_autotb", None)
    if tree is not None:
        try:
            from autotb.record import annotate

            annotate.attach(out.exc, tree)
        except Exception:
            pass  # without a record the text is read


def _wrap_setup_queues(original: Function) -> Function:
    """The pool of the multiprocessing backend makes queues of its own."""
    from autotb.engines.multiprocessing import driver

    return driver.wrap_setup_queues(original)


PATCHES = (
    *inherited_settings.patches("joblib.externals.loky.backend.spawn"),
    Patch("joblib.externals.loky.process_executor", "_process_worker", wrap_process_worker, costs=Lost.DEATH),
    Patch("joblib.externals.loky.process_executor", "_ExceptionWithTraceback.__init__", _wrap_boxed_init, costs=Lost.RECORD),
    Patch("joblib.externals.loky.process_executor", "_ExceptionWithTraceback.__reduce__", _wrap_reduce, costs=Lost.FIT),
    Patch("joblib.externals.loky.process_executor", "_rebuild_exc", wrap_rebuild, costs=Lost.RECORD),
    Patch("joblib.externals.loky.process_executor", "ProcessPoolExecutor.shutdown", wrap_shutdown, costs=Lost.WAITED),
    Patch(
        "joblib._utils",
        "_retrieve_traceback_capturing_wrapped_call",
        _wrap_retrieve,
        also=("joblib._parallel_backends",),
        optional=True,
        costs=Lost.RECORD,
    ),
    Patch(
        "joblib._parallel_backends",
        "PoolManagerMixin.retrieve_result_callback",
        _wrap_retrieve_callback,
        optional=True,
        costs=Lost.RECORD,
    ),
    Patch(
        "joblib.parallel",
        "BatchCompletionCallBack.get_result",
        submission.when_raised(_note_batch),
        optional=True,
        costs=Lost.SITE,
    ),
    Patch("joblib.parallel", "Parallel.__call__", _wrap_call, costs=Lost.SITE),
    Patch("joblib.pool", "PicklingPool._setup_queues", _wrap_setup_queues, costs=Lost.WAITS),
)
ASSUMPTIONS = (BATCH, ITEMS, *INTERNALS.all)

#: What ``python -m autotb demo --engine joblib`` runs: a user's script.
DEMO = '''\
"""joblib scores eight items on loky's worker processes; one of them is bad."""

from joblib import Parallel, delayed

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return Parallel(n_jobs=2)(delayed(score)(item) for item in ITEMS)


if __name__ == "__main__":
    main()
'''
