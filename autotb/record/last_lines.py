"""Python's last lines of an exception that has more of them than type and message: a syntax error's carets, a suggestion.

Flows in: an exception and its message.  Flows out: the lines, as Python prints them, made by ``traceback`` of an exception that
stands for the user's: theirs may answer for itself, and a suggestion lists an object or a namespace that may do so too.
"""

from __future__ import annotations

import sys
import traceback
from types import ModuleType, TracebackType

from autotb.record import safe_repr, static

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from types import FrameType
    from typing import Any

HAS_SUGGESTIONS = sys.version_info >= (3, 12)  # before, only the interpreter's own printer knows them
LISTS_PARTS = sys.version_info >= (3, 15)  # attributes of attributes are suggested too
_SYNTAX = ("filename", "lineno", "offset", "text", "end_lineno", "end_offset")


def of(exc: BaseException, message: str) -> list[str] | None:
    """The last lines; None where they are type and message alone."""
    kind = type(exc)
    try:
        if issubclass(kind, SyntaxError):
            return _of_syntax(exc)
        suggestion = _suggestion(exc, message) if issubclass(kind, (NameError, AttributeError, ImportError)) else ""
    except Exception:
        return None
    return f"{safe_repr.type_name(kind)}: {message}{suggestion}".split("\n") if suggestion else None


def _of_syntax(exc: BaseException) -> list[str] | None:
    base = next(base for base in (TabError, IndentationError, SyntaxError) if issubclass(type(exc), base))
    held: Any = {name: static.slot(exc, name) for name in ("msg", *_SYNTAX)}
    if not all(type(value) is str or type(value) is int or value is None for value in held.values()):
        return None
    most = len(held["text"]) + 1 if type(held["text"]) is str else 0
    for name in ("offset", "end_offset"):  # so many carets are printed
        held[name] = min(held[name], most) if type(held[name]) is int else held[name]
    stand_in = base(held["msg"], tuple([held[name] for name in _SYNTAX]))
    metadata = static.slot(exc, "_metadata")
    if type(metadata) is tuple:
        stand_in._metadata = metadata  # type: ignore[attr-defined,unused-ignore]
    lines = _printed(base, stand_in, None).split("\n")
    at = next((number for number, line in enumerate(lines) if not line.startswith("  ")), 0)
    lines[at] = safe_repr.type_name(type(exc)) + lines[at].removeprefix(base.__name__)
    return lines


def _printed(kind: type[BaseException], stand_in: BaseException, tb: TracebackType | None) -> str:
    # No lines of source: they are not asked for, and the file may be one that has no end.
    shown = traceback.TracebackException(kind, stand_in, tb, limit=-1, lookup_lines=False, compact=True)
    return "".join(shown.format_exception_only()).rstrip("\n")


def _suggestion(exc: BaseException, message: str) -> str:
    """``. Did you mean: 'x'?``, where it can be found without asking an object of the user's."""
    name = static.slot(exc, "name")
    tb = static.innermost(static.traceback_of(exc))
    if type(name) is not str:
        return ""
    if not HAS_SUGGESTIONS:
        return _near(name, _names(exc, tb))
    stand_in = _stand_in(exc, message, name, tb)
    if stand_in is None:
        return ""
    printed = _printed(type(stand_in), stand_in, tb if tb is not None and _loads_silently(tb.tb_frame) else None)
    return printed.removeprefix(f"{type(stand_in).__name__}: {message}") if message else ""


def _stand_in(exc: BaseException, message: str, name: str, tb: TracebackType | None) -> BaseException | None:
    """An exception of the builtin type with what a suggestion needs; None where it would be looked for in an object that answers
    for itself."""
    kind = type(exc)
    if issubclass(kind, AttributeError):
        found = static.slot(exc, "obj")
        if not static.lists_itself(found) or (LISTS_PARTS and not all(map(_is_quiet, static.attributes(found).values()))):
            return None
        return AttributeError(message, name=name, obj=found)
    if issubclass(kind, ImportError):
        return _of_import(exc, message, name)
    return NameError(message, name=name) if tb is None or _is_open(tb.tb_frame, name) else None


def _of_import(exc: BaseException, message: str, name: str) -> BaseException | None:
    base = ModuleNotFoundError if issubclass(type(exc), ModuleNotFoundError) else ImportError
    wanted = static.slot(exc, "name_from")
    if type(wanted) is not str:
        return base(message, name=name)
    module = sys.modules.get(name)  # a module that is gone would be imported again
    known = type(module) is ModuleType and static.lists_itself(module)
    return base(message, name=name, name_from=wanted) if known else None  # type: ignore[call-arg,unused-ignore]


def _is_open(frame: FrameType, name: str) -> bool:
    """Whether the names of a frame can be listed, and its ``self`` be asked for this one."""
    values = frame.f_locals
    if not (type(values) is dict or type(values) is type(sys._getframe().f_locals)):
        return False
    is_plain = type(frame.f_globals) is dict and type(frame.f_builtins) is dict
    return is_plain and ("self" not in values or static.is_silent(values["self"], name))


def _loads_silently(frame: FrameType) -> bool:
    """Whether linecache, which ``traceback`` hands the frame's globals to, asks nobody who answers for himself."""
    if type(frame.f_globals) is not dict:
        return False
    names: Any = frame.f_globals
    spec, name = names.get("__spec__"), names.get("__name__")
    loaders = (names.get("__loader__"), static.attributes(spec).get("loader") if spec is not None else None)
    is_quiet = static.is_silent(spec, "loader") and all(static.is_silent(loader, "get_source") for loader in loaders)
    return is_quiet and type(frame.f_code.co_filename) is str and (name is None or type(name) is str)


def _is_quiet(value: Any) -> bool:
    return static.is_silent(value, "")


# Before Python 3.12 it is the interpreter's printer, made in C, that looks for suggestions; its rules are these.
_MOVE, _CASE = 2, 1  # what it costs to add, to leave out or to replace a letter, and to write it large or small
_MOST_NAMES, _LONGEST = 750, 40


def _names(exc: BaseException, tb: TracebackType | None) -> list[list[Any]]:
    """The names among which to look, the nearest first."""
    if issubclass(type(exc), NameError):
        if tb is None:
            return []
        frame = tb.tb_frame
        return [
            list(frame.f_code.co_varnames),
            list(static.named(frame.f_globals) or ()),
            list(static.named(frame.f_builtins) or ()),
        ]
    found = static.slot(exc, "obj")
    if not issubclass(type(exc), AttributeError) or found is None:
        return []
    if type(found) is ModuleType:
        return [sorted(map(static.text_of, static.names_of(found)))]
    kinds = [kind for known in (found, type(found)) if issubclass(type(known), type) for kind in static.mro(known)]
    own = [*static.attributes(found), *(name for kind in kinds for name in static.own(kind))]
    return [sorted({name for name in own if type(name) is str})]


def _near(name: str, places: list[list[Any]]) -> str:
    for names in places:
        nearest, least = "", sys.maxsize
        for known in names if len(names) < _MOST_NAMES else ():
            if type(known) is str and known != name and len(known) <= _LONGEST >= len(name):
                cost = _cost(name, known, min((len(name) + len(known) + 3) * _MOVE // 6, least - 1))
                if cost < least:
                    nearest, least = known, cost
        if nearest:
            return f". Did you mean: '{nearest}'?"
    return ""


def _cost(one: str, other: str, most: int) -> int:
    """What it costs to make one name of the other; a large number where that is more than ``most``."""
    if abs(len(one) - len(other)) * _MOVE > most:
        return sys.maxsize
    row = list(range(0, (len(other) + 1) * _MOVE, _MOVE))
    for at, letter in enumerate(one):
        before, row[0] = row[0], (at + 1) * _MOVE
        for place, wanted in enumerate(other, 1):
            replaced = before + (0 if letter == wanted else _CASE if letter.lower() == wanted.lower() else _MOVE)
            before, row[place] = row[place], min(replaced, row[place] + _MOVE, row[place - 1] + _MOVE)
        if min(row) > most:
            return sys.maxsize
    return row[-1] if row[-1] <= most else sys.maxsize
