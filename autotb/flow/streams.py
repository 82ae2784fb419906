"""Inputs of a map whose length nobody knows: generators, files, iterators without an end.  They are read as they are needed.

Flows in: iterables, how much may be read ahead.  Flows out: the elements that are to be called next, their values until the calls
are settled; the error of an iterable that raises, once what was read before it is done.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from autotb.flow.packing import Opaque
from autotb.flow.result_log import MISSING
from autotb.flow.snapshots import ERRORS
from autotb.flow.steps import Output

_SLOW = 0.05  # seconds: what was read by then is sent
_LOOK, _BRIEF = 64, 0.001  # elements between two looks at the clock, at most, and seconds that those before took then
_NOTHING = object()


class Stream:
    """An iterable of unknown length in the place of a map's input."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.values, self._is_read = values, False

    def begin(self, step: str) -> Iterator[Any]:
        """Its elements.  Raises ValueError for an iterator that another run has read."""
        found = iter(self.values)
        if self._is_read and found is self.values:
            raise ValueError(f"{step}: the iterator that it is mapped over was read by a run before: give a list, or a new flow")
        self._is_read = True
        return found


def is_one(value: Any) -> bool:
    """Whether nobody knows how long an iterable is."""
    return isinstance(value, Iterable) and not hasattr(type(value), "__len__")


def of(values: Iterable[Any]) -> Any:
    """The stream of an iterable without a length; a list where its first element is an output, which all are to be then."""
    found = iter(values)
    if found is not values:
        return Stream(values)
    first = next(found, _NOTHING)
    if first is _NOTHING:
        return []
    rest = itertools.chain([first], found)
    return list(rest) if isinstance(first, (Output, list, tuple, dict)) and _has_output(first) else Stream(rest)


def _has_output(value: Any) -> bool:
    if isinstance(value, Output):
        return True
    return any(isinstance(one, Output) for one in (value.values() if isinstance(value, dict) else value))


class Flowing:
    """An axis of a map that is read as it is needed; it has the values of calls that are not settled yet."""

    is_loaded = False
    kinds: set[type] = set()  # values are looked at as they are taken

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.values: dict[int, Any] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is known of it before it is read."""
        return (0,)

    def take(self, ats: Sequence[int]) -> list[Any]:
        """The values at these places; something that says so where they are gone."""
        gone = Opaque("an element of a stream", None, "what was read is not kept")
        return [self.values.get(at, gone) for at in ats]

    def has_errors(self, _ats: Sequence[int]) -> bool:
        """Errors among what was given are seen by their type."""
        return False

    def is_error(self, at: int) -> bool:
        """Whether this value is one."""
        return isinstance(self.values.get(at), ERRORS)

    def element(self, _at: int) -> None:
        """Nothing is known of a value that was given."""


class Reader:
    """Reads the axes of one step side by side."""

    def __init__(self, name: str, axes: Sequence[Any], store: Any) -> None:
        self.name, self.axes, self.store = name, axes, store
        self.count, self.is_over, self.is_slow = 0, False, False
        self.error: BaseException | None = None
        self.column: Any = None
        self.ahead = 1  # elements that may wait for their results to be taken
        self._flowing = [axis for axis in axes if isinstance(axis, Flowing)]
        self._sizes = [axis.shape[0] for axis in axes if not isinstance(axis, Flowing)]
        self._iterators: list[Iterator[Any]] | None = None

    def read(self, size: int) -> Sequence[int]:
        """So many elements that are still to be called, or fewer; none where it is at its end, or where the results of those
        before are to be fetched first."""
        if self._iterators is None:
            self._iterators = [axis.stream.begin(self.name) for axis in self._flowing]
        ats: list[int] = []
        first, looks = self.count, 1
        begun = last = time.monotonic()
        self.is_slow = False
        while not (self.is_over or self.is_slow) and (room := min(size - len(ats), self._room(), looks)) > 0:
            ats += self._taken(self._rows(room))
            now = time.monotonic()
            looks = min(2 * looks, _LOOK) if now - last < _BRIEF else 1
            last, self.is_slow = now, bool(ats) and now - begun > _SLOW
        if self.count > first or self.is_over:
            self.store.grow(self.column, self.count)
        return range(ats[0], ats[-1] + 1) if ats and ats[-1] - ats[0] == len(ats) - 1 else ats

    def _room(self) -> int:
        return self.ahead - int(self.store.waiting(self.column, self.count))

    def _taken(self, rows: list[Any]) -> list[int]:
        """Keep what is to be called of what was read."""
        states, new = self.column.states, range(self.count, self.count + len(rows))
        self.count = new.stop
        ats = [at for at in new if at >= len(states) or states[at] == MISSING]
        if len(ats) < len(new):
            rows = [rows[at - new.start] for at in ats]
        if len(self._flowing) == 1:
            self._flowing[0].values.update(zip(ats, rows, strict=True))
        else:
            for axis, values in zip(self._flowing, zip(*rows, strict=True), strict=False):
                axis.values.update(zip(ats, values, strict=True))
        return ats

    def _rows(self, count: int) -> list[Any]:
        """So many elements, or fewer at the end: of one axis its values, of several a list for each element."""
        assert self._iterators is not None
        rows: list[Any] = []
        if len(self.axes) > 1:
            while len(rows) < count and (values := self._next(self.count + len(rows))) is not None:
                rows.append(values if len(values) > 1 else values[0])
            return rows
        try:
            rows.extend(itertools.islice(self._iterators[0], count))
            self.is_over = len(rows) < count
        except Exception as error:  # what came before it is there
            self.error, self.is_over = error, True
        if Output in {*map(type, rows)}:
            self.error, self.is_over, rows = self._no_outputs(), True, []
        return rows

    def _no_outputs(self) -> TypeError:
        return TypeError(f"{self.name}: a stream has no outputs as its elements: give them in a list")

    def _next(self, at: int) -> list[Any] | None:
        """One element of each axis that is read; None at the end, which an error of theirs is too."""
        assert self._iterators is not None
        try:
            values = [next(iterator, _NOTHING) for iterator in self._iterators]
        except Exception as error:
            self.error, self.is_over = error, True
            return None
        ended = [value is _NOTHING for value in values] + [at >= size for size in self._sizes]
        if not any(ended):
            if Output in {*map(type, values)}:
                self.error, self.is_over = self._no_outputs(), True
                return None
            return values
        self.is_over = True
        if not all(ended):
            told = ", ".join([*(["a stream"] * len(values)), *map(str, self._sizes)])
            self.error = ValueError(
                f"{self.name}: the iterables have different lengths: {told}; after {at} one of them was at its end, another not"
            )
        return None

    def drop(self, ats: Sequence[int]) -> None:
        """These calls are settled."""
        for axis in self._flowing:
            for at in ats:
                axis.values.pop(at, None)

    def end(self) -> None:
        """All that was read is settled.  Raises the iterable's own error, and ValueError where a run before had more."""
        if self.error is not None:
            raise self.error
        if len(self.column.states) > self.count:
            kept = len(self.column.states)
            raise ValueError(f"{self.name}: its stream ended after {self.count}, and the run folder has {kept} elements of it")
