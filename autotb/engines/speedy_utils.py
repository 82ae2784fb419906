"""speedy-utils: ``multi_thread`` and ``multi_process`` on threads, fork, spawn.

It raises ``SpeedyWorkerError`` and prints a panel of its own.  Threads keep the task's exception as the cause.  Processes send
its type's name, its text and its frames as ``[(file, line, name, {})]``; the record rides in the last of those dicts.  The panel
says less than our story, and is left out where the error is raised; that of ``error_handler="log"`` stays.
Source: https://github.com/anhvth/speedy_utils
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Attributes, Lost
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch, noise_is_kept
from autotb.record import annotate, build, callsite, static
from autotb.record.capture import KEY, attached

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("speedy_utils.common.exceptions", "speedy_utils.multi_worker.thread", "speedy_utils.multi_worker._mp_backends")
NAME = "speedy-utils"
DISTRIBUTION = "speedy-utils"
CAPTURED = "multi_thread, multi_process on spawn, fork and threads, with error_handler='raise'"
TESTED = "2.0.5 to 2.0.9"

ORIGINAL = Attributes(
    "speedy_utils.common.exceptions",
    "SpeedyWorkerError",
    "original_exception",
    costs="the call that failed in a thread, and the line that submitted it",
)


def _open(exc: BaseException) -> engine_facts.Opened | None:
    module = sys.modules.get("speedy_utils.common.exceptions")
    if module is None or not issubclass(type(exc), module.SpeedyWorkerError):
        return None
    (original,) = ORIGINAL.read(exc) or (None,)
    if original is None:
        original = static.behind(exc)
    if static.is_exception(original):
        return engine_facts.Opened(roots=(original,))
    return engine_facts.Opened() if attached(exc) is not None else None


engine_facts.register(own=("speedy_utils",), runs=(("speedy_utils.multi_worker.thread", "_worker"),), openers=(_open,))


def _wrap_worker(original: Function) -> Function:
    """Runs a task in a thread and wraps what it raises."""

    @functools.wraps(original)
    def _worker(item: Any, func: Function, fixed_kwargs: Any, *more: object) -> Any:
        try:
            return original(item, func, fixed_kwargs, *more)
        except Exception as error:
            try:
                (exc,) = ORIGINAL.read(error) or (error,)
                engine_frames.note_thread(
                    exc,
                    "speedy-utils",
                    "in a thread-pool worker",
                    lambda: build.call_text(func, (item,), dict(fixed_kwargs)),
                )
            except Exception:
                pass  # its frames are in its traceback
            raise

    return _worker


def _wrap_panel(original: Function) -> Function:
    """The panel that ``multi_thread`` prints before it raises the same error."""

    @functools.wraps(original)
    def format_rich(self: Any) -> None:
        try:
            (error,) = ORIGINAL.read(self) or (self,)
            annotate.note_submitted(error, callsite.decode(callsite.here(3)))
        except Exception:
            pass  # the place of submission is lost, nothing else
        if noise_is_kept():
            original(self)

    return format_rich


def _wrap_frames(original: Function) -> Function:
    """Runs in a worker process with the exception alive; a record rides along."""

    @functools.wraps(original)
    def _serialize_exception_frames(exc: BaseException) -> Any:
        frames = original(exc)
        try:
            tb = static.traceback_of(exc)
            tree = build.record(exc, tb, build.hop("speedy-utils", "in a worker process", call=engine_frames.frame_call(tb)))
            if frames and isinstance(tree, dict):
                path, line, name, held = frames[-1]
                frames[-1] = (path, line, name, {**held, KEY: tree})
        except Exception:
            pass  # without a record speedy-utils' own panel is shown
        return frames

    return _serialize_exception_frames


def _wrap_display(original: Function) -> Function:
    """Prints the panel and raises the error, in the driver."""

    @functools.wraps(original)
    def _display_formatted_error_and_raise(
        exc_type_name: str, exc_msg: str, frames: Any, caller_info: Any, backend: str, pbar: Any = None, **more: object
    ) -> None:
        tree = None
        try:
            tree = frames[-1][3].pop(KEY, None) if frames else None
        except Exception:
            pass  # frames of another form
        try:
            if tree is not None and not noise_is_kept():
                if pbar is not None:
                    pbar.close()
                error = sys.modules["speedy_utils.common.exceptions"].SpeedyWorkerError
                raise error(exc_msg, backend=backend, func_name=more.get("func_name", ""))
            original(exc_type_name, exc_msg, frames, caller_info, backend, pbar, **more)
        except Exception as raised:
            try:
                if tree is not None:
                    annotate.attach(raised, tree)
                    annotate.raised(raised)
                    annotate.note_submitted(raised, callsite.decode(callsite.here(3)))
            except Exception:
                pass  # the error is the user's and goes on
            raise

    return _display_formatted_error_and_raise


def _wrap_exit(original: Function) -> Function:
    """Prints the panel and raises for a task that failed in a thread of ``multi_process``."""

    @functools.wraps(original)
    def _exit_on_worker_error(error: BaseException, pbar: Any = None, *args: object, **kwargs: object) -> None:
        try:
            annotate.note_submitted(error, callsite.decode(callsite.here(3)))
        except Exception:
            pass  # its frames are in its traceback
        if noise_is_kept():
            original(error, pbar, *args, **kwargs)
        if pbar is not None:
            pbar.close()
        raise sys.modules["speedy_utils.common.exceptions"].SpeedyWorkerError(
            str(error),
            backend=kwargs.get("backend", args[1] if len(args) > 1 else "unknown"),
            func_name=getattr(error, "_speedy_func_name", ""),
        )

    return _exit_on_worker_error


PATCHES = (
    Patch("speedy_utils.multi_worker.thread", "_worker", _wrap_worker, costs=Lost.CALL),
    Patch("speedy_utils.multi_worker.thread", "UserFunctionError.format_rich", _wrap_panel, costs=Lost.TWICE),
    Patch("speedy_utils.multi_worker._mp_backends", "_serialize_exception_frames", _wrap_frames, costs=Lost.RECORD),
    Patch("speedy_utils.multi_worker._mp_backends", "_display_formatted_error_and_raise", _wrap_display, costs=Lost.TWICE),
    Patch("speedy_utils.multi_worker._mp_backends", "_exit_on_worker_error", _wrap_exit, costs=Lost.TWICE),
)
ASSUMPTIONS = (ORIGINAL,)

#: What ``python -m autotb demo --engine speedy-utils`` runs: a user's script.
DEMO = '''\
"""speedy-utils scores eight items in worker processes; one of them is bad."""

from speedy_utils import multi_process

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return multi_process(score, ITEMS, num_procs=2, progress=False, error_handler="raise", backend="spawn")


if __name__ == "__main__":
    main()
'''
