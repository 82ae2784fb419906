"""The one way that a call takes, from its inputs to its result; and the short cut through it for chunks of sound elements.

Flows in: a run, a step whose inputs are there, an element.  Flows out: a :class:`Task` where the user's function is to be called,
into which its :class:`Answer` is sent; at last the result, in the store.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from autotb.flow import cache, failing, left_out
from autotb.flow.cache import Cache
from autotb.flow.context import RAISE, ErrorContext, maybe_propagate_before_call, scan, wrapped_or_leaving
from autotb.flow.messages import Failed, Partly
from autotb.flow.result_log import FAILED, Place
from autotb.flow.snapshots import ErrorSnapshot, is_error
from autotb.flow.step_inputs import Work
from autotb.flow.steps import Part, of_call
from autotb.flow.store import Memory, Seconds
from autotb.flow.stored import here, loaded, value_of
from autotb.record import annotate


@dataclass
class Task:
    """Calls of one function that an executor is to make: ``columns`` are their positional arguments, ``ats`` their elements."""

    columns: tuple[Any, ...]
    kwargs: dict[str, Any]
    resources: Any
    ats: Sequence[int]

    def add(self, other: Task) -> None:
        """Make the calls of another one as well."""
        for mine, more in zip(self.columns, other.columns, strict=True):
            mine.extend(more)  # of the same kind: ``flights.is_alike`` has seen to that
        self.ats = self.ats if isinstance(self.ats, list) else [*self.ats]
        self.ats.extend(other.ats)


@dataclass
class Answer:
    """What they came to, where workers have kept it, and the seconds of each."""

    results: list[Any]
    places: Sequence[Place | None] | None = None
    seconds: Seconds = ()


Settling = Generator[Task, Answer, None]


class Run(Protocol):
    """What a run tells and is told here."""

    mode: str
    containers: bool
    store: Memory
    cache: Cache
    owners: tuple[Any, ...]

    def tell(self, work: Work, states: bytes) -> None:
        """Elements of a step are settled, in these states."""


def settle(run: Run, work: Work, at: int) -> Settling:
    """One call: build, load, scan, resources, guard, cache, call, store."""
    call = work.call(at)
    found = scan(call.named, call.inputs, work.containers)
    left, errors = left_out.split(work.on_error, found, call.inputs)
    context = ErrorContext(run.mode, errors)
    context = context.with_resources(work.resources(call, context, run.owners))
    named = call.named if not context.error_info else loaded(call.named, call.inputs)
    value: Any = maybe_propagate_before_call(context, work.function, named, call.inputs, run.store.folder)
    place: Place | None = None
    seconds: Seconds = ()
    if value is not None:
        work.column.made.pop(at, None)
    else:
        work.note(at, left, call)
        key = cache.key_of(work.step, run.mode, call.named, work.cache_id) if not left else None
        value = run.cache.get(key)
        if value is cache.MISSING:
            kwargs, columns = _with_resources(work, context), work.sent(at, call)
            del call, named  # what was looked at here is not held while the call is made
            answer = yield Task(columns, kwargs, context.resources, [at])
            value, place, seconds = answer.results[0], answer.places[0] if answer.places else None, answer.seconds
            if type(value) is Failed:
                value = _wrapped(run, work, tuple([value_of(column, 0) for column in columns]), kwargs, value)
            if run.mode != RAISE or not is_error(value):  # one that the function returned: the next run is to get it too
                run.cache.put(key, value)
        elif type(value) is ErrorSnapshot and run.mode == RAISE:
            _wrapped(run, work, call.args, call.kwargs, Failed(value.exception, value.earlier))
    states = run.store.put(work.column, [at], [value], [place], seconds)
    if type(work.function) is Part and work.column.values is not None:
        work.column.values[at] = of_call(work.column.values[at])
    run.tell(work, states)


def settle_chunk(run: Run, work: Work, ats: Sequence[int], columns: tuple[list[Any], ...]) -> Settling:
    """The same for elements that were looked at together: their inputs are sound, and the step has no cache and no function that
    says what it needs.  Of those that the worker hands back others take care."""
    context = work.plain_context
    kwargs = _with_resources(work, context)
    answer = yield Task(columns, kwargs, context.resources, ats)
    results = answer.results
    ats = ats[: len(results)]
    for index, value in enumerate(results) if type(results) is Partly else ():
        if type(value) is Failed:
            if run.mode == RAISE:  # what came before it is not lost
                places = answer.places[:index] if answer.places else None
                run.tell(work, run.store.put(work.column, ats[:index], results[:index], places, answer.seconds[:index]))
            results[index] = _wrapped(run, work, tuple([value_of(one, index) for one in columns]), kwargs, value)
    run.tell(work, run.store.put(work.column, ats, results, answer.places, answer.seconds))


def _wrapped(run: Run, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any], failed: Failed) -> ErrorSnapshot:
    """The snapshot of a call that failed; in raise mode the error leaves."""
    try:
        annotate.note_submitted(failed.exception, work.node.place)
    except Exception:
        pass  # a nicety of the story
    args, kwargs = tuple(map(here, args)), loaded(kwargs)
    failing.note_call(failed.exception, work.function, args, kwargs)
    if run.mode == RAISE:
        run.tell(work, bytes([FAILED]))
    snapshot = wrapped_or_leaving(run.mode, work.function, args, kwargs, failed.exception, run.owners, failed.earlier)
    if failed.kept is not None:  # it is the one that the worker has kept
        snapshot.id, snapshot.timestamp = failed.kept
    return snapshot


def _with_resources(work: Work, context: ErrorContext) -> dict[str, Any]:
    """The keyword arguments, with the resources if the function asks for them."""
    if work.step.resources_variable is None:
        return work.constants
    return {**work.constants, work.step.resources_variable: context.resources}
