"""A pool in the driver: what the user calls, and the threads that keep the pool going while workers die.

Flows in: the pool's own functions.  Flows out: errors with the place of their submission; dead workers, to ``recovery``.
"""

from __future__ import annotations

import _thread
import functools
import sys
import weakref

from autotb import settings
from autotb.engines.multiprocessing import internals
from autotb.engines.multiprocessing.messages import untold
from autotb.instrument import exception_wrappers
from autotb.record import static

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this: what only failures need is imported where they are handled
    from typing import Any

    from autotb.engine_facts import Opened
    from autotb.engines.multiprocessing.types import Job, Pool, SimpleQueue
    from autotb.instrument.types import Function, Process


def wrap_get(original: Function) -> Function:
    """Once it raises, notes where the task was submitted."""

    @functools.wraps(original)
    def get(self: Any, timeout: float | None = None) -> Any:
        try:
            return original(self, timeout)
        except BaseException as error:
            _note(self, error)
            self = None  # the traceback's frames lead to this one: it must not keep the job alive
            raise

    return get


def _note(job: Job, error: BaseException) -> None:
    try:
        from autotb.instrument import engine_frames
        from autotb.record import annotate

        timeout = sys.modules[type(job).__module__.partition(".")[0]].TimeoutError
        if issubclass(type(error), timeout):
            from autotb.instrument import waiting

            waiting.note_asked(error, job)
        elif not issubclass(type(error), StopIteration):
            annotate.note_submitted(error, engine_frames.place_of(job.__dict__.get("_autotb_site")))
        tb = static.traceback_of(error)
        if tb is not None and tb.tb_next is not None:
            BaseException.with_traceback(error, tb.tb_next)
    except Exception:
        pass  # the error is the user's and goes on


def wrap_rebuild(original: Function) -> Function:
    """Runs in the driver, on what arrives."""
    return exception_wrappers.wrap_rebuild(original, sys.modules[original.__module__].RemoteTraceback)


def wrap_setup_queues(original: Function) -> Function:
    """The thread that receives results knows the queue, not the pool, whose size it needs to know."""

    @functools.wraps(original)
    def _setup_queues(self: Any) -> Any:
        result = original(self)
        try:
            self._outqueue._autotb_pool = weakref.ref(self)
            if hasattr(self._outqueue, "_wlock"):  # processes, not threads
                from autotb.engines.multiprocessing import recovery

                recovery.watch(self)
        except Exception:
            pass  # a queue of another kind: initializers are not watched
        return result

    return _setup_queues


def wrap_join_exited(original: Function) -> Function:
    """Takes dead workers out of the pool's list; what they were doing would be waited for for ever."""

    @functools.wraps(original)
    def _join_exited_workers(pool: list[Process]) -> Any:
        before = list(pool)
        cleaned = original(pool)
        if cleaned:
            try:
                from autotb.engines.multiprocessing import recovery

                kept = set(map(id, pool))
                cleaned = recovery.after([process for process in before if id(process) not in kept], pool)
            except Exception:
                pass  # then it waits, as it would without us
        return cleaned

    return _join_exited_workers


def wrap_maintain(original: Function) -> Function:
    """Takes dead workers out and starts others; who waits for a task of theirs is told afterwards.

    A worker that is forked while the program goes on would have what it has printed and not flushed yet, and print it again.
    """

    @functools.wraps(original)
    def _maintain_pool(
        ctx: object,
        Process: Function,
        processes: int,
        pool: list[Process],
        inqueue: SimpleQueue,
        outqueue: SimpleQueue,
        initializer: Function,
        initargs: tuple[Any, ...],
        maxtasksperchild: int | None,
        wrap_exception: bool,
    ) -> Any:
        later = untold[_thread.get_ident()] = []
        try:
            return original(
                ctx, Process, processes, pool, inqueue, outqueue, initializer, initargs, maxtasksperchild, wrap_exception
            )
        finally:
            del untold[_thread.get_ident()]
            for message in later:
                try:
                    outqueue.put(message)
                except Exception:
                    pass  # the pool is gone, and with it whoever waits

    return _maintain_pool


def wrap_help_finish(original: Function) -> Function:
    """Takes the lock of the queue of tasks, when the pool is terminated."""

    @functools.wraps(original)
    def _help_stuff_finish(inqueue: SimpleQueue, task_handler: object, size: int) -> Any:
        if settings.switch("rescue"):
            try:
                from autotb.engines.multiprocessing import recovery

                recovery.unlock(inqueue)
            except Exception:
                pass  # then it waits for it
        return original(inqueue, task_handler, size)

    return _help_stuff_finish


def wrap_terminate(original: Function) -> Function:
    """Ends the workers by a signal, in the midst of whatever they do."""

    @functools.wraps(original)
    def terminate(self: Any) -> Any:
        if (error := sys.exc_info()[1]) is not None:
            _note_running(self, error)
        del error  # whose traceback leads to this frame
        result = original(self)
        if hasattr(getattr(self, "_outqueue", None), "_wlock"):  # processes, not threads
            _forget(self)
        return result

    return terminate


def _note_running(pool: Pool, error: BaseException) -> None:
    """A Ctrl-C ends the pool, or a wait for its tasks that has timed out: what its workers do."""
    try:
        if type(error) is KeyboardInterrupt:
            from autotb.engines.multiprocessing import recovery
            from autotb.instrument import interrupted

            interrupted.look(error, recovery.running(pool))
        for each in static.chain(error):
            if _timed_out(each):
                from autotb.engines.multiprocessing import waits
                from autotb.instrument import waiting

                waiting.keep(each, waits.lines)
    except Exception:
        pass  # then it is not told


def opened(error: BaseException) -> Opened | None:
    """A Ctrl-C, and a wait that has timed out, are told with what the workers were doing."""
    if type(error) is KeyboardInterrupt:
        from autotb.instrument import interrupted

        return interrupted.opened(error)
    if not _timed_out(error):
        return None
    from autotb.engines.multiprocessing import waits
    from autotb.instrument import waiting

    return waiting.story(error, waits.lines)


def _timed_out(error: BaseException) -> bool:
    kind = type(error)
    return static.name(kind) == "TimeoutError" and static.module(kind) in internals.contexts


def _forget(pool: Pool) -> None:
    """Its workers have ended."""
    try:
        from autotb.engines.multiprocessing import recovery

        recovery.forget(pool._pool)
    except Exception:
        pass  # their files are swept away later


def wrap_join(original: Function) -> Function:
    """Waits for the last workers."""

    @functools.wraps(original)
    def join(self: Any) -> Any:
        try:
            from autotb.engines.multiprocessing import recovery

            recovery.see_off(self)
        except Exception:
            pass  # it waits as it would without us
        result = original(self)
        _forget(self)
        return result

    return join


def wrap_reduce(original: Function) -> Function:
    """What is pickled carries the record and is tried beforehand with the package's own pickler."""
    package = original.__module__.partition(".")[0]

    def dumps(value: object) -> Any:
        return sys.modules[package + ".reduction"].ForkingPickler.dumps(value)

    def loads(data: object) -> Any:
        return sys.modules[package + ".reduction"].ForkingPickler.loads(data)

    return exception_wrappers.wrap_reduce(original, dumps, loads)
