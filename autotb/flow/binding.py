"""A call's arguments by their names, and back.

Flows in: a function and what it was called with.  Flows out: one dict, as ``ErrorSnapshot.kwargs`` has it.
"""

from __future__ import annotations

import inspect
from typing import Any

_UNNAMED = "arg"


def bind(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the function's parameters; ``arg0``, ``arg1``… where it tells none.

    What goes to ``*args`` is one tuple under that name, what goes to ``**kwargs`` stands by itself.
    """
    signature = _signature(function)
    try:
        bound = signature.bind(*args, **kwargs) if signature is not None else None
    except TypeError:
        bound = None  # the call itself is wrong, and has failed of that
    if signature is None or bound is None:
        return {**{f"{_UNNAMED}{at}": value for at, value in enumerate(args)}, **kwargs}
    named: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        else:
            named[name] = value
    return named


def unbind(function: Any, named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that :func:`bind` made ``named`` of."""
    signature = _signature(function)
    rest, args = dict(named), []
    if signature is not None and f"{_UNNAMED}0" not in named:
        for name, parameter in signature.parameters.items():
            if name not in rest:
                continue
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                args.extend(rest.pop(name))
            elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY or (
                parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and _follows_varargs(signature, named)
            ):
                args.append(rest.pop(name))
        return tuple(args), rest
    while f"{_UNNAMED}{len(args)}" in rest:
        args.append(rest.pop(f"{_UNNAMED}{len(args)}"))
    return tuple(args), rest


def _follows_varargs(signature: inspect.Signature, named: dict[str, Any]) -> bool:
    """Whether ``*args`` has values: whatever stands before it has to be given by position then."""
    return any(
        parameter.kind is inspect.Parameter.VAR_POSITIONAL and named.get(name) for name, parameter in signature.parameters.items()
    )


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None  # a built-in function, say
