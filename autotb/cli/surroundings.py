"""A pasted text without what stands around its lines: a log's prefixes, a quote's marks, fences, a page's entities, indentation.

Flows in: text.  Flows out: lines as Python printed them, those of one container, one worker or one quote after the other;
:data:`END` where a text ends that a story may not go beyond.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from re import Match

from autotb.trace.parts import HEADER

END = "\0"  # no text has this character
_HEADER = re.compile(rf"^(?P<before>.*?)(?P<header>(?:\+ Exception Group )?{re.escape(HEADER)})$")
_FRAME = '  File "'
_MARGIN = re.compile(r"(?: {2})+\| $")  # of a group's member
# What differs from line to line of one log: dates, times of day, seconds since something began.
_STAMP = re.compile(r"\d+(?:[-/:.,]\d+)+")
_FENCE = re.compile(r"^[ >]*(?P<marks>`{3,}|~{3,}) *(?P<language>[\w+-]*) *$")
_TAG = re.compile(
    r"<(/?(?:a|b|code|div|i|li|p|pre|samp|span|td))(?: [^<>\n]*)?>"
)  # of a page, where Python's own signs are entities
_SOON = 4  # lines
_MOST = 100  # prefixes with times in them; the lines of more, which no log has, stay as they are


def lines(text: str) -> list[str]:
    """Every line of a text, without its surroundings."""
    text = text.replace("\0", "").replace("\r\n", "\n")
    if f"{_FRAME[:-1]}&quot;" in text or f"{_FRAME[:-1]}&#34;" in text:
        text = html.unescape(_TAG.sub(lambda tag: f"\n{END}\n" if tag[1] == "/pre" else "", text))
    text = text.replace("\xa0", " ").expandtabs(8)
    return [line for stream in _streams(_without_fences(text.split("\n"))) for line in _without_indentation(stream)]


def _without_fences(lines: list[str]) -> list[str]:
    """With an end in place of each fence; one within a message stays."""
    result, opened, told = [], "", False
    for at, line in enumerate(lines):
        match = _FENCE.match(line)
        told = told or line.endswith(HEADER)
        if match is not None and opened and match["marks"].startswith(opened) and not match["language"]:
            line, opened, told = END, "", False
        elif match is not None and not opened and (not told or any(HEADER in one for one in lines[at + 1 : at + _SOON])):
            line, opened = END, match["marks"]
        result.append(line)
    return result


def _streams(lines: list[str]) -> list[list[str]]:
    """The lines of each prefix, without it, and those without one; in the order of their beginning."""
    found: dict[str, list[str]] = {}
    prefix_of = _reader(_prefixes(lines))
    for line in lines:
        at, length = prefix_of(line)
        if line == END:
            for stream in found.values():
                stream.append(END)
        elif line or at in found:
            found.setdefault(at, []).append(line[length:])
    return [[*stream, END] for stream in found.values()]


def _reader(prefixes: dict[str, str]) -> Callable[[str], tuple[str, int]]:
    """What tells a line's prefix, the longest, and its length: a log may have thousands of them."""
    fixed = {one: one for one in prefixes.values() if not _STAMP.search(one)}
    fixed = {one.rstrip(): one for one in fixed} | fixed
    lengths = sorted(set(map(len, fixed)), reverse=True)
    stamped = [pattern for pattern, one in prefixes.items() if one not in fixed]
    timed = re.compile("|".join(sorted(stamped, key=len, reverse=True)[:_MOST]) or r"(?!)")

    def read(line: str) -> tuple[str, int]:
        match = timed.match(line)
        for length in lengths:
            one = fixed.get(line[:length])
            if one is not None and (length == len(one) or length == len(line)):
                return (
                    (one, length) if match is None or match.end() <= length else (_STAMP.sub("0", match[0]).rstrip(), match.end())
                )
        return (_STAMP.sub("0", match[0]).rstrip(), match.end()) if match is not None else ("", 0)

    return read


def _prefixes(lines: list[str]) -> dict[str, str]:
    """What stands before a header and before its first frame, by its pattern."""
    found: dict[str, str] = {}
    for at, line in enumerate(lines):
        match = _HEADER.match(line) if HEADER in line else None
        if match is None:
            continue
        for follows in lines[at + 1 : at + _SOON]:
            prefix = _before(match, follows)
            margin = _MARGIN.search(prefix)
            if margin is not None and _pattern(prefix[: margin.start()]) in found:
                break  # a member of a group, which has its prefix
            pattern = _pattern(prefix)
            has = all(one.startswith(prefix) or re.match(pattern, one) for one in (line, follows))
            if has and prefix.strip(" |"):
                found[pattern] = prefix
                break
    return found


def _before(header: Match[str], follows: str) -> str:
    if header["header"].startswith("+"):
        return header["before"].removesuffix("  ")
    return follows.partition(_FRAME)[0] if _FRAME in follows else header["before"]


def _pattern(prefix: str) -> str:
    """Of a prefix with other times; before an empty line it may lack its last spaces."""
    full, bare = (r"[\d/:.,-]+".join(map(re.escape, _STAMP.split(one))) for one in (prefix, prefix.rstrip()))
    return f"{full}|{bare}$"


def _without_indentation(lines: list[str]) -> Iterator[str]:
    """Each traceback as far left as Python prints it; where another sentence ends in a header, each has a line."""
    margins, ends = _margins(lines)
    for at, line in enumerate(lines):
        if at in ends:
            yield END
        line = line.removeprefix(margins.get(at, ""))
        match = _HEADER.match(line) if HEADER in line else None
        if match is not None and match["before"].strip(" |"):
            yield from (match["before"], match["header"])  # as Spark has it
        else:
            yield line


def _margins(lines: list[str]) -> tuple[dict[int, str], set[int]]:
    """By line: what it is indented by.  And where a text that is indented as a whole ends."""
    margins: dict[int, str] = {}
    ends: set[int] = set()
    is_within = False  # a story that is further left
    for at, line in enumerate(lines):
        match = _HEADER.match(line) if HEADER in line else None
        is_within = is_within and line != END and at not in ends
        if match is None or match["before"].strip():
            continue
        margin = _before(match, "") if match["header"].startswith("+") else match["before"]
        follows = next((one for one in lines[at + 1 : at + _SOON] if one.strip()), "")
        if not margin or not follows.startswith(margin):
            is_within = True
        elif margins.get(at) != margin:
            last = _mark(lines, at, margin, margins)
            if not is_within:
                ends.add(last)
    return margins, ends


def _mark(lines: list[str], at: int, margin: str, margins: dict[int, str]) -> int:
    """From a header on, up and down; the line that ends it."""

    def has(line: str) -> bool:
        return line.startswith(margin) or not line.strip()

    first = at
    while first and first - 1 not in margins and has(lines[first - 1]):
        first -= 1
    last = at
    while last < len(lines) and has(lines[last]):
        last += 1
    margins.update(dict.fromkeys(range(first, last), margin))
    return last
