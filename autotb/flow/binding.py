"""A call's arguments by their names, and back.

Flows in: a function and what it was called with.  Flows out: one dict, as ``ErrorSnapshot.kwargs`` has it.
"""

from __future__ import annotations

import inspect
import weakref
from types import FunctionType
from typing import Any

_UNNAMED = "arg"


class Names:
    """The names of a function's parameters, looked up once."""

    def __init__(self, function: Any) -> None:
        self.signature, self._simple, self._least = _known_of(function)

    def takes(self, name: str) -> bool:
        """Whether the function has a parameter of this name, which can be given by it."""
        parameter = self.signature.parameters.get(name) if self.signature is not None else None
        return parameter is not None and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any], spread: bool = False) -> dict[str, Any]:
        """Arguments by the names of the function's parameters; ``arg0``, ``arg1``… where it tells none.

        What goes to ``*args`` is one tuple under that name, with ``spread`` ``args[0]``, ``args[1]``…; what goes to ``**kwargs``
        stands by itself.
        """
        if not kwargs and self._least <= len(args) <= len(self._simple):
            return dict(zip(self._simple, args, strict=False))
        signature = self.signature
        bound = _bound(signature, args, kwargs)
        if signature is None or bound is None:
            return {**{f"{_UNNAMED}{at}": value for at, value in enumerate(args)}, **kwargs}
        named: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                named.update(value)
            elif kind is inspect.Parameter.VAR_POSITIONAL and spread:
                named.update({f"{name}[{at}]": one for at, one in enumerate(value)})
            else:
                named[name] = value
        return named

    def unbind(self, named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that :meth:`bind` made ``named`` of."""
        rest, args = dict(named), list[Any]()
        if self.signature is None or f"{_UNNAMED}0" in named:
            while f"{_UNNAMED}{len(args)}" in rest:
                args.append(rest.pop(f"{_UNNAMED}{len(args)}"))
            return tuple(args), rest
        parameters = self.signature.parameters
        by_position: set[Any] = {inspect.Parameter.POSITIONAL_ONLY}
        if any(one.kind is inspect.Parameter.VAR_POSITIONAL and named.get(name) for name, one in parameters.items()):
            by_position.add(inspect.Parameter.POSITIONAL_OR_KEYWORD)  # *args has values: what stands before them has to
        for name, parameter in parameters.items():
            if name in rest and parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                args.extend(rest.pop(name))
            elif name in rest and parameter.kind in by_position:
                args.append(rest.pop(name))
        return tuple(args), rest

    def check(self, what: str, count: int, keywords: Any) -> None:
        """Whether the function can be called with so many positional arguments and these keywords.  Raises TypeError."""
        if self.signature is None or (not keywords and self._least <= count <= len(self._simple)):
            return
        try:
            self.signature.bind(*([None] * count), **dict.fromkeys(keywords))
        except TypeError as error:
            raise TypeError(f"{what}: {error}") from None


def _bound(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
    """Arguments in the places of the parameters, of which some may not be there: the resources of a call come later.  None for a
    call that is wrong, and fails of that."""
    for bind in (signature.bind, signature.bind_partial) if signature is not None else ():
        try:
            return bind(*args, **kwargs)
        except TypeError:
            continue
    return None


def _simple_of(signature: inspect.Signature | None) -> tuple[tuple[str, ...], int]:
    """The names of parameters that are given by position, and how many of them have to be: enough to bind most calls.  No names,
    and more of them than there are, where the function has others that have to be given."""
    names, least = list[str](), 0
    for parameter in signature.parameters.values() if signature is not None else ():
        has_default = parameter.default is not parameter.empty
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
            least += not has_default
        elif parameter.kind is parameter.KEYWORD_ONLY and not has_default:
            return (), 1
    return (tuple(names), least) if names else ((), 1)


def bind(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """:meth:`Names.bind` for one call."""
    return Names(function).bind(args, kwargs)


def unbind(function: Any, named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """:meth:`Names.unbind` for one call."""
    return Names(function).unbind(named)


_Known = tuple["inspect.Signature | None", tuple[str, ...], int]

# Thousands of calls of a function may be made, or fail.
_known: weakref.WeakKeyDictionary[FunctionType, _Known] = weakref.WeakKeyDictionary()


def _known_of(function: Any) -> _Known:
    if type(function) is FunctionType:
        known = _known.get(function)
        if known is None:
            known = _known[function] = _looked_up(function)
        return known
    return _looked_up(function)


def _looked_up(function: Any) -> _Known:
    signature = _signature(function)
    return (signature, *_simple_of(signature))


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except Exception:
        return None  # a built-in function, say, or an object that is called and answers to any name
