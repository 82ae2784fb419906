"""A map along an axis of an output: which axes that are, the shape that is left, and the rows, each a call's argument.

Flows in: ``over`` as the user writes it, the columns of steps before.  Flows out: :class:`Rows`, an axis of a map whose elements
are arrays; what is wrong with ``over``, in words.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

from autotb.flow.context import Array, as_numpy, unravelled
from autotb.flow.left_out import DROP, SKIP, origin
from autotb.flow.result_log import OK
from autotb.flow.snapshots import ArrayReference
from autotb.flow.store import Column, Memory, flat, nested, positions


def checked(over: Any) -> tuple[int, ...] | None:
    """The axes as a tuple; None where nothing was said.  Raises TypeError for what is neither an axis nor a tuple of them."""
    if over is None:
        return None
    axes = tuple(over) if isinstance(over, (tuple, list)) else (over,)
    if any(not isinstance(axis, int) or isinstance(axis, bool) for axis in axes):
        raise TypeError(f"over is an axis, as numpy numbers them, or a tuple of axes, not {over!r}")
    return axes


def check(name: str, over: tuple[int, ...] | None, inputs: dict[str, tuple[int, tuple[int, ...] | None]]) -> None:
    """Whether a step can be mapped so over outputs of some dimensions, whose shapes may be known.  Raises ValueError."""
    many = {one: found for one, found in inputs.items() if found[0] > 1}
    if over and not many:
        raise ValueError(
            f"{name}: over={_told(over)} names an axis of an output of two dimensions or more, and there is none: "
            f"without over=, map takes an output element by element, and flow.call takes it whole"
        )
    for one, (dimensions, shape) in many.items():
        if over is None:
            raise ValueError(_unsaid(name, one, dimensions, shape))
        of(over, dimensions, f"{name}: {one}")


def of(over: tuple[int, ...], dimensions: int, name: str) -> tuple[int, ...]:
    """The axes counted from 0, in order.  Raises ValueError for one that is not there, or is named twice."""
    for axis in over:
        if not -dimensions <= axis < dimensions:
            raise ValueError(
                f"{name} has {dimensions} dimensions, the axes 0 to {dimensions - 1} (or {-dimensions} to -1), "
                f"and over={_told(over)} names another"
            )
    axes = sorted({axis % dimensions for axis in over})
    if len(axes) < len(over):
        raise ValueError(f"{name}: over={_told(over)} names an axis twice")
    return tuple(axes)


def left(shape: tuple[int, ...], over: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that is left without these axes."""
    axes = of(over, len(shape), "it")
    return tuple([length for axis, length in enumerate(shape) if axis not in axes])


def _told(over: tuple[int, ...]) -> str:
    return str(over[0]) if len(over) == 1 else str(over)


def _unsaid(name: str, output: str, dimensions: int, shape: tuple[int, ...] | None) -> str:
    """What to write where an output of several dimensions is mapped over and nothing is said of its axes."""
    told = f", {shape}" if shape is not None else ""
    if dimensions == 2:
        calls = [f"{count:,} {'call' if count == 1 else 'calls'}" for count in shape or ()]
        rows, columns = calls if calls else ("a call", "a call")
        what = f"over=1 for {rows} with a row each, over=0 for {columns} with a column each"
    else:
        what = f"over={dimensions - 1} for calls with the elements along the last axis (or another, or a tuple of axes)"
    return f"{name}: {output} has {dimensions} dimensions{told}; write {what}, or over=() for a call for each element"


class Rows:
    """An axis of a map that is made of arrays: what another map gave, taken along some of its axes."""

    def __init__(self, store: Memory, column: Column, over: tuple[int, ...], on_error: str = SKIP) -> None:
        self.store, self.column, self.on_error = store, column, on_error
        axes = of(over, len(column.shape), column.name)
        self.shape = left(column.shape, over)
        self.inner = tuple([column.shape[axis] for axis in axes])
        strides = [math.prod(column.shape[axis + 1 :]) for axis in range(len(column.shape))]
        self._outer = [stride for axis, stride in enumerate(strides) if axis not in axes]
        along = [[number * strides[axis] for number in range(column.shape[axis])] for axis in axes]
        self._offsets = [sum(steps) for steps in itertools.product(*along)]
        self.source = store.source(column)
        self.is_loaded = column.values is not None
        self.kinds = {list}

    def ats(self, at: int) -> list[int]:
        """Where the elements of a row are in the output, in order."""
        first = sum(index * stride for index, stride in zip(unravelled(at, self.shape), self._outer, strict=True))
        return [first + offset for offset in self._offsets]

    def take(self, ats: Sequence[int]) -> list[Any]:
        """The rows at these places; from a run folder they are loaded now, but for those that hold errors."""
        return [self._row(at) for at in ats]

    def _row(self, at: int) -> Any:
        errors = self._errors(at)
        if errors and self.on_error == DROP:
            return sound(self.store, self.column, self.ats(at), self.inner)
        if errors and self.on_error == SKIP and not self.is_loaded:
            return ArrayReference(self.column.name, self.inner)
        return nested(self.store.pick(self.column, self.ats(at)), self.inner)

    def has_errors(self, ats: Sequence[int]) -> bool:
        """Whether errors are among their elements."""
        return self._any_errors and any(self._errors(at) for at in ats)

    @functools.cached_property
    def _any_errors(self) -> bool:
        return self.column.states.count(OK) != len(self.column.states)

    def is_error(self, at: int) -> bool:
        """Whether there is no call for this one, as errors are among its elements."""
        return self.on_error == SKIP and bool(self._errors(at))

    def _errors(self, at: int) -> list[int]:
        """Which elements of a row are errors, counted through."""
        if not self._any_errors:
            return []
        return [number for number, place in enumerate(self.ats(at)) if self.column.states[place] != OK]

    def element(self, at: int) -> Array:
        """Which elements of a row are errors, and where these are found again."""
        errors, ats = self._errors(at), self.ats(at)
        within = as_numpy([ats[number] for number in errors], self.column.shape)
        source = RowOf(self.source, self.column.shape, self.inner, ats)
        return Array.of(self.column.name, self.inner, errors, source, within)

    def whole(self) -> tuple[Any, Any]:
        """All rows, and where errors are among their elements; with errors they are not loaded."""
        size, errors = math.prod(self.shape), list[int]()
        for at in range(size) if self._any_errors else ():
            errors += [at * len(self._offsets) + number for number in self._errors(at)]
        array = Array.of(self.column.name, self.shape + self.inner, errors, self.source)
        if errors and not self.is_loaded and self.on_error == SKIP:
            return ArrayReference(array.name, array.shape), array
        return nested(self.take(range(size)), self.shape), array


def sound(store: Memory, column: Column, ats: Sequence[int], shape: tuple[int, ...]) -> Any:
    """The elements that are no errors, as a list or as nested lists of this shape, whose innermost ones are shorter then."""
    errors = set(column.errors_of(ats))
    values = iter(store.pick(column, [at for at in ats if at not in errors]))
    width = shape[-1] if shape else 1
    lists = [[next(values) for at in ats[start : start + width] if at not in errors] for start in range(0, len(ats), width or 1)]
    return nested(lists, shape[:-1])


class RowOf:
    """The elements of an array that one call takes."""

    def __init__(self, source: Any, shape: tuple[int, ...], inner: tuple[int, ...], ats: list[int]) -> None:
        self.source, self.shape, self.inner, self.ats = source, shape, inner, ats
        self.lasting = source.lasting

    def read(self, indices: tuple[tuple[int, ...], ...]) -> list[Any]:
        """Those at these positions of the call's argument."""
        found: list[Any] = self.source.read(self._within(indices))
        return found

    def origin(self, indices: tuple[tuple[int, ...], ...]) -> list[tuple[str, list[int]]]:
        """The step, and the elements that these are."""
        return origin(self.source, self._within(indices))

    def _within(self, indices: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return as_numpy([self.ats[flat(position, self.inner)] for position in positions(indices, self.inner)], self.shape)
