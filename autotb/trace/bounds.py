"""How long a story may become on a screen: 300 lines, whatever happened.

Flows in: a :class:`Trace`, and how a style draws it.  Flows out: the lines, drawn with ever less of what is many (a chain's
middle, a group's members, a message's lines) until they are few enough; what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from autotb.trace import phrases
from autotb.trace.data import Data, replace
from autotb.trace.model import Trace
from autotb.trace.parts import Stack

MAX_LINES = 300
MAX_TOGETHER = 60  # of a story and of others that the same tasks failed of; further ones are told in a line each
LEAST_LISTED = 3  # of those, however long the story is
MAX_NESTING = 10  # groups in one another, as in CPython


class Limits(Data):
    """``chain``: exceptions of a chain; ``full`` and ``listed``: members of a group that are told, and those and more in one line
    each; ``items``: frames of a hop, and lines that stand for others; ``lines`` of a message, or of the notes."""

    chain: int
    full: int
    listed: int
    items: int
    lines: int


LEVELS = (Limits(20, 5, 15, 40, 200), Limits(8, 4, 10, 16, 60), Limits(5, 2, 6, 6, 20), Limits(3, 1, 4, 4, 8))


def kept(trace: Trace, drawn: Callable[[Trace, Limits], list[str]]) -> list[str]:
    """The lines of a story, at most MAX_LINES."""
    lines: list[str] = []
    for within in LEVELS:
        drawn_now = drawn(replace(trace, stack=shorter(trace.stack, within.chain)), within)
        lines = [row for line in drawn_now for row in line.split("\n")]
        if len(lines) <= MAX_LINES:
            return lines
    last = MAX_LINES // 3
    first = MAX_LINES - last - 1
    return [*lines[:first], f"… {len(lines) - first - last:,} more lines", *lines[-last:]]


def together(
    groups: list[list[Stack]],
    within: Limits,
    room: int,
    between: list[str],
    story: Callable[[Stack], list[str]],
    counts: Callable[[list[str]], list[str]],
    rest: Callable[[str], list[str]],
) -> list[str]:
    """The other errors that the same tasks failed of: the ``story`` of each while there is ``room`` for it, else the ``counts``;
    ``rest`` draws what is said of those that are not even listed, and ``between`` stands before what follows."""
    stories: list[str] = []
    listed: list[str] = []
    each = 2 if any(phrases.times(same) > 1 for same in groups) else 1  # lines of one that is listed
    most = max(LEAST_LISTED, min(within.listed, (room - len(between) - 1) // each))
    room -= each * min(len(groups), most) + len(between)
    for number, same in enumerate(groups):
        if number >= most:
            listed += rest(phrases.more_members(sum(map(phrases.times, groups[number:]))))
            break
        told = counts(phrases.counted(same) or [phrases.count_line(same)])
        whole = [*story(same[0]), *(told if phrases.times(same) > 1 else []), *between]
        if number < within.full and (len(whole) <= room or len(groups) == 1):
            stories += whole
            room -= len(whole)
        else:
            listed += told
    return [*stories, *listed, *between] if listed else stories


def shorter(stack: Stack, most: int) -> Stack:
    """A chain of more than ``most`` exceptions without its middle: the outermost stay, and those next to the root."""
    chain = [stack]
    while chain[-1].before is not None:
        chain.append(chain[-1].before)
    chain = [_inside(each, most) for each in chain]
    outer = most // 2
    inner: Stack | None = None
    for at in reversed(range(len(chain))):
        each = chain[at]
        if inner is not None:
            is_cause = each.cause is not None
            skipped = each.skipped
            if at == outer - 1 and len(chain) > most:
                left_out = chain[outer : len(chain) - (most - outer)]
                skipped += sum(1 + other.skipped for other in left_out)
                is_cause = is_cause and all(other.cause is not None for other in left_out)
            elif outer <= at < len(chain) - (most - outer):
                continue
            each = replace(each, cause=inner if is_cause else None, context=None if is_cause else inner, skipped=skipped)
        inner = each
    return inner or stack


def _inside(stack: Stack, most: int) -> Stack:
    if not stack.members and not stack.also:
        return stack
    members = None if stack.members is None else tuple(shorter(member, most) for member in stack.members)
    return replace(stack, members=members, also=tuple(shorter(other, most) for other in stack.also))
