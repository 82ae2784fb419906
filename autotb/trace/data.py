"""Frozen data without the cost of making it: what a story is made of must be there within milliseconds of an error.

``dataclasses`` writes the source of six methods for every class and compiles it: 7 of the 60 ms between an error and its story on
CPython 3.11.  Here the methods are written once and read the fields' names.  To a type checker these are frozen dataclasses
(PEP 681).

Flows in: the annotations of a class.  Flows out: its ``__init__``, ``__eq__``, ``__hash__``, ``__repr__`` and ``__replace__``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from typing_extensions import dataclass_transform

    Kind = TypeVar("Kind", bound="Data")
else:

    def dataclass_transform(**_options: Any) -> Callable[[type], type]:
        return lambda kind: kind


@dataclass_transform(frozen_default=True)
class Data:
    """A base class: a subclass's annotations are its fields, after those of its base; a class attribute is a field's default.

    >>> class Point(Data):
    ...     x: int
    ...     y: int = 0
    >>> Point(1)
    Point(x=1)
    >>> replace(Point(1), y=2) == Point(1, 2)
    True
    """

    _names: tuple[str, ...] = ()
    _defaults: dict[str, Any] = {}

    def __init_subclass__(cls) -> None:
        own = tuple(cls.__annotations__)
        cls._defaults = {**cls._defaults, **{name: vars(cls)[name] for name in own if name in vars(cls)}}
        cls._names = (*(name for name in cls._names if name not in own), *own)

    def __init__(self, *values: Any, **named: Any) -> None:
        """Raises TypeError for a field that is not there, that is given twice, or that has neither value nor default."""
        kind = type(self)
        given = dict(zip(kind._names, values))
        held = {**kind._defaults, **given, **named}
        if len(values) > len(given) or given.keys() & named or held.keys() != set(kind._names):
            raise TypeError(f"{kind.__name__} has the fields {', '.join(kind._names)}; given were {len(values)} and {[*named]}")
        vars(self).update(held)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self._names))

    def __repr__(self) -> str:
        """As it could be written: fields at their defaults are left out."""
        held = {name: getattr(self, name) for name in self._names}
        told = (
            f"{name}={value!r}" for name, value in held.items() if name not in self._defaults or value != self._defaults[name]
        )
        return f"{type(self).__name__}({', '.join(told)})"

    def __replace__(self: Kind, **changes: Any) -> Kind:
        return type(self)(**{**vars(self), **changes})


def replace(part: Kind, /, **changes: Any) -> Kind:
    """The same but for these fields, as ``copy.replace`` of Python 3.13 gives it."""
    return part.__replace__(**changes)
