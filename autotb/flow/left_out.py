"""Calls that are made though errors are among their inputs: what was left out, or passed on, and what their results are made of.

Flows in: a step's ``on_error``, the columns that its inputs are.  Flows out: :class:`Made`, which a result is kept with that was
made without something, or of such a result: where a later run has other inputs for it, it is called again.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from autotb.flow import result_log
from autotb.flow.context import Array, Held, Sources, alone
from autotb.flow.result_log import DERIVED, LEFT_OUT, Place
from autotb.flow.snapshots import ErrorInfo, is_error
from autotb.record import arrival

if TYPE_CHECKING:
    from autotb.flow.index import Index

_MOST = 1 << 53  # errors: what is more is none
SKIP, DROP, PASS = "skip", "drop", "pass"


def checked(on_error: Any) -> str:
    """The choice itself.  Raises ValueError for what is none."""
    if on_error not in (SKIP, DROP, PASS):
        raise ValueError(f'on_error is "skip", "drop" or "pass", not {on_error!r}')
    return str(on_error)


def split(
    on_error: str, found: dict[str, ErrorInfo], inputs: Mapping[str, Any]
) -> tuple[dict[str, ErrorInfo], dict[str, ErrorInfo]]:
    """Of what is wrong with a call's arguments: what it is made in spite of, and what keeps it from being made."""
    if on_error == SKIP or not found:
        return {}, found
    if on_error == PASS:
        return found, {}
    left = {name: info for name, info in found.items() if info.kind == "partial" and type(inputs.get(name)) is Array}
    return left, {name: info for name, info in found.items() if name not in left}


def without(value: Any) -> tuple[Any, Array | None]:
    """A value of the user's without the errors that are among its items, and what is known of these; an array of numpy of more
    than one dimension cannot be without some of its elements."""
    kind = type(value)
    if kind in (list, tuple, dict):
        items = list(value.values()) if kind is dict else value
        errors = [at for at, item in enumerate(items) if is_error(item)]
        if not errors:
            return value, None
        known = Array.of("", (len(items),), errors, Held([items[at] for at in errors]))
        if kind is dict:
            return {name: item for name, item in value.items() if not is_error(item)}, known
        return kind([item for item in value if not is_error(item)]), known
    if getattr(value, "ndim", 0) == 1 and getattr(getattr(value, "dtype", None), "hasobject", False):
        errors = [at for at, item in enumerate(value) if is_error(item)]
        if errors:
            sound = [at for at, item in enumerate(value) if not is_error(item)]
            return value[sound], Array.of("", value.shape, errors, Held([value[at] for at in errors]))
    return value, None


def apart(name: str, left: Mapping[str, ErrorInfo], named: Mapping[str, Any], inputs: Mapping[str, Any]) -> str | None:
    """What to warn of where errors are left out of one argument and not of another that was as long: from there on values that
    stand at the same place belong to different things, and a function that pairs them by place gives a wrong result."""
    lengths = {one: _length(value, inputs.get(one)) for one, value in named.items()}
    for one, info in left.items():
        for other, length in lengths.items():
            if other == one or length is None or length < 2 or length != lengths[one]:
                continue
            if other not in left or left[other].indices != info.indices:
                rest = f"errors elsewhere are left out of {other}" if other in left else f"{other} has all of its {length}"
                return (
                    f"{name} is called without {info.count} of the {length} elements of {one}, and {rest}: what stands at the "
                    'same place no longer belongs together; let each value say whose it is, or take on_error="pass"'
                )
    return None


def _length(value: Any, known: Any) -> int | None:
    """How many elements an argument has, with those that are left out of it; None for what has no places."""
    if type(known) is Array:
        return known.shape[0] if len(known.shape) == 1 else None
    if type(value) in (list, tuple, range):
        return len(value)
    shape = getattr(value, "shape", None)
    return shape[0] if type(shape) is tuple and shape and type(shape[0]) is int else None


class Kept(NamedTuple):
    """How a result that was made so is told from others in a run folder: bits of its state, and a text."""

    flags: int
    text: bytes

    def beside(self, told: bytes) -> bytes:
        """The text of a record that tells something already."""
        return told[:-1] + b', "made": ' + self.text + b"}" if told else b'{"made": ' + self.text + b"}"


class Made:
    """What a result was made of: ``of`` is equal for equal inputs, as far as errors have to do with them, ``left_out`` has an
    entry for each argument that errors were left out of, or passed on in."""

    def __init__(self, of: str, left_out: dict[str, Any], passed: bool, sources: Mapping[str, Any] | None = None) -> None:
        self.of, self.left_out, self.passed = of, left_out, passed
        self.sources = sources or {}

    @property
    def count(self) -> int:
        """How many errors."""
        return sum(told["count"] for told in self.left_out.values())

    @functools.cached_property
    def kept(self) -> Kept:
        """The same for a run folder."""
        told = {"of": self.of, **({"left_out": self.left_out, "passed": self.passed} if self.left_out else {})}
        return Kept(LEFT_OUT if self.left_out else DERIVED, json.dumps(told, separators=(",", ":")).encode())

    @classmethod
    def from_text(cls, text: bytes) -> Made:
        """What a record tells; of one that tells nothing of the kind it is not known what it was made of."""
        try:
            told = arrival.parsed(text)["made"]
            left = told.get("left_out", {})
            for one in left.values():
                if not (0 <= one["count"] < _MOST and type(one["kind"]) is str and "indices" in one and "from" in one):
                    raise ValueError(one)
            return cls(str(told["of"]), left, bool(told.get("passed")))
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls("unknown", {}, False)


def made(of: str, left: dict[str, ErrorInfo], inputs: Mapping[str, Any], named: Mapping[str, Any], passed: bool) -> Made:
    """What a call is made of, and in spite of which errors."""
    told, sources = {}, {}
    for name, info in left.items():
        source = getattr(inputs.get(name), "source", None)
        indices = info.indices if info.indices is not None else ()
        if source is None:
            source = Held.of(named[name], info) if info.kind == "partial" else Held([alone(named[name])])
        sources[name] = source, indices
        told[name] = {"kind": info.kind, "indices": info.indices, "count": info.count, "from": origin(source, indices)}
    return Made(of, told, passed, sources)


def origin(source: Any, indices: Any) -> list[tuple[str, list[int]]]:
    """The steps that gave these errors, and their elements; of errors that the user gave none."""
    if isinstance(source, Sources):
        return [one for inner, positions in source.found for one in origin(inner, positions)]
    find = getattr(source, "origin", None)
    return find(indices) if find is not None else []


class Lineage:
    """Of what the calls of a step are made, as far as it may change from run to run: which of their inputs are errors, where the
    step takes such, and which were made without something themselves."""

    def __init__(self, store: Any, on_error: str) -> None:
        self.store, self.on_error = store, on_error
        self._wholes: list[Any] = []
        self._axes: list[tuple[Any, Any]] = []  # columns, and where in them the elements are of a place on the axis

    def whole(self, column: Any) -> None:
        """An output is taken whole by each call."""
        if self.store.folder is not None:
            ats = sorted({*column.made, *(column.errors() if self.on_error != SKIP else ())})
            self._wholes += self._told(column, ats)

    def along(self, column: Any, ats: Any) -> None:
        """An output is an axis; ``ats`` says which elements of it a place of the axis has.  Those of other axes are nothing."""
        has_errors = self.on_error != SKIP and bool(column.errors()) if column is not None else False
        self._axes.append((column, ats) if column is not None and (column.made or has_errors) else (None, None))

    def is_no_map(self) -> None:
        """There is one call, which is not made."""
        self._axes, self.on_error = [], SKIP

    @functools.cached_property
    def is_plain(self) -> bool:
        """Whether there is nothing to be told of any call."""
        return self.store.folder is None or not (self._wholes or any(column is not None for column, _ in self._axes))

    def of(self, places: Sequence[int]) -> str:
        """A text for the call whose elements are at these places of the axes; an empty one where there is nothing to tell."""
        if self.is_plain:
            return ""
        told = list(self._wholes)
        for (column, ats), place in zip(self._axes, places, strict=True):
            if column is not None:
                told += self._told(column, ats(place))
        return hashlib.sha256(repr(told).encode()).hexdigest()[:20] if told else ""

    def _told(self, column: Any, ats: Sequence[int]) -> list[Any]:
        errors = set(column.errors_of(ats)) if self.on_error != SKIP else set[int]()
        told: list[Any] = [(at, column.made[at].of) for at in ats if at in column.made]
        told += [(at, self.on_error, self.store.identity(column, at) if self.on_error == PASS else None) for at in sorted(errors)]
        return [(column.name, told)] if told else []


def read(folder: str, index: Index, step: int, every: bool) -> Iterator[tuple[int, Made]]:
    """Of what the elements of a step were made, as a run folder has it: of those that were made without something, or with
    ``every`` also of those that were made of such."""
    rows = index.execute(
        "SELECT at, shards.name, offset FROM elements JOIN shards ON shards.id = elements.shard "
        "WHERE step = ? AND state & ? ORDER BY at",
        (step, LEFT_OUT | DERIVED if every else LEFT_OUT),
    )
    for at, shard, offset in rows:
        try:
            yield at, Made.from_text(next(result_log.read(folder, [Place(str(shard), int(offset), 0)], only_text=True)).text)
        except (OSError, ValueError):
            yield at, Made.from_text(b"")
