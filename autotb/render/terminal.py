"""What a stream can do (colour, width, box characters), and writing to it: once, whole, never raising."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from autotb.imports import is_the_users
from autotb.trace.data import Data

DEFAULT_WIDTH = 80
#: Set where a program reads what is written and looks for Python's own grammar: CI services, functions as a service, an IDE.
COLLECTORS = ("GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TEAMCITY_VERSION", "AWS_LAMBDA_FUNCTION_NAME", "PYCHARM_HOSTED")


class Abilities(Data):
    """``colour`` of a terminal; ``unicode``: boxes can be encoded; ``dumb``: ``TERM=dumb``; ``collected``: a program reads;
    ``exact``: the width is that of a terminal, or what ``COLUMNS`` says, so that no row may be wider."""

    colour: bool = False
    width: int = DEFAULT_WIDTH
    unicode: bool = True
    dumb: bool = False
    collected: bool = False
    exact: bool = False


def abilities(stream: Any) -> Abilities:
    """Obeys ``NO_COLOR``, ``FORCE_COLOR``, ``PYTHON_COLORS``, ``TERM=dumb`` and ``COLUMNS``."""
    terminal = is_terminal(stream)
    dumb = terminal and os.environ.get("TERM", "") in ("dumb", "unknown")
    width = _width(stream, terminal)
    return Abilities(
        colour=_colour(terminal, dumb),
        width=width or DEFAULT_WIDTH,
        unicode=_unicode(stream),
        dumb=dumb,
        collected=_is_collected(stream),
        exact=width > 0,
    )


def is_terminal(stream: Any) -> bool:
    try:
        return stream.isatty() is True  # a mock of a stream has an answer to everything
    except Exception:
        return False


def _is_collected(stream: Any) -> bool:
    """Whether the environment says that a program collects what is written; systemd's journal names the stream that it reads.

    A notebook's page shows it on light or dark red; its kernel says ``FORCE_COLOR`` all the same, to its child processes as well.
    """
    if any(os.environ.get(name) for name in COLLECTORS) or _is_a_pages(stream):
        return True
    journal = os.environ.get("JOURNAL_STREAM")
    if not journal:
        return False
    try:
        found = os.fstat(stream.fileno())
    except Exception:
        return False  # no stream of the system's
    return journal == f"{found.st_dev}:{found.st_ino}"


def _is_a_pages(stream: Any) -> bool:
    """Whether it is a stream of a notebook's kernel, or of a process that such a kernel has started."""
    is_kernels = type(stream).__module__.partition(".")[0] == "ipykernel"
    return (is_kernels or bool(os.environ.get("JPY_PARENT_PID"))) and not is_terminal(stream)


def _colour(terminal: bool, dumb: bool) -> bool:
    if not sys.flags.ignore_environment and os.environ.get("PYTHON_COLORS") in ("0", "1"):
        return os.environ["PYTHON_COLORS"] == "1"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal and not dumb


def _width(stream: Any, terminal: bool) -> int:
    """How wide the terminal is, as far as somebody says so; else 0."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return max(20, int(columns))
    if terminal:
        try:
            return max(20, os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH)
        except Exception:
            return DEFAULT_WIDTH  # a terminal that does not tell its size, a stream that says it were one
    return 0


def _unicode(stream: Any) -> bool:
    try:
        "╭│❱…".encode(getattr(stream, "encoding", None) or "utf-8")
    except Exception:
        return False
    return True


def rich_is_there() -> bool:
    """Whether there is the library, and the program has no rich of its own: not beside its script, nor on ``PYTHONPATH``."""
    try:
        import rich
    except Exception:  # a rich that is broken, or can't be read now, is none
        return False
    return not is_the_users("rich") and hasattr(rich, "__path__")


def write(stream: Any, text: str) -> None:
    """Write ``text`` in one call, then flush it and stdout.  A stream that is missing, closed or full is no error of ours."""
    if stream is None:
        return
    try:
        _write(stream, text)
    except Exception:
        pass  # closed, broken pipe, no space left, a stream of the program's: as with Python's own display, nobody is left
    for each in (stream, sys.stdout):
        try:
            each.flush()
        except Exception:
            pass  # as above; Python reports stdout's failure itself at exit


def _is_pythons_own(stream: Any) -> bool:
    """Whether its buffer takes what ``write`` would put there: a tee, a capture, a patched stream may show another's buffer.

    A file of the program's may translate newlines; an encoding that begins with a mark (UTF-16) has it once in a stream.
    """
    own = stream is sys.__stderr__ or stream is sys.__stdout__
    return own and type(stream) is io.TextIOWrapper and "write" not in stream.__dict__ and not "".encode(stream.encoding)


def _write(stream: Any, text: str) -> None:
    if not _is_pythons_own(stream):
        try:
            stream.write(text)
        except UnicodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return
    buffer = stream.buffer
    stream.flush()
    if os.linesep != "\n":
        text = text.replace("\n", os.linesep)
    data = text.encode(stream.encoding, "backslashreplace")
    while data:  # an unbuffered stream may take it in pieces
        written = buffer.write(data)
        if not isinstance(written, int) or written >= len(data):
            break
        data = data[written:]
