"""Python's text of a traceback's frame, made once for all failures of one place.

An engine makes text of each failure; from Python 3.11 on most of that is parsing the line's source for its carets, every time
anew.  Flows in: ``traceback.StackSummary.format_frame_summary``, from a process's first failure on.  Flows out: the same text.
Source: https://docs.python.org/3/library/traceback.html#traceback.StackSummary.format_frame_summary
"""

from __future__ import annotations

import functools
import operator
from traceback import FrameSummary, StackSummary

from autotb.instrument.patch import Patch, put_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.instrument.types import Function

_SLOTS = frozenset(getattr(FrameSummary, "__slots__", ()))
_LINES = "_line" if "_line" in _SLOTS else "_lines"  # of the source, from Python 3.13 on all that the frame spans
_SAID = ("filename", "name", "lineno", _LINES, "end_lineno", "colno", "end_colno")  # what the text is made of, beside locals
_NOT_SAID = ("locals", "_lines_dedented", "_code")  # the second follows from the lines, the third finds them
_said = operator.attrgetter(*_SAID)

_MOST, _LONGEST = 1_000, 2_000  # texts, characters
_texts: dict[tuple[Any, ...], str] = {}


@functools.cache
def install() -> None:
    """Once something has failed; not where Python makes the text of something that is not known here."""
    if _SLOTS.issuperset(_SAID) and _SLOTS.issubset(_SAID + _NOT_SAID):
        put_on(PATCH, __name__)


def _wrap_format(original: Function) -> Function:
    @functools.wraps(original)
    def format_frame_summary(self: Any, frame_summary: Any, **options: Any) -> Any:
        try:
            key = _key(self, frame_summary, options)
            known = _texts.get(key) if key else None
        except Exception:
            key = known = None  # Python says what is wrong with it
        if known is not None:
            return known
        text = original(self, frame_summary, **options)
        if key and len(text) <= _LONGEST:
            if len(_texts) >= _MOST:
                _texts.clear()
            _texts[key] = text
        return text

    return format_frame_summary


def _key(stack: Any, frame: Any, options: dict[str, Any]) -> tuple[Any, ...] | None:
    """All that the text is made of; None where that may be more: of a class of the program's own, with variables, in colours."""
    if type(stack) is not StackSummary or type(frame) is not FrameSummary or frame.locals is not None:
        return None
    if options and (len(options) > 1 or options.get("colorize") is not False):
        return None
    if frame.line is None:  # is looked up here, where it was not
        return None
    said: tuple[Any, ...] = _said(frame)
    file, name, line, source = said[:4]
    return said if type(file) is type(name) is type(source) is str and type(line) is int else None


PATCH = Patch(
    "traceback", "StackSummary.format_frame_summary", _wrap_format, optional=True, costs="time of failures that are alike"
)
