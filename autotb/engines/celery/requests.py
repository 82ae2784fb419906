"""What a worker of Celery knows of a failing task beside its error: the request that it runs.

It names the task and its attempt, and the tasks that were to be called with its result: those after it in a chain, the body of
its chord, its callbacks.  Source: https://docs.celeryq.dev/en/stable/userguide/canvas.html

Flows in: the request that a backend is given with an outcome.  Flows out: parts of a hop, and lines on tasks that are not called.
"""

from __future__ import annotations

import contextvars
import functools
from typing import TYPE_CHECKING, Any

from autotb import settings
from autotb.assumption import Attributes
from autotb.instrument import attempts
from autotb.record import build, safe_repr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotb.instrument.types import Function

COSTS = "a failed Celery task's name and attempt, and which tasks were not called because of it"
REQUEST = Attributes(
    "celery.app.task", "Context", "id", "args", "kwargs", "retries", "chain", "chord", "callbacks", "is_eager", costs=COSTS
)
TASK = Attributes("celery.app.task", "Task", "max_retries", "run", costs=COSTS)
GROUP = "celery.group"
_MOST = 20  # tasks of one line
_DEEPEST = 5  # chords in chords

_storing: contextvars.ContextVar[Any] = contextvars.ContextVar("autotb_celery_request", default=None)
_attempts = attempts.Attempts()


def storing(original: Function) -> Function:
    """A backend keeps the outcome of a task that failed: meanwhile it is known which task that is."""

    @functools.wraps(original)
    def mark(*args: object, **kwargs: object) -> Any:
        request = next((each for each in (*args, *kwargs.values()) if type(each).__name__ == "Context"), None)
        token = _storing.set(request)
        try:
            return original(*args, **kwargs)
        finally:
            _storing.reset(token)

    return mark


def retrying(original: Function) -> Function:
    """The same of one that will be tried again."""
    stores = storing(original)

    @functools.wraps(original)
    def mark_as_retry(self: object, task_id: object, exc: BaseException, *args: object, **kwargs: object) -> Any:
        try:
            if isinstance(exc, BaseException):  # a task may ask to be called again without any error
                _attempts.failed_of(task_id, attempts.headline(exc))
        except Exception:
            pass  # it is not told how this attempt failed
        return stores(self, task_id, exc, *args, **kwargs)

    return mark_as_retry


class Known:
    """What is known of the task whose outcome is kept just now."""

    def __init__(self, backend: Any) -> None:
        request = _storing.get()
        self.name = str(getattr(request, "task", "") or "")
        found = REQUEST.read(request) if self.name else None
        self.is_known = found is not None
        self.id, self.args, self.kwargs, self.retries, self.chain, self.chord, self.callbacks, self.is_eager = (
            found or (None,) * 8
        )
        self.task = backend.app.tasks.get(self.name) if self.is_known else None

    @property
    def is_here(self) -> bool:
        """Whether this process runs it.  The pool's own process keeps the outcomes of tasks whose workers are gone."""
        return not self.is_known or getattr(getattr(self.task, "request", None), "id", None) == self.id

    def label(self, exc: BaseException) -> str | None:
        """As Celery's log names it, and which attempt it was."""
        if not self.is_known:
            return None
        name = f"{self.name}[{self.id}]"
        if not self.retries:
            return name
        most = next(filter(None, (getattr(self.task, "override_max_retries", None), *(TASK.read(self.task) or ())[:1])), -1)
        failed = [*_attempts.failed.get(self.id, ()), attempts.headline(exc)]
        return f"{name}, {attempts.said(self.retries + 1, most + 1, failed)}"

    def call(self) -> str | None:
        """The call, where no frame tells it."""
        if self.task is None or self.is_eager:
            return None
        run = getattr(self.task, "_orig_run", None) or (TASK.read(self.task) or (None, None))[1]
        return build.call_text(run, tuple(self.args or ()), dict(self.kwargs or {}))

    def skipped(self) -> list[str]:
        """``skipped: train.report ← train.total(…, 2) ← train.rate ✗``"""
        if not self.is_known or self.is_eager:
            return []
        waiting = _after(self.chain, self.chord)
        lines = [waiting] if waiting else []
        lines += [[callback] for callback in self.callbacks or ()]
        return [f"skipped: {' ← '.join([*_cut(list(map(shown, line))), self.name])} ✗" for line in lines]


def _after(chain: Any, chord: Any, depth: int = 0) -> list[Any]:
    """The signatures that were to be called one after the other, the last one first."""
    waiting = _steps(list(chain or ()))
    chord = chord or (_options(waiting[0]).get("chord") if waiting else None)
    if not chord or depth > _DEEPEST:
        return waiting
    return [*_after(_options(chord).get("chain"), _options(chord).get("chord"), depth + 1), *_steps([chord]), *waiting]


def _steps(signatures: list[Any], depth: int = 0) -> list[Any]:
    """With chains and chords taken apart; each list has the last one first."""
    found = []
    for each in signatures:
        given = each.get("kwargs") or {}
        if depth < _DEEPEST and each.get("task") == "celery.chain":
            found += _steps(list(given.get("tasks") or ())[::-1], depth + 1)
        elif depth < _DEEPEST and each.get("task") == "celery.chord":
            header = {"task": GROUP, "kwargs": {"tasks": given.get("header") or ()}}
            found += [*_steps([given.get("body") or {}], depth + 1), header]
        else:
            found.append(each)
    return found


def _options(signature: Mapping[str, Any]) -> Mapping[str, Any]:
    return signature.get("options") or {}


def _cut(names: list[str]) -> list[str]:
    more = len(names) - _MOST
    return names if more <= 0 else [names[0], f"… {more:,} more …", *names[more + 1 :]]


def shown(signature: Any) -> str:
    """A call that was not made: ``train.add(…, 2)`` takes the result of the one before it as well."""
    name, given = str(signature.get("task")), signature.get("kwargs") or {}
    if name == GROUP:
        tasks = given.get("tasks") or ()
        return f"a group of {len((tasks.get('kwargs') or {}).get('tasks') or () if isinstance(tasks, dict) else tasks):,}"
    if name in ("celery.chord", "celery.chain"):
        return name.replace("celery.", "a ")
    result = [] if signature.get("immutable") else ["…"]
    return called(name, signature.get("args") or (), given, *result)


def called(name: str, args: Any, kwargs: Any, *before: str) -> str:
    """A task's name and what it is given."""
    if not settings.switch("args"):
        return name
    given = [*before, *map(safe_repr.brief, args), *(f"{key}={safe_repr.brief(value, key)}" for key, value in kwargs.items())]
    return safe_repr.cut(f"{name}({', '.join(given)})", safe_repr.MAX_VALUE)
