"""Values on their way to disk or to another process: each is pickled by itself, so that one that cannot be spoils no other.

Flows in: any value.  Flows out: :class:`Packed`, a text and the pickle if there is one; later the value, or an :class:`Opaque`.
Functions and classes of the main script are named as such, also by a worker that imported the script under another name.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
import sys
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

from autotb.record import pickling, safe_repr
from autotb.record.capture import KEY, fields_of, message_of, type_name

if TYPE_CHECKING:
    from autotb.record.schema import Light, Tree

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
    text = safe_repr.brief(value)
    try:
        return text, dumps(value), ""
    except BaseException as error:  # SystemExit too: it is of a copy that only we make
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


Several = tuple[Any, ...]  # packed exceptions, and which of them stands in each place


def pack_all(exceptions: Sequence[BaseException], packed: Callable[[BaseException], Packed]) -> Several:
    """Exceptions, each packed once however often it stands there."""
    if not exceptions:
        return ()
    found = {id(one): one for one in exceptions}
    numbers = {key: number for number, key in enumerate(found)}
    return [packed(one) for one in found.values()], [numbers[id(one)] for one in exceptions]


def unpack_all(several: Several, unpacked: Callable[[Packed], BaseException]) -> Sequence[BaseException]:
    """The exceptions again."""
    if not several:
        return ()
    found = [*map(unpacked, several[0])]
    return [found[number] for number in several[1]]


def headline(exception: BaseException) -> str:
    """``Type: message``, the message's first line; what cannot be printed (half a surrogate pair, say) is escaped."""
    message = message_of(exception).partition("\n")[0]
    if not message.isprintable():
        message = "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
    return f"{type_name(type(exception))}: {message}" if message else type_name(type(exception))


def pack_exception(exception: BaseException, tree: Tree | Light | None) -> Packed:
    """An exception with the record of its story, if it has one; the exception itself keeps its record."""
    text = headline(exception)[:300]
    kept = dict.get(fields_of(exception), KEY)
    try:
        return text, dumps(exception if tree is None else pickling.packed(exception, tree, dumps, pickle.loads)), ""
    except BaseException as error:  # as above
        return text, None, f"{type(error).__name__}: {error}"[:300]
    finally:
        if kept is not None:
            dict.__setitem__(fields_of(exception), KEY, kept)


def dumps(value: Any) -> bytes:
    """Pickle by reference; what has no name (a lambda, a local function) by cloudpickle, where that is installed.

    Raises what the picklers raise.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, PROTOCOL).dump(value)
        return buffer.getvalue()
    except Exception:
        if importlib.util.find_spec("cloudpickle") is None:
            raise
    import cloudpickle  # not above: what it raises comes of the value, not of the first error

    data: bytes = cloudpickle.dumps(value, PROTOCOL)
    return data


def culprit(value: Any) -> str:
    """Which part of a result it is that :func:`dumps` cannot pickle; empty where nothing is found."""
    from autotb.record import pickle_diagnosis

    if importlib.util.find_spec("cloudpickle") is None:
        return pickle_diagnosis.of_result(value, _Pickler)
    import cloudpickle

    return pickle_diagnosis.of_result(value, cloudpickle.CloudPickler)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (FunctionType, type)) and value.__module__ in ("__mp_main__", "__main__") and _is_mains(value):
            return of_main, (value.__qualname__,)
        return NotImplemented


def _is_mains(value: Any) -> bool:
    """Whether it is to be found in the main script of the process that reads this: there it is in ``__main__``, here perhaps not
    (a worker may import the script as ``__mp_main__``, or be sent what it needs of it)."""
    if "<locals>" in value.__qualname__ or "<lambda>" in value.__qualname__:
        return False
    return (
        value.__module__ == "__mp_main__" or getattr(sys.modules["__main__"], value.__qualname__.partition(".")[0], None) is None
    )


def bare(function: Any) -> Any:
    """The function as it is to be sent to an engine that pickles it by value: without the snapshot that hangs on it."""
    if type(function) is not FunctionType or "error_snapshot" not in function.__dict__:
        return function
    if function.__module__ != "__main__" and "<" not in function.__qualname__:
        return function  # it has a name, by which it is pickled
    copy = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__, copy.__module__, copy.__qualname__ = function.__kwdefaults__, function.__module__, function.__qualname__
    copy.__doc__, copy.__annotations__ = function.__doc__, function.__annotations__
    copy.__dict__.update({name: value for name, value in function.__dict__.items() if name != "error_snapshot"})
    return copy


def of_main(name: str) -> Any:
    """A function or class of the main script.  Raises AttributeError where it has none of that name."""
    found: Any = sys.modules["__main__"]
    for part in name.split("."):
        found = getattr(found, part)
    return found
