"""What others show of an exception that came from a worker: programs with a look of their own, which read tracebacks and chains.

Theirs is the look; ours is what they look at: no engine's frames, the worker's own cause in place of the engine's text of the
same frames, and the lines that say where the worker ran, where the work was submitted and what it was given.

Flows in: an exception, and the traceback that it is shown with.  Flows out: that traceback without the engines' frames, and
lines with the places where they stand between its entries.
"""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autotb import settings
from autotb.imports import own
from autotb.record import made_frames, ownership, static
from autotb.record.capture import attached
from autotb.render import clean
from autotb.trace import build, phrases, visible
from autotb.trace.parts import Frame, Hop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autotb.record.schema import Tree
    from autotb.trace.model import Trace

    _Changing = Callable[[TracebackType | None], TracebackType | None]

MOST = 50  # exceptions of a chain
_quiet = threading.local()  # .on: this thread shows an error in another way already


class Retold:
    """An exception as others are to show it.

    ``tb`` is its traceback, ``places`` the entries of it before which lines stand, ``after`` the lines below the last one.
    """

    def __init__(self, error: BaseException, tb: TracebackType | None) -> None:
        self.error = error
        self.trace = trace = build.build(error, tb)
        in_force = settings.used("frames", "args")
        stack = trace.stack
        is_bare = visible.is_bare(stack)
        hidden = visible.view(stack, in_force.frames, bare=is_bare)[1]
        self.tb = tb if is_bare or in_force.frames == "all" else without_engines(tb)
        self.places = _places(trace, list(_entries(self.tb)), with_call=bool(in_force.args))
        alike, _ = phrases.fan_in(stack)
        told = [phrases.lost(stack), *phrases.counted(alike), phrases.hidden(hidden, hidden.launchers)]
        self.after = [clean.line(line) for line in told if line]

    @property
    def lines(self) -> list[str]:
        """All of them, for those who have one place for them."""
        return [line for _, lines in self.places for line in lines] + self.after

    def message(self, own: str) -> str:
        """What the exception says, where its own message is an engine's text of the error that the story ends in; else that."""
        stack = self.trace.stack
        if stack.message == own or stack.message not in own or 'File "' not in own or stack.members is not None:
            return own
        kind = type(self.error).__name__
        return clean.text(stack.message if stack.type.rpartition(".")[2] in kind else stack.headline)


def of(error: BaseException | None, tb: TracebackType | None) -> Retold | None:
    """How others are to show an exception with this traceback; None: as it is."""
    if tb is None or error is None or not issubclass(type(error), BaseException) or getattr(_quiet, "on", False):
        return None
    if attached(error) is None or not settings.switch("traceback"):
        return None
    with own:
        return Retold(error, tb)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """While somebody shows an error in another way."""
    before, _quiet.on = getattr(_quiet, "on", False), True
    try:
        yield
    finally:
        _quiet.on = before


def is_whole(error: BaseException) -> bool:
    """Whether the worker's frames are in the traceback, so that the engine's text of them says nothing more."""
    if not ownership.is_remote_text(static.cause_of(error)):
        return True
    last = static.innermost(static.traceback_of(error))
    if last is not None and made_frames.is_made(last.tb_frame):
        return True
    frames = [
        frame for hop in (attached(error) or {}).get("hops", ()) for frame in hop.get("frames") or () if not hop.get("live")
    ]
    return bool(frames) and all(frame.get("kind") in visible.HIDDEN for frame in frames)  # as of a call that does not fit


def workers_chain(error: BaseException) -> tuple[BaseException | None, BaseException | None, bool] | None:
    """In place of an engine's text as the cause: what the error came out of in the worker, as cause, context, and whether the
    latter is suppressed; None where the chain is its own."""
    record = attached(error)
    if record is None or not is_whole(error) or not ownership.is_remote_text(static.cause_of(error)):
        return None
    cause, context = _stand_in(record.get("cause")), _stand_in(record.get("context"))
    return cause, context, bool(record.get("suppress") or cause is not None)


def _stand_in(tree: Tree | None, most: int = MOST) -> BaseException | None:
    """For the cause of an error in the worker, which stayed there: its type, message and frames."""
    if not tree or not most:
        return None
    module, _, name = (tree.get("type") or "Exception").rpartition(".")
    names = {"__module__": module or "builtins", "__qualname__": name}
    made: BaseException = type(name.rpartition(".")[2], (Exception,), names)(*filter(None, [tree.get("message")]))
    made.__traceback__ = made_frames.chained(made_frames.steps(tree.get("hops") or []))
    made.__cause__, made.__context__ = _stand_in(tree.get("cause"), most - 1), _stand_in(tree.get("context"), most - 1)
    made.__suppress_context__ = bool(tree.get("suppress") or made.__cause__ is not None)
    return made


@contextlib.contextmanager
def for_a_while(error: BaseException, starting: _Changing = lambda tb: tb) -> Iterator[None]:
    """While others look, each exception of the chain is as a direct call would have raised it; afterwards it is as it was.

    ``starting`` takes from each traceback what the one who looks has put before it.
    """
    before: list[tuple[BaseException, list[Any], list[Any]]] = []
    try:
        following: BaseException | None = error
        while following is not None and len(before) < MOST:
            values = [each.__get__(following) for each in _SLOTS]
            given, after = _as_direct(following, values, starting)
            before.append((following, values, given))
            _put(following, given)
            following = after
        yield
    finally:
        for each, values, given in reversed(before):
            if static.traceback_of(each) is given[0]:  # else it was raised anew meanwhile
                _put(each, values)


def _as_direct(error: BaseException, values: list[Any], starting: _Changing) -> tuple[list[Any], BaseException | None]:
    """What the slots of an exception are to hold, and the exception to go on with."""
    tb, cause, context, suppressed = values
    following = cause or (None if suppressed else context)
    if attached(error) is None or not is_whole(error):
        return values, following
    chain = workers_chain(error)
    if chain is not None:
        cause, context, suppressed = chain
        following = None
    tb = starting(tb)
    tb = tb if settings.value("frames") == "all" else without_engines(tb)
    return [tb, cause, context, suppressed], following


_SLOTS = [BaseException.__dict__[name] for name in ("__traceback__", "__cause__", "__context__", "__suppress_context__")]


def _put(error: BaseException, values: list[Any]) -> None:
    """In place, whatever the class of the program's says; a cause sets the last of them, which comes last."""
    for slot, value in zip(_SLOTS, values):
        slot.__set__(error, value)


def without_engines(tb: TracebackType | None) -> TracebackType | None:
    """A traceback without engines' frames, unless it has no others."""
    kept = [each for each in _entries(tb) if not is_engines(each)]
    result: TracebackType | None = None
    for each in reversed(kept):
        result = TracebackType(result, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return result or tb


def is_engines(entry: TracebackType) -> bool:
    """Whether an entry of a traceback is an engine's, or ours."""
    return ownership.kind_of_frame(entry.tb_frame) in visible.HIDDEN


def _entries(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _places(trace: Trace, entries: list[TracebackType], *, with_call: bool) -> list[tuple[int, list[str]]]:
    """For each hop that has something to say: the number of the entry before which it does, and the lines."""
    keys = [(each.tb_frame.f_code.co_name, each.tb_lineno, _file(each.tb_frame.f_code.co_filename)) for each in entries]
    found: list[tuple[int, list[str]]] = []
    at = 0
    for hop in trace.stack.hops:
        first, at = _passed(hop, keys, at)
        where = ", ".join(phrases.where(hop, trace))
        told = [where, hop.call if with_call else "", *phrases.beside(hop)]
        lines = [clean.line(line) for line in told if line]
        if lines:
            found.append((first, lines))
    return found


def _passed(hop: Hop, keys: list[tuple[str, int, str]], at: int) -> tuple[int, int]:
    """The first entry from ``at`` on that is a frame of the hop's, and the one after the last."""
    first = at
    is_found = False
    for frame in hop.frames:
        if isinstance(frame, Frame):
            try:
                here = keys.index((frame.name, frame.line, _file(frame.path)), at)
            except ValueError:
                continue  # one that is hidden
            first, is_found, at = first if is_found else here, True, here + 1
    return first, at


def _file(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
