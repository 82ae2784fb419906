"""Reads CPython's traceback text, 3.10 to 3.15: the last resort where a worker could not send a record.

Flows in: text.  Flows out: a :class:`Stack` without source lines of its own beyond the failing ones; None where the text is no
traceback.
"""

from __future__ import annotations

import re

from autotb.record.cpython_text import FRAME, HEADLINE, without_colours
from autotb.trace.data import replace
from autotb.trace.parts import Frame, Gap, Hop, Stack
from autotb.trace.phrases import CAUSED, DURING

_HEADER = re.compile(r"^(?:Exception Group )?Traceback \(most recent call last\):$")
_REPEATED = re.compile(r"^  \[Previous line repeated (\d{1,12}) more times?\]$")
_CARETS = re.compile(r"^\s*[~^]+[~^\s]*$")


def parse(text: str) -> Stack | None:
    """The last exception of ``text``, chained to those before it."""
    lines = without_colours(text).expandtabs(8).replace("\r\n", "\n").split("\n")
    found = blocks([without_margin(line) for line in lines])
    stack: Stack | None = None
    joint = ""
    for sentence, inside in found:
        current = block(inside)
        if current is None:
            continue
        if stack is not None:
            joint = sentence
            current = replace(current, cause=stack) if joint == CAUSED else replace(current, context=stack)
        stack = current
    return stack


def without_margin(line: str) -> str:
    """A line of a group's own traceback, without the bars that CPython draws before it."""
    stripped = line.lstrip(" ")
    if stripped.startswith("| ") and len(line) - len(stripped) >= 2:
        return stripped[2:]
    if stripped.startswith("+ Exception Group Traceback"):
        return stripped[2:]
    return line


def blocks(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Cut at ``Traceback`` headers; each block with the joining sentence that stood before it."""
    found: list[tuple[str, list[str]]] = []
    sentence = ""
    for line in lines:
        if line.strip() in (CAUSED, DURING):
            sentence = line.strip()
        elif _HEADER.match(line.strip()):
            found.append((sentence, []))
            sentence = ""
        elif found:
            found[-1][1].append(line)
    return found


def block(lines: list[str]) -> Stack | None:
    """One exception, of the lines below its header."""
    frames: list[Frame | Gap] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if match := FRAME.match(line):
            if match["name"] is None:
                break  # a syntax error's own place: it belongs to the last lines
            at, frame = _frame(lines, at, match)
            frames.append(frame)
        elif match := _REPEATED.match(line):
            frames.append(Gap(repeated=int(match[1]), cycle=1))
            at += 1
        elif line.startswith("  ") or not line.strip() or _CARETS.match(line):  # below a line that tblib has rebuilt
            at += 1
        else:
            break
    last = _last_lines(lines[at:])
    if last is None and not frames:
        return None
    kind, message, final = last or ("", "", ())
    return Stack(type=kind, message=message, hops=(Hop(frames=tuple(frames)),), final=final)


def _frame(lines: list[str], at: int, match: re.Match[str]) -> tuple[int, Frame]:
    number = int(match["line"])
    source: tuple[tuple[int, str], ...] = ()
    at += 1
    while at < len(lines) and lines[at].startswith("    "):
        if not source and not _CARETS.match(lines[at]):
            source = ((number, lines[at][4:]),)
        at += 1
    return at, Frame(match["path"], number, match["name"], source=source)


def _last_lines(lines: list[str]) -> tuple[str, str, tuple[str, ...]] | None:
    """Type and message; a message may go on over many lines, a syntax error's place stands before its type."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    for number, line in enumerate(lines):
        if match := HEADLINE.match(line):
            rest = [text for text in lines[number + 1 :] if not text.startswith("  +-")]
            message = "\n".join([match["message"] or "", *rest]).rstrip("\n")
            final = tuple(lines) if number else ()
            return match["type"], message, final
        if not line.startswith("  "):
            return None
    return None
