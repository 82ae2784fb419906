"""The loop of a pool's worker: its queues, its initializer, and the box in which an exception travels.

Flows in: tasks, from the queue of tasks.  Flows out: results, of which those that failed bear a record; the worker's status
file and its log.  KeyboardInterrupt, SystemExit and a failing initializer would kill the worker in silence: they end as results.
"""

from __future__ import annotations

import functools
import os
import sys

from autotb import assumption, first_use, settings
from autotb.engines.multiprocessing.internals import LOOP
from autotb.engines.multiprocessing.messages import INITIALIZER
from autotb.instrument import exception_wrappers
from autotb.instrument.queue_proxy import QueueProxy
from autotb.postmortem import status_file
from autotb.record import ownership, safe_repr, static

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this: what only failures need is imported where they are handled
    from types import FrameType, ModuleType, TracebackType
    from typing import Any

    from autotb.engines.multiprocessing.types import Message, SimpleQueue, Task
    from autotb.instrument.types import Function
    from autotb.postmortem.status_file import StatusFile
    from autotb.record.schema import Light, Tree


def wrap_worker(original: Function) -> Function:
    """The loop that runs tasks lets KeyboardInterrupt and SystemExit kill it, and dies silently of an initializer: tell both."""

    @functools.wraps(original)
    def worker_(
        inqueue: SimpleQueue,
        outqueue: SimpleQueue,
        initializer: Function | None = None,
        initargs: tuple[Any, ...] = (),
        maxtasks: int | None = None,
        wrap_exception: bool = False,
    ) -> Any:
        status = None
        try:
            status = _status_file(inqueue, outqueue, initializer) if wrap_exception else None
            tasks = _Tasks(inqueue, sys.modules[original.__module__], in_thread=not wrap_exception)
            results = _Results(outqueue, tasks)
            if status is not None:
                tasks.noted_in(status, results)
                results.status = status
            if wrap_exception:
                from autotb.instrument import worker_log

                log = worker_log.log()
                if log is not None:
                    tasks.log = results.log = worker_log.LoggedTask(log)
            if initializer is not None and settings.switch("rescue"):
                initializer = _Initializer(initializer, results, wrap_exception)
        except Exception:
            return original(inqueue, outqueue, initializer, initargs, maxtasks, wrap_exception)
        done = original(tasks, results, initializer, initargs, maxtasks, wrap_exception)
        if status is not None:
            status.end()
        return done

    worker_.__name__ = worker_.__qualname__ = "worker"
    return worker_


def _status_file(inqueue: SimpleQueue, outqueue: SimpleQueue, initializer: Function | None) -> Any:
    from autotb.engines.multiprocessing import recovery

    recovery.unguard(outqueue)
    try:
        status = recovery.begin(inqueue, outqueue)
    except Exception:
        return None  # should this process die, less is known
    if status is not None and initializer is not None:
        status.words[status_file.STATE] = status_file.STARTING
    return status


class _Tasks(QueueProxy):
    """Hands out tasks whose function cannot kill the worker by an exception; remembers the running one."""

    def __init__(self, queue: SimpleQueue, module: ModuleType, in_thread: bool) -> None:
        super().__init__(queue)
        self.module, self.in_thread = module, in_thread
        self.task: Any = None
        self._get = queue.get
        self.log: Any = None
        self._reraises = module._helper_reraises_exception
        self._guarded = _Guarded(None) if settings.switch("rescue") else None  # one, since the worker runs one task at a time

    def noted_in(self, status: StatusFile, results: _Results) -> None:
        """From now on each task that is taken is noted in this process's status file; one that cannot be unpickled fails."""
        take, begins, words = self._get, status.runs, status.words
        state, idle = status_file.STATE, status_file.IDLE  # names would be looked up for each task
        with_arguments = settings.switch("args")

        def get() -> Any:
            while True:
                words[state] = idle
                try:
                    task = take()
                    break
                except Exception as error:
                    if words[state] == idle or not settings.switch("rescue") or not _not_unpickled(error, status, results):
                        raise  # the pipe is at its end
            if task is not None:
                begins(
                    task[0], task[1] or 0, _brief(task, status_file.plain) if with_arguments else safe_repr.function_name(task[2])
                )
            else:
                words[state] = idle
            return task

        self._get = get

    def get(self) -> Any:
        self.task = None
        guarded = self._guarded
        if guarded is not None:
            guarded.function = None
        task = self._get()
        if self.log is not None and task is not None:
            self.log.began(lambda: (_call_of(task[2], task[3], task[4], None), _called(task[2], task[3])))
        if task is None or task[2] is self._reraises:  # the user's iterable failed in the driver
            return task
        if self.in_thread:
            self.task = task
        if guarded is None:
            return task
        job, index, guarded.function, args, kwargs = task
        return (job, index, guarded, args, kwargs)


def _not_unpickled(error: BaseException, status: StatusFile, results: _Results) -> bool:
    """A task that was received whole: its worker would die of it, and whoever waits for its result would for ever."""
    try:
        from autotb.engines.multiprocessing import queue_repair
        from autotb.postmortem import status_reader
        from autotb.record import build
    except Exception:
        return False  # then it dies of it

    job = queue_repair.job_of(status_reader.Remains(bytes(status.page)))
    if job is None:
        return False
    tb = static.traceback_of(error)
    box = results.module.ExceptionWithTraceback(error, tb)
    box._autotb = build.record(error, tb, build.hop("multiprocessing.Pool", "in a pool worker, which unpickled a task"))
    results.put((*job, (False, box)))
    return True


def _brief(task: Task, plain: Function) -> str:
    """A task in few words, in about a microsecond."""
    _, _, function, args, kwargs = task
    if type(function) is _FUNCTION and function.__module__ in _POOLS and args:
        star = function.__name__ == "starmapstar"
        if not star and function.__name__ != "mapstar":
            return ""
        function, chunk = args[0]
        first = plain(function, chunk[0] if star else chunk[:1])
        return first if len(chunk) == 1 else f"{first} or one of the {len(chunk) - 1} calls after it"
    else:
        batch = ownership.batch_of(function)
        if type(batch) is list and batch:
            first = plain(*batch[0])
            return first if len(batch) == 1 else f"{first} or one of the {len(batch) - 1} calls after it"
    return plain(function, args, kwargs)  # type: ignore[no-any-return]


_FUNCTION = type(_brief)


class _Guarded:
    """Calls a task; what the worker's loop would not catch is carried past it."""

    __slots__ = ("function",)

    def __init__(self, function: Function | None) -> None:
        self.function: Any = function

    def __call__(self, *args: object, **kwargs: object) -> Any:
        try:
            return self.function(*args, **kwargs)
        except Exception as error:
            tb = static.traceback_of(error)
            if tb is not None and tb.tb_next is not None:
                BaseException.with_traceback(error, tb.tb_next)
            tb = args = kwargs = None  # type: ignore[assignment]  # as above, with the task's arguments
            raise
        except (KeyboardInterrupt, SystemExit) as error:
            raise _Carried(error) from None


class _Carried(Exception):  # noqa: N818  no error: what it carries is one
    """A KeyboardInterrupt or SystemExit of a task on its way through ``except Exception``."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class _Results(QueueProxy):
    """Unpacks what was carried; in a thread pool, where the exception itself is handed over, notes who ran it."""

    def __init__(self, queue: SimpleQueue, tasks: _Tasks) -> None:
        super().__init__(queue)
        self._tasks = tasks
        self.module = tasks.module
        self._put = queue.put
        self.status: Any = None
        self.log: Any = None

    def put(self, message: Message) -> None:
        try:
            if self.log is not None:
                self.log.ended(message[2][0])
            if not message[2][0]:
                message = self._failed(*message)
        except Exception:
            pass  # a message of another form goes through as it is
        self._put(message)
        if self.status is not None:
            self.status.idles()  # the task's result is sent

    def _failed(self, job: object, index: object, result: tuple[bool, Any]) -> Any:
        value = result[1]
        if type(value) is _Carried:
            value = value.error
        if static.name(type(value)) == "MaybeEncodingError":
            _note_unsent(value, sys._getframe(2))
        if self._tasks.task is not None:
            from autotb.instrument import engine_frames

            _, _, function, args, kwargs = self._tasks.task
            tb = static.traceback_of(value)
            engine_frames.note_thread(
                value, "thread pool", "in a thread-pool worker", lambda: _call_of(function, args, kwargs, tb)
            )
        return (job, index, (False, value))


def _note_unsent(error: BaseException, loop: FrameType) -> None:
    """A result that could not be pickled, as the worker's loop has just tried: whose it is, and which part is at fault."""
    from autotb.record import annotate, build

    function, args, kwargs = assumption.read(loop, LOOP) or (None, None, None)
    call = _call_of(function, args, kwargs, None) if function is not None else None
    hop = build.hop("multiprocessing.Pool", "in a pool worker", call=call)
    annotate.attach(error, build.record(error, static.traceback_of(sys.exc_info()[1]), hop))


class _Initializer:
    """Runs the user's initializer; what it raises is sent to the driver, which else would start workers for ever."""

    def __init__(self, function: Function, results: _Results, in_process: bool) -> None:
        self.function, self.results, self.in_process = function, results, in_process

    def __call__(self, *args: object) -> None:
        try:
            self.function(*args)
        except Exception as error:
            if not self.in_process:
                first_use.clean(error)
                raise
            tb = static.traceback_of(error)
            tb = tb.tb_next if tb is not None else None
            box = self.results.module.ExceptionWithTraceback(error, tb)
            try:
                from autotb.record import build

                hop = build.hop(
                    "multiprocessing.Pool", "in the initializer of a pool worker", call=build.call_text(self.function, args)
                )
                box._autotb = build.record(error, tb, hop)
            except Exception:
                pass  # without a record the driver reads the text
            _put_whole(self.results, (INITIALIZER, os.getpid(), (False, box)))
            raise SystemExit(1) from None  # told in the driver: not here as well


def _put_whole(results: _Results, message: Message) -> None:
    """Send without being terminated in the middle: the pool ends its workers by SIGTERM, and one that held the queue's lock then
    would keep the pool from ever ending."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        results.put(message)
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # type: ignore[attr-defined,unused-ignore]
    try:
        results.put(message)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # type: ignore[attr-defined,unused-ignore]


def wrap_boxed_init(original: Function) -> Function:
    """Runs in a worker with the exception alive: ``_record`` is called here."""
    return exception_wrappers.wrap_init(original, _record, _unpacked)


def _unpacked(exc: BaseException, tb: TracebackType | None) -> tuple[Any, Any]:
    if type(exc) is not _Carried:
        return exc, tb
    tb = exc.error.__traceback__
    return exc.error, tb.tb_next if tb is not None else None


def _record(exc: BaseException, tb: TracebackType | None, caller: FrameType) -> Tree | Light:
    from autotb.record import build

    function, args, kwargs = assumption.read(caller, LOOP, limit=5) or (None, None, None)
    call = _call_of(function, args, kwargs, tb) if function is not None else None
    ran = None
    if type(exc) is KeyboardInterrupt:
        from autotb.instrument import executor_worker

        ran = executor_worker.ran(exc)
    return build.record(exc, tb, build.hop("multiprocessing.Pool", "in a pool worker", call=call, ran=ran))


_POOLS = ("multiprocessing.pool", "multiprocess.pool")


def _called(function: Function, args: tuple[Any, ...]) -> Any:
    """The user's function; of a chunk of ``map`` the one that is called for each element."""
    chunk = static.module_of(function) in _POOLS and function.__name__ in ("mapstar", "starmapstar")
    return args[0][0] if chunk else function


def _call_of(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], tb: TracebackType | None) -> str | None:
    from autotb.instrument import engine_frames
    from autotb.record import build

    if type(function) is _Guarded:
        function = function.function
    if static.module_of(function) in _POOLS and function.__name__ in ("mapstar", "starmapstar"):
        function_, chunk = args[0]
        star = function.__name__ == "starmapstar"
        if static.module_of(function_) == "pathos.helpers.mp_helper" and function_.__closure__:
            # pathos' own lambda around the user's function, which it gives the arguments of one call as one
            function_, chunk, star = (
                function_.__closure__[0].cell_contents,
                [element[0] for element in chunk] if star else chunk,
                True,
            )
        return engine_frames.chunk_call(function_, list(chunk), tb, star=star)
    if ownership.is_engines(function):
        return engine_frames.frame_call(tb)
    return build.call_text(function, args, kwargs)
