"""What a worker process is doing, for engines whose workers run one function a task: told as each begins and ends.

Flows in: a task's call.  Flows out: the worker's status file, from which its death is told, and its log where one is wanted.
Threads of one worker run several tasks at once; the status file names them all.
"""

from __future__ import annotations

import functools
from _thread import allocate_lock, get_ident
from time import time_ns

from autotb import first_use

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this
    from typing import Any

    from autotb.instrument.types import Function
    from autotb.postmortem.status_file import Task

_running: dict[int, tuple[str, str, int, int]] = {}  # thread: the call in brief, and as it is logged; its number, its begin
_beginning = allocate_lock()
_here: tuple[Any, Any, Any] | None = None  # this process's status file and log, how a call is told in brief


def begins(function: Any, args: Any, kwargs: Any = None, job: int = 0, text: str = "") -> None:
    """A task begins in this thread; ``job`` is a number by which the driver finds it, ``text`` its call where it is known."""
    status, log, brief = _here or _begun()
    logged = ""
    if log is not None:
        logged = text or _call_of(function, args, kwargs)
        log.start(logged)
    elif status is None:
        return
    if not text:
        text = brief(function, args, kwargs)
    _running[get_ident()] = text, logged, job, time_ns()
    if status is not None:
        status.runs(job, 0, text)
        if len(_running) > 1:
            status.says(_several())  # whoever writes last has seen all


def number(task: bytes) -> int:
    """A number for an engine's own name of a task, as status files have it."""
    import zlib

    return zlib.crc32(task)


def ended(well: bool) -> str:
    """The task of this thread has ended; only a result is logged.  Returns its call in brief, as far as that is known."""
    done = _running.pop(get_ident(), None)
    if done is None or _here is None:
        return ""
    status, log, _ = _here
    if status is not None:
        if not _running:
            status.idles()
        else:
            status.says(_several())
    if log is not None and well:
        log.end(done[1])
    return done[0]


def _always(_: object) -> bool:
    return True


def _never(_: object) -> bool:
    return False


def around(original: Function, call: Function, is_well: Function = _always, ends: tuple[str, str] | None = None) -> Function:
    """Wraps an engine's function that runs a task.

    ``call(*args, **kwargs)`` gives what :func:`begins` takes, or None for what is no task of the user's; ``is_well(result)``
    tells, of a function that returns what the task raised, whether it is a result.  ``ends`` is the engine and "in a … worker" of
    one whose worker process ends when a task raises SystemExit.
    """

    @functools.wraps(original)
    def run(*args: object, **kwargs: object) -> Any:
        try:
            given = call(*args, **kwargs)
            if given is not None:
                begins(*given)
        except Exception:
            given = None  # less will be known of this task
        if given is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            if ends is None or not issubclass(type(error), SystemExit) or not is_ended_by(error, *ends):
                _end(_never)
            first_use.clean(error)  # engines that call this itself print the traceback
            raise
        _end(is_well, result)
        return result

    return run


def is_ended_by(error: BaseException, engine: str, where: str) -> bool:
    """In a worker process, which is about to end of what a task raised: whether it left word of that in its status file."""
    global _here
    try:
        import json

        from autotb.postmortem import status_file
        from autotb.record import build, static

        status = status_file.begin()
        record = build.record(error, static.traceback_of(error), build.hop(engine, where))
        if status is not None and isinstance(record, dict):
            status.leaves(json.dumps(record), get_ident())
            if _here is not None:
                _here = None, _here[1], _here[2]  # what the other threads do from now on is none of its business
            return True
    except Exception:
        pass  # then it is told that the worker died, and no more
    return False


def _end(is_well: Function, result: object = None) -> None:
    try:
        ended(bool(is_well(result)))
    except Exception:
        pass  # it has ended all the same


def _begun() -> tuple[Any, Any, Any]:
    with _beginning:  # the first tasks of several threads
        return _here or _begin()


def _begin() -> tuple[Any, Any, Any]:
    """This process's status file, taken away when the process ends in good order, and its log."""
    global _here
    import atexit
    import os
    from multiprocessing import util

    from autotb import settings
    from autotb.instrument import worker_log
    from autotb.postmortem import status_file
    from autotb.record import safe_repr

    status = status_file.begin()
    if status is not None:
        atexit.register(status.end)
        util.Finalize(None, status.end, exitpriority=-1_000)  # a process of multiprocessing knows no atexit
    brief = status_file.plain if settings.switch("args") else lambda function, *_: safe_repr.function_name(function)
    _here = status, worker_log.log(), brief
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
    return _here


def _forget() -> None:
    global _beginning, _here
    _here, _beginning = None, allocate_lock()
    _running.clear()
    _left.clear()


def _call_of(function: Any, args: Any, kwargs: Any) -> str:
    from autotb.instrument import worker_log

    return worker_log.call_of(function, args, kwargs)


def _several() -> str:
    from autotb.postmortem import status_file

    return status_file.lines([(text, "", job, thread, begun) for thread, (text, _, job, begun) in list(_running.items())])


_left: list[Task] = []  # what ran when the process began to end


def leaves() -> None:
    """This process begins to end, of a Ctrl-C perhaps: the tasks that run in its threads may be over before that is known."""
    _left[:] = _tasks()


def interrupted() -> list[str]:
    """A Ctrl-C ends this process, whose threads run tasks, or did when it began to end: their calls.

    The status file keeps where each was; whoever started the process takes it away.
    """
    global _here
    tasks = _left or _tasks()
    if _here is not None and _here[0] is not None and tasks:
        _here[0].is_interrupted(tasks)
        _here = None, _here[1], _here[2]  # a task that ends now is none of its business
    return [task[0] for task in tasks]


def _tasks() -> list[Task]:
    """Each running task, as status files have it, and for how long it has run."""
    import sys

    from autotb.instrument import engine_frames
    from autotb.postmortem.death_report import duration

    frames, now, told = sys._current_frames(), time_ns(), []
    for thread, (text, _, job, begun) in dict(_running).items():
        at, seconds = engine_frames.users_line(frames.get(thread)), f"for {duration((now - begun) / 1e9)}"
        told.append((text, f"{at}, {seconds}" if at else seconds, job, thread, begun))
    return told
