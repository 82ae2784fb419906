"""Errors that Ray's own libraries return as values: its ``multiprocessing.Pool``, and Ray Train, rank by rank.

Ray's core sees no error there: it pickles the exception with the results, without its traceback.  The record is made where the
wrapper is made, in the worker's ``except``, and hangs on the user's exception itself.
Sources: https://docs.ray.io/en/latest/ray-more-libs/multiprocessing.html, …/train/user-guides/fault-tolerance.html
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from autotb import assumption, engine_facts
from autotb.assumption import Attributes, Frame, Lost
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from autotb.instrument.types import Function

_TRAIN = "ray.train.v2._internal.exceptions"
_RANKS, _TRIAL = "the error of each rank in place of a text of all", "which trial of Ray Tune's failed"
FAILURES = Attributes("ray.train.v2.api.exceptions", "WorkerGroupError", "worker_failures", costs=_RANKS, optional=True)
WORKERS = Attributes(_TRAIN, "UserExceptionWithTraceback", "_base_exc", "_traceback_str", costs=_RANKS, optional=True)
TRAIN = Frame("ray.tune.trainable.trainable", "Trainable.train", "self", costs=_TRIAL, optional=True)
MADE = Frame("ray.tune.trainable.trainable", "Trainable.__init__", "self", costs=_TRIAL, optional=True)
INFO = Attributes("ray.tune.trainable.trainable", "Trainable", "_trial_info", costs=_TRIAL, optional=True)
CONTROLLER = Attributes("ray.train.v2.api.exceptions", "ControllerError", "controller_failure", costs=_RANKS, optional=True)


def _recording(where: str, label: Callable[[], str | None]) -> Function:
    """Wraps the ``__init__`` of what an error is returned in."""

    def wrap(original: Function) -> Function:
        """Runs in the worker's ``except``, where the exception still has its traceback."""

        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                error = args[0] if args else next(iter(kwargs.values()))
                if static.is_exception(error) and sys.exc_info()[1] is error and attached(error) is None:
                    tb = static.traceback_of(error)
                    hop = build.hop("ray", where, call=engine_frames.frame_call(tb), label=label())
                    annotate.attach(error, build.record(error, tb, hop))
            except Exception:
                pass  # then as Ray does it
            original(self, *args, **kwargs)

        return __init__

    return wrap


def _rank() -> str | None:
    """The rank, where the worker's environment, which is told too, does not say it."""
    if "RANK" in os.environ:
        return None
    try:
        return f"rank {sys.modules['ray.train'].get_context().get_world_rank()}"
    except Exception:
        return None


def trial(tb: TracebackType | None) -> str | None:
    """The trial of Ray Tune's that this actor runs, of the object whose frames are in the traceback.

    Ray's own function for it serves training functions alone: in a class of the user's it warns, and gives None.
    """
    while tb is not None:
        is_tunes = static.name_of(tb.tb_frame) == TRAIN.module
        (trainable,) = (assumption.read(tb.tb_frame, TRAIN, MADE) if is_tunes else None) or (None,)
        (info,) = INFO.read(trainable) or (None,)
        name = getattr(info, "trial_name", None)
        if type(name) is str:
            return f"trial {name}"
        tb = tb.tb_next
    return None


def _open_group(exc: BaseException) -> engine_facts.Opened | None:
    """``WorkerGroupError``: an error a rank."""
    (failures,) = FAILURES.read(exc) or ({},)
    roots = tuple(failures[rank] for rank in sorted(failures) if static.is_exception(failures[rank]))
    return engine_facts.Opened(roots=roots) if roots else None


def _open_worker(exc: BaseException) -> engine_facts.Opened | None:
    error, text = WORKERS.read(exc) or (None, "")
    if not static.is_exception(error):
        return None
    if attached(error) is not None:
        return engine_facts.Opened(roots=(error,))
    return engine_facts.Opened(headline=error, text=text, where="in a Ray Train worker")


def _open_controller(exc: BaseException) -> engine_facts.Opened | None:
    (error,) = CONTROLLER.read(exc) or (None,)
    return engine_facts.Opened(roots=(error,)) if static.is_exception(error) else None


def _open_cause(exc: BaseException) -> engine_facts.Opened | None:
    """``TrainingFailedError`` of older versions: it is raised from the error of the trial, after advice on restoring the run."""
    cause = static.cause_of(exc)
    return engine_facts.Opened(roots=(cause,)) if cause is not None else None


WRAPPERS = {
    f"{module}.{name}": opens
    for name, opens in {"WorkerGroupError": _open_group, "ControllerError": _open_controller}.items()
    for module in ("ray.train", "ray.train.v2.api.exceptions")
} | {f"{_TRAIN}.UserExceptionWithTraceback": _open_worker, "ray.train.base_trainer.TrainingFailedError": _open_cause}
PATCHES = (
    Patch(
        "ray.util.multiprocessing.pool",
        "PoolTaskError.__init__",
        _recording("in a Ray pool's actor", lambda: None),
        optional=True,
        costs=Lost.RECORD,
    ),
    Patch(
        _TRAIN,
        "UserExceptionWithTraceback.__init__",
        _recording("in a Ray Train worker", _rank),
        optional=True,
        costs=Lost.RECORD,
    ),
)
ASSUMPTIONS = (FAILURES, WORKERS, CONTROLLER, TRAIN, MADE, INFO)
