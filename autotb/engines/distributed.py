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
from typing import TYPE_CHECKING, Any, Protocol

from autotb import assumption, engine_facts, settings, surface
from autotb.assumption import Attributes, Frame, Lost
from autotb.engines import (
    dask_calls,
    dask_operations,
    distributed_actors,
    distributed_chains,
    distributed_interrupts,
    distributed_logs,
    distributed_memory,
    distributed_results,
    distributed_runs,
    distributed_waits,
)
from autotb.instrument import attempts, delivery, engine_frames, lazy, task_events
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, callsite, ownership, pickling, safe_repr, static
from autotb.record.capture import attached, message_of

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from autotb.engines.distributed_chains import Client
    from autotb.instrument.types import Function
    from autotb.record.callsite import Site

    class Future(Protocol):
        """``distributed.Future``."""

        client: Client
        key: Any
        status: str

        def add_done_callback(self, fn: Function, /) -> object: ...

    class Scheduler(Protocol):
        """``distributed.Scheduler``."""

        client_comms: dict[str, Any]
        tasks: dict[Any, Any]
        workers: dict[str, Any]


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

_sites: dict[Any, Any] = {}  # task's key: (code, instruction, the client's batch)

RUNS = (
    Frame("distributed.worker", "_run_task_simple", "task", costs="which task failed, by its key", optional=True),
    Frame("distributed.worker", "_run_task_async", "task", costs="which task failed, by its key", optional=True),
    Frame("distributed.worker", "apply_function_simple", costs="a story where a library failed", optional=True),
    Frame("distributed.worker", "apply_function_async", costs="a story where a library failed", optional=True),
)
SUBMITS = tuple(Frame("distributed.client", f"Client.{name}", "func", costs=lazy.COSTS) for name in ("submit", "map"))
NANNY = Attributes("distributed.nanny", "WorkerProcess", "process", "worker_address", costs=Lost.DEATH)
PROCESS = Attributes("distributed.process", "AsyncProcess", "pid", "exitcode", costs=Lost.DEATH)


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
        return distributed_waits.opened(exc, _sites)
    except Exception:
        return None  # then Dask's message is all


def _why(exc: BaseException) -> str:
    context = static.behind(exc)
    return f": {type(context).__name__}: {context}" if context is not None else ""


def _handle(future: object) -> Any:
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


engine_facts.register(
    openers=(_open, _open_wait),
    own=("distributed", "dask", "tornado", "tblib", "zict", "toolz", "tlz", "msgpack"),
    handles=(_handle,),
    crashes=("distributed.scheduler.KilledWorker",),
    running=(lambda _: distributed_interrupts.running(_sites, RUNS[0]),),
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


def _wrap_run_task(original: Function) -> Function:
    """Runs a task in a thread of the worker, and returns a message."""
    return task_events.around(original, _task, lambda message: message.get("op") == "task-finished")


def _task(task: Any, data: dict[Any, Any], *_: object) -> Any:
    if not _in_worker_process():
        return None
    function, key = getattr(task, "func", None), getattr(task, "key", "")
    if function is None:
        return None  # plain data, or another name for it
    job = _number(key)
    if ownership.is_engines(function):
        return None, (), None, job, f"task {key}"
    return function, *dask_calls.given(task, data), job


def _wrap_apply(original: Function) -> Function:
    """The same before 2024.12."""
    return task_events.around(original, _applied, lambda message: message.get("op") == "task-finished")


def _applied(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], *_: object) -> Any:
    if not _in_worker_process():
        return None
    if ownership.is_engines(function) and args and type(args[0]) is tuple and args[0] and callable(args[0][0]):
        function, args = args[0][0], args[0][1:]
    if ownership.is_engines(function) and safe_repr.function_name(function) == "apply" and len(args) in (2, 3):
        function, args, kwargs = args[0], args[1], args[2] if len(args) == 3 else {}
    if type(args) is tuple and len(args) == 2 and args[0] in (tuple, list):  # a part of a graph that makes them
        args = tuple(args[1])
    return function, args, kwargs, _number(_key_of_thread())


def _key_of_thread() -> Any:
    return getattr(sys.modules["distributed.worker"].thread_state, "key", "")


def _number(key: object) -> int:
    """A task's key as its status file has it."""
    return task_events.number(str(key).encode())


def _in_worker_process() -> bool:
    """A worker may be threads of the program itself, where nothing is to be noted."""
    return multiprocessing.parent_process() is not None


# Workers that die

_dead: dict[int, list[Any]] = {}  # by the number of the task that ran last: hops, the latest last
_dead_at: dict[str, Any] = {}  # the same by the worker's address
_MOST_DEAD = 1_000


def _wrap_mark_stopped(original: Function) -> Function:
    """Runs in the nanny, that of a LocalCluster in this program, when its worker's process has ended."""

    @functools.wraps(original)
    def mark_stopped(self: Any) -> None:
        try:
            process, address = NANNY.read(self) or (None, None)
            pid, exitcode = PROCESS.read(process) or (0, None)
            if exitcode and len(_dead_at) < _MOST_DEAD:
                _note_death(pid, exitcode, address)
        except Exception:
            pass  # then it is told that a worker died, and no more
        original(self)

    return mark_stopped


def _note_death(pid: int, exitcode: int, address: object) -> None:
    from autotb.postmortem import death_report, status_file, status_reader

    left = status_reader.of(pid)
    status_reader.bury(pid)
    distributed_interrupts.ended(left, _sites)
    hop = death_report.hop("dask", "in a Dask worker", pid, exitcode, left)
    hop["died"][0] += distributed_memory.why(pid)
    _dead_at[str(address)] = hop
    if left is not None and left.running:
        _dead.setdefault(left.words[status_file.JOB], []).append(hop)


def _tell_of_death(error: BaseException) -> bool:
    """Whether it is known now who died of an error's task, or of another one, on the worker that the scheduler had chosen."""
    key, last = error.args[:2]
    known = attached(error)
    if known is not None and any(hop.get("died") for hop in known["hops"]):
        return True
    found = _dead.get(_number(key)) or []
    # A worker that is given the task as soon as it has started may die before its nanny knows its address.
    if last.address not in _dead_at and len(found) <= _allowed(error):
        return False
    if not found:
        fate = "not known to have started: the workers it was given to died, the last one as follows"
        hops = [{"engine": "dask", "where": "in a Dask cluster", "frames": [], "died": [fate]}, _dead_at[last.address]]
        annotate.note_death(error, hops, engine_frames.place_of(_sites.get(key)))
        return True
    hop = found[-1].copy()
    if len(found) > 1:
        before, s = len(found) - 1, "s" if len(found) > 2 else ""
        others = ", ".join(str(earlier["pid"]) for earlier in found[:-1])
        hop["died"] = [*hop["died"], f"{before} worker{s} before it died of the same task, pid{s} {others}"]
    annotate.note_death(error, [hop], engine_frames.place_of(_sites.get(key)))
    return True


def _allowed(error: BaseException) -> int:
    """How many workers may die of a task; the next one is the last."""
    import dask

    return int(error.args[2] if len(error.args) > 2 else dask.config.get("distributed.scheduler.allowed-failures"))


async def _death_of(address: str) -> Any:
    """What is known of the death of a worker, which a nanny of this program may notice later than its peers do."""
    import asyncio

    for _ in range(50 if distributed_logs.local else 0):
        if address in _dead_at:
            return _dead_at[address]
        await asyncio.sleep(0.02)
    return None


async def _wait_for_death(error: BaseException) -> None:
    """The scheduler may learn of a death before the nanny does."""
    if not distributed_logs.local or static.name(type(error)) != "KilledWorker":
        return
    import asyncio

    try:
        for _ in range(50):
            if _tell_of_death(error):
                return
            await asyncio.sleep(0.02)
    except Exception:
        pass  # the error is Dask's and goes on


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
    def _graph_to_futures(self: Any, *args: object, **kwargs: object) -> Any:
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
                callsite.remember(_sites, key, site)
                if kwargs.get("retries"):
                    callsite.remember(_retries, f"task {key}", kwargs["retries"])
                if _early and (self.id, key) in _early:
                    self.loop.add_callback(_note_late, self, key, _early.pop((self.id, key)))
        except Exception:
            pass  # the place of submission is lost, nothing else
        return futures

    return _graph_to_futures


_early: dict[tuple[str, Any], BaseException] = {}  # of futures that had failed before their submission returned
_retries: dict[str, int] = {}  # by the label of a task: how often it may be run again
_attempts = attempts.Attempts()  # the same, where the scheduler is in this process
_failed: dict[tuple[str, Any], Any] = {}  # by client and key: the watches of failed tasks that were not retrieved so far


def _wrap_task_erred(original: Function) -> Function:
    """The driver learns of a failed task, whether anybody asks for it or not."""

    @functools.wraps(original)
    def _handle_task_erred(
        self: Any, key: object = None, exception: BaseException | None = None, traceback: TracebackType | None = None
    ) -> None:
        was = getattr(self.futures.get(key), "status", "")
        original(self, key, exception, traceback)
        if was == "finished":
            return  # an actor's, whose worker died: the program has it
        try:
            # The frames that tblib makes hold this one: its locals must hold no more.
            _note_failed(self, key, exception, was == "error" and key in _sites)
        except Exception:
            pass  # the error is the user's and goes on

    return _handle_task_erred


def _note_failed(client: Client, key: object, exception: BaseException | None, again: bool = False) -> None:
    """``again``, as the scheduler tells it of what is computed from it: somebody asked for it by now, or it is held."""
    state = client.futures.get(key)
    if state is not None and key not in _sites:
        callsite.remember(_early, (client.id, key), state.exception)
        if key in _sites and _early.pop((client.id, key), None) is None:
            return  # its submission has just returned, and saw that
    site = _sites.get(key)
    if state is None:  # dropped, and the scheduler does not know it yet
        _failed_later(client, key, _unpacked(exception), site)
        return
    watch = _watch(state.exception, site) if not again else None
    root = _complete(state, key)
    if root in _sites:
        distributed_chains.note_skipped(client, key, root, state.exception)
    _note_attempts(state.exception)
    if again and (held := _failed.get((client.id, key))) is not None:
        held.error = state.exception
    if watch is not None:
        _end(_failed.get((client.id, key)), None)  # it was dropped, and submitted again
        _hold(client.id, key, root, watch)


def _complete(state: Any, key: object) -> Any:
    """What only the program knows of a failed future's error; returns the key of the task whose error it is."""
    state.traceback = annotate.renewed(state.exception, state.traceback)
    for hop in (attached(state.exception) or {}).get("hops", ()):
        dask_operations.note_made(hop)
        lazy.note_made(hop)
    root = distributed_chains.root_of(key, state.exception)
    annotate.note_submitted(state.exception, engine_frames.place_of(_sites.get(root, _sites.get(key))))
    return root


def _note_late(client: Client, key: object, exception: BaseException) -> None:
    try:
        _note_failed(client, key, exception)
    except Exception:
        pass  # as above


def _failed_later(client: Client, key: object, error: BaseException, site: Site | None) -> None:
    """A task failed whose last future had been dropped; one that had none is another's, which that one's error is told by."""
    if site is None:
        return
    watch = _watch(error, site)
    if watch is None:
        _nobody_can_ask(error, site)
    elif (client.id, key) in _failed:
        _end(watch, None)  # the one that there is tells
    else:
        root = distributed_chains.root_of(key, error)
        annotate.note_submitted(error, engine_frames.place_of(_sites.get(root, site)))
        _hold(client.id, key, root, watch)
        if (client.id, key) not in _handed:
            distributed_chains.dropped(client, key, _is_dropped)


def _hold(client_id: str, key: object, root: object, watch: Any) -> None:
    """Until the future is asked or dropped."""
    _failed[client_id, key] = watch
    distributed_chains.follow(client_id, key, root)


def _taken(client_id: str, key: object) -> Any:
    """The watch, if the future was neither asked nor dropped so far."""
    distributed_chains.forget(client_id, key)
    return _failed.pop((client_id, key), None)


def _note_attempts(error: BaseException) -> None:
    """Which attempt failed; of a task that was not run for it, that of the task that did."""
    label = next((hop.get("label") for hop in (attached(error) or {}).get("hops", ())), None) or ""
    failed, retries = _attempts.failed.get(label, []), _retries.get(label, 0)
    number = len(failed) or retries + 1
    attempts.note(error, number, max(number, retries + 1), failed)


def _watch(error: BaseException, site: Site | None) -> Any:
    """Tells the error once it is dropped; None where it is not to be told."""
    if (
        not issubclass(type(error), Exception)
        or site is None
        or not settings.switch("unretrieved")
        or not distributed_logs.asking_is_seen()
    ):
        return None
    from autotb.instrument import failure_kinds, unretrieved

    return unretrieved.begin(error, site, failure_kinds.of(error))


def _nobody_can_ask(error: BaseException, site: Site | None) -> None:
    """Tell it now, unless the very same has reached the program; where it was submitted is not known for another program's."""
    if site is None:
        surface.events.never_retrieved([(error, None)])
    else:
        _watch(error, site)  # which is dropped at once


def _wrap_release_key(original: Function) -> Function:
    """The last future of a task was dropped, or its client is closed."""

    @functools.wraps(original)
    def _release_key(self: Any, key: object) -> None:
        original(self, key)
        if (self.id, key) in _failed and (self.id, key) not in _handed:
            try:
                distributed_chains.dropped(self, key, _is_dropped)
            except Exception:
                _is_dropped(self.id, key)  # its loop is closed

    return _release_key


def _is_dropped(client_id: str, key: object) -> None:
    _taken(client_id, key)  # its watch tells


_handed: dict[tuple[str, Any], bool] = {}  # by client and key: futures that a variable or a queue has, and gives again


def _wrap_hand(original: Function) -> Function:
    """A future is put into a variable or a queue: dropped here, it can be asked for still."""

    @functools.wraps(original)
    async def hand(self: Any, value: Any, *args: object, **kwargs: object) -> Any:
        try:
            if isinstance(value, sys.modules["distributed.client"].Future):
                callsite.remember(_handed, (self.client.id, value.key), True)
        except Exception:
            pass  # then it is told once it is dropped
        return await original(self, value, *args, **kwargs)

    return hand


def _wrap_take(original: Function) -> Function:
    """A future comes out of a variable or a queue, with its error where it has failed."""

    @functools.wraps(original)
    async def take(self: Any, *args: object, **kwargs: object) -> Any:
        found = await original(self, *args, **kwargs)
        try:
            for one in found if type(found) is list else [found]:
                state = self.client.futures.get(getattr(one, "key", None))
                if state is not None and state.status == "error":
                    _complete(state, one.key)
        except Exception:
            pass  # the place of submission is lost, nothing else
        return found

    return take


def _wrap_client_close(original: Function) -> Function:
    """The loop may end with the client: what waited to be told is told now."""

    @functools.wraps(original)
    async def _close(self: Any, *args: object, **kwargs: object) -> Any:
        others_may_ask = distributed_chains.has_others(self)
        try:
            return await original(self, *args, **kwargs)
        finally:
            _is_closed(self, others_may_ask)

    return _close


def _is_closed(client: Client, others_may_ask: bool) -> None:
    try:
        distributed_chains.closed(client.id)
        for client_id, key in [place for place in list(_failed) if place[0] == client.id]:
            if others_may_ask and (client_id, key) in _handed:
                _end(_taken(client_id, key), None)  # whether anybody will is not known here
            else:
                _is_dropped(client_id, key)
    except Exception:
        pass  # they are told as the program ends


def _look(error: object) -> None:
    """What runs, and what was waited for, while there is a cluster that knows."""
    if type(error) is KeyboardInterrupt:
        from autotb.instrument import interrupted

        interrupted.look(error)
    else:
        distributed_waits.look(error, _sites)


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


def _wrap_scheduler_erred(original: Function) -> Function:
    """A failed task of which no client hears: its future was given to ``fire_and_forget``, a queue, a variable, a data set."""

    @functools.wraps(original)
    def handle_task_erred(self: Any, *args: object, **kwargs: object) -> None:
        unheard = None
        try:
            _note_attempt(self, kwargs["key"] if "key" in kwargs else args[0], kwargs.get("exception_text"))
            if distributed_logs.is_told_here():
                unheard = _unheard(self, kwargs["key"] if "key" in kwargs else args[0])
        except Exception:
            pass  # then it is in the worker's log alone
        original(self, *args, **kwargs)
        try:
            if unheard is not None and unheard.state in ("erred", "forgotten", "released"):
                _nobody_asks_yet(unheard.key, _unpacked(kwargs["exception"]))
        except Exception:
            pass  # as above

    return handle_task_erred


def _nobody_asks_yet(key: object, error: BaseException) -> None:
    """A future that a variable or a queue has may be asked for until its client is closed."""
    site = _sites.get(key)
    holder = next((client_id for client_id, one in list(_handed) if one == key), None)
    watch = _watch(error, site) if holder is not None and site is not None else None
    if holder is None or watch is None:
        _nobody_can_ask(error, site)
    else:
        _hold(holder, key, distributed_chains.root_of(key, error), watch)


def _note_attempt(scheduler: Scheduler, key: object, text: object) -> None:
    """One of a task that is run again, or its last."""
    task, label = scheduler.tasks.get(key), f"task {key}"
    if task is not None and task.state == "processing" and (task.retries > 0 or label in _attempts.failed):
        _attempts.failed_of(label, str(text))


def _unheard(scheduler: Scheduler, key: object) -> Any:
    """The task, where it or what depends on it is wanted, and no program waits for any of them."""
    first = scheduler.tasks.get(key)
    if first is None or first.state != "processing" or first.retries > 0:
        return None
    tasks, seen, is_wanted = [first], {first.key}, False
    for task in tasks:  # it grows
        wants = [client.client_key for client in task.who_wants or ()]
        if any(client in scheduler.client_comms for client in wants):
            return None
        is_wanted = is_wanted or bool(wants)
        tasks += [other for other in task.dependents if other.key not in seen]
        seen.update(other.key for other in task.dependents)
    return first if is_wanted else None


def _unpacked(sent: Any) -> BaseException:
    """An error as a scheduler or a client got it."""
    found = getattr(sent, "data", sent)
    if hasattr(sent, "frames"):
        found = sys.modules["distributed.protocol"].deserialize(sent.header, sent.frames)
    error: BaseException = sys.modules["distributed.core"].clean_exception(found, None)[1]
    return error


def _wrap_ask(original: Function) -> Function:
    """``result()``, ``exception()``, ``gather()``, awaited or not, end here: an error that is asked for is not told."""

    @functools.wraps(original)
    async def ask(self: Any, *args: object, **kwargs: object) -> Any:
        try:
            found = await original(self, *args, **kwargs)
        except BaseException as error:
            distributed_results.noted(error, _sites)
            await _wait_for_death(error)
            if _failed:
                _note_asking(self, error)
            tb = static.traceback_of(error)
            if tb is not None and tb.tb_next is not None:
                BaseException.with_traceback(error, tb.tb_next)
            raise
        # Before 2024, ``result()`` raised what ``_result`` returned: a triple with the exception.
        inner = found[1] if type(found) is tuple and len(found) == 3 else found
        if static.is_exception(inner):
            await _wait_for_death(inner)
        if _failed and original.__name__ != "_gather" and issubclass(type(inner), (BaseException, bytes)):
            _note_asking(self, inner)
        return found

    return ask


def _note_asking(asked: Any, error: BaseException) -> None:
    """An error reached the program, by a future or by a client's ``gather``; a wait that ended early asked for no task's."""
    try:
        if hasattr(asked, "client"):
            keys = [(asked.client.id, asked.key)] if asked.status == "error" else []
        else:
            keys = [key for key, watch in list(_failed.items()) if watch.error is error]
        for key in keys:
            others = distributed_chains.alike(*key)
            watch = _taken(*key)
            if watch is not None:
                for other in others:
                    _end(_taken(key[0], other), None)
                _end(watch, error if static.is_exception(error) else watch.error)
    except Exception:
        pass  # then it is told once more


def _end(watch: Any, error: BaseException | None) -> None:
    from autotb.instrument import unretrieved

    if watch is not None:
        unretrieved.end(watch, error)


def ready(module: str) -> None:
    """After Dask's modules have run: loggers that tell a failed task's error, or of Dask's own marks, get the filter."""
    if module == "distributed.core":
        distributed_logs.begin()


PATCHES = (
    Patch("distributed.worker", "_run_task_simple", _wrap_run_task, optional=True, costs=Lost.DEATH),
    Patch("distributed.worker", "apply_function_simple", _wrap_apply, optional=True, costs=Lost.DEATH),
    Patch("distributed.nanny", "WorkerProcess.mark_stopped", _wrap_mark_stopped, costs=Lost.DEATH),
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
    Patch("distributed.client", "Client._handle_task_erred", _wrap_task_erred, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Client._release_key", _wrap_release_key, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Client._close", _wrap_client_close, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Client.__exit__", _wrap_exit, costs=Lost.UNRETRIEVED),
    Patch("distributed.deploy.spec", "SpecCluster.__exit__", _wrap_cluster_exit, optional=True, costs=Lost.WAITED),
    Patch("distributed.scheduler", "Scheduler.handle_task_erred", _wrap_scheduler_erred, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Future._result", _wrap_ask, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Future._exception", _wrap_ask, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Client._gather", _wrap_ask, costs=Lost.UNRETRIEVED),
    *(
        Patch(f"distributed.{module}", name, wrap, optional=True, costs=Lost.UNRETRIEVED)
        for module, name, wrap in (
            ("variable", "Variable._set", _wrap_hand),
            ("variable", "Variable._get", _wrap_take),
            ("queues", "Queue._put", _wrap_hand),
            ("queues", "Queue._get", _wrap_take),
        )
    ),
    *distributed_actors.patches(_death_of),
    *distributed_memory.PATCHES,
    *distributed_results.PATCHES,
    *distributed_runs.PATCHES,
)
ASSUMPTIONS = (
    *RUNS,
    *SUBMITS,
    *distributed_logs.ASSUMPTIONS,
    NANNY,
    PROCESS,
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
