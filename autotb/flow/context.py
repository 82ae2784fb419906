"""What one call of a step is about to do: its error mode, what is wrong with its inputs, its resources; and the two guards.

Flows in: a call's arguments, before it is made, and its exception, after.  Flows out: a :class:`PropagatedErrorSnapshot` in
place of the call, an :class:`ErrorSnapshot` in place of its result, or the exception."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from autotb.flow import snapshots
from autotb.flow.snapshots import ArrayReference, ErrorInfo, ErrorSnapshot, PropagatedErrorSnapshot, Reason, Source

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
    """An input that is an array of results: the output of a map, taken whole."""

    values: Any
    name: str = ""
    shape: tuple[int, ...] = ()
    source: Source | None = None


def scan(named: dict[str, Any], arrays: dict[str, Array], containers: bool = False) -> dict[str, ErrorInfo]:
    """What is wrong with the arguments of a call: an entry for each that is an error, or that holds some.

    Direct values and arrays are looked at; with ``containers`` also one level into lists, tuples and dicts.
    """
    found: dict[str, ErrorInfo] = {}
    for name, value in named.items():
        if snapshots.is_error(value):
            found[name] = ErrorInfo("full")
            continue
        array = arrays.get(name)
        if array is not None:
            indices = errors_in(array.values, max(1, len(array.shape)))
        elif getattr(getattr(value, "dtype", None), "hasobject", False):
            indices = errors_in(value)
        elif containers and type(value) in (list, tuple, dict):
            inner = list(value.values() if type(value) is dict else value)
            indices = (tuple(at for at, item in enumerate(inner) if snapshots.is_error(item)),)
        else:
            continue
        if indices and indices[0]:
            found[name] = ErrorInfo("partial", indices, len(indices[0]))
    return found


def errors_in(values: Any, axes: int = 1) -> tuple[tuple[int, ...], ...]:
    """The positions of errors, as ``numpy.nonzero`` gives them, in a list that is nested to so many axes, or in a numpy array of
    objects.  (A list among the elements is an element: a step may return lists.)"""
    shape = getattr(values, "shape", None)
    if shape is not None:
        flat, found = list(values.flat), []
        for at, value in enumerate(flat):
            if snapshots.is_error(value):
                found.append(_unravelled(at, shape))
        return tuple(zip(*found, strict=True)) if found else ()
    if axes > 1:
        positions = [(at, *inner) for at, row in enumerate(values) for inner in zip(*errors_in(row, axes - 1), strict=True)]
        return tuple(zip(*positions, strict=True)) if positions else ()
    one = tuple(at for at, value in enumerate(values) if snapshots.is_error(value))
    return (one,) if one else ()


def _unravelled(at: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    position = []
    for length in reversed(shape):
        at, rest = divmod(at, length)
        position.append(rest)
    return tuple(reversed(position))


def maybe_propagate_before_call(
    context: ErrorContext,
    function: Any,
    named: dict[str, Any],
    arrays: dict[str, Array] | None = None,
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
    partial = [name for name, one in info.items() if one.kind == "partial"]
    reason = Reason.INPUT_IS_ERROR if len(partial) < len(info) else Reason.ARRAY_CONTAINS_ERRORS
    arrays = arrays or {}
    attempted = {name: _attempted(name, value, info, arrays) for name, value in named.items()}
    error = PropagatedErrorSnapshot(info, function, reason, attempted, run_folder=run_folder)
    if context.resources_error is not None:
        error.causes.append(context.resources_error)
    for name in partial:
        array = arrays.get(name)
        error.sources[name] = array.source if array is not None and array.source is not None else Held.of(named[name], info[name])
        if error.error_indices is None:
            error.error_indices = info[name].indices
            error.source_output_name = (array.name or None) if array is not None else None
    return error


def _attempted(name: str, value: Any, info: dict[str, Any], arrays: dict[str, Array]) -> Any:
    array = arrays.get(name)
    if array is not None:
        return ArrayReference(array.name, array.shape)
    if name in info and info[name].kind == "partial":
        return ArrayReference("", getattr(value, "shape", (len(value),)))
    return value


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
    tell: Callable[[str], None] | None = None,
) -> ErrorSnapshot:
    """The snapshot of a call that failed, attached to the function and to its ``owners`` as ``error_snapshot``.

    All errors of user functions come through here.  In raise mode the exception leaves, after one line on what to do with it.
    """
    if not isinstance(exception, Exception):
        raise exception  # KeyboardInterrupt, SystemExit: nothing of a result
    snapshot = ErrorSnapshot.of_call(function, args, kwargs, exception)
    for owner in (function, *owners):
        try:
            owner.error_snapshot = snapshot
        except (AttributeError, TypeError):
            pass  # a built-in function takes no attributes
    if mode == RAISE:
        name = getattr(function, "__qualname__", None) or type(function).__name__
        (tell or _tell)(f"autotb: {name}.error_snapshot has the call that failed; .error_snapshot.reproduce() makes it again\n")
        raise exception
    return snapshot


def _tell(line: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(line)
        sys.stderr.flush()
