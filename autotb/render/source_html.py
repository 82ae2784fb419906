"""Lines of Python as HTML: tokens in spans, by pygments where it is there; the failing expression underlined.

Flows in: a frame.  Flows out: ``(number, HTML)`` of each of its lines, without their common indentation.
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from operator import itemgetter

from autotb.render import clean
from autotb.trace.parts import Frame

MOST_CHARACTERS = 400  # of a line
_CLASSES = (("Comment", "c"), ("Keyword", "k"), ("Operator.Word", "k"), ("Literal.String", "s"), ("Literal.Number", "n"))


def rows(frame: Frame) -> list[tuple[int, str]]:
    """The lines around the failing one."""
    shown = [(number, clean.source(text).rstrip()) for number, text in frame.source]
    if not any(text for _, text in shown):
        return []
    indent = min(len(text) - len(text.lstrip()) for _, text in shown if text)
    texts = [text[indent:] for _, text in shown]
    kinds = _kinds(texts)
    found = []
    for (number, _), text, classes in zip(shown, texts, kinds):
        span = _span(frame, indent) if number == frame.line else None
        found.append((number, _row(text, classes, span)))
    return found


def _span(frame: Frame, indent: int) -> tuple[int, int] | None:
    """The failing expression's columns in the line as it is shown."""
    if frame.span is None:
        return None
    raw = frame.failing_line
    start = max(frame.span[0], len(raw) - len(raw.lstrip()))
    begin, end = (len(clean.source(raw[:column])) - indent for column in (start, frame.span[1]))
    return (begin, end) if begin < end else None


def _kinds(texts: list[str]) -> list[list[str]]:
    """A class, or none, for each character of each line."""
    if any(text.count(quotes) % 2 for quotes in ('"""', "'''") for text in ["\n".join(texts)]) and len(texts) > 1:
        return [kinds for text in texts for kinds in _kinds([text])]  # a string begins or ends beyond these lines
    try:
        from pygments.lexers.python import PythonLexer
    except Exception:  # what is not there, or is the program's own, highlights nothing
        return [[""] * len(text) for text in texts]
    found: list[list[str]] = [[]]
    for token, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens("\n".join(texts)):
        kind = next((short for name, short in _CLASSES if str(token).startswith(f"Token.{name}")), "")
        for number, part in enumerate(value.split("\n")):
            if number:
                found.append([])
            found[-1] += [kind] * len(part)
    if [len(line) for line in found] != list(map(len, texts)):
        return [[""] * len(text) for text in texts]
    return found


def _row(text: str, kinds: list[str], span: tuple[int, int] | None) -> str:
    more = len(text) - MOST_CHARACTERS
    begin, end = span or (0, 0)
    marked = [(kind, begin <= at < end, text[at]) for at, kind in enumerate(kinds[:MOST_CHARACTERS])]
    parts = []
    for underlined, inside in groupby(marked, itemgetter(1)):
        told = "".join(_token(kind, "".join(one[2] for one in same)) for kind, same in groupby(inside, itemgetter(0)))
        parts.append(f"<u>{told}</u>" if underlined else told)
    return "".join(parts) + (f"<i>… ({more:,} more characters)</i>" if more > 0 else "")


def _token(kind: str, text: str) -> str:
    return f"<span class={kind}>{escape(text)}</span>" if kind else escape(text)
