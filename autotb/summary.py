"""Short, safe text for any value: types, lengths and short reprs of builtins, secrets masked.

No code of the user's runs here: never a ``__repr__``, ``__str__``, ``__len__`` or property of a class of theirs.
"""

from __future__ import annotations

import functools
import re
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

MAX_TEXT = 120  # characters of one string
MAX_ITEMS = 6  # items of one container
MAX_DEPTH = 3
MAX_VALUE = 300  # characters of one value
MAX_CALL = 1_000  # characters of one call
MASK = "***"

_SECRET = re.compile(
    r"password|passwd|secret|token|credential|authorization|cookie|dsn|(api|access|private|secret|auth)_?key$", re.IGNORECASE
)
_USERINFO = re.compile(r"(://[^\s:/@]*|\b[\w.+-]+):[^\s/@]+@")
_USERINFO_URL = re.compile(r"(://[^\s:/@]*):[^\s/]+@")
_SIMPLE = (int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented))


def is_secret(name: object) -> bool:
    """Whether a value of this name must not be shown."""
    return isinstance(name, str) and _SECRET.search(name) is not None


def mask_text(text: str) -> str:
    """``user:password@`` without its password."""
    if "@" not in text:
        return text
    return _USERINFO.sub(rf"\1:{MASK}@", _USERINFO_URL.sub(rf"\1:{MASK}@", text))


def brief(value: Any, name: str | None = None) -> str:
    """One line for ``value``, at most MAX_VALUE characters; masked where ``name`` tells a secret."""
    if is_secret(name):
        return MASK
    try:
        return cut(_brief(value, 0), MAX_VALUE)
    except Exception:  # a value of the user's may be hostile to the gentlest look
        return f"<{_type_name(type(value))}>"


def cut(text: str, limit: int) -> str:
    """``text`` within ``limit`` characters, telling how many were cut."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def _brief(value: Any, depth: int) -> str:
    kind = type(value)
    if kind in _SIMPLE:
        return _number(value)
    if kind is str:
        return _text(value)
    if kind is bytes or kind is bytearray:
        shown = repr(bytes(value[:MAX_TEXT]))
        return shown if len(value) <= MAX_TEXT else f"{shown}… ({len(value):,} bytes)"
    if kind in (list, tuple, set, frozenset, dict):
        return _container(value, kind, depth)
    return _object(value, kind, depth)


def _number(value: Any) -> str:
    if type(value) is int and value.bit_length() > 256:
        return f"<int of {value.bit_length():,} bits>"
    return repr(value)


def _text(value: str) -> str:
    if len(value) <= MAX_TEXT:
        return mask_text(repr(value))
    return f"{mask_text(repr(value[:MAX_TEXT]))}… ({len(value):,} characters)"


_BRACKETS: dict[type, str] = {list: "[]", tuple: "()", set: "{}", dict: "{}"}


def _container(value: Any, kind: type, depth: int) -> str:
    if not value:
        return f"{kind.__name__}()" if kind in (set, frozenset) else _BRACKETS[kind]
    if depth >= MAX_DEPTH:
        return f"<{kind.__name__} of {len(value):,}>"
    parts = []
    for number, item in enumerate(value):
        if number == MAX_ITEMS:
            parts.append(f"… {len(value) - MAX_ITEMS:,} more")
            break
        if kind is dict:
            shown = MASK if is_secret(item) else _brief(value[item], depth + 1) if type(item) in (str, int) else None
            parts.append(f"{_brief(item, depth + 1)}: {shown or '…'}")
        else:
            parts.append(_brief(item, depth + 1))
    inside = ", ".join(parts)
    if kind is frozenset:
        return f"frozenset({{{inside}}})"
    if kind is tuple and len(value) == 1:
        inside += ","
    return _BRACKETS[kind][0] + inside + _BRACKETS[kind][1]


def _object(value: Any, kind: type, depth: int) -> str:
    module, name = kind.__module__, _type_name(kind)
    if isinstance(value, type):
        return f"<class {_type_name(value)}>"
    if kind in (types.FunctionType, types.BuiltinFunctionType, types.MethodType):
        return f"<function {function_name(value)}>"
    if kind is types.ModuleType:
        return f"<module {value.__name__}>"
    if kind is functools.partial:
        return f"<partial of {function_name(value.func)}>"
    if module in ("pathlib", "pathlib._local"):
        return mask_text(repr(value)) if hasattr(kind, "joinpath") else f"<{name} object>"
    shaped = _shaped(value, kind, module)
    if shaped:
        return shaped
    fields = _attributes(value)
    if "__dataclass_fields__" in kind.__dict__ and depth < MAX_DEPTH:
        return f"{kind.__qualname__}({_named(fields, kind.__dict__['__dataclass_fields__'], depth)})"
    if "_name_" in fields and "_value_" in fields:  # an Enum's member
        return f"{kind.__qualname__}.{fields['_name_']}"
    if isinstance(value, BaseException):
        return f"<{name}>"
    return f"<{name} object>"


def _attributes(value: Any) -> dict[str, Any]:
    try:
        fields = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return fields if type(fields) is dict else {}


def _named(fields: dict[str, Any], names: Any, depth: int) -> str:
    parts = [
        f"{name}={MASK if is_secret(name) else _brief(fields[name], depth + 1)}"
        for name in list(names)[:MAX_ITEMS]
        if name in fields
    ]
    return ", ".join(parts) + (", …" if len(names) > MAX_ITEMS else "")


def _shaped(value: Any, kind: type, module: str) -> str | None:
    """Arrays, frames and tensors of libraries that are loaded, by attribute."""
    top = module.partition(".")[0]
    if top not in ("numpy", "pandas", "torch") or top not in sys.modules:
        return None
    if top == "numpy" and kind.__name__ == "ndarray":
        return f"ndarray(shape={value.shape}, dtype={value.dtype})"
    if top == "numpy" and hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return f"{kind.__name__}({value.item()!r})" if type(value.item()) in _SIMPLE else f"<numpy.{kind.__name__}>"
    if top == "pandas" and kind.__name__ in ("DataFrame", "Series"):
        return f"{kind.__name__}(shape={value.shape})"
    if top == "torch" and hasattr(value, "shape") and hasattr(value, "device"):
        return f"{kind.__name__}(shape={tuple(value.shape)}, dtype={value.dtype}, device={value.device})"
    return None


def _type_name(kind: type) -> str:
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__", "__mp_main__") else f"{module}.{kind.__qualname__}"


def behind_partials(function: Any) -> Any:
    """The function that ``functools.partial`` is around, however often."""
    while type(function) is functools.partial:
        function = function.func
    return function


def function_name(function: Any) -> str:
    """The name that a reader knows a callable by; ``functools.partial`` is looked through."""
    function = _uncached(behind_partials(function))
    name = getattr(function, "__qualname__", None) if not _is_instance(function) else None
    if name is None and type(function).__module__ == "numpy":  # a ufunc, or a function that arrays of other kinds may take over
        name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        return f"<{_type_name(type(function))} object>"
    return name.rpartition("<locals>.")[2]


def _uncached(function: Any) -> Any:
    """The function that ``functools.cache`` or ``lru_cache`` is around."""
    return getattr(function, "__wrapped__", function) if type(function) is _Cached else function


_Cached = type(functools.lru_cache(len))


def _is_instance(function: Any) -> bool:
    return not isinstance(
        function, (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type, types.MethodDescriptorType)
    )


chunk_runner: Any = None  # the code of the function that makes the calls of a chunk one after the other: those are what is told


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


def call(function: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> str:
    """``score(item={'key': 100})``: a call with its arguments named where the function's code tells their names."""
    kwargs = dict(kwargs or {})
    while type(function) is functools.partial:
        args = (*function.args, *args)
        kwargs = {**function.keywords, **kwargs}
        function = function.func
    if args and type(getattr(function, "__self__", None)).__name__ == "Context" and function.__name__ == "run":
        return call(args[0], args[1:], kwargs)  # asyncio.to_thread runs the function in a copy of the context
    chunk = chunk_of(function, args)
    if chunk is not None:
        return call(*chunk[:3]) + (f" and {chunk[3] - 1} more" if chunk[3] > 1 else "")
    names = _parameters(_uncached(function))
    parts = []
    for number, value in enumerate(args):
        if number >= 20:
            parts.append(f"… {len(args) - number} more")
            break
        name = names[number] if number < len(names) else None
        parts.append(f"{name}={brief(value, name)}" if name else brief(value))
    parts += [f"{name}={brief(value, name)}" for name, value in list(kwargs.items())[:20]]
    return cut(f"{function_name(function)}({', '.join(parts)})", MAX_CALL)


def _parameters(function: Any) -> tuple[str, ...]:
    skip = 0
    if isinstance(function, types.MethodType):
        function, skip = function.__func__, 1
    for _ in range(10):  # functools.wraps: the names are the inner function's
        inner = getattr(function, "__wrapped__", None) if isinstance(function, types.FunctionType) else None
        if inner is None:
            break
        function = inner
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType):
        return ()
    return code.co_varnames[skip : code.co_argcount]


_rebinding: dict[types.CodeType, frozenset[str]] = {}


def frame_call(frame: types.FrameType, name: str | None = None) -> str | None:
    """The call that a frame is: its parameters as it holds them, None where it assigns to any of them."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if rebound(code) & set(names) or code.co_name.startswith("<"):
        return None
    values = frame.f_locals
    shown = [f"{key}={brief(values[key], key)}" for key in names if key in values and key != "self"]
    called = name or getattr(code, "co_qualname", code.co_name).rpartition("<locals>.")[2]
    return cut(f"{called}({', '.join(shown)})", MAX_CALL)


def rebound(code: types.CodeType) -> frozenset[str]:
    """The names that a function assigns to: their values are no longer what it was called with."""
    found = _rebinding.get(code)
    if found is None:
        import dis

        names: list[object] = []
        for instruction in dis.get_instructions(code):
            if "STORE" in instruction.opname or "DELETE" in instruction.opname:
                value = instruction.argval
                names += value if isinstance(value, tuple) else [value]
        if len(_rebinding) > 1_000:
            _rebinding.clear()
        found = _rebinding[code] = frozenset(name for name in names if isinstance(name, str))
    return found
