"""Classes that answer for themselves, in every way that Python knows, and note that they were asked.

Imports nothing of autotb's.
"""

from __future__ import annotations

import builtins
import collections
import sys
from typing import Any

from tests.fuzz.chance import Chance

called: collections.Counter[str] = collections.Counter()  # which method was called, how often
watching: list[str] | None = None  # by whom, where one case is looked at
muted = 0  # whether it is the fuzzer itself that asks

METHODS = (
    *("__str__", "__repr__", "__getattr__", "__getattribute__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"),
    *("__eq__", "__hash__", "__bool__", "__len__", "__iter__", "__next__", "__contains__", "__getitem__", "__call__", "__lt__"),
    *("__int__", "__index__", "__fspath__", "__dir__", "__format__", "__setattr__", "__delattr__", "__sizeof__", "__enter__"),
    *("with_traceback", "add_note", "derive", "__add__", "__get__", "__copy__", "__deepcopy__", "__instancecheck__", "__bytes__"),
)
FIELDS = (
    *("__class__", "__dict__", "args", "__cause__", "__context__", "__traceback__", "__notes__", "__suppress_context__"),
    *("__module__", "name", "obj", "msg", "filename", "text", "errno", "code", "exceptions", "message", "__autotb__", "__doc__"),
    *("keys", "items", "__wrapped__", "__name__", "__qualname__", "__code__", "__func__", "__self__", "stdout", "shape", "dtype"),
)
OF_CLASSES = (
    *("__getattribute__", "__getattr__", "__eq__", "__hash__", "__bool__", "__len__", "__iter__", "__instancecheck__", "__dir__"),
    *("__subclasscheck__", "__repr__", "__str__", "__name__", "__qualname__", "__module__", "__mro__", "__bases__", "__dict__"),
)
MAIN = (
    "__str__",
    "__repr__",
    "__getattr__",
    "__getattribute__",
    "__class__",
    "__dict__",
    "__eq__",
    "__hash__",
    "__bool__",
    "__reduce_ex__",
)


class Text(str):
    """A ``str`` that says no more of itself."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        note("Text.__getattribute__")
        raise RuntimeError("no text")


class Number(int):
    def __index__(self) -> int:
        note("Number.__index__")
        raise RuntimeError("no number")

    __int__ = __index__

    def __eq__(self, other: object) -> bool:
        note("Number.__eq__")
        raise RuntimeError("no number")

    def __hash__(self) -> int:
        return 1


class Endless(dict):  # type: ignore[type-arg]
    """A mapping that has everything, and seems to go on for ever."""

    def __missing__(self, key: object) -> Any:
        note("Endless.__missing__")
        return self

    def _goes_on(self, *_: object) -> Any:
        note("Endless.__iter__")
        yield from ("name", "other") * 50  # whoever begins is noted: no need to hang

    __iter__ = keys = items = values = _goes_on  # type: ignore[assignment]

    def get(self, *_: object) -> Any:
        note("Endless.get")
        return self


def note(what: str) -> None:
    if not muted:
        called[what] += 1
        if watching is not None:
            frame, places = sys._getframe(1), []
            while frame is not None:
                places.append(f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}")
                frame = frame.f_back
            watching.append(f"{what}: {' < '.join(places[:9])}")


def _answer(what: str, how: int) -> Any:
    def answer(*_: Any, **__: Any) -> Any:
        note(what)
        if how == 0:
            raise RuntimeError("hostile \x1b[31m")
        if how == 1:
            raise SystemExit(3)
        if how == 2:
            raise KeyboardInterrupt
        if how == 3:
            return None
        if how == 4:
            return "\x1b[31mspeaks\u202e"
        if how == 5:
            return 1 << 70
        if how == 6:
            return Text("\x1b[32mspeaks")
        if how == 7:
            raise RecursionError("hostile")
        return _[0] if _ else None

    return answer


WAYS = 9
_made: dict[Any, Any] = {}


def _namespace(chance: Chance, methods: tuple[str, ...], fields: tuple[str, ...], many: int) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for _ in range(many):
        how = int(chance.random.random() * WAYS)
        name = chance.one(methods + fields) if chance.is_so(0.6) else chance.one(MAIN)
        answer = _answer(name, how)
        names[name] = property(answer) if name in fields or name in ("__class__", "__dict__") else answer
    if "__eq__" in names:
        names.setdefault("__hash__", lambda self: 1)
    return names


BASES: tuple[Any, ...] = (
    *(Exception, BaseException, ValueError, OSError, KeyError, AttributeError, NameError, ImportError, SyntaxError, SystemExit),
    *(KeyboardInterrupt, StopIteration, UnicodeDecodeError, RuntimeError, AssertionError, GeneratorExit, ConnectionError),
)


def kind(chance: Chance) -> Any:
    """A class of exceptions; a few hundred of a seed, for classes are slow to make."""
    key = ("exception", int(chance.random.random() * 400))
    return _class(chance, key, chance.one(BASES))


def thing(chance: Chance) -> Any:
    """An object that is no exception."""
    which = int(chance.random.random() * 12)
    if which == 0:
        return Text(chance.text())
    if which == 1:
        return Number(chance.number() & 0xFFFF)
    if which == 2:
        return Endless()
    if which == 3:
        return [Text("a"), chance.plain()]
    base = chance.one((object, object, str, int, dict, list, tuple, type(sys)))
    made = _class(chance, ("thing", base.__name__, int(chance.random.random() * 60)), base)
    try:
        return made("m") if base is type(sys) else made()
    except BaseException:
        return object()


def _class(chance: Chance, key: Any, base: Any) -> Any:
    """One of a seed's classes: which one it is does not hang on the cases before it."""
    inner = Chance(0, hash_of(key), "")
    known = (key, base)
    if known in _made:
        return _made[known]
    meta: Any = type
    if inner.is_so(0.12):
        names = _namespace(inner, OF_CLASSES[:12], OF_CLASSES[12:], 1)
        names.setdefault("__subclasses__", type.__subclasses__)
        meta = type("Meta", (type,), names)
    names = _namespace(inner, METHODS, FIELDS, inner.one((1, 1, 2, 4)))
    if inner.is_so(0.15):
        names["__module__"] = inner.one(("mine", "concurrent.futures.process", "\x1b[31m", "", "builtins", 5, None))
    if inner.is_so(0.1) and base in (object, Exception, ValueError):
        names["__slots__"] = ("slot", "name")
    name = inner.one(("Mine", "Mine", "Na\x1bme", "日本", "Long" * 100, "A.B", "<odd>", "x\ny")) if inner.is_so(0.3) else "Mine"
    try:
        made = meta(name, (base,), names)
        if inner.is_so(0.1):
            type.__dict__["__qualname__"].__set__(made, "out.<locals>.\x1bin")
    except BaseException:
        made = type("Plain", (base,), {})
    _made[known] = made
    return made


def hash_of(key: Any) -> int:
    """Of a key of texts and numbers: the same in every process."""
    return int.from_bytes(repr(key).encode(), "little") % 1_000_003


if hasattr(builtins, "ExceptionGroup"):

    class Lies(builtins.ExceptionGroup):  # type: ignore[name-defined,misc]
        """A group that is another one, if asked."""

        def derive(self, _: Any) -> Any:
            note("Lies.derive")
            return 7

        @property
        def exceptions(self) -> Any:  # type: ignore[override]
            note("Lies.exceptions")
            raise RuntimeError("none")

        def __str__(self) -> str:
            note("Lies.__str__")
            return "no group"
