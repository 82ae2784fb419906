"""Whether what adapters take for granted holds in the installed versions: for ``doctor``.

Flows in: the adapters' ``ASSUMPTIONS``, the engines' modules, which are imported by now.  Flows out: for each what became of it.
Nothing of an engine's is called: local variables are read off code objects, attributes off a class and the code of its methods,
words off the source of a module.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

from autotb import assumption
from autotb.instrument import patch

HOLDS, NOT_HERE = "holds", "not in this version, or not on this Python"


def name(declared: assumption.Assumption) -> str:
    """What a reader of ``doctor`` knows it by."""
    what = f"{declared.module}.{declared.qualname}".rstrip(".")
    if isinstance(declared, assumption.Text):
        return f"the words {' … '.join(map(repr, declared.names))} of {what}"
    kind = "variables" if isinstance(declared, assumption.Frame) else "attributes"
    return f"the {kind} {', '.join(declared.names)} of {what}" if declared.names else what


def state(declared: assumption.Assumption) -> str:
    """``HOLDS``, or why it does not."""
    why = ""
    for module in (declared.module, *declared.also):
        try:
            found = importlib.import_module(module)
        except Exception as error:
            why = why or f"{type(error).__name__}: {error}"
            continue
        moved = _moved(declared, found)
        if not moved:
            return HOLDS
        why = moved
    return NOT_HERE if declared.optional else f"moved: {why}"


def _moved(declared: assumption.Assumption, module: ModuleType) -> str:
    try:
        if isinstance(declared, assumption.Text):
            return _unsaid(declared, module)
        if isinstance(declared, assumption.Frame):
            return _without_variables(declared, module, declared.qualname)
        owner = _found(module, declared.qualname)
        absent = [name for name in declared.names if not _has(owner, name)]
    except AttributeError as error:
        if declared.or_named and isinstance(declared, assumption.Frame):
            return _moved_too(declared, module)
        return str(error)
    return f"{declared.qualname or module.__name__} has no attribute {', '.join(absent)}" if absent else ""


def _moved_too(declared: assumption.Frame, module: ModuleType) -> str:
    try:
        return _without_variables(declared, module, declared.or_named)
    except AttributeError as error:
        return str(error)


def _found(module: ModuleType, qualname: str) -> Any:
    found: Any = module
    for part in qualname.split(".") if qualname else ():
        found = getattr(found, part)
    return found


def _unsaid(declared: assumption.Text, module: ModuleType) -> str:
    """Read off the file: what is compiled is not known to have moved."""
    path = getattr(module, "__file__", None) or ""
    if not path.endswith(".py"):
        return ""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    absent = [words for words in declared.names if words not in text]
    return f"{module.__name__} does not say {', '.join(map(repr, absent))}" if absent else ""


def _without_variables(declared: assumption.Frame, module: ModuleType, qualname: str) -> str:
    head, *inner = qualname.split(".<locals>.")
    codes = [code for code in [_own_code(_found(module, head))] if code is not None]
    for part in inner:
        codes = [code for outer in codes for code in outer.co_consts if isinstance(code, CodeType) and code.co_name == part]
        if not codes:
            raise AttributeError(f"{head} has no function {part}")
    for code in codes:
        if not any(not assumption.missing(one, declared.names) for one in _nested(code)):
            return f"{qualname} has no variable {', '.join(assumption.missing(code, declared.names))}"
    return ""


def _own_code(function: Any) -> CodeType | None:
    """The engine's code of a function that may run ours by now; None for one that is compiled."""
    function = getattr(function, "__func__", function)
    for entry in (*patch.applied.values(), *patch.earlier):
        if entry.function is function and entry.own is not None:
            own: CodeType = entry.own
            return own
    return getattr(inspect.unwrap(function), "__code__", None)


def _nested(code: CodeType) -> Iterator[CodeType]:
    """The code and that of its comprehensions, in which it has the variables before Python 3.12."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _nested(inner)


def _has(owner: Any, name: str) -> bool:
    """Whether a module, or an object of a class, has an attribute: the class's, or one that its own code names."""
    if hasattr(owner, name) or not isinstance(owner, type):
        return hasattr(owner, name)
    for cls in owner.__mro__:
        if name in vars(cls).get("__annotations__", {}):
            return True
        for value in list(vars(cls).values()):
            function = value.fget if isinstance(value, property) else value
            code = _own_code(function) if callable(function) or hasattr(function, "__func__") else None
            if code is not None and any(name in one.co_names for one in _nested(code)):
                return True
    return False
