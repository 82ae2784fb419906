"""Dask's cluster, ``distributed``: workers in threads or processes, on this machine or others.

A worker turns what a task raises into a message by ``error_message(e)`` while the exception is alive: exception and traceback
are pickled (tblib makes tracebacks pickle), one that cannot be is replaced by ``Exception(repr(e))``.  The record rides on the
exception's pickle.  Actors' methods send theirs by ``actor_execute``.  Every failed task is also logged by its worker, on the
driver's own terminal where a ``LocalCluster`` started it: there the driver reports what was never retrieved, as soon as nobody
can any more; every other handler of the log gets Dask's record.
Source: https://distributed.dask.org/en/stable/resilience.html
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import sys
from typing import TYPE_CHECKING, Any

from autotb import assumption, engine_facts
from autotb.assumption import Frame, Lost
from autotb.engines import (
    dask_calls,
    dask_operations,
    distributed_actors,
    distributed_chains,
    distributed_deaths,
    distributed_failures,
    distributed_handles,
    distributed_interrupts,
    distributed_logs,
    distributed_memory,
    distributed_results,
    distributed_runs,
    distributed_waits,
)
from autotb.engines.distributed_tasks import number, sites
from autotb.instrument import delivery, engine_frames, lazy, task_events
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, callsite, ownership, pickling, safe_repr, static
from autotb.record.capture import attached, message_of

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from autotb.instrument.types import Function

MODULES = (
    "distributed.core",
    "distributed.actor",
    "distributed.worker",
    "distributed.client",
    "distributed.variable",
    "distributed.queues",
    "distributed.scheduler",
    "distributed.nanny",
    "distributed.process",
    "distributed.worker_memory",
    "distributed.protocol.serialize",
    "distributed.deploy.local",
    "distributed.deploy.spec",
)
NAME = "Dask distributed"
DISTRIBUTION = "distributed"
CAPTURED = (
    "Client.submit, map, gather, compute, as_completed, awaited futures, actors, nested clients, futures that are never retrieved"
)
TESTED = "2023.5 to 2026.8"


RUNS = (
    Frame("distributed.worker", "_run_task_simple", "task", costs="which task failed, by its key", optional=True),
    Frame("distributed.worker", "_run_task_async", "task", costs="which task failed, by its key", optional=True),
    Frame("distributed.worker", "apply_function_simple", costs="a story where a library failed", optional=True),
    Frame("distributed.worker", "apply_function_async", costs="a story where a library failed", optional=True),
)
SUBMITS = tuple(Frame("distributed.client", f"Client.{name}", "func", costs=lazy.COSTS) for name in ("submit", "map"))


def _open(exc: BaseException) -> engine_facts.Opened | None:
    """What could not be sent is told by three chained tracebacks in one message."""
    if type(exc) is not TypeError or "distributed" not in sys.modules:
        return None
    text = next(map(static.text_of, static.args_of(exc)), "")
    if not distributed_logs.UNSENT.match(text):
        return None
    first, _, rest = text.partition("\n")
    if len(exc.args) > 1 or not rest:
        return engine_facts.Opened(headline=TypeError(f"{first}{_why(exc)}"))
    return engine_facts.Opened(headline=TypeError(f"{first}: {rest.rstrip().rpartition(chr(10))[2]}"))


def _open_wait(exc: BaseException) -> engine_facts.Opened | None:
    """A wait that ended without a result is told with what was waited for."""
    if not static.name(type(exc)).endswith(("TimeoutError", "CancelledError")) or "distributed.client" not in sys.modules:
        return None
    try:
        return distributed_waits.opened(exc, sites)
    except Exception:
        return None  # then Dask's message is all


def _why(exc: BaseException) -> str:
    context = static.behind(exc)
    return f": {type(context).__name__}: {context}" if context is not None else ""


engine_facts.register(
    openers=(_open, _open_wait),
    own=("distributed", "dask", "tornado", "tblib", "zict", "toolz", "tlz", "msgpack"),
    handles=(distributed_handles.handle,),
    crashes=("distributed.scheduler.KilledWorker",),
    running=(lambda _: distributed_interrupts.running(sites, RUNS[0]),),
)


# The worker


def _wrap_error_message(original: Function) -> Function:
    """Runs in the worker with the exception alive; what it returns is sent."""

    @functools.wraps(original)
    def error_message(e: BaseException, *args: object, **kwargs: object) -> Any:
        try:
            packed = _unsent(e) or _packed(e, sys._getframe(2))
        except BaseException:  # SystemExit of pickling it: Dask will see the same
            packed = None  # then as Dask does it
        if packed is None:
            return original(e, *args, **kwargs)
        data, survives = packed
        # Dask logs an exception that cannot be pickled, four tracebacks long: it is given one that can.
        message = original(e if survives else Exception(repr(e)), *args, **kwargs)
        try:
            protocol = sys.modules["distributed.protocol"]
            message = {**message, "exception": protocol.to_serialize(data)}
            if not survives and "exception_text" in message:
                message["exception_text"] = repr(e)
        except Exception:
            pass  # as above
        return message

    return error_message


def _unsent(exc: BaseException) -> tuple[bytes, bool] | None:
    """The same of a result that another worker could not send to this one."""
    if "distributed.protocol.pickle" not in sys.modules or not distributed_results.note(exc, {}):
        return None
    pickle = sys.modules["distributed.protocol.pickle"]
    return pickle.dumps(pickling.packed(exc, attached(exc) or {}, pickle.dumps, pickle.loads)), True


def _packed(exc: BaseException, caller: FrameType | None) -> tuple[bytes, bool] | None:
    """The exception's pickle with its record, and whether it would have survived by itself; None where there is no story."""
    import dask

    tb = static.traceback_of(exc)
    is_of_task = any(run.matches(caller) for run in RUNS) if caller is not None else False
    hop = distributed_runs.hop_of(tb, caller)
    if not (is_of_task or hop or engine_frames.has_user_frame(tb)) or len(message_of(exc)) > dask.config.get(
        "distributed.admin.max-error-length", 10_000
    ):
        return None
    pickle = sys.modules["distributed.protocol.pickle"]
    if hop is None:
        label = _label(caller) if is_of_task else None
        hop = build.hop("dask", "in a Dask worker", call=dask_calls.of(tb), label=label, twice=True)
    hop.update(dask_operations.of(tb))
    tree = build.record(exc, tb, hop)
    log = logging.getLogger("distributed.protocol.pickle")
    disabled, log.disabled = log.disabled, True
    try:
        packed = pickling.packed(exc, tree, pickle.dumps, pickle.loads)
        survives = packed.args[0][0] is exc
        if not survives and not issubclass(type(exc), Exception):
            # As itself it would pass Dask's loop in the program by, and who asks would wait for ever: it is as Dask makes it.
            packed = pickling.packed(Exception(repr(exc)), tree, pickle.dumps, pickle.loads)
        data = pickle.dumps(packed)
        pickle.loads(data)
    finally:
        log.disabled = disabled
    return data, survives


def _label(caller: FrameType | None) -> str | None:
    """A task's key: of a collection's it holds which part of it failed."""
    (task,) = assumption.read(caller, RUNS[0]) or (None,)
    key = getattr(task, "key", None) or _key_of_thread()
    return f"task {key}" if type(key) in (str, tuple) and key else None


def _wrap_actor_execute(original: Function) -> Function:
    """A method of an actor: what it raises is sent as it is, without its traceback where tblib did not see it before."""

    @functools.wraps(original)
    async def actor_execute(self: Any, *args: object, **kwargs: object) -> Any:
        result = await original(self, *args, **kwargs)
        try:
            found = result.get("exception")
            exc = getattr(found, "data", None)
            if static.is_exception(exc):
                pickle = sys.modules["distributed.protocol.pickle"]
                call = engine_frames.frame_call(static.traceback_of(exc))
                key = kwargs.get("actor") or next(iter(args), "")
                hop = build.hop("dask", "in a Dask worker", call=call, label=f"actor {key}", twice=True)
                tree = build.record(exc, static.traceback_of(exc), hop)
                if self.address.startswith("inproc:"):
                    annotate.attach(exc, tree)
                else:
                    result["exception"] = type(found)(pickling.packed(exc, tree, pickle.dumps, pickle.loads))
        except Exception:
            pass  # then as Dask does it
        return result

    return actor_execute


_ENDS = ("dask", "in a Dask worker")


def _wrap_run_task(original: Function) -> Function:
    """Runs a task in a thread of the worker, and returns a message."""
    return task_events.around(original, _task, lambda message: message.get("op") == "task-finished", _ENDS)


def _task(task: Any, data: dict[Any, Any], *_: object) -> Any:
    if not _in_worker_process():
        return None
    function, key = getattr(task, "func", None), getattr(task, "key", "")
    if function is None:
        return None  # plain data, or another name for it
    job = number(key)
    if ownership.is_engines(function):
        return None, (), None, job, f"task {key}"
    return function, *dask_calls.given(task, data), job


def _wrap_apply(original: Function) -> Function:
    """The same before 2024.12."""
    return task_events.around(original, _applied, lambda message: message.get("op") == "task-finished", _ENDS)


def _applied(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], *_: object) -> Any:
    if not _in_worker_process():
        return None
    if ownership.is_engines(function) and args and type(args[0]) is tuple and args[0] and callable(args[0][0]):
        function, args = args[0][0], args[0][1:]
    if ownership.is_engines(function) and safe_repr.function_name(function) == "apply" and len(args) in (2, 3):
        function, args, kwargs = args[0], args[1], args[2] if len(args) == 3 else {}
    if type(args) is tuple and len(args) == 2 and args[0] in (tuple, list):  # a part of a graph that makes them
        args = tuple(args[1])
    return function, args, kwargs, number(_key_of_thread())


def _key_of_thread() -> Any:
    return getattr(sys.modules["distributed.worker"].thread_state, "key", "")


def _in_worker_process() -> bool:
    """A worker may be threads of the program itself, where nothing is to be noted."""
    return multiprocessing.parent_process() is not None


def _wrap_close(original: Function) -> Function:
    """A worker is closed, by a Ctrl-C perhaps, and waits for its threads."""

    @functools.wraps(original)
    async def close(self: Any, *args: object, **kwargs: object) -> Any:
        try:
            if _in_worker_process():
                task_events.leaves()
        except Exception:
            pass  # less is told of what it ran
        return await original(self, *args, **kwargs)

    return close


# The worker's log


def _wrap_process_init(original: Function) -> Function:
    """Workers that a ``LocalCluster`` of this program starts write to its terminal: they are told so, by their process object."""

    @functools.wraps(original)
    def __init__(self: Any, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        try:
            distributed_interrupts.started(self._process)
            if distributed_logs.is_told_here():
                self._process._autotb_told_by_driver = True
        except Exception:
            pass  # the worker logs as ever

    return __init__


def _wrap_local_cluster(original: Function) -> Function:
    """From here on workers' log lines and the stories of this program are on one terminal."""

    @functools.wraps(original)
    def __init__(self: Any, *args: object, **kwargs: object) -> None:
        distributed_logs.local = True
        original(self, *args, **kwargs)

    return __init__


# The driver


def _wrap_graph_to_futures(original: Function) -> Function:
    """Every submission comes through here: the user's line is up the stack."""

    @functools.wraps(original)
    def _graph_to_futures(self: Any, *args: object, **kwargs: Any) -> Any:
        try:
            futures = original(self, *args, **kwargs)
        except TypeError as error:
            distributed_results.not_sent(error, sys._getframe(1))
            raise
        try:
            for function in assumption.read(sys._getframe(1), *SUBMITS, limit=2) or ():
                lazy.called(function)
            found = callsite.here(3)
            site = callsite.in_batch(found, delivery.of(self), True) if found is not None else None
            for key in futures:
                callsite.remember(sites, key, site)
                distributed_failures.submitted(self, key, kwargs.get("retries") or 0)
        except Exception:
            pass  # the place of submission is lost, nothing else
        return futures

    return _graph_to_futures


def _look(error: object) -> None:
    """What runs, and what was waited for, while there is a cluster that knows."""
    if type(error) is KeyboardInterrupt:
        from autotb.instrument import interrupted

        interrupted.look(error)
    else:
        distributed_waits.look(error, sites)


def _wrap_exit(original: Function) -> Function:
    """A client is closed for an error that it brought: the program most likely ends with it, and the others are one line."""

    @functools.wraps(original)
    def __exit__(self: Any, exc_type: object, exc_value: object, traceback: TracebackType | None) -> Any:
        try:
            _look(exc_value)
            pool = delivery.of(self).pool
            if exc_value is not None and pool.last == id(exc_value):
                pool.is_over, pool.is_plain = True, False
        except Exception:
            pass  # then they are told one by one
        return original(self, exc_type, exc_value, traceback)

    return __exit__


def _wrap_cluster_exit(original: Function) -> Function:
    """The tasks that a passing error waited for are looked up while there are workers."""

    @functools.wraps(original)
    def __exit__(self: Any, exc_type: object, exc_value: object, traceback: TracebackType | None) -> Any:
        try:
            _look(exc_value)
        except Exception:
            pass  # less is told of what was waited for
        return original(self, exc_type, exc_value, traceback)

    return __exit__


def ready(module: str) -> None:
    """After Dask's modules have run: loggers that tell a failed task's error, or of Dask's own marks, get the filter."""
    if module == "distributed.core":
        distributed_logs.begin()


PATCHES = (
    Patch("distributed.worker", "_run_task_simple", _wrap_run_task, optional=True, costs=Lost.DEATH),
    Patch("distributed.worker", "apply_function_simple", _wrap_apply, optional=True, costs=Lost.DEATH),
    Patch(
        "distributed.core",
        "error_message",
        _wrap_error_message,
        also=("distributed.worker", "distributed.worker_state_machine", "distributed.nanny", "distributed.scheduler"),
        costs=Lost.FIT,
    ),
    Patch("distributed.worker", "Worker.close", _wrap_close, optional=True, costs=Lost.WAITED),
    Patch("distributed.worker", "Worker.actor_execute", _wrap_actor_execute, costs=Lost.FIT),
    Patch("distributed.process", "AsyncProcess.__init__", _wrap_process_init, costs=Lost.TWICE),
    Patch("distributed.deploy.local", "LocalCluster.__init__", _wrap_local_cluster, costs=Lost.TWICE),
    Patch("distributed.client", "Client._graph_to_futures", _wrap_graph_to_futures, costs=Lost.SITE),
    Patch("distributed.client", "Client.__exit__", _wrap_exit, costs=Lost.UNRETRIEVED),
    Patch("distributed.deploy.spec", "SpecCluster.__exit__", _wrap_cluster_exit, optional=True, costs=Lost.WAITED),
    *distributed_deaths.PATCHES,
    *distributed_failures.PATCHES,
    *distributed_actors.patches(distributed_deaths.of),
    *distributed_memory.PATCHES,
    *distributed_results.PATCHES,
    *distributed_runs.PATCHES,
)
ASSUMPTIONS = (
    *RUNS,
    *SUBMITS,
    *distributed_logs.ASSUMPTIONS,
    *distributed_deaths.ASSUMPTIONS,
    *distributed_waits.ASSUMPTIONS,
    *distributed_actors.ASSUMPTIONS,
    *distributed_memory.ASSUMPTIONS,
    *distributed_results.ASSUMPTIONS,
    *distributed_runs.ASSUMPTIONS,
    *distributed_chains.ASSUMPTIONS,
)

#: What ``python -m autotb demo --engine distributed`` runs: a user's script.
DEMO = '''\
"""A Dask cluster of two workers maps over eight items; one of them is bad."""

from distributed import Client, LocalCluster

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        return client.gather(client.map(score, ITEMS))


if __name__ == "__main__":
    main()
'''
