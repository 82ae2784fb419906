"""Arguments that lie in the run folder and are read there by the worker that makes the calls, one call's after the other's.

Flows in: where the results of an earlier step stand.  Flows out: their values, in a worker; :class:`Unread` where it cannot read
one, which the process that runs the flow then does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autotb.flow import snapshots, store
from autotb.flow.context import scan
from autotb.flow.messages import UNREAD, UNSEEN, Unread
from autotb.flow.result_log import Place
from autotb.flow.snapshots import Noted
from autotb.flow.store import nested


class Reference:
    """Stands for a value that is in a run folder, where it is told of."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Stored:
    """A column of arguments: each an element of a step, or with ``inner`` an array of this shape of some."""

    def __init__(
        self,
        folder: str,
        token: str,
        name: str,
        rows: list[list[tuple[int, Place]]],
        inner: tuple[int, ...] | None,
        checks: bool,
        containers: bool,
    ) -> None:
        self.folder, self.token, self.name, self.rows, self.inner = folder, token, name, rows, inner
        self.checks, self.containers = checks, containers

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Reference:
        """What is told of an argument without reading it."""
        what, ats = "elements" if self.inner is not None else "element", [str(at) for at, _ in self.rows[index]]
        return Reference(f"<{what} {', '.join(ats[:3])}{'…' if len(ats) > 3 else ''} of {self.name}>")

    def load(self, index: int) -> Any:
        """One argument.  Raises ValueError for one that is damaged or cannot be unpickled, OSError where the folder is gone."""
        values = [value for _, value in store.load(self.folder, self.name, self.rows[index])]
        return values[0] if self.inner is None else nested(values, self.inner)

    def __iter__(self) -> Iterator[Any]:
        """Each argument as it is asked for; none is kept.  Raises :class:`Unread`."""
        if not store.sees(self.folder, self.token):
            raise Unread(UNSEEN)
        for index in range(len(self.rows)):
            yield self._read(index)

    def _read(self, index: int) -> Any:
        try:
            value = self.load(index)
        except Exception:  # it says so there, or can be had there
            raise Unread(UNREAD) from None
        if self.checks and Noted.any_made and (snapshots.is_error(value) or scan({"": value}, {}, self.containers)):
            raise Unread(UNREAD)
        return value


def value_of(column: Any, index: int) -> Any:
    """An argument of a column, read where it is stored."""
    return column.load(index) if type(column) is Stored else column[index]
