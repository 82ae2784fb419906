"""What a call was given, as far as it can change: whether it can be made once more as it was made.

Flows in: a function and its arguments, when a task is submitted and when it is to be submitted again.  Flows out: a snapshot,
empty for what cannot change, and the reason why two of them do not show the same call.  A task on a thread may change the list
that it was given, a generator or a file that was read is used up: the same objects are another call then, and its result a wrong
one.  No code of an argument's class is run, and nothing but small plain values is held.
"""

from __future__ import annotations

import functools
import marshal
import sys
import types
import weakref

from autotb import runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GIVEN = "_autotb_given"  # the snapshot that a future keeps; a future without one was given nothing that can change
ROOM = 15  # objects and nested containers that are looked at in one argument; what holds more is not known to be the same
FLAT = 100  # items of a container
LARGE = 10_000  # bytes of a buffer or of an array, and characters of texts, that are looked at
LONG = 200  # characters or bytes that are held; of what is longer its length and hash are

#: What never changes, or is what it is whatever its state: functions keep to their names, as the task itself would find them.
FIXED = frozenset(
    (int, float, complex, bool, str, bytes, range, type, type(None), type(...), type(NotImplemented), types.FunctionType)
) | {types.ModuleType}
_FIXED_NAMES = {
    *("datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone", "zoneinfo.ZoneInfo"),
    *("decimal.Decimal", "fractions.Fraction", "uuid.UUID", "re.Pattern", "ipaddress.IPv4Address", "ipaddress.IPv6Address"),
    *("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath"),
    *("pathlib._local.PosixPath", "pathlib._local.WindowsPath", "numpy.dtype"),
    *("pandas._libs.tslibs.timestamps.Timestamp", "pandas._libs.tslibs.timedeltas.Timedelta"),
}
_PLAIN = frozenset((int, float, complex, bool, str, bytes, type(None)))
_TEXTS = frozenset((str, bytes))


_BY_CLASS, _TYPES = 1 << 9, 1 << 31  # Py_TPFLAGS_HEAPTYPE, Py_TPFLAGS_TYPE_SUBCLASS


_CONTAINERS = frozenset((list, dict, tuple, set, frozenset))
_known: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()  # what is said of a class below


class _UnknownError(Exception):
    """Something that cannot be compared."""


chunk_runner: Any = None  # the function that makes the calls of a flow, which submits them again itself: nobody else does


def of(function: Any, args: Any, kwargs: Any) -> tuple[Any, ...] | None:
    """The snapshot of a call: empty where nothing of it can change, else one part for the function and each argument.

    None where the program has not imported autotb so far: most never will, and submit nothing again.
    """
    if function is chunk_runner:
        return (None,)
    return of_values((function, *args, *kwargs.values())) if is_imported() else None


def is_imported() -> bool:
    """Whether anything but start-up has imported autotb: somebody holds the package, or has asked for a name of it."""
    global _imported
    if not _imported:
        _imported = not _COUNTS or runtime.used or _held(sys.modules) != _NOBODYS
    return _imported


def _held(modules: dict[str, types.ModuleType]) -> int:
    return sys.getrefcount(modules["autotb"])


_imported = False
_COUNTS = hasattr(sys, "getrefcount") and bool(getattr(sys, "_is_gil_enabled", lambda: True)())  # threads without it defer some
_NOBODYS = _held({"autotb": types.ModuleType("autotb")}) if _COUNTS else 0


def of_values(values: Any, atoms: tuple[type, ...] = ()) -> tuple[Any, ...]:
    """The same of any values, a part for each."""
    found = tuple([part(value, atoms) for value in values])
    for one in found:
        if one != ():
            return found
    return ()


def why_not_same(before: tuple[Any, ...] | None, function: Any, args: Any, kwargs: Any, atoms: tuple[type, ...] = ()) -> str:
    """Why the call is not, or not known to be, the one that ``before`` is the snapshot of; empty where it is.

    ``before`` is None where no snapshot was made: then only what cannot change is known to be the same.
    """
    values = (function, *args, *kwargs.values())
    names = ("", *_names(function, args), *kwargs)
    old = before or ((),) * len(values)
    if len(old) != len(values):
        return "what it was given could not be noted"
    for name, value, seen in zip(names, values, old, strict=True):
        now = part(value, atoms)
        then = seen if before is not None or now == () else None
        what = (
            f"its argument {name}, of type {_kind(value)}," if name else f"its function's object, of type {_kind(_owner(value))},"
        )
        if then is None or now is None:
            end = (
                "is used up by being read" if _is_read(value) else "may have changed since it was given: autotb cannot compare it"
            )
            return f"{what} {end}"
        if then != now:
            return f"{what} has changed since it was given"
    return ""


def _names(function: Any, args: Any) -> list[str]:
    code = getattr(function, "__code__", None) if type(function) is types.FunctionType else None
    known = code.co_varnames[: code.co_argcount] if code is not None else ()
    return [known[place] if place < len(known) else str(place + 1) for place in range(len(args))]


def _owner(function: Any) -> Any:
    return getattr(function, "__self__", function) if type(function) is types.MethodType else function


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"


def _is_read(value: Any) -> bool:
    return any("__next__" in base.__dict__ for base in type(value).__mro__)


def part(value: Any, atoms: tuple[type, ...] = ()) -> tuple[Any, ...] | None:
    """Of one value: empty where it cannot change, None where that cannot be known; ``atoms`` stand for themselves."""
    kind = type(value)
    if kind in FIXED or (kind is types.BuiltinFunctionType and type(value.__self__) is types.ModuleType):
        return ()
    try:
        if kind in _CONTAINERS and _is_flat(value, kind):
            return kind, _noted(value)
        found: list[Any] = []
        _walk(value, found, atoms)
    except Exception:  # also of a dict that another thread is changing, or of a class that is not what it seems
        return None
    return tuple(found)


def _is_flat(value: Any, kind: type) -> bool:
    """Whether a builtin container holds small plain values only: by far the commonest."""
    if len(value) > FLAT:
        return False
    for part_of_it in (value, value.values()) if kind is dict else (value,):
        kinds = set(map(type, part_of_it))
        if not kinds <= _PLAIN:
            return False
        if not kinds.isdisjoint(_TEXTS) and sum([len(one) for one in part_of_it if type(one) in _TEXTS]) > LARGE:
            raise _UnknownError  # to look at all of it would cost the program more than a retry is worth
    return True


def _noted(value: Any) -> Any:
    if type(value) in _TEXTS and len(value) > LARGE:
        raise _UnknownError
    text = marshal.dumps(value, 2)  # in this version equal values give equal bytes
    return text if len(text) <= LONG else (len(text), hash(text))


def _walk(value: Any, found: list[Any], atoms: tuple[type, ...]) -> None:
    """Note what can change in a value and in its parts."""
    if len(found) > 2 * ROOM:
        raise _UnknownError
    kind = type(value)
    found.append(id(kind))
    if kind in _PLAIN or (kind in _CONTAINERS and _is_flat(value, kind)):
        found.append(_noted(value))
    elif _stands_for_itself(value, kind) or (atoms and any(base is atom for atom in atoms for base in kind.__mro__)):
        found.append(id(value))
    else:
        inner = _inner(value, kind)
        found.append(len(inner))
        for one in inner:
            _walk(one, found, atoms)


def _stands_for_itself(value: Any, kind: type) -> bool:
    if kind is types.MethodType or kind in _CONTAINERS:
        return False
    if kind is types.BuiltinFunctionType:
        return isinstance(value.__self__, (types.ModuleType, type, type(None)))
    return (
        kind in FIXED
        or kind.__flags__ & _TYPES != 0
        or f"{kind.__module__}.{kind.__qualname__}" in _FIXED_NAMES
        or _is_enums(kind)
    )


def _is_enums(kind: type) -> bool:
    """A member of an enumeration, or a number of numpy's."""
    names = [(base.__module__, base.__name__) for base in kind.__mro__]
    return ("enum", "Enum") in names or ("numpy", "number") in names or ("numpy", "bool_") in names or ("numpy", "bool") in names


def _inner(value: Any, kind: type) -> list[Any]:
    """What a value consists of: of a builtin container its items, of an object of a plain class its attributes."""
    if kind in _CONTAINERS:
        if len(value) > FLAT:
            raise _UnknownError
        return [*value, *value.values()] if kind is dict else list(value)
    if kind is bytearray and len(value) <= LARGE:
        return [bytes(value)]
    if kind.__name__ == "ndarray" and kind.__module__ == "numpy" and value.nbytes <= LARGE and not value.dtype.hasobject:
        return [value.dtype.str, str(value.shape), value.tobytes()]
    if kind is functools.partial:
        return [value.func, list(value.args), value.keywords]
    if kind is types.MethodType:
        return [value.__func__, value.__self__]
    if issubclass(kind, tuple) and kind.__basicsize__ == tuple.__basicsize__ and not kind.__dictoffset__:  # a named one
        return list(tuple.__iter__(value))
    if not _is_plain(kind):
        raise _UnknownError  # a part of its state is where only its own code finds it
    fields = object.__getattribute__(value, "__dict__")
    if type(fields) is not dict:
        raise _UnknownError
    return [fields]


def _is_plain(kind: type) -> bool:
    """Whether all that an object of this class holds is in its ``__dict__``, and that is Python's own."""
    found = _known.get(kind)
    if found is None:
        found = _known[kind] = _looks_plain(kind)
    return found


def _looks_plain(kind: type) -> bool:
    if kind.__basicsize__ != _Plain.__basicsize__ or kind.__itemsize__:
        return False
    bases = kind.__mro__[:-1]
    if not all(base.__flags__ & _BY_CLASS and base.__dict__.get("__slots__", ()) == () for base in bases):
        return False
    made = next((base.__dict__["__dict__"] for base in bases if "__dict__" in base.__dict__), None)
    return type(made) is types.GetSetDescriptorType


class _Plain:
    """A class as ``class`` makes it: all that its objects hold is in their ``__dict__``."""
