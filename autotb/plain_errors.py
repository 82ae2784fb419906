"""Whose an uncaught error is to show: autotb's, or Python's own.

Flows in: an exception, from ``uncaught`` and the other hooks.  Flows out: a decision.  In a pipe a plain error, one that
no worker and no engine has a part in, is Python's own text byte for byte: programs and tests read it.  To find that out nothing
of ours is imported but this, ``runtime`` and ``project``, no code of the program's runs, and a file is looked at last.
"""

import os
import sys

from autotb import runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 10_000  # exceptions of a chain, and frames, that are looked at
# Their frames, and those of what starts a program (``python -m``), are hidden as an engine's are, but an error that passed them
# has no worker for that.
SURROUNDINGS = ("IPython", "decorator", "ipykernel", "threading", "tornado", "tqdm", "zmq")
# Those of our modules that a program calls; the others are only in between.
CALLED = (f"{__package__}.flow", f"{__package__}.futures")

_fields_of = BaseException.__dict__["__dict__"].__get__
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppresses = BaseException.__dict__["__suppress_context__"].__get__
_MADE = "__autotb_hop__"  # made_frames.MARK
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_namespace_of = type.__dict__["__dict__"].__get__


def are_an_errors(value: object, traceback: object) -> bool:
    """Whether a hook was called with an exception, and not with whatever a program may think of."""
    if not issubclass(type(value), BaseException):
        return False
    try:
        raise KeyError
    except KeyError as error:
        return traceback is None or type(traceback) is type(error.__traceback__)


def is_ours(value: "Any", traceback: "Any" = None) -> bool:
    """Whether autotb shows this error on this stderr: a terminal, a worker's error, or a program that asks."""
    return sys.stderr is not None and (runtime.asked or _is_terminal() or has_a_part(value, traceback) or style_is_set())


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty() is True  # a mock of a stream has an answer to everything
    except Exception:
        return False


def style_is_set() -> bool:
    """Whether the environment or the project's pyproject.toml names a style other than ``auto``."""
    style = os.environ.get("AUTOTB_STYLE")
    if not style and _project_names_us():
        from autotb.settings import value

        style = value("style")
    return (style or "").strip().lower() not in ("", "auto")


def keeps_stories() -> bool:
    """Whether there is a folder for the stories of uncaught errors."""
    if not os.environ.get("AUTOTB_DIR") and not _project_names_us():
        return False
    from autotb.settings import value

    return bool(value("dir"))


def _project_names_us() -> bool:
    from autotb.project import project_file

    try:
        path = project_file()
        if path is None:
            return False
        with open(path, "rb") as file:
            return b"autotb" in file.read()
    except OSError:
        return False


def has_a_part(value: "Any", traceback: "Any" = None) -> bool:
    """Whether a worker or an engine has a part in an error: a record, an engine's exception or frame, anywhere in its chain.

    The frames alone are none where no frame is the user's: an engine's own command that fails shows what Python shows of it.
    """
    known: Any = sys.modules.get("autotb.engine_facts")
    ownership: Any = sys.modules.get("autotb.record.ownership")
    if known is None or ownership is None:
        return False  # no engine was ever imported
    ranks: Any = sys.modules.get("autotb.instrument.ranks")
    if ranks is not None and ranks.here():
        return True
    engines = tuple(known.facts.own_modules.difference(SURROUNDINGS, known.LAUNCHERS))
    frames = MOST
    is_engines, is_users = False, ownership.is_packed()  # a packed program's frames are told apart only when a story is made
    for exc in _chain(value):
        fields = _fields_of(exc)
        if dict.get(fields, "__autotb__") is not None or _is_of(_namespace_of(type(exc)).get("__module__"), engines):
            return True
        tb = _traceback_of(exc)
        if exc is value and traceback is not None:
            tb = traceback
        tb = _in_console(tb)
        while tb is not None and frames and not (type(exc) is KeyboardInterrupt and _is_a_handlers(tb.tb_frame)):
            frames -= 1
            name = dict.get(tb.tb_frame.f_globals, "__name__")
            if dict.__contains__(tb.tb_frame.f_globals, _MADE) or _is_of(name, CALLED):
                return True
            kind = ownership.kind_of_frame(tb.tb_frame)
            is_users = is_users or kind == ownership.USER
            is_engines = is_engines or (kind == ownership.ENGINE and _is_of(name, engines))
            if is_engines and is_users:
                return True
            tb = tb.tb_next
    return False


def _in_console(tb: "Any") -> "Any":
    """The part of a traceback below what runs a console: those of asyncio and trio run their lines on loops and by futures."""
    at = tb
    for _ in range(10):
        if at is None:
            break
        if str.startswith(at.tb_frame.f_code.co_filename, ("<console>", "<stdin>", "<python-input")):
            return at
        at = at.tb_next
    return tb


def _is_a_handlers(frame: "Any") -> bool:
    """Whether a Ctrl-C was raised here by whoever handles the signal, as trio does: it arrives wherever the program is."""
    import _signal  # type: ignore[import-not-found]  # the built-in part, which no file can hide

    return getattr(_signal.getsignal(_signal.SIGINT), "__code__", None) is frame.f_code


def take_our_frames_out(value: "Any") -> None:
    """Before Python 3.11 what stands in for a patched function stays in a traceback that passed through it."""
    swap: Any = sys.modules.get("autotb.first_use")
    for exc in _chain(value) if swap is not None else ():
        tb = _traceback_of(exc)
        while tb is not None and tb.tb_next is not None:
            following = tb.tb_next
            if following.tb_next is not None and following.tb_frame.f_code.co_name == swap.NAME:
                tb.tb_next = following.tb_next
            else:
                tb = following


def _chain(value: BaseException) -> list[BaseException]:
    """An exception and all that is shown with it."""
    waiting = [value]
    found: dict[int, BaseException] = {}
    while waiting and len(found) < MOST:
        exc = waiting.pop()
        if id(exc) not in found:
            found[id(exc)] = exc
            waiting += _chained(exc, _fields_of(exc))
    return list(found.values())


def _is_of(module: object, packages: tuple[str, ...]) -> bool:
    return type(module) is str and any(module == name or module.startswith(name + ".") for name in packages)


def _chained(exc: BaseException, fields: dict[str, "Any"]) -> list[BaseException]:
    """What is shown with an exception: its cause or context, and a group's members."""
    cause = _cause_of(exc)
    found = [cause if cause is not None or _suppresses(exc) else _context_of(exc)]
    group = getattr(sys.modules["builtins"], "BaseExceptionGroup", None)
    members = group.__dict__["exceptions"].__get__(exc) if group is not None and issubclass(type(exc), group) else None
    if members is None:
        members = dict.get(fields, "_exceptions")  # the exceptiongroup package's, before Python 3.11
    if type(members) is tuple:
        found += members
    return [each for each in found if issubclass(type(each), BaseException)]
