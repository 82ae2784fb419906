"""Short, safe text for any value: types, lengths and short reprs of builtins, secrets masked.

No code of the user's runs here: never a ``__repr__``, ``__str__``, ``__len__`` or property of a class of theirs.
"""

from __future__ import annotations

import functools
import sys
import types

from autotb import engine_facts
from autotb.record import redaction, static
from autotb.record.redaction import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from collections.abc import Callable
    from typing import Any

MAX_TEXT = 120  # characters of one string
MAX_ITEMS = 6  # items of one container
MAX_DEPTH = 3
MAX_VALUE = 300  # characters of one value
MAX_CALL = 1_000  # characters of one call

_SIMPLE = (int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented))


def is_secret(name: object) -> bool:
    """Whether a value of this name must not be shown."""
    return type(name) is str and redaction.is_secret(name)


def brief(value: Any, name: str | None = None) -> str:
    """One line for ``value``, at most MAX_VALUE characters; masked where ``name`` tells a secret."""
    if is_secret(name) and value is not None and type(value) is not bool:
        return MASK
    try:
        return cut(_brief(value, 0), MAX_VALUE)
    except Exception:  # a value of the user's may be hostile to the gentlest look
        return f"<{type_name(type(value))}>"


def cut(text: str, limit: int) -> str:
    """``text`` within ``limit`` characters, telling how many were cut."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def _brief(value: Any, depth: int) -> str:
    kind = type(value)
    if type(kind) is not type:  # a metaclass of the user's answers when it is compared
        return _object(value, kind, depth)
    if kind in _SIMPLE:
        return _number(value)
    if kind is str:
        return _text(value)
    if kind is bytes or kind is bytearray:
        shown = repr(redaction.cut(value[: MAX_TEXT + redaction.MARGIN].decode("latin-1"), MAX_TEXT).encode("latin-1"))
        return shown if len(value) <= MAX_TEXT else f"{shown}… ({len(value):,} bytes)"
    if kind in _BRACKETS:
        return _container(value, kind, depth)
    return _plain_object(value, kind) or _object(value, kind, depth)


def _number(value: Any) -> str:
    if type(value) is int and value.bit_length() > 256:
        return f"<int of {value.bit_length():,} bits>"
    return repr(value)


def _text(value: str) -> str:
    shown = repr(redaction.cut(value, MAX_TEXT))
    return shown if len(value) <= MAX_TEXT else f"{shown}… ({len(value):,} characters)"


_BRACKETS: dict[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", dict: "{}"}


def _container(value: Any, kind: type, depth: int) -> str:
    if not value:
        return f"{kind.__name__}()" if kind in (set, frozenset) else _BRACKETS[kind]
    if depth >= MAX_DEPTH:
        return f"<{kind.__name__} of {len(value):,}>"
    parts = []
    hidden = False
    for number, item in enumerate(value.items() if kind is dict else value):
        if number == MAX_ITEMS:
            parts.append(f"… {len(value) - MAX_ITEMS:,} more")
            break
        if kind is dict:
            key, item = item  # no look-up by key, which might ask another key of the same hash
            shown = MASK if is_secret(key) else _brief(item, depth + 1) if type(key) is str or type(key) is int else "…"
            parts.append(f"{_brief(key, depth + 1)}: {shown}")
        else:
            parts.append(MASK if hidden else _brief(item, depth + 1))
            hidden = _tells_of_the_next(value, kind, number, item)
    inside = ", ".join(parts)
    if kind is frozenset:
        return f"frozenset({{{inside}}})"
    if kind is tuple and len(value) == 1:
        inside += ","
    return _BRACKETS[kind][0] + inside + _BRACKETS[kind][1]


def _tells_of_the_next(value: Any, kind: type, number: int, item: Any) -> bool:
    """Whether what follows is a secret: ``("X-Api-Key", …)``, ``["mysql", "--password", …]``."""
    if type(item) is not str or (kind is not tuple and kind is not list):
        return False
    if item.startswith("-"):
        return "=" not in item and redaction.is_secret(item)
    return len(value) == 2 and number == 0 and redaction.is_secret(item) and type(value[1]) in (str, bytes)


def _object(value: Any, kind: type, depth: int) -> str:
    if issubclass(kind, type):
        return f"<class {type_name(value)}>"
    if type(kind) is type and kind in ours:
        return redaction.mask(ours[kind](value))
    shaped = _shaped(value, kind)
    if shaped:
        return shaped
    names, fields = static.own(kind).get("__dataclass_fields__"), static.attributes(value)
    if type(names) is dict and depth < MAX_DEPTH:
        return f"{static.qualname(kind)}({_named(fields, names, depth)})"
    if type(fields.get("_name_")) is str and "_value_" in fields:  # an Enum's member
        return f"{static.qualname(kind)}.{fields['_name_']}"
    said = fields.get(engine_facts.facts.shown.get(type_name(kind), ""))
    if type(said) is str:
        return f"{static.qualname(kind)}({_text(said)})"
    if issubclass(kind, BaseException):
        return f"<{type_name(kind)}>"
    return f"<{type_name(kind)} object>"


def _plain_object(value: Any, kind: type) -> str | None:
    """A function, a module or a path."""
    if kind in (types.FunctionType, types.BuiltinFunctionType, types.MethodType):
        return f"<function {function_name(value)}>"
    if kind is types.ModuleType:
        return f"<module {static.text_of(static.names_of(value).get('__name__'))}>"
    if kind is functools.partial:
        return f"<partial of {function_name(value.func)}>"
    return redaction.mask(repr(value)) if kind in _paths() else None


def _paths() -> tuple[type, ...]:
    """The classes of paths, where pathlib is loaded."""
    pathlib = sys.modules.get("pathlib")
    names = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    return tuple([static.names_of(pathlib)[name] for name in names]) if type(pathlib) is types.ModuleType else ()


def _named(fields: dict[str, Any], names: Any, depth: int) -> str:
    parts = [
        f"{name}={'…' if _is_left_out(field) else MASK if is_secret(name) else _brief(fields[name], depth + 1)}"
        for name, field in list(names.items())[:MAX_ITEMS]
        if name in fields
    ]
    return ", ".join(parts) + (", …" if len(names) > MAX_ITEMS else "")


def _is_left_out(field: Any) -> bool:
    """``field(repr=False)`` of a dataclass: its author does not want it to be shown."""
    return static.slot(field, "repr") is False


def _shaped(value: Any, kind: type) -> str | None:
    """Arrays, frames and tensors of libraries that are loaded, by attribute; what the user derived from them is not asked."""
    top, name = static.module(kind).partition(".")[0], static.name(kind)
    if top not in ("numpy", "pandas", "torch") or not _is_of(top, kind):
        return None
    if top == "numpy" and name == "ndarray":
        return f"ndarray(shape={value.shape}, dtype={value.dtype})"
    if top == "numpy" and hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return f"{name}({value.item()!r})" if type(value.item()) in _SIMPLE else f"<numpy.{name}>"
    if top == "pandas" and name in ("DataFrame", "Series"):
        return f"{name}(shape={value.shape})"
    if top == "torch" and hasattr(value, "shape") and hasattr(value, "device"):
        return f"{name}(shape={tuple(value.shape)}, dtype={value.dtype}, device={value.device})"
    return None


def _is_of(top: str, kind: type) -> bool:
    """Whether a class is a library's own: it stands under its name in the library, or in the module that it says it is of."""
    for library in (sys.modules.get(top), sys.modules.get(static.module(kind))):
        if issubclass(type(library), types.ModuleType) and static.names_of(library).get(static.name(kind)) is kind:
            return True
    return False


def type_name(kind: type) -> str:
    """A type as Python's last line names it."""
    module = static.module(kind)
    name = static.qualname(kind)
    return name if module in ("builtins", "__main__", "__mp_main__", "") else f"{module}.{name}"


def function_name(function: Any) -> str:
    """The name that a reader knows a callable by; ``functools.partial`` is looked through."""
    function = _uncached(static.behind_partials(function))
    name = _name_of(function)
    return name.rpartition("<locals>.")[2] if name else f"<{type_name(type(function))} object>"


def _name_of(function: Any) -> str:
    while type(function) is types.MethodType:
        function = function.__func__
    kind = type(function)
    if kind is types.FunctionType:
        return static.text_of(function.__qualname__)
    if kind is types.BuiltinFunctionType:
        owner = function.__self__
        if owner is None or type(owner) is types.ModuleType:
            return static.text_of(function.__name__)
        return f"{static.qualname(owner if issubclass(type(owner), type) else type(owner))}.{function.__name__}"
    if kind is types.MethodDescriptorType:
        return f"{static.qualname(function.__objclass__)}.{function.__name__}"
    if issubclass(kind, type):
        return static.qualname(function)
    if kind in named:
        return named[kind](function)
    if static.module(kind) == "numpy" and _is_numpys(kind):
        return static.text_of(function.__name__)
    return ""


def _is_numpys(kind: type) -> bool:
    """Whether this is the type of ufuncs, or of functions that arrays of other kinds may take over."""
    numpy = sys.modules.get("numpy")
    names = static.names_of(numpy) if issubclass(type(numpy), types.ModuleType) else {}
    return kind is type(names.get("add")) or kind is type(names.get("sum"))


def _uncached(function: Any) -> Any:
    """The function that ``functools.cache`` or ``lru_cache`` is around."""
    return static.attributes(function).get("__wrapped__", function) if type(function) is _Cached else function


_Cached = type(functools.lru_cache(len))


chunk_runner: Any = None  # the code of the function that makes the calls of a chunk one after the other: those are what is told


ours: dict[type, Callable[[Any], str]] = {}  # types of autotb's own that may be among arguments, and how they are told
named: dict[type, Callable[[Any], str]] = {}  # callables of autotb's own, which say what they are called


sealed: Any = None  # the type of an object that is such a call with its arguments


def chunk_of(function: Any, args: tuple[Any, ...]) -> tuple[Any, Any, Any, int] | None:
    """Function, arguments and keyword arguments of the first call of a chunk, and how many calls it has; None for a call that is
    no chunk."""
    if type(function) is sealed:
        function, args = function.function, function.args
    if type(function) is types.FunctionType and function.__code__ is chunk_runner and len(args) > 2:
        columns = args[1]
        return args[0], tuple([column[0] for column in columns]), args[2], len(columns[0]) if columns else 1
    return None


_MOST_GIVEN = 20  # arguments of a call that are told, by their places as by their names


def call(function: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> str:
    """``score(item={'key': 100})``: a call with its arguments named where the function's code tells their names."""
    args, kwargs, unread = _read(args), dict(static.named(kwargs) or {}), _unread(args, kwargs)
    while type(function) is functools.partial:
        args = (*function.args, *args)
        kwargs = {**function.keywords, **kwargs}
        function = function.func
    if args and type(function) is types.BuiltinFunctionType and is_run_of_a_context(function):
        return call(args[0], args[1:], kwargs)  # asyncio.to_thread runs the function in a copy of the context
    chunk = chunk_of(function, args)
    if chunk is not None:
        return call(*chunk[:3]) + (f" and {chunk[3] - 1} more" if chunk[3] > 1 else "")
    names = _parameters(_uncached(function))
    parts = []
    for number, value in enumerate(args):
        if number >= _MOST_GIVEN:
            parts.append(f"… {len(args) - number} more")
            break
        name = names[number] if number < len(names) else None
        parts.append(f"{name}={brief(value, name)}" if name else brief(value))
    parts += [f"{name}={brief(value, name)}" for name, value in list(kwargs.items())[:_MOST_GIVEN]]
    parts += unread
    return cut(f"{function_name(function)}({', '.join(parts)})", MAX_CALL)


def _read(args: Any) -> tuple[Any, ...]:
    return args if type(args) is tuple else tuple(args) if type(args) is list else ()


def _unread(args: Any, kwargs: Any) -> list[str]:
    """What stands for arguments that are given in an iterable or a mapping of the user's."""
    unread = [] if type(args) is tuple or type(args) is list else [f"*{brief(args)}"]
    return unread if kwargs is None or static.named(kwargs) is not None else [*unread, f"**{brief(kwargs)}"]


def is_run_of_a_context(function: Any) -> bool:
    contextvars = sys.modules.get("contextvars")
    return contextvars is not None and type(function.__self__) is contextvars.Context and function.__name__ == "run"


def _parameters(function: Any) -> tuple[str, ...]:
    skip = 0
    if type(function) is types.MethodType:
        function, skip = function.__func__, 1
    for _ in range(10):  # functools.wraps: the names are the inner function's
        inner = function.__dict__.get("__wrapped__") if type(function) is types.FunctionType else None
        if inner is None:
            break
        function = inner
    code = code_of(function)
    return code.co_varnames[skip : code.co_argcount] if code is not None else ()


def code_of(function: Any) -> types.CodeType | None:
    """The code of a function or a method; None for what is called but is neither."""
    while type(function) is types.MethodType:
        function = function.__func__
    return function.__code__ if type(function) is types.FunctionType else None


_rebinding: dict[types.CodeType, frozenset[str]] = {}


def frame_call(frame: types.FrameType, name: str | None = None) -> str | None:
    """The call that a frame is: its parameters as it holds them, None where it assigns to any of them."""
    code = frame.f_code
    names, collected = parameters_of(code)
    called = static.exact(code.co_name)
    if rebound(code) & {*names, *filter(None, collected)} or (called.startswith("<") and called != "<lambda>"):
        return None
    values = static.variables(frame)
    more, keywords = _collected(code, *(values.get(key) for key in collected))
    held = [key for key in names if key in values and key != "self"]
    places = names[: code.co_argcount] if more else ()  # where others follow by theirs
    shown = [brief(values[key], key) for key in held if key in places] + more
    shown += [f"{key}={brief(values[key], key)}" for key in held if key not in places] + keywords
    called = name or static.exact(getattr(code, "co_qualname", code.co_name)).rpartition("<locals>.")[2]
    return cut(f"{called}({', '.join(shown)})", MAX_CALL)


_VARARGS, _VARKEYWORDS = 4, 8  # inspect's flags of a code object
_CHANGING = frozenset(("pop", "popitem", "clear", "update", "setdefault"))  # methods that leave a dict as it did not come


def parameters_of(code: types.CodeType) -> tuple[tuple[str, ...], tuple[str | None, str | None]]:
    """The names of a code's parameters, and those that take the other positional ones and the other keywords."""
    count = code.co_argcount + code.co_kwonlyargcount
    rest = iter(code.co_varnames[count:])
    args = next(rest) if code.co_flags & _VARARGS else None
    return code.co_varnames[:count], (args, next(rest) if code.co_flags & _VARKEYWORDS else None)


def _collected(code: types.CodeType, args: object, kwargs: object) -> tuple[list[str], list[str]]:
    """What ``*args`` and ``**kwargs`` took, with an ellipsis where the function may have changed the latter."""
    given = args if type(args) is tuple else ()
    more = [brief(value) for value in given[:_MOST_GIVEN]]
    if len(given) > _MOST_GIVEN:
        more.append(f"… {len(given) - _MOST_GIVEN} more")
    if type(kwargs) is not dict:
        return more, []
    keywords = [f"{static.exact(key)}={brief(value, key)}" for key, value in list(kwargs.items())[:_MOST_GIVEN]]
    is_changed = not _CHANGING.isdisjoint(code.co_names) or len(kwargs) > _MOST_GIVEN
    return more, [*keywords, "…"] if is_changed else keywords


def rebound(code: types.CodeType) -> frozenset[str]:
    """The names that a function assigns to: their values are no longer what it was called with."""
    found = _rebinding.get(code)
    if found is None:
        import dis

        names: list[object] = []
        for instruction in dis.get_instructions(code):
            operation, value = instruction.opname, instruction.argval
            if operation == "STORE_FAST_LOAD_FAST":  # from Python 3.13 on: it assigns to the first
                names.append(value[0])
            elif operation.startswith(("STORE_", "DELETE_")) and not operation.endswith(("_ATTR", "_GLOBAL")):
                names += value if isinstance(value, tuple) else [value]
        if len(_rebinding) > 1_000:
            _rebinding.clear()
        found = _rebinding[code] = frozenset(name for name in names if isinstance(name, str))
    return found
