"""A frame's failing line and the marks below it (``~~^~~``), drawn by this Python's own traceback module.

Flows in: a :class:`Frame`.  Flows out: lines of text, without the margin that CPython puts before them.
"""

from __future__ import annotations

import traceback
from typing import Any

from autotb.render import clean
from autotb.trace.parts import Frame

_python: Any = traceback  # whose forms differ from version to version
HAS_MARKS = hasattr(traceback.StackSummary, "format_frame_summary")  # from 3.11 on
MARKS_ALL_LINES = hasattr(traceback.FrameSummary, "_set_lines")  # of an expression; from 3.13 on


def lines(frame: Frame) -> list[str]:
    """What CPython prints below ``File …, line …``: the failing line or lines, each with its marks where it has any."""
    bare = clean.source(frame.failing_line).strip()
    if not bare:
        return []
    if frame.span is None or not HAS_MARKS or not 0 <= frame.span[0] < len(frame.failing_line):
        return [bare]
    try:
        drawn = _as_python_does(frame)
        return drawn if drawn[1:2] != [""] else [bare]
    except Exception:
        return [bare]  # columns that are not this line's, a traceback module that was replaced


def marks(frame: Frame) -> str:
    """What stands below the failing line, in the columns of the whole line; empty where the line says it all."""
    drawn = lines(frame)
    if len(drawn) < 2 or drawn[1].strip("~^ "):
        return ""
    shown = clean.source(frame.failing_line)
    indent = _indent(shown) - _indent(drawn[0])
    return " " * indent + drawn[1]


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _as_python_does(frame: Frame) -> list[str]:
    first, last = frame.span or (0, 0)
    known = dict(frame.source)
    end_line, end = frame.end or (frame.line, last)
    raw = [known.get(number) for number in range(frame.line, min(end_line, frame.line + len(known)) + 1)]
    texts = [text for text in raw if text is not None]
    if frame.end is not None and len(texts) != end_line - frame.line + 1:
        texts, end_line, end = texts[:1], frame.line, len(texts[0])  # the expression's other lines are not known
    shown = [clean.source(text).rstrip() for text in texts]
    if not MARKS_ALL_LINES:
        shown = shown[:1]
    summary = _python.FrameSummary(
        "",
        frame.line,
        "",
        lookup_line=False,
        line="\n".join(shown) + "\n",
        end_lineno=end_line,
        colno=_bytes(texts[0], first, shown[0]),
        end_colno=_bytes(texts[-1], end, clean.source(texts[-1])),
    )
    drawn = _python.StackSummary().format_frame_summary(summary).rstrip("\n").split("\n")[1:]
    return [line.removeprefix("    ").rstrip() for line in drawn]


def _bytes(raw: str, column: int, shown: str) -> int:
    """A column of a raw line as CPython counts it, in bytes of the line that is shown."""
    return len(shown[: len(clean.source(raw[:column]))].encode())
