"""What one call of a step is about to do: its error mode, what is wrong with its inputs, its resources; and the two guards.

Flows in: a call's arguments, before it is made, and its exception, after.  Flows out: a :class:`PropagatedErrorSnapshot` in
place of the call, an :class:`ErrorSnapshot` in place of its result, or the exception."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autotb.flow import snapshots
from autotb.flow.snapshots import ArrayReference, ErrorInfo, ErrorSnapshot, PropagatedErrorSnapshot, Reason, Source
from autotb.record import safe_repr, static

RAISE, CONTINUE = "raise", "continue"
UNKNOWN, EVALUATED, SKIPPED, ERROR = "unknown", "evaluated", "skipped", "error"


def check_mode(error_handling: Any) -> str:
    """The mode itself.  Raises ValueError for any but ``"raise"`` and ``"continue"``."""
    if error_handling not in (RAISE, CONTINUE):
        raise ValueError(f'error_handling is "raise" or "continue", not {error_handling!r}')
    return str(error_handling)


@dataclass(frozen=True)
class ResourcesEval:
    """What a step's request for resources came to: ``evaluated`` (``resources`` are they), ``skipped`` (its inputs hold
    errors), or ``error`` (``snapshot`` is that of the callable that asks for them)."""

    state: str
    resources: Any = None
    snapshot: ErrorSnapshot | None = None


@dataclass(frozen=True)
class ErrorContext:
    """Built once for each call; what its resources came to makes a new one."""

    mode: str
    error_info: dict[str, ErrorInfo]
    resources: Any = None
    resources_state: str = UNKNOWN
    resources_error: ErrorSnapshot | None = None

    def with_resources(self, found: ResourcesEval) -> ErrorContext:
        """The same call, now that its resources are known."""
        return replace(self, resources=found.resources, resources_state=found.state, resources_error=found.snapshot)


@dataclass(frozen=True)
class Array:
    """An input that is an array of results: the output of a map, taken whole.  ``indices`` are the positions of its errors."""

    name: str
    shape: tuple[int, ...]
    indices: tuple[tuple[int, ...], ...] = ()
    source: Source | None = None
    within: tuple[tuple[int, ...], ...] | None = None  # the same in the output ``name``, of which this array is a part

    @classmethod
    def of(
        cls,
        name: str,
        shape: tuple[int, ...],
        errors: list[int],
        source: Source | None,
        within: tuple[tuple[int, ...], ...] | None = None,
    ) -> Array:
        """The array whose elements ``errors``, counted through, are errors."""
        return cls(name, shape, as_numpy(errors, shape), source, within)


@dataclass(frozen=True)
class Element:
    """An input that is one result: an element of an array, or what a single call gave.  ``source`` has it again."""

    is_error: bool
    source: Source | None = None


Inputs = Mapping[str, "Array | Element"]


def scan(named: dict[str, Any], inputs: Inputs, containers: bool = False) -> dict[str, ErrorInfo]:
    """What is wrong with the arguments of a call: an entry for each that is an error, or that holds some.

    Of ``inputs``, the results of other steps, that is known; direct values and arrays of objects are looked at; with
    ``containers`` also one level into lists, tuples and dicts.
    """
    found: dict[str, ErrorInfo] = {}
    for name, value in named.items():
        given = inputs.get(name)
        if type(given) is Array:
            indices = given.indices
        elif snapshots.is_error(value) or (type(given) is Element and given.is_error):
            found[name] = ErrorInfo("full")
            continue
        elif _is_array_of_objects(value):
            if snapshots.is_error(alone(value)):
                found[name] = ErrorInfo("full")
                continue
            indices = errors_in(value)
        elif containers and type(value) in (list, tuple, dict):
            inner = value.values() if type(value) is dict else value
            indices = (tuple([at for at, item in enumerate(inner) if snapshots.is_error(item)]),)
        else:
            continue
        if indices and indices[0]:
            found[name] = ErrorInfo("partial", indices, len(indices[0]))
    return found


def alone(value: Any) -> Any:
    """What a numpy array of no dimension holds, which is an error as the error itself is one; any other value as it is."""
    return value.item() if _is_array_of_objects(value) and value.shape == () else value


def _is_array_of_objects(value: Any) -> bool:
    return hasattr(type(value), "flat") and getattr(getattr(value, "dtype", None), "hasobject", False)


def errors_in(array: Any) -> tuple[tuple[int, ...], ...]:
    """The positions of errors in a numpy array of objects, as ``numpy.nonzero`` gives them."""
    return as_numpy([at for at, value in enumerate(array.flat) if snapshots.is_error(value)], array.shape)


def as_numpy(ats: list[int], shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The positions of elements that are counted through, one tuple for each axis, as ``numpy.nonzero`` gives them."""
    return tuple(zip(*[unravelled(at, shape) for at in ats], strict=True))


def unravelled(at: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The position of an element that is counted through, the last axis first."""
    position = []
    for length in reversed(shape):
        at, rest = divmod(at, length)
        position.append(rest)
    return tuple(reversed(position))


def maybe_propagate_before_call(
    context: ErrorContext,
    function: Any,
    named: dict[str, Any],
    inputs: Inputs | None = None,
    run_folder: str | None = None,
) -> PropagatedErrorSnapshot | None:
    """What stands in place of a call whose inputs, or whose request for resources, are errors; None to make the call."""
    if context.mode != CONTINUE:
        return None
    info: dict[str, Any] = dict(context.error_info)
    if context.resources_state == ERROR:
        info["resources"] = ErrorInfo("full")
    if not info:
        return None
    inputs = inputs or {}
    partial = [name for name, one in info.items() if one.kind == "partial"]
    reason = Reason.INPUT_IS_ERROR if len(partial) < len(info) else Reason.ARRAY_CONTAINS_ERRORS
    attempted = {name: _attempted(name, value, info, inputs) for name, value in named.items()}
    error = PropagatedErrorSnapshot(info, function, reason, attempted, run_folder=run_folder)
    if context.resources_error is not None:
        error.causes.append(context.resources_error)
    for name in info:
        given = inputs.get(name)
        if given is not None and given.source is not None:
            error.sources[name] = given.source
        elif name in partial:
            error.sources[name] = Held.of(named[name], info[name])
    for name in partial[:1]:
        given = inputs.get(name)
        error.error_indices = info[name].indices
        if type(given) is Array:
            error.source_output_name = given.name or None
            error.error_indices = given.within or error.error_indices
    return error


def _attempted(name: str, value: Any, info: dict[str, Any], inputs: Inputs) -> Any:
    given = inputs.get(name)
    if type(given) is Array:
        return ArrayReference(given.name, given.shape)
    if name in info and info[name].kind == "partial":
        return ArrayReference("", value.shape if hasattr(value, "shape") else (len(value),))
    return alone(value) if name in info else value


class Held:
    """The errors of an array that is nowhere else: they alone are kept."""

    def __init__(self, errors: list[Any]) -> None:
        self.errors = errors

    @classmethod
    def of(cls, values: Any, info: ErrorInfo) -> Held:
        """Those that were found in a value that the user gave."""
        inner = list(values.values()) if type(values) is dict else values
        return cls([at(inner, position) for position in zip(*(info.indices or ()), strict=True)])

    def read(self, _indices: Any) -> list[Any]:
        """All of them: they are what was asked for."""
        return self.errors


class Sources:
    """The errors of several arrays, which are items of one argument."""

    def __init__(self, found: list[tuple[Any, Any]]) -> None:
        self.found = found  # a source of each, and the positions of the errors in it

    @property
    def lasting(self) -> bool:
        """Whether all of them are found again in a later process."""
        return all(getattr(source, "lasting", False) for source, _ in self.found)

    def read(self, _indices: Any) -> list[Any]:
        """All of them: they are what was asked for."""
        return [error for source, indices in self.found for error in source.read(indices)]


def given_errors(source: Any) -> list[Any]:
    """The errors of a source that are nowhere else."""
    if isinstance(source, Sources):
        return [error for inner, _ in source.found for error in given_errors(inner)]
    return source.errors if isinstance(source, Held) else []


def at(values: Any, position: tuple[int, ...]) -> Any:
    """The element of a nested list, or of a numpy array, at a position."""
    for index in position:
        values = values[index]
    return values


def maybe_wrap_exception(
    mode: str,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    exception: BaseException,
    owners: tuple[Any, ...] = (),
    earlier: Sequence[BaseException] = (),
) -> ErrorSnapshot:
    """The snapshot of a call that failed, attached to the function and to its ``owners`` as ``error_snapshot``; ``earlier`` are
    the errors of its attempts before.

    All errors of user functions come through here.  In raise mode the exception leaves, after one line on what to do with it.
    """
    if not isinstance(exception, Exception):
        raise exception  # KeyboardInterrupt, SystemExit: nothing of a result
    snapshot = ErrorSnapshot.of_call(function, args, kwargs, exception)
    snapshot.earlier = [*earlier]
    where = hang(snapshot, function, owners)
    if mode == RAISE:
        if where:
            _tell(f"autotb: {where}.error_snapshot has the call that failed; .error_snapshot.reproduce() makes it again\n")
        raise exception
    return snapshot


def hang(snapshot: ErrorSnapshot, function: Any, owners: tuple[Any, ...]) -> str:
    """Hang the newest snapshot on the function and the flow.  Returns the name of one that has it; a built-in takes none."""
    named = static.behind_partials(function)
    if type(named) is types.MethodType:
        named = named.__func__  # a bound method takes no attributes
    is_named = _hung(named, snapshot)
    flows = [owner for owner in owners if _hung(owner, snapshot)]
    is_partials = named is not function and _hung(function, snapshot)
    if is_named:
        name = safe_repr.function_name(function).rpartition("<locals>.")[2]
        return name if "<" not in name else "flow" if flows else "the function"  # a lambda has no name to write before the dot
    return "flow" if flows else "partial" if is_partials else ""


def _hung(owner: Any, snapshot: ErrorSnapshot) -> bool:
    try:
        owner.error_snapshot = snapshot
    except Exception:
        return False
    return True


class Leaving(Exception):  # noqa: N818  no error by itself
    """Carries a StopIteration of the user's out of a generator of ours, which could not raise it."""

    def __init__(self, error: StopIteration) -> None:
        self.error = error


def wrapped_or_leaving(*args: Any) -> ErrorSnapshot:
    """:func:`maybe_wrap_exception` inside of a generator."""
    try:
        return maybe_wrap_exception(*args)
    except StopIteration as error:
        raise Leaving(error) from None


def _tell(line: str) -> None:
    """A line that accompanies an error on its way: a stream that fails does not take the error's place."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(line)
            sys.stderr.flush()
    except Exception:
        pass  # nobody is left to tell
