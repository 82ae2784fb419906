"""Results that are waited for: where their tasks were submitted, what a wait waited for that timed out, how a group has failed.

A chain, a group or a chord makes results that know one another, of which the program is given the last; those that came before
it are its parents.  The backend is asked for the outcomes of others only when an error is told.
Source: https://docs.celeryq.dev/en/stable/reference/celery.result.html

Flows in: results, as they are made and when one of them raises.  Flows out: the place and the call on a result, lines on an
error.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Attributes
from autotb.engines.celery import requests
from autotb.instrument import engine_frames
from autotb.instrument.waited_tasks import CANCELLED, DONE, NOT_DONE, RUNNING, WAITING, Task, told
from autotb.record import callsite, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autotb.instrument.types import Function
    from autotb.record.schema import Tree

KEY = "_autotb_waited"
COSTS = "what a wait for Celery's results waited for that timed out, and how many tasks of a group failed"
RESULT = Attributes("celery.result", "AsyncResult", "id", "parent", "backend", costs=COSTS)
SIGNATURE = Attributes("celery.canvas", "Signature", "task", "args", "kwargs", costs="the calls of tasks of a chain or a group")
_MOST = 200  # results that are looked up, in
_PATIENCE = 2.0  # seconds
_NAMED = 5  # tasks of a line
_LINES = 5  # of other errors
_SHORT = 200  # characters of an argument that is kept
_SCALARS = frozenset((int, float, complex, bool, type(None)))


# Submission


def sending(original: Function) -> Function:
    """``app.send_task``, by which each task is sent: the result knows its call and the line."""

    @functools.wraps(original)
    def send_task(self: object, name: str, args: Any = None, kwargs: Any = None, *more: object, **options: object) -> Any:
        made = original(self, name, args, kwargs, *more, **options)
        try:
            made._autotb_task = _kept(name, args or (), kwargs or {})
            made._autotb_site = callsite.here(3)
        except Exception:
            pass  # they are not told
        return made

    return send_task


def freezing(original: Function) -> Function:
    """A task of a chain, a group or a chord gets its result before any is sent."""

    @functools.wraps(original)
    def freeze(self: Any, *args: object, **kwargs: object) -> Any:
        made = original(self, *args, **kwargs)
        try:
            name, given, named = SIGNATURE.read(self) or ("", (), {})
            made._autotb_task = _kept(name, given or (), named or {})
        except Exception:
            pass  # its call is not told
        return made

    return freeze


def _kept(name: str, args: Any, kwargs: Any) -> tuple[str, Any, Any]:
    """A call as a result keeps it: no large object lives on because of it."""
    small = all(type(value) in _SCALARS or (type(value) is str and len(value) <= _SHORT) for value in (*args, *kwargs.values()))
    return (name, tuple(args), kwargs) if small and len(args) + len(kwargs) <= _NAMED else (name, None, None)


def submitting(original: Function) -> Function:
    """A chain, a group or a chord is sent: the line is that of all its tasks."""

    @functools.wraps(original)
    def apply_async(*args: object, **kwargs: object) -> Any:
        made = original(*args, **kwargs)
        try:
            site = callsite.here(3)
            if site is not None:
                for result in _all_of(made):
                    if result.__dict__.get("_autotb_site") is None:
                        result._autotb_site = site
        except Exception:
            pass  # the place of submission is lost, nothing else
        return made

    return apply_async


def _all_of(result: Any) -> Iterator[Any]:
    """A result, its parents and the members of groups among them, each once."""
    seen, stack = set[int](), [result]
    while stack:
        each = stack.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        stack.append(each.__dict__.get("parent"))
        stack.extend(reversed(each.__dict__.get("results") or ()))


# Errors


class Asked:
    """On an error that a wait ended with: the results that were waited for, and whether the error is of one of them."""

    __slots__ = ("is_failure", "said", "tasks")

    def __init__(self, results: Sequence[Any], is_failure: bool) -> None:
        self.tasks, self.is_failure = [_Waited(result) for result in results], is_failure
        self.said: tuple[str, ...] | None = None

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (dict, ())  # elsewhere nobody knows these results


class _Waited:
    """What is kept of a result; the result itself may be gone when the error is told."""

    __slots__ = ("after", "backend", "call", "id", "place")

    def __init__(self, result: Any) -> None:
        self.id, parent, self.backend = RESULT.read(result) or (None, None, None)
        before = [] if parent is None else parent.__dict__.get("results") or [parent]
        self.after = frozenset(each.__dict__.get("id") for each in before)
        self.call, self.place = call_of(result), engine_frames.place_of(result.__dict__.get("_autotb_site"))

    def outcome(self) -> tuple[str, Any]:
        """State and result as the backend has them now; nothing where to read it would take it away."""
        look = getattr(self.backend, "_get_task_meta_for", None)
        found = look(self.id) if look is not None else {}
        return str(found.get("status") or ""), found.get("result")


def call_of(result: Any) -> str:
    """The call of a result's task, or its name; empty for one that was not submitted here."""
    name, args, kwargs = result.__dict__.get("_autotb_task") or ("", None, None)
    return requests.called(name, args, kwargs) if args is not None else name


def note_wait(error: BaseException, result: Any) -> None:
    """A wait for a result, or for the last one of a chain, has timed out."""
    if is_timeout(error):
        every = [each for each in _all_of(result) if "results" not in each.__dict__]
        static.fields_of(error)[KEY] = Asked(every[::-1], False)


def note_group(error: BaseException, group: Any) -> None:
    """A wait for a group has ended with the error of one of its tasks, or has timed out."""
    members = [each for each in group.__dict__.get("results") or () if "results" not in each.__dict__]
    if len(members) > 1 and (is_timeout(error) or (attached(error) or {}).get("hops")):
        static.fields_of(error)[KEY] = Asked(members, not is_timeout(error))


def note_revoked(error: BaseException, result: Any) -> None:
    """Celery's error of a revoked task does not name it."""
    if static.name(type(error)) == "TaskRevokedError":
        asked = static.fields_of(error)[KEY] = Asked([], False)
        asked.said = told([_task(_Waited(result), "REVOKED", None, is_placed=True)])


def is_timeout(error: BaseException) -> bool:
    """Whether it is Celery's ``TimeoutError``."""
    return static.name(type(error)) == "TimeoutError" and static.module(type(error)) == "celery.exceptions"


def opened(error: BaseException) -> engine_facts.Opened | None:
    """What the story says beside the error."""
    asked = dict.get(static.fields_of(error), KEY)
    if type(asked) is not Asked:
        return None
    if asked.said is None:
        asked.said = ()  # whatever comes: it is asked once
        try:
            asked.said = _of_group(error, asked.tasks) if asked.is_failure else _not_ready(asked.tasks)
        except Exception:
            pass  # a backend that is gone by now
    return engine_facts.Opened(broken=asked.said) if asked.said else None


def _outcomes(tasks: list[_Waited]) -> list[tuple[_Waited, str, Any]]:
    until = time.monotonic() + _PATIENCE
    found = []
    for task in tasks[:_MOST]:
        if time.monotonic() > until:
            break
        found.append((task, *task.outcome()))
    return found


def _not_ready(tasks: list[_Waited]) -> tuple[str, ...]:
    outcomes = _outcomes(tasks)
    found = [_task(*each) for each in outcomes]
    left = {waited.id for (waited, _, _), task in zip(outcomes, found) if task.state != DONE}
    for (waited, _, _), task in zip(outcomes, found):
        if task.state == NOT_DONE and waited.after & left:
            task.state = WAITING
    missing = [task for task in found if task.state != DONE]
    if not missing:
        return ("all results are ready by now",) if len(found) == len(tasks) else ()
    counted = (f"{len(missing):,} of {len(found):,} results are not ready:",) if len(found) > 1 else ()
    return (*counted, *told(missing))


_STATES = {"SUCCESS": DONE, "FAILURE": DONE, "STARTED": RUNNING, "REVOKED": CANCELLED}


def _task(task: _Waited, state: str, outcome: Any, is_placed: bool = False) -> Task:
    more = [f"task {task.id}"]
    if state == "STARTED" and isinstance(outcome, dict):
        more += [f"pid {outcome['pid']}"] if "pid" in outcome else []
        more += [f"on {outcome['hostname']}"] if "hostname" in outcome else []
    elif state == "RETRY" and isinstance(outcome, BaseException):
        more.append(f"to be tried again after {_headline(outcome)}")
    return Task(_STATES.get(state, NOT_DONE), task.call, ", ".join(more), None if is_placed else task.place)


def _of_group(error: BaseException, tasks: list[_Waited]) -> tuple[str, ...]:
    """How many of the tasks failed, which of them alike."""
    found = _outcomes(tasks)
    failed = [(task, outcome) for task, state, outcome in found if state == "FAILURE" and isinstance(outcome, BaseException)]
    done = sum(state == "SUCCESS" for _, state, _ in found)
    rest = len(tasks) - len(failed) - done
    counts = [(len(failed), "failed"), (done, "succeeded"), (rest, "not done yet" if len(found) == len(tasks) else "others")]
    line = f"of the {len(tasks):,} tasks of the group {', '.join(f'{count:,} {what}' for count, what in counts if count)}"
    groups: dict[Any, list[str]] = {}
    for task, outcome in failed:
        groups.setdefault(_kind(outcome), []).append(_call(task, outcome))
    alike = groups.pop(_kind(error), [])
    own = _last_hop(error).get("call")
    if own in alike:
        alike.remove(own)
    lines = [f"failed alike: {_names(alike)}"] if alike else []
    lines += [f"failed of {kind}: {_names(calls)}" for (kind, _), calls in list(groups.items())[:_LINES]]
    more = len(groups) - _LINES
    return (line, *lines, *([f"and of {more:,} other errors"] if more > 0 else []))


def _kind(error: BaseException) -> tuple[str, Any]:
    """Type and message, and the line that raised it."""
    frames = [frame for frame in _last_hop(error).get("frames") or () if "path" in frame]
    return _headline(error), (frames[-1]["path"], frames[-1]["line"]) if frames else None


def _headline(error: BaseException) -> str:
    from autotb.instrument import attempts

    return attempts.headline(error)


def _last_hop(error: BaseException) -> Any:
    tree: Tree | None = attached(error)
    return ((tree or {}).get("hops") or [{}])[-1]


def _call(task: _Waited, error: BaseException) -> str:
    return str(_last_hop(error).get("call") or task.call or f"task {task.id}")


def _names(calls: list[str]) -> str:
    more = f" and {len(calls) - _NAMED:,} more" if len(calls) > _NAMED else ""
    return ", ".join(call[:80] for call in calls[:_NAMED]) + more
