"""Which attribute of a task's arguments or result it is that cannot be pickled: ``config.callbacks[2].fh → _io.TextIOWrapper``.

Flows in: the values that an engine failed to send, after it failed.  Flows out: a path, through the parts that fail by
themselves.  Every part is pickled once more, into nothing, up to limits of size, depth, number and time.
"""

from __future__ import annotations

import functools
import io
import pickle
import time
from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

from autotb.record import capture, safe_repr, static

MAX_BYTES = 10_000_000  # of one part; a larger one is taken to be sound
MAX_DEPTH, MAX_PARTS, MAX_SECONDS = 20, 500, 0.5


def of_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], pickler: Any = pickle.Pickler) -> str:
    """The path to what is at fault in a call; empty where nothing is found."""
    names = safe_repr._parameters(function)
    parts: list[tuple[str, Any]] = [(safe_repr.function_name(function), function)]
    parts += [(names[at] if at < len(names) else f"args[{at}]", value) for at, value in enumerate(args)]
    parts += list(kwargs.items())
    return _Search(pickler).among(parts)


def of_result(value: Any, pickler: Any = pickle.Pickler) -> str:
    """The path to what is at fault in a result."""
    return _Search(pickler).among([("result", value)])


class _FullError(Exception):
    """More was written than is looked at."""


class _Nothing(io.RawIOBase):
    """Takes bytes and keeps none."""

    count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.count += len(data)
        if self.count > MAX_BYTES:
            raise _FullError
        return len(data)


class _Search:
    def __init__(self, pickler: Any) -> None:
        self.pickler = pickler
        self.left = MAX_PARTS
        self.until = time.monotonic() + MAX_SECONDS

    def among(self, parts: list[tuple[str, Any]]) -> str:
        """The deepest part that fails, of the first of these that fails."""
        if self.fails(None):
            return ""  # it is the pickler that does not work here
        path, value = next((part for part in parts if self.fails(part[1])), ("", None))
        for _ in range(MAX_DEPTH if path else 0):
            inner = next((part for part in _parts(path, value) if self.fails(part[1])), None)
            if inner is None:
                break
            path, value = inner
        return f"{safe_repr.cut(path, 200)} → {capture.type_name(type(value))}" if path else ""

    def fails(self, value: Any) -> bool:
        if self.left <= 0 or time.monotonic() > self.until:
            return False
        self.left -= 1
        try:
            self.pickler(_Nothing()).dump(value)
        except (_FullError, RecursionError, MemoryError):
            return False
        except BaseException:  # SystemExit too: it has ended the engine's own pickling, and must end nothing else
            return True
        return False


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, each with the expression that leads there."""
    kind = type(value)
    if kind in (list, tuple):
        yield from ((f"{path}[{at}]", item) for at, item in enumerate(value))
    elif kind in (set, frozenset):
        yield from ((f"an element of {path}", item) for item in value)
    elif issubclass(kind, dict):
        for key, item in dict.items(value):
            yield f"a key of {path}", key
            yield f"{path}[{safe_repr.brief(key)}]", item
    elif kind is functools.partial:
        yield from ((f"{path}.func", value.func), (f"{path}.args", value.args), (f"{path}.keywords", value.keywords))
    elif kind is MethodType:
        yield f"{path}.__self__", value.__self__
    elif kind is FunctionType:
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=False)
        yield from ((f"{name} in {path}", cell.cell_contents) for name, cell in cells if _is_full(cell))
    else:
        yield from ((f"{path}.{name}", item) for name, item in static.attributes(value).items())


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  raises where it is empty
    except ValueError:
        return False
    return True
