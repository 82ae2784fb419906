"""Values on their way to disk or to another process: each is pickled by itself, so that one that cannot be spoils no other.

Flows in: any value.  Flows out: :class:`Packed`, a text and the pickle if there is one; later the value, or an :class:`Opaque`.
Functions and classes of the main script are named as such, also by a worker that imported the script under another name.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
import sys
from types import FunctionType
from typing import Any

from autotb import summary

PROTOCOL = 4


class Opaque:
    """Stands for a value that cannot be had here: ``text`` describes it, ``data`` is its pickle where there is one, ``why`` says
    what stood in the way."""

    __slots__ = ("data", "text", "why")

    def __init__(self, text: str, data: bytes | None, why: str) -> None:
        self.text, self.data, self.why = text, data, why

    def __repr__(self) -> str:
        return f"<{self.text}, not available here: {self.why}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Opaque, (self.text, self.data, self.why)


Packed = tuple[str, "bytes | None", str]


def pack(value: Any) -> Packed:
    """The value as text, and as a pickle if it has one; else why it has none."""
    if type(value) is Opaque:
        return value.text, value.data, value.why
    text = summary.brief(value)
    try:
        return text, dumps(value), ""
    except Exception as error:
        return text, None, f"{type(error).__name__}: {error}"[:300]


def unpack(packed: Packed) -> Any:
    """The value again; an :class:`Opaque` in its place where that cannot be."""
    text, data, why = packed
    if data is None:
        return Opaque(text, None, why)
    try:
        return pickle.loads(data)
    except Exception as error:
        return Opaque(text, data, f"{type(error).__name__}: {error}"[:300])


def dumps(value: Any) -> bytes:
    """Pickle by reference; what has no name (a lambda, a local function) by cloudpickle, where that is installed.

    Raises what the picklers raise.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, PROTOCOL).dump(value)
    except Exception:
        if importlib.util.find_spec("cloudpickle") is None:
            raise
        import cloudpickle

        data: bytes = cloudpickle.dumps(value, PROTOCOL)
        return data
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (FunctionType, type)) and value.__module__ == "__mp_main__":
            return of_main, (value.__qualname__,)
        return NotImplemented


def of_main(name: str) -> Any:
    """A function or class of the main script.  Raises AttributeError where it has none of that name."""
    found: Any = sys.modules["__main__"]
    for part in name.split("."):
        found = getattr(found, part)
    return found
