"""What a failed future keeps, so that its work can be submitted again: the call, where it is small.

Flows in: the frame that sets the error, which still has the engine's work item.  Flows out: ``future._autotb_call``.  A future
that succeeded keeps nothing, and so does one of a flood of failures, or one whose arguments are large: the engine has let go of
them by now, and to hold them would be to hold the user's memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotb.record import ownership, static
from autotb.record.capture import KEY, fields_of

if TYPE_CHECKING:
    from autotb.instrument.types import Future

LARGE = 1_000_000  # bytes, or elements
MANY = 1_000  # elements of a container that are looked at
_SCALARS = (int, float, complex, bool, type(None))
_ARRAYS = ("numpy", "torch", "pandas", "jax", "jaxlib", "cupy", "xarray", "polars", "pyarrow", "tensorflow", "scipy")


def keep_call(future: Future, exc: BaseException, call_of: Callable[[], tuple[Any, ...] | None]) -> None:
    """Keep ``(function, args, kwargs)`` of a task of a pool, as the pool has it; None for what is no task of a pool's."""
    if type(dict.get(fields_of(exc), KEY)) is tuple:
        return  # one of a flood of failures
    call = call_of()
    if call is None or ownership.is_engines(call[0]):
        return
    if all(is_small(value, 3) for value in (*call[1], *call[2].values())):
        future._autotb_call = call


def is_small(value: Any, depth: int) -> bool:
    """Whether to keep a value costs little, as far as can be seen without running any code of its class."""
    kind = type(value)
    if type(kind) is not type:  # a metaclass of the user's answers when it is compared
        return depth == 0 or all(is_small(item, depth - 1) for item in static.attributes(value).values())
    if kind in _SCALARS:
        return True
    if kind in (str, bytes, bytearray):
        return len(value) <= LARGE
    if kind in (list, tuple, set, frozenset):
        return len(value) <= MANY and (depth == 0 or all(is_small(item, depth - 1) for item in value))
    if kind is dict:
        return len(value) <= MANY and (depth == 0 or all(is_small(item, depth - 1) for item in value.values()))
    if static.module(kind).partition(".")[0] in _ARRAYS:
        return _bytes_of(value) <= LARGE
    return depth == 0 or all(is_small(item, depth - 1) for item in static.attributes(value).values())


def _bytes_of(array: Any) -> int:
    size = getattr(array, "nbytes", None)
    return size if type(size) is int else sys.maxsize
