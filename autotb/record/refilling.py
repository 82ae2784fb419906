"""Fields of builtin exceptions that tblib, and with it Dask, leaves behind: the error would arrive without its message.

A ``UnicodeDecodeError`` is made anew there without its ``__init__``, which alone sets what ``str`` tells, and shows as nothing at
all; a ``SyntaxError`` shows as ``None``.  What is missing is set by itself, where the pickle is read.

Flows in: an exception that is about to be pickled.  Flows out: its fields, and those of its causes, with their values.
"""

from __future__ import annotations

import copyreg
from types import GetSetDescriptorType, MemberDescriptorType

from autotb import settings
from autotb.record import static

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from collections.abc import Iterator
    from typing import Any

_FILLED = (SyntaxError, StopIteration, SystemExit, UnicodeError)  # by their `__init__` alone; others' `__reduce__` does it too
_MOST = 100  # exceptions of a chain that are looked at


def of(exc: BaseException) -> list[tuple[BaseException, type, Any, Any]]:
    """What is to be set where ``exc`` is unpickled: of which exception (its causes are in its pickle), the class and the
    descriptor of the field, its value."""
    found: list[tuple[BaseException, type, Any, Any]] = []
    waiting: list[BaseException | None] = [exc]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST and settings.switch("rescue"):
        one = waiting.pop()
        if one is None or id(one) in seen or not is_tblibs(type(one)):
            continue
        seen.add(id(one))
        found += [(one, *field) for field in _fields(one)]
        waiting += [static.cause_of(one), static.context_of(one), *(static.members(one) or ())]
    return found


def is_tblibs(kind: type) -> bool:
    """Whether it is tblib that pickles exceptions of this class."""
    return getattr(copyreg.dispatch_table.get(kind), "__module__", None) == "tblib.pickling_support"


def _fields(exc: BaseException) -> Iterator[tuple[type, Any, Any]]:
    for cls in static.mro(type(exc)):
        if not static.is_builtin(cls) or not issubclass(cls, _FILLED):
            continue
        for descriptor in static.own(cls).values():
            if type(descriptor) in (MemberDescriptorType, GetSetDescriptorType):
                try:
                    value = descriptor.__get__(exc)
                except (AttributeError, TypeError):
                    continue  # it was never set
                if value is not None:
                    yield cls, descriptor, value
