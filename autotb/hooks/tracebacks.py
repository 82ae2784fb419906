"""What ``traceback`` prints of exceptions that came from a worker has no engine's frame or text, and says where the worker ran.

``traceback.print_exc()``, ``format_exception`` and whoever else asks ``TracebackException`` for text, as ``unittest`` does.  An
engine that makes text of an error, to send it along, gets Python's own.

Flows in: ``traceback.TracebackException``, from the first record on.  Flows out: the same object, its stack and chain shorter.
"""

from __future__ import annotations

import functools
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from autotb import settings
from autotb.instrument.patch import Patch, put_on
from autotb.record import capture, chain

if TYPE_CHECKING:
    from types import FrameType

    from autotb.instrument.types import Function
    from autotb.render.retold import Retold

_chain = threading.local()  # .concerned: what is shown in this thread just now is shown with an exception that concerns a worker
MOST = 200  # exceptions of a chain and its groups


def install() -> None:
    """Patch it; called when the first record is attached to an exception."""
    if settings.switch("traceback"):
        put_on(Patch("traceback", "TracebackException.__init__", _wrap_init), __name__)


def _wrap_init(original: Function) -> Function:
    """All of traceback's printing of exceptions goes through it, each of a chain by a call of its own."""

    @functools.wraps(original)
    def __init__(self: Any, exc_type: Any, exc_value: Any, exc_traceback: Any, **options: Any) -> None:
        told, shown, before = None, exc_traceback, getattr(_chain, "concerned", False)
        try:
            if options.get("_seen") is None:
                _chain.concerned = chain.concerns(exc_value)
            if _chain.concerned:
                told, shown = _told(exc_value, exc_traceback)
        except Exception:
            pass  # then as ever
        try:
            original(self, exc_type, exc_value, shown, **options)
            _complete(self, exc_value, exc_traceback, told, options)
        finally:
            _chain.concerned = before

    return __init__


def _complete(shown: Any, error: Any, tb: Any, told: Retold | None, options: dict[str, Any]) -> None:
    """What is to be told besides what Python has read of an exception."""
    try:
        if told is not None:
            _tell(shown, told, options.get("limit"))
        elif tb is None and _chain.concerned:
            _shorten_message(shown, error)
        if options.get("_seen") is None:  # the others of a chain are there when the first is done
            _give_workers_chains(shown, error, options)
    except Exception:
        pass  # it is longer


def _told(error: Any, tb: Any) -> tuple[Retold | None, Any]:
    """How an exception is to be shown, if not as it is, and its traceback."""
    if tb is None:
        return None, tb
    asked = _kind_of_asker()
    if asked is not None:
        from autotb.record import made_frames, ownership

        return None, made_frames.without(tb) if asked == ownership.ENGINE else tb
    from autotb.render import retold

    told = retold.of(error, tb, with_workers=True)
    return told, tb if told is None else told.tb


def _shorten_message(shown: Any, error: Any) -> None:
    """For those who show an exception and ask for its last lines alone (``format_exception_only``)."""
    from autotb.render import retold

    shown._str = retold.message(error, shown._str)


def _is_a_workers(error: Any) -> bool:
    return issubclass(type(error), BaseException) and capture.attached(error) is not None


def _kind_of_asker() -> str | None:
    """Of an engine, our own code, or logging where that is to show Python's text, all of which get it; None: of another one."""
    from autotb.record import ownership

    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in (__name__, "traceback"):
        frame = frame.f_back
    if frame is None:
        return None
    kind = ownership.kind_of_frame(frame)
    if kind == ownership.OWN and _is_read_by_us():
        return None
    of_logging = frame.f_globals.get("__name__") == "logging" and not settings.switch("logging")
    return kind if of_logging or kind in (ownership.ENGINE, ownership.OWN) else None


def _is_read_by_us() -> bool:
    from autotb.render import retold

    return retold.is_read_by_us()


def _tell(shown: Any, told: Retold, limit: int | None) -> None:
    count = sum(1 for _ in traceback.walk_tb(told.tb))
    if shown.stack:  # else no frame is wanted
        first = count - len(shown.stack) if limit is not None and limit < 0 else 0
        shown.stack = _Stack.of(shown.stack, told, first, count)
    shown._str = told.message(shown._str)


class _Stack(traceback.StackSummary):
    """Frames with lines between them."""

    lines: list[tuple[int, str]]
    after: list[str]
    keys: list[tuple[str, int]]  # of its frames, some of which whoever has it may take out

    @classmethod
    def of(cls, frames: traceback.StackSummary, told: Retold, first: int, count: int) -> _Stack:
        """``frames`` are those of ``count`` from the ``first`` on."""
        stack = cls(frames)
        lines = [(at - first, line) for at, lines in told.places for line in lines if at >= first]
        shown = [(at, line) for at, line in lines if at < len(frames) or at == count - first]
        stack.lines = [(at, f"  [{line}]\n") for at, line in shown]
        stack.after = [f"  [{line}]\n" for line in told.after]
        stack.keys = _keys(stack)
        return stack

    def format(self, **options: Any) -> list[str]:
        """As Python's, a list of text."""
        from autotb.render import retold

        lines, keys = self.lines, _keys(self)
        if keys != self.keys:
            lines = retold.realigned(lines, self.keys, keys)
        result: list[str] = []
        done = 0
        for at, line in lines:
            result += [*self._part(done, at).format(**options), line]
            done = at
        return [*result, *self._part(done, len(self)).format(**options), *self.after]

    def _part(self, start: int, end: int) -> traceback.StackSummary:
        return traceback.StackSummary(self[start:end])

    def __reduce__(self) -> Any:
        """Where it is unpickled it is Python's."""
        return traceback.StackSummary, (list(self),)


def _keys(frames: list[Any]) -> list[tuple[str, int]]:
    return [(frame.name, frame.lineno) for frame in frames]


def _give_workers_chains(shown: Any, error: Any, options: dict[str, Any]) -> None:
    """In place of engines' texts, what the errors of a chain came out of in their workers."""
    from autotb.record import static

    waiting: list[tuple[Any, Any]] = [(shown, error)]
    for _ in range(MOST):
        if not waiting:
            return
        shown, error = waiting.pop()
        if not issubclass(type(error), BaseException):
            continue
        chained = (shown.__cause__, static.cause_of(error)), (shown.__context__, static.context_of(error))
        if not _has_workers_chain(shown, error, options):
            waiting += [(each, of) for each, of in chained if each is not None]
        members = getattr(shown, "exceptions", None)
        waiting += zip(members, static.members(error) or ()) if members else ()


def _has_workers_chain(shown: Any, error: BaseException, options: dict[str, Any]) -> bool:
    if not _is_a_workers(error) or _kind_of_asker() is not None:
        return False
    from autotb.render import retold

    behind = None if retold.is_silent() else retold.workers_chain(error)
    if behind is None:
        return False
    kind, more = type(shown), {name: value for name, value in options.items() if name != "_seen"}
    shown.__cause__, shown.__context__ = (each and kind(type(each), each, each.__traceback__, **more) for each in behind[:2])
    shown.__suppress_context__ = behind[2]
    return True
