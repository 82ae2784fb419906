"""multiprocessing: ``Process`` and ``Pool`` (fork, spawn, forkserver), and ``pool.ThreadPool``.

``Pool`` pickles exceptions inside ``ExceptionWithTraceback`` and keeps the worker's traceback as text; the record rides on that
wrapper's ``__reduce__``.  It waits for ever when what a worker sends cannot be unpickled, when a task raises KeyboardInterrupt
or SystemExit, and when the initializer fails; here these end with an error.  ``Process`` prints its error itself, in the child.
CPython 3.10 to 3.15.  Source: https://docs.python.org/3/library/multiprocessing.html
"""

from __future__ import annotations

import _thread
import collections
import functools
import os
import sys
import time
import weakref

from autotb import registry, settings
from autotb.instrument import exception_wrappers, inherited_settings, submission
from autotb.instrument.patch import Patch
from autotb.record import callsite, safe_repr, static

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this: what only failures need is imported where they are handled
    from typing import Any

MODULES = ("multiprocessing.pool", "multiprocessing.process", "multiprocessing.spawn")
NAME = "multiprocessing"
DISTRIBUTION = None
CAPTURED = "Pool (apply, map, starmap, imap, imap_unordered, the _async forms, initializers), ThreadPool, Process"
NOISE: dict[str, str] = {}

CASUALTY = "autotb: a worker died"  # as the next
UNCERTAIN = "autotb: a worker leaves no breadcrumb"  # as the next
INITIALIZER = "autotb: initializer failed"  # a job that no pool has: a driver without autotb ignores it


def declare(package: str, **more: Any) -> None:
    """Register the facts of ``multiprocessing``, or of another package of the same make (``multiprocess``)."""
    registry.register(
        asks=((f"{package}.pool", "get"), (f"{package}.pool", "next")),
        runs=((f"{package}.pool", "worker"),),
        crashes=("autotb.WorkerDied",),
        remote_texts=(f"{package}.pool.RemoteTraceback",),
        **more,
    )


# Process


def _wrap_start(original: Any) -> Any:
    """Remembers the line of ``start()`` on the process object, which reaches the child by fork and by pickle."""

    @functools.wraps(original)
    def start(self: Any) -> None:
        try:
            self._autotb_begun = time.time_ns()  # see postmortem.remains
            self._autotb_started = callsite.decode(callsite.here(3))
        except Exception:
            pass  # a subclass that takes no attributes: its start is not shown
        result = original(self)
        try:
            _tidy_at_the_end(sys.modules[original.__module__.partition(".")[0] + ".util"])
            if self._popen.method == "fork":
                _note_threads(self.pid)
        except Exception:
            pass  # a process of another make: nothing is to be noted
        return result  # type: ignore[no-any-return]

    return start


_tidied: dict[int, set[Any]] = {}  # this process: the modules ``util`` that will have us tidy up


def _tidy_at_the_end(util: Any) -> None:
    """Daemons that still run are ended when their parent ends; what they leave behind is taken away after that."""
    here = _tidied.setdefault(os.getpid(), set())
    if util not in here:
        here.add(util)
        util.Finalize(None, _bury_children, exitpriority=-1_000)


def _bury_children() -> None:
    try:
        from autotb.postmortem import status_reader

        status_reader.bury_children()
    except Exception:
        pass  # they are swept away later


_forked: dict[int, list[str]] = {}  # a process that was forked while other threads of the user's ran: their names


def _note_threads(pid: int) -> None:
    import threading

    others = [
        thread.name
        for thread in list(threading._active.values())  # type: ignore[attr-defined]
        if thread not in (threading.main_thread(), threading.current_thread())
        and not registry.is_engines(getattr(thread, "_target", None) if type(thread) is threading.Thread else type(thread))
    ]
    if others:
        if len(_forked) > 1_000:
            _forked.clear()
        _forked[pid] = others


def _waits_for_a_lock(trace: Any) -> dict[str, str] | None:
    """Somebody gave up waiting, while a worker that was forked from a program with threads waits for a lock."""
    if not _forked or trace.root_cause.type.rpartition(".")[2] not in ("TimeoutError", "KeyboardInterrupt"):
        return None
    from autotb.postmortem import death_report, status_reader

    for pid, threads in _forked.items():
        left = status_reader.of(pid, status_reader.own_start())
        if left is not None and left.running and left.seconds > 1 and not status_reader.is_dead(pid) and _at_a_futex(pid):
            names = ", ".join(threads[:3]) + (", …" if len(threads) > 3 else "")
            call = left.text or "a task"
            return {"pid": str(pid), "call": call, "seconds": death_report.duration(left.seconds), "threads": names}
    return None


def _at_a_futex(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/wchan") as file:
            return "futex" in file.read()
    except OSError:
        return False  # another system


_FORKED = (
    "worker {pid} waits for a lock in {call}, which began {seconds} ago, and may wait for ever: it was forked while other "
    "threads ran ({threads}), and a lock that one of them held at that moment is never released in the worker; start it with "
    'mp_context=multiprocessing.get_context("forkserver"), or before the threads'
)

declare("multiprocessing", hints=((_waits_for_a_lock, _FORKED),))


def _wrap_bootstrap(original: Any) -> Any:
    """``_bootstrap`` prints a failed ``run`` with no hook in between: ``run`` is given one, and then fails silently."""

    @functools.wraps(original)
    def _bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            self.run = functools.partial(_shown, self, self.run)
        except Exception:
            pass  # as above: Python's own display will do
        return original(self, *args, **kwargs)

    return _bootstrap


def _shown(process: Any, run: Any) -> Any:
    try:
        return run()
    except SystemExit:
        raise
    except BaseException as error:
        if not registry.surface("process_failed", error, process):
            raise
    raise SystemExit(1)  # as _bootstrap would have ended; it prints nothing for this one


# Pool: what the user calls


def _wrap_get(original: Any) -> Any:
    """Once it raises, notes where the task was submitted."""

    @functools.wraps(original)
    def get(self: Any, timeout: Any = None) -> Any:
        try:
            return original(self, timeout)
        except BaseException as error:
            _note(self, error)
            self = None  # the traceback's frames lead to this one: it must not keep the job alive
            raise

    return get


def _note(job: Any, error: BaseException) -> None:
    try:
        from autotb.instrument import engine_frames
        from autotb.record import build

        timeout = sys.modules[type(job).__module__.partition(".")[0]].TimeoutError
        if not issubclass(type(error), (timeout, StopIteration)):
            build.note_submitted(error, engine_frames.place_of(job.__dict__.get("_autotb_site")))
        tb = error.__traceback__
        if tb is not None and tb.tb_next is not None:
            BaseException.with_traceback(error, tb.tb_next)
    except Exception:
        pass  # the error is the user's and goes on


# Pool: the worker


def _wrap_worker(original: Any) -> Any:
    """The loop that runs tasks lets KeyboardInterrupt and SystemExit kill it, and dies silently of an initializer: tell both."""

    @functools.wraps(original)
    def worker_(
        inqueue: Any,
        outqueue: Any,
        initializer: Any = None,
        initargs: Any = (),
        maxtasks: Any = None,
        wrap_exception: bool = False,
    ) -> Any:
        crumb = None
        try:
            crumb = _crumb(inqueue, outqueue, initializer) if wrap_exception else None
            tasks = _Tasks(inqueue, sys.modules[original.__module__], in_thread=not wrap_exception)
            results = _Results(outqueue, tasks)
            if crumb is not None:
                tasks.noted_in(crumb, results)
                results.crumb = crumb
            if wrap_exception:
                from autotb.instrument import worker_log

                log = worker_log.log()
                if log is not None:
                    tasks.log = results.log = _Log(log)
            if initializer is not None and settings.switch("rescue"):
                initializer = _Initializer(initializer, results, wrap_exception)
        except Exception:
            return original(inqueue, outqueue, initializer, initargs, maxtasks, wrap_exception)
        done = original(tasks, results, initializer, initargs, maxtasks, wrap_exception)
        if crumb is not None:
            crumb.end()
        return done

    worker_.__name__ = worker_.__qualname__ = "worker"
    return worker_


class _Log:
    """The worker's log, where one is wanted: each task as it begins and ends."""

    def __init__(self, log: Any) -> None:
        self.log, self.text = log, ""

    def began(self, task: Any) -> None:
        try:
            self.text = _call_of(task[2], task[3], task[4], None) or "" if task is not None else ""
            if self.text:
                self.log.start(self.text)
        except Exception:
            self.text = ""  # the task runs without a line

    def ended(self, well: bool) -> None:
        if well and self.text:
            self.log.end(self.text)
        self.text = ""


def _crumb(inqueue: Any, outqueue: Any, initializer: Any) -> Any:
    from autotb.engines import casualties

    casualties.unguard(outqueue)
    try:
        crumb = casualties.begin(inqueue, outqueue)
    except Exception:
        return None  # should this process die, less is known
    if crumb is not None and initializer is not None:
        crumb.words[2] = 3  # STATE, STARTING
    return crumb


class _Proxy:
    """A queue in every respect but the one method that a subclass replaces."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_queue"], name)


class _Tasks(_Proxy):
    """Hands out tasks whose function cannot kill the worker by an exception; remembers the running one."""

    def __init__(self, queue: Any, module: Any, in_thread: bool) -> None:
        super().__init__(queue)
        self.module, self.in_thread = module, in_thread
        self.task: Any = None
        self._get = queue.get
        self.log: Any = None
        self._reraises = module._helper_reraises_exception
        self._guarded = _Guarded(None) if settings.switch("rescue") else None  # one, since the worker runs one task at a time

    def noted_in(self, crumb: Any, results: _Results) -> None:
        """From now on each task that is taken is noted in this process's breadcrumb; one that cannot be unpickled fails."""
        from autotb.postmortem.status_file import plain

        take, begins, words = self._get, crumb.runs, crumb.words
        with_arguments = settings.switch("args")

        def get() -> Any:
            while True:
                words[2] = 0  # STATE, IDLE: names would be looked up for each task
                try:
                    task = take()
                    break
                except Exception as error:
                    if not words[2] or not settings.switch("rescue") or not _not_unpickled(error, crumb, results):
                        raise  # the pipe is at its end
            if task is not None:
                begins(task[0], task[1] or 0, _brief(task, plain) if with_arguments else safe_repr.function_name(task[2]))
            else:
                words[2] = 0
            return task

        self._get = get

    def get(self) -> Any:
        self.task = None
        guarded = self._guarded
        if guarded is not None:
            guarded.function = None
        task = self._get()
        if self.log is not None:
            self.log.began(task)
        if task is None or task[2] is self._reraises:  # the user's iterable failed in the driver
            return task
        if self.in_thread:
            self.task = task
        if guarded is None:
            return task
        job, index, guarded.function, args, kwargs = task
        return (job, index, guarded, args, kwargs)


def _not_unpickled(error: BaseException, crumb: Any, results: _Results) -> bool:
    """A task that was received whole: its worker would die of it, and whoever waits for its result would for ever."""
    try:
        from autotb.postmortem import pipes, status_reader
        from autotb.record import build
    except Exception:
        return False  # then it dies of it

    job = pipes.job_of(status_reader.Remains(bytes(crumb.page)))
    if job is None:
        return False
    tb = error.__traceback__
    box = results.module.ExceptionWithTraceback(error, tb)
    box._autotb = build.record(error, tb, build.place("multiprocessing.Pool", "in a pool worker, which unpickled a task"))
    results.put((*job, (False, box)))
    return True


def _brief(task: Any, plain: Any) -> str:
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
        batch = registry.batch_of(function)
        if type(batch) is list and batch:
            first = plain(*batch[0])
            return first if len(batch) == 1 else f"{first} or one of the {len(batch) - 1} calls after it"
    return plain(function, args, kwargs)  # type: ignore[no-any-return]


_FUNCTION = type(_brief)


class _Guarded:
    """Calls a task; what the worker's loop would not catch is carried past it."""

    __slots__ = ("function",)

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.function(*args, **kwargs)
        except Exception as error:
            tb = error.__traceback__
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


class _Results(_Proxy):
    """Unpacks what was carried; in a thread pool, where the exception itself is handed over, notes who ran it."""

    def __init__(self, queue: Any, tasks: _Tasks) -> None:
        super().__init__(queue)
        self._tasks = tasks
        self.module = tasks.module
        self._put = queue.put
        self.crumb: Any = None
        self.log: Any = None

    def put(self, message: Any) -> None:
        try:
            if self.log is not None:
                self.log.ended(message[2][0])
            if not message[2][0]:
                message = self._failed(*message)
        except Exception:
            pass  # a message of another form goes through as it is
        self._put(message)
        if self.crumb is not None:
            self.crumb.words[2] = 0  # STATE, IDLE: the task's result is sent

    def _failed(self, job: Any, index: Any, result: Any) -> Any:
        value = result[1]
        if type(value) is _Carried:
            value = value.error
        if self._tasks.task is not None:
            from autotb.instrument import engine_frames

            _, _, function, args, kwargs = self._tasks.task
            tb = value.__traceback__
            engine_frames.note_thread(
                value, "thread pool", "in a thread-pool worker", lambda: _call_of(function, args, kwargs, tb)
            )
        return (job, index, (False, value))


class _Initializer:
    """Runs the user's initializer; what it raises is sent to the driver, which else would start workers for ever."""

    def __init__(self, function: Any, results: _Results, in_process: bool) -> None:
        self.function, self.results, self.in_process = function, results, in_process

    def __call__(self, *args: Any) -> None:
        try:
            self.function(*args)
        except Exception as error:
            if not self.in_process:
                raise
            tb = error.__traceback__.tb_next if error.__traceback__ else None
            box = self.results.module.ExceptionWithTraceback(error, tb)
            try:
                from autotb.record import build

                hop = build.place(
                    "multiprocessing.Pool", "in the initializer of a pool worker", call=build.call_text(self.function, args)
                )
                box._autotb = build.record(error, tb, hop)
            except Exception:
                pass  # without a record the driver reads the text
            _put_whole(self.results, (INITIALIZER, 0, (False, box)))
            raise SystemExit(1) from None  # told in the driver: not here as well


def _put_whole(results: _Results, message: Any) -> None:
    """Send without being terminated in the middle: the pool ends its workers by SIGTERM, and one that held the queue's lock then
    would keep the pool from ever ending."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        results.put(message)
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        results.put(message)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wrap_boxed_init(original: Any) -> Any:
    """Runs in a worker with the exception alive: ``_record`` is called here."""
    return exception_wrappers.wrap_init(original, _record, _unpacked)


def _unpacked(exc: Any, tb: Any) -> tuple[Any, Any]:
    if type(exc) is not _Carried:
        return exc, tb
    tb = exc.error.__traceback__
    return exc.error, tb.tb_next if tb is not None else None


def _record(exc: BaseException, tb: Any, caller: Any) -> Any:
    from autotb.instrument import engine_frames
    from autotb.record import build

    frame = engine_frames.find_frame(caller, "worker")
    call = None
    if frame is not None:
        function, args, kwargs = (engine_frames.local(frame, name) for name in ("func", "args", "kwds"))
        call = _call_of(function, args, kwargs, tb)
    return build.record(exc, tb, build.place("multiprocessing.Pool", "in a pool worker", call=call))


_POOLS = ("multiprocessing.pool", "multiprocess.pool")


def _call_of(function: Any, args: Any, kwargs: Any, tb: Any) -> str | None:
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
    if registry.is_engines(function):
        return engine_frames.frame_call(tb)
    return build.call_text(function, args, kwargs)


def _wrap_rebuild(original: Any) -> Any:
    """Runs in the driver, on what arrives."""
    return exception_wrappers.wrap_rebuild(original, sys.modules[original.__module__].RemoteTraceback)


# Pool: the thread in the driver that receives results


def wrap_setup_queues(original: Any) -> Any:
    """The thread that receives results knows the queue, not the pool, whose size it needs to know."""

    @functools.wraps(original)
    def _setup_queues(self: Any) -> Any:
        result = original(self)
        try:
            self._outqueue._autotb_pool = weakref.ref(self)
            if hasattr(self._outqueue, "_wlock"):  # processes, not threads
                from autotb.engines import casualties

                casualties.watch(self)
        except Exception:
            pass  # a queue of another kind: initializers are not watched
        return result

    return _setup_queues


def _wrap_join_exited(original: Any) -> Any:
    """Takes dead workers out of the pool's list; what they were doing would be waited for for ever."""

    @functools.wraps(original)
    def _join_exited_workers(pool: Any) -> Any:
        before = list(pool)
        cleaned = original(pool)
        if cleaned:
            try:
                from autotb.engines import casualties

                kept = set(map(id, pool))
                cleaned = casualties.after([process for process in before if id(process) not in kept], pool)
            except Exception:
                pass  # then it waits, as it would without us
        return cleaned

    return _join_exited_workers


untold: dict[int, list[Any]] = {}  # messages of casualties, by the thread that is about to start other workers


def _wrap_maintain(original: Any) -> Any:
    """Takes dead workers out and starts others; who waits for a task of theirs is told afterwards.

    A worker that is forked while the program goes on would have what it has printed and not flushed yet, and print it again.
    """

    @functools.wraps(original)
    def _maintain_pool(
        ctx: Any,
        Process: Any,
        processes: Any,
        pool: Any,
        inqueue: Any,
        outqueue: Any,
        initializer: Any,
        initargs: Any,
        maxtasksperchild: Any,
        wrap_exception: Any,
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


def _wrap_help_finish(original: Any) -> Any:
    """Takes the lock of the queue of tasks, when the pool is terminated."""

    @functools.wraps(original)
    def _help_stuff_finish(inqueue: Any, task_handler: Any, size: Any) -> Any:
        if settings.switch("rescue"):
            try:
                from autotb.engines import casualties

                casualties.unlock(inqueue)
            except Exception:
                pass  # then it waits for it
        return original(inqueue, task_handler, size)

    return _help_stuff_finish


def _wrap_terminate(original: Any) -> Any:
    """Ends the workers by a signal, in the midst of whatever they do."""

    @functools.wraps(original)
    def terminate(self: Any) -> Any:
        result = original(self)
        try:
            if hasattr(self._outqueue, "_wlock"):  # processes, not threads
                from autotb.engines import casualties

                casualties.forget(self._pool)
        except Exception:
            pass  # their files are swept away later
        return result

    return terminate


def _wrap_join(original: Any) -> Any:
    """Waits for the last workers."""

    @functools.wraps(original)
    def join(self: Any) -> Any:
        try:
            from autotb.engines import casualties

            casualties.see_off(self)
        except Exception:
            pass  # it waits as it would without us
        result = original(self)
        try:
            from autotb.engines import casualties

            casualties.forget(self._pool)
        except Exception:
            pass  # their files are swept away later
        return result

    return join


def _wrap_handle_results(original: Any) -> Any:
    """What cannot be unpickled ends the thread that receives results, and every later ``get`` waits for ever."""

    @functools.wraps(original)
    def _handle_results(outqueue: Any, get: Any, cache: Any) -> Any:
        if settings.switch("rescue"):
            get = _Receiver(outqueue, get, cache)
        return original(outqueue, get, cache)

    return _handle_results


_NOBODYS = (CASUALTY, 0, (False, None))  # a result of a job that no pool has


class _Receiver:
    """``get`` of the result queue, past messages that are not results."""

    def __init__(self, outqueue: Any, get: Any, cache: Any) -> None:
        self.outqueue, self.get, self.cache = outqueue, get, cache
        self.failed = 0  # initializers in a row
        self.recent: collections.deque[Any] = collections.deque(maxlen=1_000)  # results that came, as job and index

    def __call__(self) -> Any:
        try:
            message = self.get()
        except (EOFError, OSError):
            raise
        except Exception as error:  # nobody knows whose result it was
            waiting = getattr(self.outqueue, "_autotb_waiting", None)
            if waiting is not None and waiting.spoilt:
                waiting.spoilt -= 1  # half a result, of a worker that died: its casualty is told next
            else:
                fail_all(self.cache, error)
            return _NOBODYS
        if message is None:
            return message
        if message[0] == INITIALIZER:
            self._initializer_failed(message[2][1])
        elif message[0] == UNCERTAIN:
            self.outqueue._autotb_uncertain = {*getattr(self.outqueue, "_autotb_uncertain", ()), message[1]}
        elif message[0] == CASUALTY:
            return self._casualty(message[1], message[2][1]) or _NOBODYS
        else:
            self.failed = 0
            self.recent.append((message[0], message[1]))
            return message
        return _NOBODYS  # the thread looks anew whether there is anything left to wait for

    def _casualty(self, number: int, job: tuple[int, int] | None) -> Any:
        """The result of a task whose worker died, unless it had sent one."""
        from autotb.engines import casualties

        error = casualties.told(number)
        if job is None:
            pool = self.outqueue._autotb_pool()
            if pool is not None and casualties.BROKEN in pool.__dict__:
                for unfinished in list(self.cache.values()):
                    if getattr(unfinished, "_length", 0) is None:  # an iterator that was not sent entirely, and will not be
                        unfinished._length = unfinished._index + 1
            fail_all(self.cache, error)
        elif job not in self.recent:
            return (*job, (False, error))
        return None

    def _initializer_failed(self, error: BaseException) -> None:
        self.failed += 1
        reference = getattr(self.outqueue, "_autotb_pool", None)
        pool = reference() if reference is not None else None
        if self.failed >= getattr(pool, "_processes", 1):
            fail_all(self.cache, error)


def fail_all(cache: Any, error: BaseException) -> None:
    """End every unfinished job of a pool with ``error``."""
    for job in list(cache.values()):
        for _ in range(max(1, getattr(job, "_number_left", 1), _missing(job))):
            if job._job in cache:
                job._set(getattr(job, "_index", 0), (False, error))


def _missing(job: Any) -> int:
    length, index = getattr(job, "_length", None), getattr(job, "_index", 0)
    return length - index if isinstance(length, int) and isinstance(index, int) else 0


def _wrap_reduce(original: Any) -> Any:
    """What is pickled carries the record and is tried beforehand with the package's own pickler."""
    package = original.__module__.partition(".")[0]

    def dumps(value: Any) -> Any:
        return sys.modules[package + ".reduction"].ForkingPickler.dumps(value)

    def loads(data: Any) -> Any:
        return sys.modules[package + ".reduction"].ForkingPickler.loads(data)

    return exception_wrappers.wrap_reduce(original, dumps, loads)


def patches(package: str) -> tuple[Patch, ...]:
    """The patches of ``multiprocessing``, or of another package of the same make."""
    pool, process = f"{package}.pool", f"{package}.process"
    # An engine on the standard library's pools that notes the place itself (joblib) makes one job a task: the search ends there.
    job_init = functools.partial(submission.on_self, through_engines=package != "multiprocessing")
    return (
        *inherited_settings.patches(f"{package}.spawn"),
        Patch(process, "BaseProcess.start", _wrap_start),
        Patch(process, "BaseProcess._bootstrap", _wrap_bootstrap),
        Patch(pool, "ApplyResult.__init__", job_init),
        Patch(pool, "IMapIterator.__init__", submission.on_self),
        Patch(pool, "ApplyResult.get", _wrap_get),
        Patch(pool, "IMapIterator.next", _wrap_get, alias="__next__"),
        Patch(pool, "worker", _wrap_worker),
        Patch(pool, "ExceptionWithTraceback.__init__", _wrap_boxed_init),
        Patch(pool, "ExceptionWithTraceback.__reduce__", _wrap_reduce),
        Patch(pool, "rebuild_exc", _wrap_rebuild),
        Patch(pool, "Pool._setup_queues", wrap_setup_queues),
        Patch(pool, "Pool._handle_results", _wrap_handle_results),
        Patch(pool, "Pool._join_exited_workers", _wrap_join_exited),
        Patch(pool, "Pool._maintain_pool", _wrap_maintain),
        Patch(pool, "Pool._help_stuff_finish", _wrap_help_finish),
        Patch(pool, "Pool.join", _wrap_join),
        Patch(pool, "Pool.terminate", _wrap_terminate),
    )


PATCHES = patches("multiprocessing")
