"""Arguments that lie in the run folder and are read there by the worker that makes the calls, one call's after the other's.

Flows in: where the results of an earlier step stand.  Flows out: their values, in a worker; :class:`Unread` where it cannot read
one, which the process that runs the flow then does.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from autotb.flow import snapshots, store
from autotb.flow.context import Array, scan
from autotb.flow.messages import UNREAD, UNSEEN, Elsewhere, Unread, itself
from autotb.flow.result_log import ItemPlace, Place
from autotb.flow.snapshots import Noted
from autotb.flow.steps import Nest
from autotb.flow.store import nested
from autotb.record import safe_repr


class Reference:
    """Stands for a value that is in a run folder, where it is told of."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


safe_repr.ours[Reference] = repr


class Places(Sequence[Any]):
    """Where elements of a step stand, in order, each with its number: many in little room."""

    def __init__(self, rows: Iterable[tuple[int, Place]]) -> None:
        self._names: list[str] = []
        self._ats, self._which, self._offsets = array("Q"), array("L"), array("Q")
        known: dict[str, int] = {}
        for at, place in rows:
            if place.shard not in known:
                known[place.shard] = len(known)
                self._names.append(place.shard)
            self._ats.append(at)
            self._which.append(known[place.shard])
            self._offsets.append(place.offset)
        if not self._ats or self._ats[-1] == len(self._ats) - 1:  # all of them
            self._ats = array("Q")

    def __len__(self) -> int:
        return len(self._which)

    def __getitem__(self, at: Any) -> Any:
        return self._ats[at] if self._ats else at, Place(self._names[self._which[at]], self._offsets[at], 0)

    def __iter__(self) -> Iterator[tuple[int, Place]]:
        for at, which, offset in zip(self._ats or range(len(self)), self._which, self._offsets, strict=True):
            yield at, Place(self._names[which], offset, 0)


class Stored(Elsewhere):
    """A column of arguments: each an element of a step, or with ``inner`` an array of this shape of some.  One argument is a
    column by itself."""

    def __init__(
        self,
        folder: str,
        token: str,
        name: str,
        rows: Sequence[Sequence[tuple[int, Place | ItemPlace]]],
        inner: tuple[int, ...] | None,
        checks: bool,
        containers: bool,
    ) -> None:
        self.folder, self.token, self.name, self.rows, self.inner = folder, token, name, rows, inner
        self.checks, self.containers = checks, containers

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self, indexes: Sequence[int]) -> Stored:
        """Some of its arguments."""
        rows = [self.rows[index] for index in indexes]
        return Stored(self.folder, self.token, self.name, rows, self.inner, self.checks, self.containers)

    def extend(self, other: Stored) -> None:
        """Take the arguments of another column of the same step as well."""
        self.rows = [*self.rows, *other.rows]

    def __getitem__(self, index: int) -> Reference:
        """What is told of an argument without reading it."""
        what, row = "elements" if self.inner is not None else "element", self.rows[index]
        ats = [str(at) for at, _ in itertools.islice(row, 3)]
        return Reference(f"<{what} {', '.join(ats)}{'…' if len(row) > 3 else ''} of {self.name}>")

    def __repr__(self) -> str:
        return repr(self[0])

    def load(self, index: int) -> Any:
        """One argument.  Raises ValueError for one that is damaged or cannot be unpickled, OSError where the folder is gone."""
        values = [value for _, value in store.load(self.folder, self.name, self.rows[index])]
        return values[0] if self.inner is None else nested(values, self.inner)

    def __iter__(self) -> Iterator[Any]:
        """Each argument as it is asked for; none is kept.  Raises :class:`Unread`."""
        for index in range(len(self.rows)):
            yield self._read(index)

    def itself(self) -> Any:
        """The one argument."""
        return self._read(0)

    def _read(self, index: int) -> Any:
        if not store.sees(self.folder, self.token):
            raise Unread(UNSEEN)
        try:
            value = self.load(index)
        except Exception:  # it says so there, or can be had there
            raise Unread(UNREAD) from None
        if self.checks and Noted.any_made and (snapshots.is_error(value) or scan({"": value}, {}, self.containers)):
            raise Unread(UNREAD)
        return value


class StoredInside(Elsewhere):
    """One argument, a column by itself: a list, tuple or dict of which some items are stored."""

    def __init__(self, nest: Nest, items: list[Any], leaves: Sequence[int]) -> None:
        self.kind, self.names = nest.kind, nest.names
        kept = [at for at in range(len(items)) if at not in leaves]
        self.items = [items[at] for at in kept]
        if self.names is not None:
            self.names = [self.names[at] for at in kept]

    def _filled(self, item: Callable[[Any], Any]) -> Any:
        return Nest(self.kind, self.names, []).filled([item(one) for one in self.items])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        """What is told of it without reading it."""
        return self._filled(lambda one: one[0] if isinstance(one, Elsewhere) else one)

    def __repr__(self) -> str:
        return repr(self[0])

    def taken(self, indexes: Sequence[int]) -> Any:
        """Itself, or nothing."""
        return self if indexes else []

    def load(self, _index: int) -> Any:
        """The argument.  Raises as :meth:`Stored.load` does."""
        return self._filled(here)

    def itself(self) -> Any:
        """The same in a worker.  Raises :class:`Unread`."""
        return self._filled(itself)

    def __iter__(self) -> Iterator[Any]:
        yield self.itself()


class Mixed(Elsewhere):
    """A column of arguments of which some are stored, each by itself."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    @classmethod
    def of(cls, values: list[Any]) -> Any:
        """The values as they are, where none is stored."""
        return cls(values) if any(isinstance(value, Elsewhere) for value in values) else values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Any:
        """What is told of one without reading it."""
        value = self.values[index]
        return value[0] if isinstance(value, Elsewhere) else value

    def taken(self, indexes: Sequence[int]) -> Mixed:
        """Some of them."""
        return Mixed([self.values[index] for index in indexes])

    def extend(self, other: Mixed) -> None:
        """Take those of another column as well."""
        self.values = [*self.values, *other.values]

    def load(self, index: int) -> Any:
        """One argument.  Raises as :meth:`Stored.load` does."""
        return here(self.values[index])

    def __iter__(self) -> Iterator[Any]:
        """Each argument as it is asked for.  Raises :class:`Unread`."""
        return map(itself, self.values)


def value_of(column: Any, index: int) -> Any:
    """An argument of a column, read where it is stored."""
    return column.load(index) if isinstance(column, Elsewhere) else column[index]


def here(value: Any) -> Any:
    """An argument, read in the process that runs the flow where it is stored."""
    return value.load(0) if isinstance(value, Elsewhere) else value


def loaded(named: dict[str, Any], inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Arguments by name, those that are stored read here, but for arrays: in place of these something else is told."""
    if not any(isinstance(value, Elsewhere) for value in named.values()):
        return named
    arrays = [name for name, known in (inputs or {}).items() if type(known) is Array]
    return {name: here(value) if name not in arrays else value for name, value in named.items()}
