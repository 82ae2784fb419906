"""Celery: tasks in worker processes started by hand, or run at once (eager).

A worker stores a failed task's error in the result backend: with JSON as type, arguments and module, with pickle as the object,
and beside it its traceback as text.  ``AsyncResult.get`` makes the exception anew and raises it without any worker's frame.  The
record is one more key of the JSON, or rides on the pickle; where none came, the stored text is read.
Source: https://docs.celeryq.dev/en/stable/userguide/calling.html
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Attributes, Lost
from autotb.engines.celery import requests, results
from autotb.instrument import engine_frames, submission
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, capture, pickling, static

if TYPE_CHECKING:
    from autotb.instrument.types import Function
    from autotb.record.schema import Light, Tree

MODULES = ("celery.backends.base", "celery.result", "celery.app.base", "celery.app.task", "celery.canvas")
NAME = "Celery"
DISTRIBUTION = "celery"
CAPTURED = "AsyncResult.get, chains, groups, chords, retries, eager tasks; JSON and pickle results"
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


def _open_chord(exc: BaseException) -> engine_facts.Opened | None:
    """A task before the body of a chord failed, and the body is not called: that one's error is the story."""
    cause, known = static.cause_of(exc), capture.attached(exc)
    if cause is not None:
        return engine_facts.Opened(roots=(cause,))
    return engine_facts.Opened() if known is not None and known.get("type") not in (None, CHORD) else None


CHORD = "celery.exceptions.ChordError"
engine_facts.register(
    openers=(_open, results.opened),
    wrappers={CHORD: _open_chord},
    own=("celery", "kombu", "billiard", "vine", "amqp"),
)


def _wrap_prepare(original: Function) -> Function:
    """Runs in the worker with the exception alive; what it returns is stored."""

    @functools.wraps(original)
    def prepare_exception(self: Any, exc: BaseException, serializer: object = None) -> Any:
        stored = original(self, exc, serializer)
        try:
            tree = _record(self, exc)
            if tree is None:
                return stored
            if isinstance(stored, dict):
                return {**stored, FIELD: tree} if isinstance(tree, dict) else stored
            return pickling.carrying(stored, tree)
        except Exception:
            return stored  # then as Celery does it

    return prepare_exception


def _record(backend: object, exc: BaseException) -> Tree | Light | None:
    before = (static.cause_of(exc) or sys.exc_info()[1]) if capture.type_name(type(exc)) == CHORD else None
    known = capture.attached(before) if before is not None else None
    if known is not None and "type" in known:
        return known  # the failed task's own
    tb = static.traceback_of(exc)
    has_frame = tb is not None and engine_frames.has_user_frame(tb)
    task = requests.Known(backend)
    if not has_frame and not task.is_known:
        return None
    call = engine_frames.frame_call(tb) if has_frame else None
    if call is None or ".__call__(" in call:  # a class of the user's for tasks, which calls what it is around
        call = task.call() or call
    hop = build.hop("celery", "in a Celery worker", call=call, label=task.label(exc))
    if not task.is_here:
        del hop["pid"]
    tree = build.record(exc, tb, hop)
    skipped = task.skipped()
    if skipped and isinstance(tree, dict):
        tree["broken"] = [*tree.get("broken", ()), *skipped]
    return tree


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
    results.note_revoked(error, result)


PATCHES = (
    Patch("celery.backends.base", "Backend.prepare_exception", _wrap_prepare, costs=Lost.FIT),
    Patch("celery.backends.base", "Backend.exception_to_python", _wrap_to_python, costs=Lost.RECORD),
    Patch("celery.backends.base", "Backend.mark_as_failure", requests.storing, costs=requests.COSTS),
    Patch("celery.backends.base", "Backend.mark_as_retry", requests.retrying, costs=Lost.ATTEMPTS),
    Patch("celery.result", "AsyncResult.maybe_throw", submission.when_raised(_note, Exception), costs=Lost.SITE),
    Patch("celery.result", "AsyncResult.get", submission.when_raised(results.note_wait, Exception), costs=Lost.WAITED),
    *(
        Patch("celery.result", f"ResultSet.{name}", submission.when_raised(results.note_group, Exception), costs=results.COSTS)
        for name in ("join", "join_native")
    ),
    Patch("celery.app.base", "Celery.send_task", results.sending, costs=Lost.SITE),
    Patch("celery.app.task", "Task.apply_async", results.submitting, costs=Lost.SITE),
    Patch("celery.canvas", "Signature.freeze", results.freezing, costs=results.SIGNATURE.costs),
    *(
        Patch("celery.canvas", f"{kind}.apply_async", results.submitting, costs=Lost.SITE)
        for kind in ("_chain", "group", "_chord")
    ),
)
ASSUMPTIONS = (UNPICKLEABLE, CACHE, requests.REQUEST, requests.TASK, results.RESULT, results.SIGNATURE)

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
