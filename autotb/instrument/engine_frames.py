"""What adapters share on the failing path: whose call failed, pickling with a record.

Flows in: an engine's frames and wrapper objects.  Flows out: hops' parts and pickles, through ``build``.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, TracebackType

from autotb import engine_facts, settings
from autotb.instrument import frame_texts
from autotb.record import annotate, build, callsite, made_frames, ownership, pickling, safe_repr, static
from autotb.record.capture import attached

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

    from autotb.record.callsite import Site
    from autotb.record.schema import Place

# By the ``id`` of the code, which is kept so long: code of two files that says the same is equal.
_places: dict[tuple[int, int], tuple[CodeType, Place | None]] = {}


def place_of(site: Site | None) -> Place | None:
    """A remembered site as plain data; the same dict for the same place, so that many failures share it."""
    if site is None:
        return None
    code = callsite.code_of(site)
    key = (id(code), callsite.offset_of(site))
    found = _places.get(key)
    if found is None:
        if len(_places) > 1_000:
            _places.clear()
        found = _places[key] = code, callsite.decode(site)
    return found[1]


def note_thread(exc: BaseException, engine: str, where: str, call: Callable[[], str | None]) -> None:
    """Note that ``exc`` was raised by work in a thread of this process; ``call`` gives the failing call's text."""
    if attached(exc) is None and build.is_flood(static.traceback_of(exc)):
        annotate.attach_shared(exc, engine, where)
        return
    text = call()
    annotate.note_live(exc, build.hop(engine, where, call=text))


def users_line(frame: FrameType | None) -> str:
    """Where a thread is: the innermost line of the user's, from the frame that it runs; empty where there is none."""
    while frame is not None:
        if ownership.kind_of_frame(frame) == ownership.USER:
            return f"at {static.exact(frame.f_code.co_filename)}:{frame.f_lineno} in {static.exact(frame.f_code.co_name)}"
        frame = frame.f_back
    return ""


def chunk_call(function: Any, chunk: list[Any], tb: TracebackType | None, *, star: bool) -> str | None:
    """The failing call of a chunk of ``map``: which element it was, the engine does not say.

    One element: that one.  More: what the function's own frame holds, unless it rebinds its parameters.
    """
    if len(chunk) == 1:
        return build.call_text(function, tuple(chunk[0]) if star else (chunk[0],))
    ownership.note_user_function(function)
    if not settings.switch("args"):
        return None
    found = _frame_of(function, tb)
    call = safe_repr.frame_call(found, safe_repr.function_name(function)) if found is not None else None
    if call is not None:
        return call
    return f"{safe_repr.function_name(function)}, for one of {len(chunk)} elements: {safe_repr.brief(chunk)}"


def has_user_frame(tb: TracebackType | None) -> bool:
    """Whether any frame of a traceback is the user's, and ran here."""
    return next(_user_frames(tb), None) is not None


def frame_call(tb: TracebackType | None, name: str | None = None) -> str | None:
    """The call that a traceback's first user frame is, for engines that hide the function and its arguments.

    Where that is a decorator's wrapper, which takes whatever it is given, it is the call of the function that it is around.
    """
    if not settings.switch("args"):
        return None
    while tb is not None and not _is_users(tb.tb_frame):
        tb = tb.tb_next
    if tb is None:
        return None
    within = tb
    while name is None and within.tb_next is not None and _passes_on(within.tb_frame, within.tb_next.tb_frame):
        within = within.tb_next
    return safe_repr.frame_call(within.tb_frame, name) or safe_repr.frame_call(tb.tb_frame, name)


def _passes_on(frame: FrameType, called: FrameType) -> bool:
    """Whether a frame is that of a wrapper around the function that it called: a closure's, or an object's that holds it."""
    names, collected = safe_repr.parameters_of(frame.f_code)
    if len(names) > 1 or None in collected:
        return False
    values = static.variables(frame)
    held = [values.get(name) for name in frame.f_code.co_freevars]
    if names == ("self",):
        held += static.attributes(values.get("self")).values()
    return any(safe_repr.code_of(one) is called.f_code for one in held)


def last_call(tb: TracebackType | None) -> str | None:
    """The innermost call of a traceback's that was given anything, of a program that is no task with arguments of its own."""
    for frame in reversed([*_user_frames(tb)]) if settings.switch("args") else ():
        call = safe_repr.frame_call(frame)
        if call is not None and not call.endswith("()"):
            return call
    return None


def _user_frames(tb: TracebackType | None) -> Iterator[FrameType]:
    while tb is not None:
        if _is_users(tb.tb_frame):
            yield tb.tb_frame
        tb = tb.tb_next


def _is_users(frame: FrameType) -> bool:
    return ownership.kind_of_frame(frame) == ownership.USER and not made_frames.is_made(frame)


def _frame_of(function: Any, tb: TracebackType | None) -> FrameType | None:
    code = safe_repr.code_of(static.behind_partials(function))
    while tb is not None:
        if tb.tb_frame.f_code is code:
            return tb.tb_frame
        tb = tb.tb_next
    return None


def original_init(original: Callable[..., Any], box: Any, exc: BaseException, tb: TracebackType | None, *given: object) -> None:
    """The engine's own ``__init__``; where a hostile exception makes it raise, what it would have done, without asking it."""
    frame_texts.install()
    try:
        original(box, exc, *given)
    except Exception:
        if not settings.switch("rescue") or not _can_be_asked(exc):
            raise
        box.exc = exc
        box.tb = f'\n"""\n{_safe_format(exc, tb)}"""'
        BaseException.__dict__["__traceback__"].__set__(exc, None)


def _can_be_asked(exc: BaseException) -> bool:
    """Whether an engine may ask ``if exception:`` in the driver, where one that raises then leaves the caller waiting."""
    try:
        bool(exc)
    except BaseException:
        return False
    return True


def set_cause(exc: BaseException, cause: BaseException) -> BaseException:
    """``exc.__cause__ = cause`` without asking the class of ``exc``."""
    BaseException.__dict__["__cause__"].__set__(exc, cause)
    return exc


def _safe_format(exc: BaseException, tb: TracebackType | None) -> str:
    """What ``traceback`` says of it, or as much of that as can be had."""
    try:
        return "".join(traceback.format_exception(type(exc), exc, tb))
    except Exception:
        frames = ""
    try:
        frames = "".join(traceback.format_tb(tb))
    except Exception:
        pass  # a traceback that was made by hand
    return f"Traceback (most recent call last):\n{frames}{static.name(type(exc))}\n"


def reduced(
    box: Any,
    rebuild: Any,
    arguments: Any,
    dumps: Callable[[Any], Any] | None = None,
    loads: Callable[[Any], Any] | None = None,
) -> tuple[Any, ...]:
    """What an engine's wrapper pickles into: its own rebuild function, called with a fit exception that carries the record."""
    try:
        exc, text = arguments
        tree = getattr(box, "_autotb", None)
        return rebuild, pickling.travelling(exc, text, tree, dumps or _forking_dumps, loads or pickle.loads, stock=dumps is None)
    except Exception:
        return rebuild, arguments


def _forking_dumps(value: object) -> Any:
    from multiprocessing.reduction import ForkingPickler

    return ForkingPickler.dumps(value)


def opened_text(exc: BaseException, text: str, *broken: str) -> engine_facts.Opened:
    """What a wrapper exception says whose message is the text of a worker's traceback; a record says it better."""
    record = attached(exc)
    if record is not None and "type" in record:  # not a mere note of where the work was submitted
        return engine_facts.Opened(broken=broken)
    return engine_facts.Opened(headline=headline_of(text), text=text, broken=broken)


def headline_of(text: str) -> BaseException | None:
    """An exception that bears the type's name and the message of a traceback's last lines; its class may not exist here."""
    from autotb.record.cpython_text import HEADLINE

    lines = text.rstrip().split("\n")
    last = max((at for at, line in enumerate(lines) if line.startswith("  ")), default=-1)
    match = HEADLINE.match(lines[last + 1]) if 0 <= last < len(lines) - 1 else None
    if match is None:
        return None
    return named(match["type"], "\n".join([match["message"] or "", *lines[last + 2 :]]).rstrip("\n"))


def named(kind: str, message: str) -> BaseException:
    """An exception that bears a type's name and a message; its class may not exist here."""
    module, _, name = kind.rpartition(".")
    made: BaseException = type(name, (_Named,), {"__module__": module or "builtins", "__qualname__": name})(message)
    return made


class _Named(Exception):  # noqa: N818
    """Stands for an exception that is known by name and message only."""
