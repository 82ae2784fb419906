"""Looks at the program's objects without asking them: none of their code runs, and none of them is iterated.

A class may answer for itself in every way (``__getattribute__``, ``__class__``, ``__iter__``, a metaclass), a mapping may have a
value for every key, and a name may be a ``str`` of the user's own make.  So what is wanted is taken with the descriptors of the
builtin types, and only from exact builtin types.
"""

from __future__ import annotations

import builtins
import sys
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
    WrapperDescriptorType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType
    from typing import Any, TypeGuard

mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
own = type.__dict__["__dict__"].__get__  # a class's own names, read only
_module_of = type.__dict__["__module__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_name_of = type.__dict__["__name__"].__get__

fields_of = BaseException.__dict__["__dict__"].__get__  # perhaps of a class of the user's: dict.get(fields_of(exc), name)
args_of = BaseException.__dict__["args"].__get__
cause_of = BaseException.__dict__["__cause__"].__get__
context_of = BaseException.__dict__["__context__"].__get__
suppresses = BaseException.__dict__["__suppress_context__"].__get__
traceback_of = BaseException.__dict__["__traceback__"].__get__
set_traceback = BaseException.__dict__["__traceback__"].__set__

_OPTIMIZED = 1  # CO_OPTIMIZED of inspect, which is large
_C_MADE = (WrapperDescriptorType, GetSetDescriptorType, MethodDescriptorType, MemberDescriptorType)
_ANSWERS = ("__dir__", "__getattribute__", "__getattr__", "__class__", "__bases__", "__dict__")


def innermost(tb: TracebackType | None) -> TracebackType | None:
    """The last entry of a traceback: where the exception was raised."""
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return tb


def in_place_of_copy(exc: BaseException, tb: Any) -> Any:
    """The exception's own traceback, where ``tb`` is no traceback but somebody's copy of it that can be pickled (billiard's)."""
    if tb is None or type(tb) is TracebackType:
        return tb
    own, copied = traceback_of(exc), tb
    while own is not None and copied is not None:
        if (own.tb_lineno, own.tb_frame.f_code.co_name) != (copied.tb_lineno, copied.tb_frame.f_code.co_name):
            return tb
        own, copied = own.tb_next, copied.tb_next
    return traceback_of(exc) if own is None and copied is None else tb


def exact(text: str) -> str:
    """``text`` as a ``str`` and nothing more."""
    return text if type(text) is str else str.__str__(text)


def text_of(value: Any) -> str:
    """A ``str``, or an object of a class of the user's that is one; empty for anything else."""
    return value if type(value) is str else exact(value) if issubclass(type(value), str) else ""


def module(kind: type) -> str:
    """The module that a class says it is of; empty where it says something else than a name."""
    return text_of(_module_of(kind))


def qualname(kind: type) -> str:
    return exact(_qualname_of(kind))


def name(kind: type) -> str:
    return exact(_name_of(kind))


def is_builtin(kind: type) -> bool:
    """Whether a class is the interpreter's, which some others only say."""
    return names_of(builtins).get(name(kind)) is kind


def is_found(kind: type) -> bool:
    """Whether a class stands where it says: what pickles name it by leads to it."""
    found: Any = sys.modules.get(module(kind))
    for part in qualname(kind).split("."):
        if issubclass(type(found), ModuleType):
            found = names_of(found).get(part)
        else:
            found = own(found).get(part) if issubclass(type(found), type) else None
    return found is kind


def name_of(frame: FrameType) -> str:
    """The module whose code a frame runs; empty where its globals do not say."""
    return text_of(dict.get(frame.f_globals, "__name__"))


def named(mapping: Any) -> dict[Any, Any] | None:
    """A dict, or what one of a class of the user's holds by names; None for any other mapping, which could go on for ever."""
    if type(mapping) is dict:
        return mapping
    if not issubclass(type(mapping), dict):
        return None
    return {key: value for key, value in dict.items(mapping) if type(key) is str}


def variables(frame: FrameType) -> Any:
    """A frame's local variables, to be read by name; empty where they are kept in a mapping of the user's (``eval``, a class's
    ``__prepare__``)."""
    values = frame.f_locals
    return values if type(values) is _PROXY else named(values) or {}


_PROXY = (lambda: type(sys._getframe().f_locals))()  # from 3.13 on no dict


names_of: Callable[[Any], dict[str, Any]] = ModuleType.__dict__["__dict__"].__get__  # type: ignore[index]  # a module's, whose own ``__getattr__`` is not asked


def members(exc: BaseException) -> tuple[BaseException, ...] | None:
    """The members of an exception group; None for any other exception."""
    if _MEMBERS is not None:
        return _MEMBERS(exc) if issubclass(type(exc), builtins.BaseExceptionGroup) else None  # type: ignore[attr-defined,unused-ignore]
    backport = sys.modules.get("exceptiongroup")
    group = names_of(backport).get("BaseExceptionGroup") if type(backport) is ModuleType else None
    if type(group) is not type or not issubclass(type(exc), group):
        return None
    found = dict.get(fields_of(exc), "_exceptions")
    return tuple(filter(is_exception, found)) if type(found) is tuple else ()


_MEMBERS = (
    builtins.BaseExceptionGroup.__dict__["exceptions"].__get__  # type: ignore[attr-defined,unused-ignore]
    if hasattr(builtins, "BaseExceptionGroup")
    else None
)


def behind(exc: BaseException) -> BaseException | None:
    """The cause or, failing that, the context: whether there is one is not asked of itself, which may have a ``__bool__``."""
    cause: BaseException | None = cause_of(exc)
    context: BaseException | None = context_of(exc)
    return context if cause is None else cause


def chain(exc: BaseException | None, most: int = 10) -> Iterator[BaseException]:
    """An exception and what is behind it."""
    for _ in range(most):
        if exc is None:
            return
        yield exc
        exc = behind(exc)


def is_exception(value: object) -> TypeGuard[BaseException]:
    """``isinstance``, which asks ``__class__`` where the type does not tell."""
    return issubclass(type(value), BaseException)


def attributes(value: Any) -> dict[str, Any]:
    """What an object's own ``__dict__`` holds; empty where it has none, or a class of its own in its place."""
    for kind in mro(type(value)):
        found = own(kind).get("__dict__")
        if found is not None:
            fields = found.__get__(value) if type(found) is GetSetDescriptorType else None
            return fields if type(fields) is dict else {}
    return {}


def slot(value: Any, field: str) -> Any:
    """What a slot or a field that is made in C holds; None where there is none of that name, or it is empty."""
    for kind in mro(type(value)):
        found = own(kind).get(field)
        if found is not None:
            try:
                return found.__get__(value) if type(found) in (MemberDescriptorType, GetSetDescriptorType) else None
            except AttributeError:
                return None
    return None


def lookup(kind: type, name: str) -> Any:
    """What a class has under a name, of its own or of a base's, as it stands there; None where there is nothing."""
    return next((own(base)[name] for base in mro(kind) if name in own(base)), None)


def behind_partials(function: Any) -> Any:
    """The function that ``functools.partial`` is around, however often."""
    functools = sys.modules.get("functools")
    while functools is not None and type(function) is functools.partial:
        function = function.func
    return function


def module_of(function: Any) -> str:
    """The module of a function, a method, a class, or another object that is called; empty where it says none."""
    while type(function) is MethodType:
        function = function.__func__
    kind = type(function)
    if kind is FunctionType or kind is BuiltinFunctionType:
        return text_of(function.__module__)
    if issubclass(kind, type):
        return module(function)
    return text_of(attributes(function).get("__module__")) or text_of(slot(function, "__module__")) or module(kind)


def lists_itself(value: Any) -> bool:
    """Whether ``dir(value)`` runs no code but the interpreter's and the standard library's."""
    kind = type(value)
    if kind is ModuleType:
        return "__dir__" not in names_of(value)
    answers = _answers_of(kind) | _answers_of(type(kind))
    if "__getattr__" in answers and attributes(value):
        answers.discard("__getattr__")  # which is asked only for what is not there
    return not answers


def is_silent(value: Any, field: str) -> bool:
    """Whether to look whether ``value`` has an attribute of this name runs no code of its class."""
    kind = type(value)
    if _answers_of(kind) - {"__dir__"}:
        return False
    found = lookup(kind, field)
    if type(found) is FunctionType or type(found) in _C_MADE:
        return True
    return not any("__get__" in own(base) for base in mro(type(found)))  # a plain value in the class is only taken from there


def _answers_of(kind: type) -> set[str]:
    """In which ways a class, the user's, answers questions on its objects itself."""
    return {
        answer
        for base in mro(kind)
        for answer in _ANSWERS
        if answer in own(base) and not _is_stock(own(base)[answer]) and base is not object
    }


def _is_stock(answer: object) -> bool:
    if type(answer) is not FunctionType:
        return type(answer) in _C_MADE
    enum = sys.modules.get("enum")
    return type(enum) is ModuleType and answer.__globals__ is names_of(enum)


def is_rebuilt(code: CodeType) -> bool:
    """Whether all of ``code`` but its path and name is made up: a module's code that was given the name of a function.

    So do those who make a traceback anew: tblib (and with it Dask, gevent, PySpark), Jinja.
    """
    if code.co_flags & _OPTIMIZED or "__qualname__" in code.co_names:
        return False  # a function, the body of a class
    is_modules = code.co_name.startswith(("<module>", "<cell line: "))  # the latter of IPython
    return not is_modules or "__traceback_maker" in code.co_names
