"""Hostile exceptions: of hostile classes, with odd fields, notes, chains, groups, and tracebacks of code that lies about itself.

Imports nothing of autotb's.
"""

from __future__ import annotations

import builtins
import linecache
import sys
from types import CodeType, FunctionType, TracebackType
from typing import Any

from tests.fuzz import hostile
from tests.fuzz.chance import Chance

fields_of = BaseException.__dict__["__dict__"].__get__
_set = {
    name: BaseException.__dict__[name].__set__
    for name in ("__cause__", "__context__", "__traceback__", "args", "__suppress_context__")
}
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_Group: Any = getattr(builtins, "BaseExceptionGroup", None)

# Functions that raise: ``exc``, or what the interpreter makes of ``thing``; ``data`` may be a secret.
PROGRAMS = (
    "if n: return inner(n - 1, exc, thing, data)\n    raise exc",
    "raise (\n        exc\n    )",
    "def steps():\n        yield 1\n        raise exc\n    return list(steps())",
    "return [inner(-1, exc, thing, data) if n == 0 else None for _ in (1,)] if n == 0 else inner(n, exc, thing, data)",
    "class Body:\n        held = thing\n        raise exc",
    "try:\n        1 / 0\n    except ZeroDivisionError:\n        raise exc",
    "try:\n        raise KeyError(thing)\n    finally:\n        raise exc",
    "raise exc from thing",
    "def steps():\n        yield 1\n    g = steps(); next(g)\n    g.throw(exc)",
    "return (lambda: thing.no_such_name)()",
    "return thing + 1 + thing",
    "return no_such_name",
    "return thing['key']",
    "import json.no_such_module",
    "from json import no_such_name",
    "assert not thing, thing",
    "return {}[thing]",
    "import json\n    json.loads('{\\x1b')",
    "compile('a = = 日', thing if type(thing) is str else 'made.py', 'exec')",
    "open('/no/such/file')",
    "'日'.encode('ascii')",
    "self = thing\n    raise exc\n    lost",
    "日本 = '日本語 ä'; 名 = thing; raise exc; '" + "y" * 2_000 + "'",
    "for n in (1, 2):\n        with thing:\n            raise exc",
    "return thing()",
    "exec('raise exc', {'exc': exc}, thing)",
    "int('x' * 50)",
    "return next(each for each in thing)",
)


def _function(body: str) -> FunctionType:
    names: dict[str, Any] = {}
    exec(compile(f"def inner(n, exc, thing, data=None):\n    if n < 0: raise exc\n    {body}\n", "made", "exec"), names)
    return names["inner"]


_FUNCTIONS = [_function(body) for body in PROGRAMS]
_MODULE = compile("held = 1\nfor each in (1,):\n    raise exc\n", "made", "exec")


def exception(chance: Chance, depth: int = 0) -> BaseException:
    """One that was raised, with all that it is chained to."""
    exc = raised(chance, made(chance, depth))
    if chance.is_so(0.25):
        fields_of(exc)["__notes__"] = _notes(chance)
    if depth < 4 and chance.is_so(0.2):
        _set["__cause__"](exc, exception(chance, depth + 1))
    if depth < 4 and chance.is_so(0.15):
        _set["__context__"](exc, exception(chance, depth + 1))
    if chance.is_so(0.05):
        _set["__suppress_context__"](exc, chance.is_so(0.5))
    try:
        return _tangled(chance, exc) if depth == 0 and chance.is_so(0.06) else exc
    except BaseException:  # to make a group asks hostile classes
        return exc


def _notes(chance: Chance) -> Any:
    kind = int(chance.random.random() * 8)
    if kind == 0:
        return chance.plain()
    if kind == 1:
        return hostile.thing(chance)
    if kind == 2:
        return (chance.text(),)
    many = chance.many(1, 1, 3, heavy=500)
    return [hostile.thing(chance) if chance.is_so(0.1) else chance.either(chance.text()) for _ in range(many)]


def _tangled(chance: Chance, exc: BaseException) -> BaseException:
    """A circle, a long chain, one exception in many places."""
    other = made(chance, 9)
    kind = int(chance.random.random() * 5)
    if kind == 0:
        _set["__cause__"](exc, other)
        _set["__cause__"](other, exc)
    elif kind == 1:
        _set["__context__"](exc, other)
        _set["__context__"](other, exc)
        _set["__cause__"](other, None)
    elif kind == 2:
        _set["__cause__"](exc, exc)
        _set["__context__"](exc, exc)
    elif kind == 3 and _Group is not None:
        group = _Group("shared", [exc, exc, other])
        return raised(chance, _Group("outer", [group, group, exc]))
    else:
        for _ in range(chance.many(5, 60, heavy=1_500)):
            outer = made(chance, 9) if chance.is_so(0.2) else ValueError(chance.text())
            _set[chance.one(("__cause__", "__context__"))](outer, exc)
            exc = outer
    return exc


def made(chance: Chance, depth: int = 0) -> Any:
    """One that was not raised."""
    try:
        return _MAKERS[int(chance.random.random() * len(_MAKERS))](chance, depth)
    except BaseException:  # to make it asks hostile classes
        return ValueError(chance.text())


def _value(chance: Chance) -> Any:
    return hostile.thing(chance) if chance.is_so(0.2) else chance.plain()


def _plain(chance: Chance, _: int) -> BaseException:
    return chance.one((ValueError, KeyError, RuntimeError, AttributeError, LookupError, TypeError, BaseException))(
        chance.either(chance.text())
    )


def _interrupting(chance: Chance, _: int) -> BaseException:
    return chance.one((KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration))(_value(chance))


def _of_a_hostile_class(chance: Chance, _: int) -> BaseException:
    kind = hostile.kind(chance)
    base = next(
        each for each in type.__dict__["__mro__"].__get__(kind) if type.__dict__["__module__"].__get__(each) == "builtins"
    )
    args = tuple([_value(chance) for _ in range(chance.one((0, 1, 1, 2)))])
    if base is UnicodeDecodeError:
        args = ("utf-8", b"abc", 0, 1, chance.text())
    exc: BaseException = base.__new__(kind, *args)
    _set["args"](exc, args)
    if chance.is_so(0.3):
        dict.__setitem__(fields_of(exc), chance.one(("name", "obj", "__module__", "extra", "__class__")), _value(chance))
    return exc


def _syntax(chance: Chance, _: int) -> BaseException:
    kind = chance.one((SyntaxError, SyntaxError, IndentationError, TabError))
    exc = kind(chance.text(), (chance.path(), abs(chance.number()) % 10**6, chance.number() % 1_000, chance.text()))
    for name in ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset", "print_file_and_line"):
        if chance.is_so(0.2) and hasattr(exc, name):
            setattr(exc, name, _value(chance))
    return exc


def _of_the_system(chance: Chance, _: int) -> BaseException:
    exc = OSError(chance.one((2, 13, 24, chance.number())), _value(chance), _value(chance), None, _value(chance))
    if chance.is_so(0.3):
        exc.errno = _value(chance)
    return exc


def _unicode(chance: Chance, _: int) -> BaseException:
    kind = int(chance.random.random() * 3)
    one, other = abs(chance.number()) % 10**6, abs(chance.number()) % 10**6
    if kind == 0:
        return UnicodeDecodeError("utf-8", chance.text().encode("utf-8", "replace"), one, other, chance.text())
    if kind == 1:
        return UnicodeEncodeError(chance.text(), chance.text(), one, other, chance.text())
    return UnicodeTranslateError(chance.text(), one, other, chance.text())


def _of_import(chance: Chance, _: int) -> BaseException:
    kind = chance.one((ImportError, ModuleNotFoundError))
    more = {"name_from": _value(chance)} if sys.version_info >= (3, 12) else {}
    exc = kind(chance.either("No module named 'pandas'"), name=_value(chance), path=_value(chance), **more)
    if chance.is_so(0.3):
        exc.msg = _value(chance)
    return exc


def _of_names(chance: Chance, _: int) -> BaseException:
    if chance.is_so(0.5):
        return NameError(_value(chance), name=chance.one(("exc", "thin", "data_", chance.plain(), _value(chance))))
    return AttributeError(_value(chance), name=chance.one(("lenght", "__dict", _value(chance))), obj=_value(chance))


def _group(chance: Chance, depth: int) -> BaseException:
    if _Group is None or depth > 5:
        return ValueError(chance.text())
    many = chance.many(1, 2, 2, 5, heavy=2_000)
    members = [exception(chance, depth + 2) if chance.is_so(0.6) else made(chance, depth + 2) for _ in range(min(many, 8))]
    kind = hostile.Lies if chance.is_so(0.2) and all(isinstance(each, Exception) for each in members) else _Group
    group: BaseException = kind(chance.text(), [chance.one(members) for _ in range(many)] if many > 8 else members)
    for _ in range(chance.many(0, 0, 0, 12, heavy=80)):
        group = _Group(chance.text(), [group])
    return group


_MAKERS = (
    _plain,
    _plain,
    _plain,
    _interrupting,
    *(_of_a_hostile_class,) * 4,
    _syntax,
    _of_the_system,
    _unicode,
    _of_import,
    _of_names,
    _group,
)


# Tracebacks


def raised(chance: Chance, exc: Any) -> BaseException:
    """What comes out of a function that was called with ``exc``: it, or another that it led to."""
    depth = chance.many(0, 0, 0, 0, 0, 0, 0, 1, 1, 3, 3, 60, heavy=900)
    name, secret = chance.secret() if chance.is_so(0.3) else ("data", chance.plain())
    thing = hostile.thing(chance) if chance.is_so(0.7) else chance.plain()
    try:
        if chance.is_so(0.05):
            _run_as_a_module(chance, exc, thing)
        code = _lying(chance, chance.one(_FUNCTIONS).__code__, name)
        names = _globals(chance)
        names["inner"] = function = FunctionType(code, names, "inner", (None,))
        function(depth, exc, thing, secret)
    except BaseException as error:
        tb = _traceback_of(error)
        _set["__traceback__"](error, _odd(chance, tb.tb_next if tb is not None else None))
        return error
    return exc  # type: ignore[no-any-return]


def _run_as_a_module(chance: Chance, exc: Any, thing: Any) -> None:
    names = {**_globals(chance), "exc": exc}
    exec(_lying(chance, _MODULE, "data"), names, hostile.Endless(exc=exc) if chance.is_so(0.3) else names)


def _globals(chance: Chance) -> dict[str, Any]:
    names: dict[str, Any] = hostile.Endless() if chance.is_so(0.04) else {}
    dict.__setitem__(names, "__name__", chance.one(("mine", "json", "__main__", "mine")))
    dict.__setitem__(names, "__builtins__", builtins)
    for key in ("__name__", "__file__", "__loader__", "__spec__", "__package__"):
        if chance.is_so(0.08):
            dict.__setitem__(names, key, hostile.thing(chance) if chance.is_so(0.5) else chance.plain())
    if chance.is_so(0.05):
        dict.__setitem__(names, "__loader__", Loader(int(chance.random.random() * 6)))
    return names


class Loader:
    """Gives a module's source, or does not."""

    def __init__(self, how: int) -> None:
        self.how = how

    def get_source(self, _: str) -> Any:
        hostile.note("Loader.get_source")
        if self.how < 3:
            raise (RuntimeError, SystemExit, KeyboardInterrupt)[self.how]("no source")
        return (None, 5, "first\n\x1b[31mraise exc\nthird\n" * 3)[self.how - 3]


_lines: list[str] = []  # the names of linecache that a case has put there


def _lying(chance: Chance, code: CodeType, data: str) -> CodeType:
    """The code with another name, file, table of lines, or first line."""
    path, what = chance.path(), {}
    if chance.is_so(0.06):
        what = chance.one(({"co_linetable": b""}, {"co_firstlineno": 1 << 30}, {"co_firstlineno": 0}, {"co_firstlineno": 200}))
    if chance.is_so(0.1):
        path = hostile.Text(path)
    name = chance.text() if chance.is_so(0.3) else "inner"
    if chance.is_so(0.15) and type(path) is str:
        _lines.append(path)
        linecache.cache[path] = _entry(chance)
    return _renamed(code, path, name, what, data)


def _renamed(code: CodeType, path: str, name: str, what: dict[str, Any], data: str) -> CodeType:
    inner = tuple([_renamed(each, path, each.co_name, {}, data) if type(each) is CodeType else each for each in code.co_consts])
    if data != "data":
        for key in ("co_varnames", "co_cellvars", "co_freevars"):
            what[key] = tuple([data if each == "data" else each for each in getattr(code, key)])
    try:
        return code.replace(co_consts=inner, co_filename=path, co_name=name, **what)
    except (UnicodeError, ValueError, OverflowError):
        return code


def _entry(chance: Chance) -> Any:
    """What linecache may hold: lines that were read, or what it asks for them."""
    kind = int(chance.random.random() * 5)
    if kind == 0:
        loader = Loader(int(chance.random.random() * 6))
        return (lambda: loader.get_source(""),)
    lines = [chance.text() + "\n" for _ in range(6)]
    if kind == 1:
        lines = [hostile.Text("raise exc\n"), *lines]
    return (len(lines), None, lines, "made")


def _odd(chance: Chance, tb: TracebackType | None) -> TracebackType | None:
    if tb is not None and chance.is_so(0.04):
        number = chance.number()
        try:
            return TracebackType(
                tb if chance.is_so(0.5) else None,
                tb.tb_frame,
                chance.one((0, 2, -1, 10_000)),
                max(-(1 << 31), min(number, (1 << 31) - 1)),
            )
        except (OverflowError, ValueError):
            return tb
    return tb


def tidy() -> None:
    """Takes what the case has put into linecache out of it."""
    while _lines:
        linecache.cache.pop(_lines.pop(), None)


def chain(exc: BaseException) -> list[BaseException]:
    """It, and all that it is chained to or holds."""
    cause, context = BaseException.__dict__["__cause__"].__get__, BaseException.__dict__["__context__"].__get__
    members = _Group.__dict__["exceptions"].__get__ if _Group is not None else None
    found: dict[int, BaseException] = {}
    waiting = [exc]
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found[id(each)] = each
            waiting += [other for other in (cause(each), context(each)) if other is not None]
            if _Group is not None and issubclass(type(each), _Group):
                waiting += members(each)  # type: ignore[misc]
    return list(found.values())
