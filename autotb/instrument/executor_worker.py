"""The worker processes of an executor, concurrent.futures' and loky's: their loop, and what is sent when a task fails.

Flows in: the queue of calls, and the wrapper in which an exception travels.  Flows out: the worker's status file and its log, a
record with the failing call, and of a call or a result that cannot be pickled the part that is at fault.
"""

from __future__ import annotations

import functools
import sys

from autotb import assumption, first_use
from autotb.instrument.queue_proxy import QueueProxy
from autotb.record import ownership, static

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this: what only failures need is imported where they are handled
    from types import FrameType, TracebackType
    from typing import Any

    from autotb.instrument.executor_internals import Internals
    from autotb.instrument.types import Function, Queue
    from autotb.instrument.worker_log import LoggedTask
    from autotb.record.schema import Hop, Light, Tree


def run(original: Function, call_queue: Queue, result_queue: Queue, initializer: Function | None, *more: object) -> Any:
    """Run the engine's loop ``original`` over its queues, noting each task that begins."""
    status = None
    try:
        from autotb.instrument import worker_log
        from autotb.postmortem import status_file

        log = worker_log.log()
        if log is not None:
            task = worker_log.LoggedTask(log)
            call_queue, result_queue = _Begins(call_queue, task), _Ends(result_queue, task)
        status = status_file.begin()
        if status is not None:
            status.words[status_file.STATE] = status_file.STARTING if initializer is not None else status_file.IDLE
            call_queue = _Calls(call_queue, status)
    except Exception:
        pass  # should it die, less is known
    result = original(call_queue, result_queue, initializer, *more)
    if status is not None and status.words[status_file.STATE] != status_file.RAISED:  # which the driver reads
        status.end()
    return result


class _Begins(QueueProxy):
    """The queue of tasks, in a worker that logs them."""

    def __init__(self, queue: Queue, task: LoggedTask) -> None:
        super().__init__(queue)
        self.task = task

    def get(self, *args: object, **kwargs: object) -> Any:
        item = self.queue.get(*args, **kwargs)
        if item is not None:
            self.task.began(lambda: (call_of(item.fn, item.args, item.kwargs, None), called(item.fn)))
        return item


class _Ends(QueueProxy):
    """The queue of results of such a worker."""

    def __init__(self, queue: Queue, task: LoggedTask) -> None:
        super().__init__(queue)
        self.task = task

    def put(self, item: object, *args: object) -> Any:
        self.task.ended(well=getattr(item, "exception", self) is None)
        return self.queue.put(item, *args)


class _Calls(QueueProxy):
    """The queue of tasks, in a worker: in every respect but ``get`` the queue itself."""

    def __init__(self, queue: Queue, status: Any) -> None:
        from autotb.postmortem import status_file

        super().__init__(queue)
        take, words, begins = queue.get, status.words, status.runs
        state, idle = status_file.STATE, status_file.IDLE  # names would be looked up for each task

        def get(*args: Any, **kwargs: Any) -> Any:
            words[state] = idle
            try:
                item = take(*args, **kwargs)
            except Exception as error:
                if static.name(type(error)) != "Empty":
                    status.fails(error)  # it will die of it
                raise
            if item is not None:
                begins(0, item.work_id, "")
            return item

        self.get = get


def initialize(engine: str, worker: str, initializer: Function, *args: object) -> None:
    """Run the user's initializer; what it raises is logged by the worker, with the place where it ran noted on it."""
    try:
        initializer(*args)
    except BaseException as error:
        try:
            from autotb.record import annotate, build

            hop = build.hop(engine, f"in the initializer of a {worker}", call=build.call_text(initializer, args))
            _leave_word(error, hop.copy())
            annotate.note_live(error, hop)
        except Exception:
            pass  # then the log shows it as ever
        first_use.clean(error)
        raise


def _leave_word(error: BaseException, hop: Hop) -> None:
    """For the driver, who else learns only that a worker has ended."""
    from autotb.imports import own
    from autotb.postmortem import status_file
    from autotb.record import build

    status = status_file.begin()
    if status is None:
        return
    with own:
        import json
    tb = static.traceback_of(error)
    record = build.record(error, tb.tb_next if tb is not None else None, hop)
    if isinstance(record, dict):
        status.raised(record["type"], json.dumps(record))


def record(
    engine: str, where: str, exc: BaseException, tb: TracebackType | None, caller: FrameType, internals: Internals
) -> Tree | Light:
    """The record of what a task raised, made while the loop is up the stack."""
    from autotb.record import build

    (item,) = assumption.read(caller, internals.worker, limit=5) or (None,)
    function, args, kwargs = internals.item.read(item) or (None, (), {})
    call = call_of(function, args, kwargs, tb) if function is not None else None
    return unsent(build.record(exc, tb, build.hop(engine, where, call=call, ran=ran(exc))), caller, internals)


def ran(error: BaseException) -> float | None:
    """How many seconds the task of this worker has run, if it was a Ctrl-C that ended it."""
    if type(error) is not KeyboardInterrupt:
        return None
    import time

    from autotb.postmortem import status_file

    status = status_file.begin()
    if status is None:
        return None
    words = status.words
    words[status_file.STOPPED] = now = time.time_ns()
    return (now - words[status_file.STARTED]) / 1e9


def unsent(tree: Tree | Light, caller: FrameType, internals: Internals) -> Tree | Light:
    """The record, which names the part of a result that could not be sent, where that is what failed."""
    if (found := assumption.read(caller, internals.sending)) and isinstance(tree, dict):
        from autotb.record import pickle_diagnosis

        culprit = pickle_diagnosis.of_result(found[0], pickler_of(caller))
        if culprit:
            tree["culprit"] = culprit
    return tree


def call_of(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tb: TracebackType | None) -> str | None:
    """The call of an item, or of the failing element of a chunk of ``map``."""
    from autotb.instrument import engine_frames
    from autotb.record import build

    users = called(function)
    if users is not function:
        return engine_frames.chunk_call(users, list(args[0]), tb, star=True)
    return engine_frames.frame_call(tb) if ownership.is_engines(function) else build.call_text(function, args, kwargs)


_CHUNKS = (".process", ".process_executor")  # how the names of the modules end that cut a map in chunks


def called(function: Any) -> Any:
    """The user's function; of a chunk of ``map`` the one that is called for each element."""
    if type(function) is not functools.partial:
        return function
    from autotb.record import safe_repr

    inner = function.func
    chunk = static.module_of(inner).endswith(_CHUNKS) and safe_repr.function_name(inner) == "_process_chunk"
    return function.args[0] if chunk else function


def note_unsent(exc: BaseException, call: tuple[Any, ...] | None, caller: FrameType) -> None:
    """The call could not be sent: which call, and which part of it is at fault."""
    from autotb.record import annotate, capture, pickle_diagnosis

    if call is None:
        return
    calls = ownership.batch_of(call[0]) or [call]
    found = ((each, pickle_diagnosis.of_call(each[0], each[1], each[2], pickler_of(caller))) for each in calls)
    (function, args, kwargs), culprit = next((pair for pair in found if pair[1]), (calls[0], ""))
    text = call_of(function, args, kwargs, None)
    told = capture.attached(exc) or {}
    unsent: Hop = {"frames": []}
    if text is not None:
        unsent["call"] = text
    if told.get("submitted"):
        unsent["submitted"] = told["submitted"]
    annotate.note(exc, unsent=True, culprit=culprit or None, hops=[unsent])


def pickler_of(caller: FrameType) -> Any:
    """The class that the caller's engine pickles with: the standard library's, or loky's, which the user may set."""
    package = static.name_of(caller).rpartition(".")[0]
    theirs = sys.modules.get(package + ".backend.reduction")
    found = theirs.get_loky_pickler() if theirs is not None and hasattr(theirs, "get_loky_pickler") else None
    return found or sys.modules["multiprocessing.reduction"].ForkingPickler
