"""What runs in a worker: a chunk of calls of one function, one after the other; a call that raises spoils no other.

Flows in: the function, the positional arguments of each call, the constants.  Flows out: the results in order, with a
:class:`Failed` in place of each that raised; from another process as one pickle.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

from autotb import carrier, travel
from autotb.flow import packing
from autotb.flow.packing import Packed


class Failed:
    """The exception of one call; with its story, once it has come from another process."""

    __slots__ = ("exception",)

    def __init__(self, exception: BaseException) -> None:
        self.exception = exception

    def __reduce__(self) -> tuple[Any, ...]:
        return Failed.arrived, (_packed(self.exception),)

    @classmethod
    def arrived(cls, packed: Packed) -> Failed:
        """The same where it is unpickled."""
        found = packing.unpack(packed)
        if not isinstance(found, BaseException):
            found = RuntimeError(f"{packed[0]} (the exception itself did not survive its way: {found.why})")
        return cls(found)


def run(function: Any, chunk: list[tuple[Any, ...]], constants: dict[str, Any], stop: bool, parent: int) -> Any:
    """Call ``function(*args, **constants)`` for each ``args`` of the chunk; with ``stop``, until one has failed.

    In a process other than ``parent`` it returns a pickle, in which what cannot be pickled is a :class:`Failed` too.
    """
    results: list[Any] = []
    for args in chunk:
        try:
            results.append(function(*args, **constants))
        except Exception as error:
            results.append(_failed(error, function, args, constants, stop and os.getpid() == parent))
            if stop:
                break
    return results if os.getpid() == parent else _pickled(results)


def received(result: Any, count: int) -> list[Any]:
    """The list that :func:`run` made.  A pickle that cannot be read fails all calls of the chunk."""
    if type(result) is not bytes:
        return result  # type: ignore[no-any-return]
    try:
        return pickle.loads(result)  # type: ignore[no-any-return]
    except Exception as error:
        return [Failed(error)] * count


def _failed(error: Exception, function: Any, args: tuple[Any, ...], constants: dict[str, Any], is_raised: bool) -> Failed:
    """An exception that is about to be raised in this process keeps its frames; else a record stands for them, which holds
    nothing of the user's."""
    try:
        if error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next  # without our own frame
        call = carrier.call_text(function, args, constants)
        hop = carrier.place("flow", "in a worker of a flow", call=call)
        if is_raised:
            carrier.note_live(error, hop)
        else:
            carrier.attach(error, carrier.record(error, error.__traceback__, hop))
            error.__traceback__ = None
    except Exception:
        pass  # the error itself is told
    return Failed(error)


def _packed(exception: BaseException) -> Packed:
    from autotb.capture import KEY, attached, fields_of, type_name

    tree = attached(exception)
    text = f"{type_name(type(exception))}: {exception}"[:300]
    try:
        if tree is None:
            return text, packing.dumps(exception), ""
        try:
            return text, packing.dumps(travel.packed(exception, tree, packing.dumps, pickle.loads)), ""
        finally:
            fields_of(exception)[KEY] = tree
    except Exception as error:
        return text, None, f"{type(error).__name__}: {error}"[:300]


def _pickled(results: list[Any]) -> bytes:
    try:
        return packing.dumps(results)
    except Exception:
        return packing.dumps([_fit(result) for result in results])


def _fit(result: Any) -> Any:
    try:
        packing.dumps(result)
    except Exception as error:
        return Failed(error)
    return result
