"""Dask: what a failed task had called, and with what.

Between a task and the user's function stand Dask's own: they say more of the call than the function's frame does where that has
assigns to its parameters, and all of it where the function is a library's or leaves no frame.  Flows in: the traceback in the
worker, or in the program where the tasks run in it.  Flows out: the call as text, and the library's function that a bag applied.
"""

from __future__ import annotations

from types import FunctionType, MethodType

from autotb import settings
from autotb.assumption import Attributes, Frame
from autotb.instrument import engine_frames, lazy
from autotb.record import build, ownership, safe_repr, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType, TracebackType
    from typing import Any, Protocol

    class Spec(Protocol):
        """``dask._task_spec.Task``."""

        args: tuple[Any, ...]
        kwargs: dict[str, Any]

    Call = tuple[Any, tuple[Any, ...], dict[str, Any]]

_CALL = "what a failed task of Dask's was given"
TASK = Frame("dask._task_spec", "Task.__call__", "self", "new_argspec", "kwargs", optional=True, costs=lazy.COSTS)
CHUNK = Frame("dask.bag.core", "_MapChunk.__next__", "self", "vals", "kwargs", optional=True, costs=_CALL)
CHUNKS = Attributes("dask.bag.core", "_MapChunk", "f", "nkws", optional=True, costs=_CALL)
METHOD = Attributes("dask.utils", "methodcaller", "method", optional=True, costs=_CALL)
ENFORCE = Frame("dask.dataframe.core", "apply_and_enforce", "func", "args", "kwargs", optional=True, costs=_CALL)

_LONGEST = 240  # characters of a call that the user did not write
_MACHINERY = (
    *("dask._task_spec", "dask.core", "dask.utils", "dask.local", "dask.optimization", "distributed.worker"),
    *("toolz.itertoolz", "cytoolz.itertoolz"),
)
_HOLD = (list, tuple, dict, set)  # a task of these makes what others are given


def of(tb: TracebackType | None) -> str | None:
    """The user's call; where a library failed that the engine itself called, what that was, or what the engine had to do."""
    own = engine_frames.frame_call(tb)
    if own is not None or not settings.switch("args"):
        return own
    found = None if engine_frames.has_user_frame(tb) else _first_of_library(tb)
    call = _last(tb)
    if call is not None:
        found = build.call_text(*call)
    return safe_repr.cut(found, _LONGEST) if found else None


def of_task(task: object, data: Mapping[Any, Any]) -> str | None:
    """The call of a task that has ended: ``data`` has what others made that it was given, as far as it is there still."""
    function = getattr(task, "func", None)
    if (
        function is None
        or not hasattr(task, "kwargs")
        or not hasattr(task, "args")
        or ownership.is_engines(function)
        or not settings.switch("args")
    ):
        return None
    found = build.call_text(function, *given(task, data))
    return safe_repr.cut(found, _LONGEST) if found else None


def given(task: Spec, data: Mapping[Any, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a task, with what other tasks have made in their places."""
    return tuple([_value(one, data) for one in task.args]), {name: _value(one, data) for name, one in task.kwargs.items()}


def _value(value: object, data: Mapping[Any, Any]) -> Any:
    if static.module(type(value)).partition(".")[0] not in ("dask", "distributed") or not hasattr(value, "key"):
        return value
    key: Any = value.key
    return data.get(key, _Made(key) if static.name(type(value)) in ("TaskRef", "Alias") else value)


class _Made:
    """Stands among arguments for what another task has made, and which is not there any more."""

    def __init__(self, key: object) -> None:
        self.key = key


safe_repr.ours[_Made] = lambda one: f"<{one.key}>"


def applied(tb: TracebackType | None) -> str | None:
    """The name of the function that a bag applied to an element as it failed, where it is none of the user's."""
    function = None
    while tb is not None:
        call = _of_chunk(tb.tb_frame) if _is(CHUNK, tb.tb_frame) else None
        function = call[0] if call is not None else function
        tb = tb.tb_next
    return named(function) if function is not None else None


def named(function: Any) -> str:
    """What a library's function is called, the same in the program and in a worker."""
    return f"{static.module_of(static.behind_partials(function))}:{safe_repr.function_name(function)}"


def _last(tb: TracebackType | None) -> Call | None:
    """The innermost call of a function, not one of Dask's own, that the frames of Dask's tell of."""
    found = None
    while tb is not None and ownership.kind_of_frame(tb.tb_frame) == ownership.ENGINE:
        call = _of_method(_told_by(tb.tb_frame))
        if call is not None and not ownership.is_engines(call[0]) and call[0] not in _HOLD:
            found = call
        tb = tb.tb_next
    return found


def _told_by(frame: FrameType) -> Call | None:
    if _is(CHUNK, frame):
        return _of_chunk(frame)
    if _is(ENFORCE, frame):
        return _checked(*(ENFORCE.read(frame) or (None, None, None)))
    if _is(TASK, frame):
        task, args, kwargs = TASK.read(frame) or (None, None, None)
        return _checked(getattr(task, "func", None), args, kwargs or {})
    return None


def _of_method(call: Call | None) -> Call | None:
    """Where Dask's object that calls a method of its first argument was called (``M.astype``), the call of that method."""
    if call is None or not call[1] or static.name(type(call[0])) != "methodcaller":
        return call
    caller, (this, *args), kwargs = call
    (name,) = METHOD.read(caller) or ("",)
    method = static.lookup(type(this), name)
    return (MethodType(method, this), tuple(args), kwargs) if type(method) is FunctionType else call


def _is(known: Frame, frame: FrameType) -> bool:
    return static.name_of(frame) == known.module and known.matches(frame)


def _of_chunk(frame: FrameType) -> Call | None:
    chunk, values, kwargs = CHUNK.read(frame) or (None, None, None)
    function, count = CHUNKS.read(chunk) or (None, 0)
    if type(values) is not list or type(count) is not int:
        return None
    return _checked(function, tuple(values[: len(values) - count]), kwargs or {})


def _checked(function: Any, args: object, kwargs: object) -> Call | None:
    if function is None or type(args) is not tuple or type(kwargs) is not dict:
        return None
    return function, args, kwargs


def _first_of_library(tb: TracebackType | None) -> str | None:
    """The outermost call behind Dask's machinery that was given anything: one of its own functions, or the library's."""
    found = None
    while tb is not None and found is None:
        frame = tb.tb_frame
        if static.name_of(frame) not in _MACHINERY:
            found = safe_repr.frame_call(frame)
            found = None if found is None or found.endswith("()") else found
        if ownership.kind_of_frame(frame) != ownership.ENGINE:
            break
        tb = tb.tb_next
    return found


ASSUMPTIONS = (TASK, CHUNK, CHUNKS, METHOD, ENFORCE)
