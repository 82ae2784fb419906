"""mpire: ``WorkerPool`` with fork, spawn, forkserver and threads.

A worker sends an exception as its type, ``args``, ``__dict__`` and text; the driver makes it anew by ``type.__new__(type)`` and
hangs the text, coloured, on it as the cause.  The record rides in the ``__dict__``.  What cannot be pickled, or made without
arguments, stops the thread that sends or receives, and the pool waits for ever: the parts are made fit, and the driver knows how
to make any exception.  Source: https://sybrenjansen.github.io/mpire/
"""

from __future__ import annotations

import functools
import pickle
import sys
from typing import TYPE_CHECKING, Any

from autotb import assumption, engine_facts, settings
from autotb.assumption import Attributes, Frame, Lost, Text
from autotb.instrument import engine_frames, submission, task_events
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, pickling, static
from autotb.record.capture import KEY, attached, fields_of

if TYPE_CHECKING:
    from types import FrameType

    from autotb.instrument.types import Function
    from autotb.record.schema import Light, Tree

MODULES = ("mpire.worker", "mpire.pool", "mpire.async_result")
NAME = "mpire"
DISTRIBUTION = "mpire"
CAPTURED = "WorkerPool: map, map_unordered, imap, imap_unordered, apply, apply_async; all start methods"
TESTED = "2.9 to 2.10"


def _is_text(exc: BaseException) -> bool:
    return type(exc) is Exception and "Exception occurred in " in next(map(static.text_of, static.args_of(exc)), "")[:60]


engine_facts.register(own=("mpire", "tqdm"), texts=(_is_text,))


def _wrap_get_exception(original: Function) -> Function:
    """Runs in the worker with the exception alive."""

    @functools.wraps(original)
    def _get_exception(self: Any, args: tuple[Any, ...], err: BaseException) -> Any:
        try:
            hop = build.hop("mpire", "in an mpire worker", call=engine_frames.frame_call(static.traceback_of(err)))
            if "thread" in hop:
                hop["where"] += " thread"
            tree = build.record(err, static.traceback_of(err), hop)
            parts = _parts(err, tree)
        except Exception:
            tree, parts = None, None
        if parts is None:
            sent = original(self, args, err)
            return sent if tree is None else (sent[0], sent[1], {**sent[2], KEY: tree}, *sent[3:])
        text = original(self, args, Exception())[3]  # mpire's own trial would give up on this one
        return (*parts, text)

    return _get_exception


def _parts(exc: BaseException, tree: Tree | Light) -> tuple[Any, Any, Any] | None:
    """Type, args and fields of an exception that mpire could not send; None for one that it can."""
    dict.pop(fields_of(exc), KEY, None)
    if not settings.switch("rescue") or not pickling.is_suspect(exc):
        return None
    trip = pickling.Trip(pickle.dumps, pickle.loads)
    try:
        if trip.survives((type(exc), static.args_of(exc), dict(dict.items(fields_of(exc))))):
            return None
    except BaseException:  # as mpire's own trial will end
        return None
    kind, args, fields = trip.parts(exc)
    pickling.tell_lost(tree, trip.lost)
    return kind, args, {**fields, KEY: tree}


def _wrap_populate(original: Function) -> Function:
    """Makes the exception in the driver: one that ``__new__`` alone cannot make would end the thread that receives results."""

    @functools.wraps(original)
    def populate_exception(err_type: Any, err_args: Any, err_state: Any, traceback_str: str) -> Any:
        if not settings.switch("rescue"):
            return original(err_type, err_args, err_state, traceback_str)
        try:
            if err_type.__init__ in _OWN_INITS:  # OSError, UnicodeError, groups: their fields come from their arguments
                made = err_type(*err_args)
                dict.update(fields_of(made), err_state)
                _give_frames(made)
                return made, original(Exception, (), {}, traceback_str)[1]
        except Exception:
            pass  # then as mpire does it
        try:
            made, cause = original(err_type, err_args, err_state, traceback_str)
        except Exception:
            made, cause = _made(err_type, err_args, err_state), original(Exception, (), {}, traceback_str)[1]
        _give_frames(made)
        return made, cause

    return populate_exception


def _give_frames(made: BaseException) -> None:
    try:
        annotate.arrived(made)
    except Exception:
        pass  # the thread that receives results would end, and the program wait for ever


_OWN_INITS = [
    kind.__init__
    for name in ("OSError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError", "ExceptionGroup", "ImportError")
    if (kind := getattr(sys.modules["builtins"], name, None)) is not None
]


def _made(kind: Any, args: tuple[Any, ...], fields: Any) -> BaseException:
    """An exception of this class without any code of it being run."""
    base = next(cls for cls in kind.__mro__ if cls.__module__ == "builtins")
    try:
        made: BaseException = base.__new__(kind, *args) if hasattr(base, "exceptions") else base.__new__(kind)
    except Exception:
        made = Exception.__new__(Exception)
    BaseException.__dict__["args"].__set__(made, tuple(args))
    dict.update(fields_of(made), fields)
    return made


# Workers that die


def _wrap_call_func(original: Function) -> Function:
    """Runs a task in a worker."""
    return task_events.around(original, _task)


def _task(self: Any, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
    if self.pool_params.start_method == "threading":
        return None
    if not isinstance(args, (tuple, list, dict, str, int, float)):
        return func, (args,), kwargs  # an iterator is not to be used up
    return (func, *self._convert_args_kwargs(args, kwargs))


DIED = Text("mpire.pool", r"Worker-\d+ died unexpectedly$", words=("Worker-", " died unexpectedly"), costs=Lost.DEATH)
HANDLER = Frame("mpire.pool", "WorkerPool._unexpected_death_handler", "self", "worker_id", costs=Lost.DEATH)
WORKERS = Attributes("mpire.pool", "WorkerPool", "_workers", costs=Lost.DEATH)


def _wrap_set(original: Function) -> Function:
    """Each result of a pool gets the same error once the pool finds a worker dead."""

    @functools.wraps(original)
    def _set(self: Any, success: bool, result: Any) -> None:
        if not success:
            try:
                if type(result) is RuntimeError and DIED.match(str(result)) and attached(result) is None:
                    _note_death(result, sys._getframe(2))
            except Exception:
                pass  # then it is told that the worker died, and no more
        return original(self, success, result)  # type: ignore[no-any-return]

    return _set


def _note_death(error: BaseException, caller: FrameType) -> None:
    from autotb.postmortem import death_report

    pool, worker_id = assumption.read(caller, HANDLER) or (None, None)
    (workers,) = WORKERS.read(pool) or (None,)
    if workers is None:
        return
    hop, _ = death_report.of_process("mpire", "in an mpire worker", workers[worker_id], patience=2)
    annotate.note_death(error, [hop], None)


PATCHES = (
    Patch("mpire.worker", "AbstractWorker._call_func", _wrap_call_func, costs=Lost.DEATH),
    Patch("mpire.async_result", "AsyncResult._set", _wrap_set, costs=Lost.DEATH),
    Patch("mpire.async_result", "UnorderedAsyncResultIterator._set", _wrap_set, costs=Lost.DEATH),
    Patch("mpire.worker", "AbstractWorker._get_exception", _wrap_get_exception, costs=Lost.FIT),
    Patch("mpire.pool", "populate_exception", _wrap_populate, also=("mpire.exception",), costs=Lost.WAITS),
    Patch("mpire.async_result", "AsyncResult.__init__", submission.on_self, costs=Lost.SITE),
    Patch("mpire.async_result", "AsyncResult.get", submission.noted_when_raised, costs=Lost.SITE),
    Patch("mpire.pool", "WorkerPool._handle_exception", submission.when_raised(submission.note_caller), costs=Lost.SITE),
)
ASSUMPTIONS = (DIED, HANDLER, WORKERS)

#: What ``python -m autotb demo --engine mpire`` runs: a user's script.
DEMO = '''\
"""mpire's WorkerPool scores eight items; one of them is bad."""

from mpire import WorkerPool

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with WorkerPool(n_jobs=2) as pool:
        return pool.map(score, [(item,) for item in ITEMS])


if __name__ == "__main__":
    main()
'''
