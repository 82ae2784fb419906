"""concurrent.futures: thread pools, process pools, interpreter pools, and every library's subclass of ``Future``.

In thread pools the exception object itself reaches the caller.  Process pools pickle it inside ``_ExceptionWithTraceback``,
which keeps the worker's traceback as text only; the record rides on that wrapper's ``__reduce__``.  CPython 3.10 to 3.15.
Source: https://docs.python.org/3/library/concurrent.futures.html
"""

from __future__ import annotations

import _thread
import functools
import sys
import weakref

from autotb import assumption, engine_facts, first_use
from autotb.assumption import Attributes, Lost
from autotb.instrument import code_swap, delivery, exception_wrappers, executor_internals
from autotb.instrument.executor_internals import OF_THREADS, RUN, TASK, WORK, Internals
from autotb.instrument.patch import Patch
from autotb.record import callsite, ownership, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import LogRecord
    from types import FrameType, TracebackType
    from typing import Any

    from autotb.instrument.types import Call, Function, Future, Queue
    from autotb.record.schema import Light, Tree

MODULES = ("concurrent.futures.thread", "concurrent.futures.process", "concurrent.futures.interpreter")
NAME = "concurrent.futures"
DISTRIBUTION = None
CAPTURED = "thread, process (fork, spawn, forkserver) and interpreter pools; submit, map; failed futures that are never retrieved"

DEAD = "_autotb_dead"  # the workers that took a future's task with them, and what they died of
SITE = "_autotb_site"
_INITIALIZER = "what the initializer raised that broke a pool of threads"

_FUNCTION, _BUILTIN, _MODULE = type(lambda: None), type(len), type(sys)
_CALLED = frozenset((_FUNCTION, type))
_FIXED = frozenset((int, float, bool, str, bytes, type(None), _FUNCTION))  # the commonest of what cannot change

engine_facts.register(
    asks=(("concurrent.futures._base", "__get_result"), ("concurrent.futures._base", "result")),
    runs=(("concurrent.futures.thread", "run"), ("autotb.instrument.executor_worker", "initialize")),
    remote_texts=("concurrent.futures.process._RemoteTraceback", "concurrent.interpreters.ExecutionFailed"),
    crashes=("concurrent.futures.process.BrokenProcessPool",),
)


def _wrap_submit(original: Function) -> code_swap.Body:
    """Remembers the line of ``submit``: afterwards nothing else knows it."""
    constants = {"twin": original, "note": _note_site, "plain": _CALLED, "look": _snapshot, "refused": _refused}
    return code_swap.Body(_submit, constants)


def _submit(self: Any, fn: Function, /, *args: object, **kwargs: object) -> Any:
    look: Any = "look"
    plain: Any = "plain"
    # before the task runs: it may change what it is given
    snapshot = () if not (args or kwargs) and type(fn) in plain else look(fn, args, kwargs)
    twin: Any = "twin"
    try:
        future = twin(self, fn, *args, **kwargs)
    except BaseException as error:
        refused: Any = "refused"
        refused(self, error)
        raise
    note: Any = "note"
    note(self, future, snapshot)
    return future


def _refused(executor: object, error: BaseException) -> None:
    """A pool that is broken takes no more tasks: what broke it is told by this error too."""
    try:
        if static.name(type(error)) == "BrokenProcessPool" and (found := MANAGER.read(executor)):
            from autotb.postmortem import executor_deaths

            executor_deaths.tell(error, found[0])
        elif executor in _broke:
            from autotb.record import annotate

            annotate.note(error, cause=_broke[executor])
    except Exception:
        pass  # then it is told that the pool is broken
    first_use.clean(error)


def _note_site(executor: object, future: Future, snapshot: tuple[Any, ...] | None) -> None:
    try:
        frame = sys._getframe(2)
        code = frame.f_code
        known = callsite.known(id(code))
        whose = known[1] if known is not None else None
        if whose == callsite.USER:
            pool = getattr(executor, "_autotb_pool", None)
            site = callsite.at(code, frame.f_lasti, pool.batch if pool is not None else delivery.of(executor), True)
        elif whose == callsite.ENGINE:
            return  # which notes the place itself
        else:
            site = _site(executor)
        future._autotb_site = site
        if snapshot or snapshot is None:
            future._autotb_given = snapshot
        watch = getattr(future, "_autotb_watch", None)  # to ask for the future's __dict__ would make one
        if watch is not None:
            watch.site = site
    except Exception:
        pass  # a future of some library that takes no attributes: its place of submission is lost, nothing else


def _snapshot(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
    """What the call was given, see ``call_snapshot``; that module is wanted once something is given that can change."""
    if type(function) in _CALLED or (type(function) is _BUILTIN and type(getattr(function, "__self__", None)) is _MODULE):
        for value in args:
            if type(value) not in _FIXED:
                break
        else:
            if not kwargs:
                return ()
    try:
        return _look(function, args, kwargs)
    except Exception:
        return (None,)  # then it is not submitted again


def _look(*call: object) -> tuple[Any, ...] | None:
    """Puts what is wanted in its own place, once something is given that can change."""
    global _look
    from autotb.instrument.call_snapshot import of as _look

    return _look(*call)


def _site(executor: object) -> Any:
    """The user's line further up the stack; an engine or a library called submit, unless this code is simply new to us."""
    found = callsite.here(4, through_engines=False)
    if found is None:
        return None
    return callsite.in_batch(found, delivery.of(executor), callsite.code_of(found) is sys._getframe(3).f_code)


def _wrap_result(original: Function) -> code_swap.Body:
    """Notes, once it raises, where the task was submitted, and that somebody asked."""
    return code_swap.Body(_result, {"twin": original, "raised": _raised})


def _result(self: Any, timeout: float | None = None) -> Any:
    twin: Any = "twin"
    try:
        return twin(self, timeout)
    except BaseException as error:
        raised: Any = "raised"
        raised(self, error)
        self = None  # the traceback's frames may lead to this one: it must not keep the future alive
        raise


def _raised(future: Future, error: BaseException) -> None:
    try:
        _asked(future, error)
    except Exception:
        pass  # whatever this future is, its error is the user's and goes on
    first_use.clean(error)


def _wrap_exception(original: Function) -> Function:
    """``exception()`` counts as asking; it leaves no traceback, so the place is noted."""

    @functools.wraps(original)
    def exception(self: Any, timeout: float | None = None) -> Any:
        try:
            error = original(self, timeout)
        except BaseException as unanswered:
            _raised(self, unanswered)
            self = None  # as in `_result`
            raise
        if error is not None:
            try:
                _asked(self, error)
                from autotb.record import annotate

                annotate.note(error, asked=callsite.decode(callsite.here(3)))
            except Exception:
                pass  # as above
        return error

    return exception


def _asked(future: Future, error: BaseException) -> None:
    fields = future.__dict__
    if error is not fields.get("_exception", error):
        # A timeout or a cancellation of the waiting, not the task's own error.  After a Ctrl-C nobody asks for what it took down.
        if issubclass(type(error), KeyboardInterrupt):
            if type(error) is KeyboardInterrupt:
                _interrupted().noticed(error)
            if fields.get(SITE) is not None:
                fields[SITE][2].pool.was_interrupted()
        else:
            _note_wait(future, error)
        return
    if "_autotb_watch" in fields:
        _unasked().answered(fields, error)
    _note_submitted(fields, error)


def _note_submitted(fields: dict[str, Any], error: BaseException) -> None:
    site, dead = fields.get(SITE), fields.get(DEAD)
    if site is not None or dead is not None:
        from autotb.instrument import engine_frames
        from autotb.record import annotate

        place = engine_frames.place_of(site) if site is not None else None
        if dead is not None:
            hops, cause = dead
            annotate.note_death(error, hops, place, cause)
        else:
            annotate.note_submitted(error, place)


def _unasked() -> Any:
    from autotb.instrument import unretrieved

    return unretrieved


def _note_wait(future: Future, error: BaseException) -> None:
    """Puts what notes it in its own place, once a wait has ended: programs poll."""
    global _note_wait
    from autotb.instrument.waiting import note as _note_wait

    _note_wait(future, error)


def _waiting() -> Any:
    from autotb.instrument import waiting

    return waiting


def _interrupted() -> Any:
    from autotb.instrument import interrupted

    return interrupted


def _open(error: BaseException) -> engine_facts.Opened | None:
    """A wait that ended without a result is told with what was waited for, a Ctrl-C with what the workers were doing."""
    if type(error) is KeyboardInterrupt:
        seen: engine_facts.Opened | None = _interrupted().opened(error)
        return seen
    if static.name(type(error)) not in ("TimeoutError", "CancelledError"):
        return None
    found: engine_facts.Opened | None = _waiting().opened(error)
    return found


engine_facts.register(openers=(_open,))


def wrap_shutdown(original: Function) -> Function:
    """A pool's end waits for its tasks; those that a passing error waited for are looked up before."""

    @functools.wraps(original)
    def shutdown(self: Any, *args: object, **kwargs: object) -> Any:
        error = sys.exc_info()[1]
        if error is not None:
            try:
                (_interrupted() if type(error) is KeyboardInterrupt else _waiting()).look(error)
            except Exception:
                pass  # less is told of what was waited for
        return original(self, *args, **kwargs)

    return shutdown


def _wrap_add_done_callback(original: Function) -> code_swap.Body:
    """A callback counts as asking."""
    return code_swap.Body(_add_done_callback, {"twin": original, "called_back": _called_back})


def _add_done_callback(self: Any, fn: Function) -> Any:
    called_back: Any = "called_back"
    called_back(self)
    twin: Any = "twin"
    try:
        return twin(self, fn)
    except BaseException as error:
        clean: Any = "autotb:clean"
        clean(error)
        self = fn = None  # type: ignore[assignment]
        raise


def _called_back(future: Future) -> None:
    try:
        if "_autotb_watch" in future.__dict__:
            _unasked().answered(future.__dict__)
    except TypeError:
        pass  # a library's future whose ``__dict__`` is a method of its own (ipyparallel's)


_raised_by: dict[int, Tree] = {}  # thread: what the initializer raised by which it is breaking its pool
_broke: weakref.WeakKeyDictionary[Any, Tree] = weakref.WeakKeyDictionary()  # the same by such a pool of threads
_BROKEN_THREADS = ("BrokenThreadPool", "BrokenInterpreterPool")


def _wrap_initializer_failed(original: Function) -> Function:
    """Runs in a thread whose initializer has just failed: the pool's errors say that one did, and not of what."""

    @functools.wraps(original)
    def _initializer_failed(self: Any) -> Any:
        thread = _thread.get_ident()
        try:
            _raised_by[thread] = _broke[self] = _of_initializer(sys.exc_info()[1])
        except Exception:
            pass  # then they say no more
        try:
            return original(self)
        finally:
            _raised_by.pop(thread, None)

    return _initializer_failed


def _of_initializer(error: Any) -> Any:
    from autotb.instrument import engine_frames
    from autotb.record import build

    tb = static.traceback_of(error)
    hop = build.hop("thread pool", "in the initializer of a thread-pool worker", call=engine_frames.frame_call(tb))
    return build.record(error, tb, hop)


INTERNALS = Internals("concurrent.futures.process")
MANAGER = Attributes("concurrent.futures.process", "ProcessPoolExecutor", "_executor_manager_thread", costs=Lost.DEATH)


def _wrap_set_exception(original: Function) -> code_swap.Body:
    """In a thread pool this runs in the worker, with the exception in hand: who ran it and with which arguments is known here."""
    return code_swap.Body(_set_exception, {"twin": original, "failed": _failed})


def _set_exception(self: Any, exception: BaseException | None) -> Any:
    failed: Any = "failed"
    failed(self, exception)
    twin: Any = "twin"
    try:
        return twin(self, exception)
    except BaseException as error:
        clean: Any = "autotb:clean"
        clean(error)
        self = exception = None
        raise


def _wrap_terminate_broken(original: Function) -> Function:
    """A worker died, perhaps one of a pool that has no task: who it was is seen now or never."""

    @functools.wraps(original)
    def terminate_broken(self: Any, cause: object, *more: object) -> None:  # 3.14 gives the text of the error too
        try:
            from autotb.instrument import executor_worker
            from autotb.postmortem import executor_deaths

            executor_deaths.look(self, INTERNALS.manager.read(self), executor_worker.call_of)
        except Exception:
            pass  # then it is told that the pool is broken
        original(self, cause, *more)

    return terminate_broken


def _failed(future: Future, exception: BaseException | None) -> None:
    try:
        if exception is not None and not (_took and _took(future, exception)):
            _note_failure(future, exception, sys._getframe(2))
    except Exception:
        pass  # the exception itself must be set, whatever we make of it


_took: Any = None  # the short way, for failures of a line that failed many times; known once something has failed


def _note_failure(future: Future, exc: BaseException, caller: FrameType) -> None:
    global _took
    from autotb.instrument import failure_kinds, flood, resubmit, unretrieved
    from autotb.record import annotate
    from autotb.record.capture import attached

    _took = flood.took
    if static.traceback_of(exc) is None:
        annotate.arrived(exc)
    _note_thread(exc, caller)
    is_told = False
    if broken := executor_internals.read(caller, "breaking"):
        from autotb.instrument import executor_worker
        from autotb.postmortem import executor_deaths

        # All of a pool get one exception: whoever has asked for another meanwhile holds it with what became of that one.
        is_told = "hops" in (attached(exc) or ())
        executor_deaths.note(future, broken[0], INTERNALS.manager.read(broken[0]), executor_worker.call_of)
    if type(exc) is KeyboardInterrupt:
        _interrupted().ended(exc, getattr(future, SITE, None))
    if static.name(type(exc)) in _BROKEN_THREADS and (cause := _raised_by.get(_thread.get_ident())):
        annotate.note(exc, cause=cause)
    kind = failure_kinds.of(exc)  # while its record is as it came
    if not is_told:
        _note_submitted(future.__dict__, exc)
    resubmit.keep_call(future, exc, lambda: _call_of(caller))
    if unsent := executor_internals.read(caller, "feeding"):
        from autotb.instrument import executor_worker

        executor_worker.note_unsent(exc, WORK.read(unsent[0]), caller)
    unretrieved.watch(future, exc, SITE, kind)
    flood.learn(future, exc, caller)


def _call_of(caller: FrameType) -> tuple[Any, ...] | None:
    """Function, arguments and keywords of what a pool's frame works on; 3.14 keeps one tuple in threads."""
    (item,) = assumption.read(caller, RUN) or executor_internals.read(caller, "result") or (None,)
    task: tuple[Any, ...] | None = (TASK.read(item) or (None,))[0]
    return task or WORK.read(item)


def _note_thread(exc: BaseException, caller: FrameType) -> None:
    if not RUN.matches(caller) or static.name_of(caller) != RUN.module:
        return
    from autotb.instrument import engine_frames
    from autotb.record import build
    from autotb.record.capture import attached

    call = _call_of(caller)
    inner = attached(exc)
    if inner is not None and "interpreter" in {hop.get("engine") for hop in inner.get("hops", ())}:
        return
    tb = static.traceback_of(exc)
    engine_frames.note_thread(
        exc,
        "thread pool",
        "in a thread-pool worker",
        lambda: engine_frames.frame_call(tb) if call is None or ownership.is_engines(call[0]) else build.call_text(*call),
    )


def _wrap_process_worker(original: Function) -> Function:
    """An initializer that fails is logged by the worker, engine frames and all; the driver learns only that the pool broke.

    And should the worker die, the driver learns of which task.
    """

    @functools.wraps(original)
    def _process_worker(
        call_queue: Queue, result_queue: Queue, initializer: Function, initargs: tuple[Any, ...], *more: object
    ) -> Any:
        try:
            from autotb.instrument.executor_worker import initialize, run
        except Exception:  # our files are gone, or half written
            return original(call_queue, result_queue, initializer, initargs, *more)
        if initializer is not None:
            initializer = functools.partial(initialize, "process pool", "process-pool worker", initializer)
        return run(original, call_queue, result_queue, initializer, initargs, *more)

    return _process_worker


def _wrap_boxed_init(original: Function) -> Function:
    """Runs in a worker process with the exception alive: its record is made here."""
    return exception_wrappers.wrap_init(original, _record)


def _record(exc: BaseException, tb: TracebackType | None, caller: FrameType) -> Tree | Light:
    from autotb.instrument import executor_worker

    return executor_worker.record("process pool", "in a process-pool worker", exc, tb, caller, INTERNALS)


def _wrap_rebuild(original: Function) -> Function:
    """Runs in the driver, on what arrives."""
    return exception_wrappers.wrap_rebuild(original, sys.modules["concurrent.futures.process"]._RemoteTraceback)


def _wrap_do_call(original: Function) -> Function:
    """Runs in the worker interpreter, which shares no objects with ours: what it sends is a pickle of the exception."""

    @functools.wraps(original)
    def do_call(results: Queue, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return original(_Results(results, (func, args, kwargs)), func, args, kwargs)

    return do_call


class _Results:
    """The queue to the driver's interpreter; an exception goes through it fit to travel and with its record."""

    def __init__(self, queue: Queue, call: Call) -> None:
        self.queue, self.call = queue, call

    def __getattr__(self, name: str) -> Any:
        if name == "queue":  # as in ``QueueProxy``, which a driver need not load
            raise AttributeError(name)
        return getattr(self.queue, name)

    def put(self, value: object) -> None:
        sent = value
        if static.is_exception(value):
            try:
                from autotb.record import build, pickling

                call = build.call_text(*self.call)
                hop = build.hop("interpreter", "in an interpreter-pool worker", call=call)
                sent = pickling.packed(value, build.record(value, static.traceback_of(value), hop))
            except BaseException:  # of pickling it: the queue will see the same
                sent = value  # without a record the driver reads the text
        self.queue.put(sent)


def ready(_module: str) -> None:
    """After a pool's module has run: what it logs of a failed initializer is short (loky's goes to the same logger)."""
    logger = sys.modules["concurrent.futures._base"].LOGGER
    if _in_a_line not in logger.filters:
        logger.addFilter(_in_a_line)


def _in_a_line(record: LogRecord) -> bool:
    try:
        if record.msg == "Exception in initializer:" and record.exc_info:
            from autotb.instrument import initializer_log

            initializer_log.shorten(record)
    except Exception:
        pass  # then it is logged as ever
    return True


PATCHES = (
    Patch("concurrent.futures.thread", "ThreadPoolExecutor.submit", _wrap_submit, costs=Lost.SITE),
    Patch("concurrent.futures.thread", "ThreadPoolExecutor._initializer_failed", _wrap_initializer_failed, costs=_INITIALIZER),
    Patch("concurrent.futures.process", "ProcessPoolExecutor.submit", _wrap_submit, costs=Lost.SITE),
    Patch("concurrent.futures.thread", "ThreadPoolExecutor.shutdown", wrap_shutdown, costs=Lost.WAITED),
    Patch("concurrent.futures.process", "ProcessPoolExecutor.shutdown", wrap_shutdown, costs=Lost.WAITED),
    Patch("concurrent.futures._base", "Future.result", _wrap_result, costs=Lost.SITE),
    Patch("concurrent.futures._base", "Future.exception", _wrap_exception, costs=Lost.SITE),
    Patch("concurrent.futures._base", "Future.add_done_callback", _wrap_add_done_callback, costs=Lost.UNRETRIEVED),
    Patch("concurrent.futures._base", "Future.set_exception", _wrap_set_exception, costs=Lost.CALL),
    Patch("concurrent.futures.process", "_ExecutorManagerThread.terminate_broken", _wrap_terminate_broken, costs=Lost.DEATH),
    Patch("concurrent.futures.process", "_process_worker", _wrap_process_worker, costs=Lost.DEATH),
    Patch("concurrent.futures.process", "_ExceptionWithTraceback.__init__", _wrap_boxed_init, costs=Lost.RECORD),
    Patch("concurrent.futures.process", "_ExceptionWithTraceback.__reduce__", exception_wrappers.wrap_reduce, costs=Lost.FIT),
    Patch("concurrent.futures.process", "_rebuild_exc", _wrap_rebuild, costs=Lost.RECORD),
    Patch("concurrent.futures.interpreter", "do_call", _wrap_do_call, optional=True, costs=Lost.RECORD),
)
ASSUMPTIONS = (*OF_THREADS, MANAGER, *INTERNALS.all)


def probe(given: dict[str, Any], timeout: float) -> Iterator[Any]:
    """For ``doctor --engine``."""
    from concurrent.futures import Executor, ProcessPoolExecutor

    from autotb.instrument.workers import configured

    executor = configured(given, "executor", Executor, "process pools") or ProcessPoolExecutor(1)

    def ask(expression: str) -> list[tuple[str, Any]]:
        return [("a process-pool worker", executor.submit(eval, expression).result(timeout))]

    try:
        yield ask
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


OPTION = "processes"  # what ``--engine`` calls it, where that is not the file's name
#: What ``python -m autotb demo --engine processes`` runs: a user's script.
DEMO = '''\
"""A process pool scores 300 items; one of them is bad."""

import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from rich.progress import Progress

ITEMS = [{"id": n, "clicks": n % 7, "views": 500 - n} for n in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


def score(item):
    time.sleep(0.003)
    return item["id"], rate(item["clicks"], item["views"])


def main():
    scores = {}
    with ProcessPoolExecutor(2) as pool, Progress() as bar:
        futures = [pool.submit(score, item) for item in ITEMS]
        for future in bar.track(as_completed(futures), total=300):
            number, value = future.result()
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
'''
