"""Celery: tasks in worker processes started by hand, or run at once (eager).

A worker stores a failed task's error in the result backend: with JSON as type, arguments and module, with pickle as the object,
and beside it its traceback as text.  ``AsyncResult.get`` makes the exception anew and raises it without any worker's frame.  The
record is one more key of the JSON, or rides on the pickle; where none came, the stored text is read.
Source: https://docs.celeryq.dev/en/stable/userguide/calling.html
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Attributes, Lost
from autotb.instrument import engine_frames, submission
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, capture, pickling, static

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("celery.backends.base", "celery.result", "celery.app.task")
NAME = "Celery"
DISTRIBUTION = "celery"
CAPTURED = "AsyncResult.get, group results, eager tasks; JSON and pickle results"
TESTED = "5.3 to 5.7"

FIELD = "autotb"  # the record's key in a stored result

UNPICKLEABLE = Attributes(
    "celery.utils.serialization",
    "UnpickleableExceptionWrapper",
    "exc_module",
    "exc_cls_name",
    "exc_args",
    costs="the type and message of an exception that Celery could not pickle",
)
CACHE = Attributes("celery.result", "AsyncResult", "_cache", costs="the worker's frames, where there is no record of them")


def _open(exc: BaseException) -> engine_facts.Opened | None:
    """An exception that Celery could not pickle is replaced by one that knows its name and arguments."""
    found = UNPICKLEABLE.read(exc) if static.name(type(exc)) == "UnpickleableExceptionWrapper" else None
    if found is None:
        return None
    module, name, args = found
    message = str(args[0]) if len(args) == 1 else str(tuple(args)) if args else ""
    return engine_facts.Opened(headline=engine_frames.named(f"{module}.{name}", message))


engine_facts.register(openers=(_open,), own=("celery", "kombu", "billiard", "vine", "amqp"))


def _wrap_prepare(original: Function) -> Function:
    """Runs in the worker with the exception alive; what it returns is stored."""

    @functools.wraps(original)
    def prepare_exception(self: Any, exc: BaseException, serializer: object = None) -> Any:
        stored = original(self, exc, serializer)
        try:
            tb = static.traceback_of(exc)
            if tb is None or not engine_frames.has_user_frame(tb):
                return stored
            tree = build.record(exc, tb, build.hop("celery", "in a Celery worker", call=engine_frames.frame_call(tb)))
            if isinstance(stored, dict):
                return {**stored, FIELD: tree} if isinstance(tree, dict) else stored
            return pickling.carrying(stored, tree)
        except Exception:
            return stored  # then as Celery does it

    return prepare_exception


def _wrap_to_python(original: Function) -> Function:
    """Runs in the driver, on what was stored."""

    @functools.wraps(original)
    def exception_to_python(self: Any, exc: BaseException) -> Any:
        tree = exc.get(FIELD) if isinstance(exc, dict) else capture.attached(exc) if isinstance(exc, BaseException) else None
        made = original(self, exc)
        try:
            if capture.is_tree(tree) and isinstance(made, BaseException):
                annotate.arrive(made, tree)
        except Exception:
            pass  # the text is read
        return made

    return exception_to_python


def _note(error: BaseException, result: Any) -> None:
    """The line of the submission, and where no record came the worker's text."""
    (cache,) = CACHE.read(result) or (None,)
    text = (cache or {}).get("traceback")
    if capture.attached(error) is None and isinstance(text, str) and "Traceback (most recent call last)" in text:
        kind = capture.type_name(type(error))
        annotate.attach(error, {"v": capture.VERSION, "hops": [], "type": kind, "message": str(error), "text": text})
    annotate.raised(error)  # Celery raises it with a traceback of its own, or none
    annotate.note_submitted(error, engine_frames.place_of(result.__dict__.get("_autotb_site")))


PATCHES = (
    Patch("celery.backends.base", "Backend.prepare_exception", _wrap_prepare, costs=Lost.FIT),
    Patch("celery.backends.base", "Backend.exception_to_python", _wrap_to_python, costs=Lost.RECORD),
    Patch("celery.result", "AsyncResult.maybe_throw", submission.when_raised(_note, Exception), costs=Lost.SITE),
    Patch("celery.app.task", "Task.apply_async", submission.on_result, costs=Lost.SITE),
)
ASSUMPTIONS = (UNPICKLEABLE, CACHE)

#: What ``python -m autotb demo --engine celery`` runs: a user's script.
DEMO = '''\
"""A Celery task fails in a worker process; here its result is asked for."""

import os
import subprocess
import sys

from celery import Celery

HERE = os.path.dirname(os.path.abspath(__file__))
QUEUE, RESULTS = os.path.join(HERE, "queue"), os.path.join(HERE, "results")
for folder in (QUEUE, RESULTS):
    os.makedirs(folder, exist_ok=True)
app = Celery("train", broker="filesystem://", backend=f"file://{RESULTS}")
app.conf.broker_transport_options = {"data_folder_in": QUEUE, "data_folder_out": QUEUE, "control_folder": QUEUE}


def rate(clicks, views):
    return clicks / views


@app.task(name="train.score")
def score(item):
    return rate(item["clicks"], item["views"])


def main():
    command = [sys.executable, "-m", "celery", "-A", "train", "worker", "-P", "prefork", "-c", "1", "-l", "CRITICAL"]
    worker = subprocess.Popen(command, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return score.delay({"clicks": 3, "views": 0}).get(timeout=60)
    finally:
        worker.terminate()
        worker.wait(30)


if __name__ == "__main__":
    main()
'''
