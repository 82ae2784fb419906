"""What a worker makes of a call that failed: its exception, with the story of it.

Flows in: the exception, the call, the attempts before; or a result that may have to be pickled.  Flows out: a
:class:`~autotb.flow.messages.Failed`; or the result itself.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from autotb.flow import attempts, packing
from autotb.flow.attempts import Attempts
from autotb.flow.messages import Failed
from autotb.record import annotate, build, capture, ownership

if TYPE_CHECKING:
    from autotb.record.schema import Hop


_UNREADABLE = "in the process that runs the flow, where the result of the call was unpickled"


def failed(
    error: BaseException,
    function: Any,
    args: tuple[Any, ...],
    constants: dict[str, Any],
    is_raised: bool,
    tries: Attempts | None = None,
) -> Failed:
    """An exception that is about to be raised in this process keeps its frames; else a record stands for them, which holds
    nothing of the user's."""
    earlier = tries.earlier if tries is not None else ()
    try:
        call = build.call_text(function, args, constants)
        said = tries.told(error) if tries is not None else None
        for one in earlier:
            if one is not error and one.__traceback__ is not None:
                _record(one, one.__traceback__, _hop(call, None))
        if is_raised:
            annotate.note_live(error, _hop(call, said))
        else:
            _record(error, _next(error.__traceback__), _hop(call, said))
    except Exception:
        pass  # the error itself is told
    return Failed(error, earlier)


def unfit(error: Exception, result: Any, function: Any, args: tuple[Any, ...], constants: dict[str, Any]) -> Failed:
    """A call whose result could not be pickled, which raised the error: its story says which part of it is at fault."""
    error.__traceback__ = _from_users(error.__traceback__)
    found = failed(error, function, args, constants, is_raised=False)
    try:
        if not capture.is_light(dict.get(capture.fields_of(error), capture.KEY)):  # one of many
            annotate.note(error, culprit=packing.culprit(result) or None)
    except Exception:
        pass  # as above
    return found


def unreadable(error: Exception) -> Failed:
    """A call that returned what cannot be unpickled here, which raised the error."""
    _record(error, _next(_from_users(error.__traceback__)), build.hop("flow", _UNREADABLE))
    return Failed(error)


def note_call(error: BaseException, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Of a result that could not be read: the call that it is of, which the worker has not told."""
    try:
        hop = ((capture.attached(error) or {}).get("hops") or [{}])[0]
        call = build.call_text(function, args, kwargs) if hop.get("where") == _UNREADABLE else None
        if call is not None:
            hop["call"] = call
    except Exception:
        pass  # the error itself is told


def _from_users(begun: TracebackType | None) -> TracebackType | None:
    """A traceback from the last frame on before the first one of the user's (a ``__reduce__`` of his), if there is one: what
    pickles is told in words."""
    before = begun
    while begun is not None and ownership.kind_of_frame(begun.tb_frame) != ownership.USER:
        before, begun = begun, begun.tb_next
    return before if begun is not None else None


def fit(result: Any, function: Any, args: tuple[Any, ...], constants: dict[str, Any]) -> Any:
    """The result of a call, or why it cannot be pickled."""
    try:
        packing.dumps(result)
    except Exception as error:
        return unfit(error, result, function, args, constants)
    return result


def _next(traceback: TracebackType | None) -> TracebackType | None:
    return traceback.tb_next if traceback is not None else None


def _record(error: BaseException, begun: TracebackType | None, hop: Hop) -> None:
    """A record in place of the frames, without our own: of a function that is not Python's there is none."""
    error.__traceback__ = begun = attempts.behind(begun)
    annotate.attach(error, build.record(error, begun, hop))
    error.__traceback__ = None


def _hop(call: str | None, said: str | None) -> Hop:
    return build.hop("flow", "in a worker of a flow", call=call, attempt=said)
