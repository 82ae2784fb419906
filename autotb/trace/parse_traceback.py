"""Reads CPython's traceback text, 3.10 to 3.15: the last resort where a worker could not send a record.

Flows in: text.  Flows out: a :class:`Stack` without source lines of its own beyond the failing ones; None where the text is no
traceback.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from autotb.record.cpython_text import FRAME, HEADLINE, without_colours
from autotb.trace.data import replace
from autotb.trace.parts import Frame, Gap, Hop, Stack
from autotb.trace.phrases import CAUSED, DURING

_HEADER = re.compile(r"^(?:Exception Group )?Traceback \(most recent call last\):$")
_REPEATED = re.compile(r"^  \[Previous line repeated (\d{1,12}) more times?\]$")
_CARETS = re.compile(r"^\s*[~^]+[~^\s]*$")
_FIRST_MEMBER = re.compile(r"^(?P<margin> *)\+-\+-+ (?:\d+|\.\.\.) -+$")
_NEXT_MEMBER = re.compile(r"^ *\+-+ (?:\d+|\.\.\.) -+$")
_AND_MORE = re.compile(r"^and (?P<count>\d{1,12}) more exceptions?$")
_DEEPEST = 100  # columns before a member: CPython itself nests no more than ten groups
_MOST_LOOSE = 200  # lines of a message without bars
_MEMBERS = "\0"  # begins a line that stands for all lines of a group's members


def parse(text: str) -> Stack | None:
    """The last exception of ``text``, chained to those before it."""
    return _chained(without_colours(text).replace("\0", "").expandtabs(8).replace("\r\n", "\n").split("\n"))


def _chained(lines: list[str]) -> Stack | None:
    found = blocks([without_margin(line) for line in folded(lines)])
    stack: Stack | None = None
    joint = ""
    for sentence, inside in found:
        current = block(inside, _chained)
        if current is None:
            continue
        if stack is not None:
            joint = sentence
            current = replace(current, cause=stack) if joint == CAUSED else replace(current, context=stack)
        stack = current
    return stack


def folded(lines: list[str]) -> list[str]:
    """The same with one line, which ``block`` reads, in place of all those of a group's members, which have margins."""
    result: list[str] = []
    at = 0
    while at < len(lines):
        first = _FIRST_MEMBER.match(lines[at])
        end = at + 1
        if first is None or len(first["margin"]) > _DEEPEST:
            result.append(lines[at])
        else:
            end = _end_of_members(lines, end, first["margin"] + "  ")
            result.append(_MEMBERS + "\n".join(lines[at:end]))
        at = end
    return result


def _end_of_members(lines: list[str], at: int, margin: str) -> int:
    """The first line that is not of a group's members.

    Up to 3.11 a message's further lines have no bars; such lines are of a member where one with bars follows.
    """
    loose, is_closed = 0, False
    for number, line in enumerate(lines[at:], at):
        if line.startswith(margin) and line.lstrip(" ")[:1] in ("|", "+"):
            loose, is_closed = 0, line.strip(" +-") == ""
        elif is_closed or loose == _MOST_LOOSE or _HEADER.match(without_margin(line).strip()) or line.strip() in (CAUSED, DURING):
            return number - loose
        else:
            loose += 1
    return len(lines) - loose


def _members(lines: list[str], read: Callable[[list[str]], Stack | None]) -> tuple[tuple[Stack, ...], int]:
    """A group's members of their lines, and how many more of them there are."""
    margin = lines[0].partition("+")[0] + "  "
    sections: list[list[str]] = [[]]
    for line in lines[1:]:
        if line.startswith(margin + "|"):
            sections[-1].append(line[len(margin) + 2 :])
        elif line.startswith(margin + "+") and _NEXT_MEMBER.match(line):
            sections.append([])
        elif not line.startswith(margin + "+--"):
            sections[-1].append(line)  # of a group in this one
    found = (read(section) or block(folded(section), read) for section in sections)
    more = [_AND_MORE.match(section[0]) for section in sections if section]
    return tuple(stack for stack in found if stack is not None), sum(int(match["count"]) for match in more if match)


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


def block(lines: list[str], read: Callable[[list[str]], Stack | None] = lambda _: None) -> Stack | None:
    """One exception, of the lines below its header; ``read`` reads the lines of a group's member."""
    inside = next((line for line in lines if line.startswith(_MEMBERS)), None)
    if inside is not None:
        stack = block([line for line in lines if not line.startswith(_MEMBERS)])
        members, more = _members(inside.removeprefix(_MEMBERS).split("\n"), read)
        return replace(stack, members=members, unlisted=more) if stack is not None and members else stack
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
            message = "\n".join([match["message"] or "", *lines[number + 1 :]]).rstrip("\n")
            final = tuple(lines) if number else ()
            return match["type"], message, final
        if not line.startswith("  "):
            return None
    return None
