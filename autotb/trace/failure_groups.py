"""Root causes that are the same story with other values: told once, with how often it occurred and in which words.

Flows in: traces, errors of which a kind's first are explained, or where only a line was kept of a failure, that.
Flows out: text of at most sixty lines (the first story is whole whatever its length): stories while there is room, then a line
each, then a count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from autotb.instrument import failure_kinds
from autotb.record import static, wrappers
from autotb.trace import bounds, build, phrases
from autotb.trace.model import Trace

MOST_STORIES, MOST_LINES = 10, 4
MOST_LISTED = 15  # further root causes that are told in a line each
MOST_NAMES = 10  # of the failures of one group that are named
MOST_EXPLAINED = 1_000  # failures, one after the other; of more, the first of each kind
MOST_WORDS = 1_000  # that are kept of one group


@dataclass
class Group:
    """Failures of one root cause; ``trace`` is the story of the first of them."""

    trace: Trace | None
    count: int = 0
    lines: dict[str, int] = field(default_factory=dict)  # the words in which it was told, and how often
    names: list[str] = field(default_factory=list)  # of the first few
    by_type: int = 0  # of how many no more is known than that they are of its type
    is_by_words: bool = False  # whether some are of it for what they say alone, wherever they were raised


class Groups:
    """The failures of a run by root cause."""

    def __init__(self) -> None:
        self._groups: dict[object, Group] = {}
        self._lines: dict[str, Group] = {}
        self._kinds: dict[failure_kinds.Kind, Group] = {}
        self._explained = 0

    def add(self, trace: Trace, name: str = "") -> Group:
        """A failure of which the story is known; the group that it is of."""
        line = trace.root_cause.line
        group = self._groups.setdefault(kind(trace), Group(trace))
        self._lines.setdefault(line, group)
        self._count(group, line, name)
        return group

    def add_error(self, exc: BaseException, line: str, explain: Callable[[], Trace], name: str = "") -> Group:
        """One of many failures: some are explained, and at least one of each kind; ``line`` is its ``Type: message``."""
        kind = _kind_of(exc)
        group = self._kinds.get(kind) if kind is not None else None
        if self._explained < MOST_EXPLAINED or (kind is not None and group is None):
            self._explained += 1
            group = self.add(explain(), name)
            if kind is not None:
                self._kinds.setdefault(kind, group)
        elif group is None:
            group = self.add_line(line, name)
        else:
            of = group.trace.root_cause.type if group.trace is not None else ""
            self._count(group, line if line.partition(":")[0] == of else build.root_of(exc).line, name)
        return group

    def add_line(self, line: str, name: str = "") -> Group:
        """A failure of which ``Type: message`` is known; it counts with those that say the same, else with those of its type."""
        group = self._lines.get(line)
        kind = line.partition(":")[0]
        if group is None:
            alike = (one for one in self._groups.values() if one.trace is not None and one.trace.root_cause.type == kind)
            group = next(alike, None) or self._groups.setdefault(kind, Group(None))
            group.by_type += 1
        group.is_by_words = True
        self._count(group, line, name)
        return group

    def sorted(self) -> list[Group]:
        """Those of most failures first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    @staticmethod
    def _count(group: Group, line: str, name: str) -> None:
        group.count += 1
        if line in group.lines or len(group.lines) < MOST_WORDS:
            group.lines[line] = group.lines.get(line, 0) + 1
        if name and len(group.names) < MOST_NAMES:
            group.names.append(name)

    def texts(self, draw: Callable[[Trace], str]) -> list[str]:
        """Each group's first story, how many failures are of it, and what else they said."""
        groups = self.sorted()
        found: list[str] = []
        room = bounds.MAX_TOGETHER - min(len(groups), MOST_LISTED + 1)
        for group in groups[:MOST_STORIES]:
            told = _text(group, draw)
            room -= told.count("\n") + 2  # its lines, and the blank one after it
            if found and room < 0:
                break
            found.append(told)
        listed = groups[len(found) : len(found) + MOST_LISTED]
        rest = groups[len(found) + len(listed) :]
        if listed:
            found.append("\n".join(map(brief, listed)))
        return [*found, more(rest)] if rest else found


def kind(trace: Trace) -> tuple[object, ...]:
    """What makes two failures one with other values: that of the root cause, and of what else the same tasks failed of."""
    return phrases.same_failure(trace.root_cause), frozenset(map(phrases.same_failure, trace.stack.also))


def _kind_of(exc: BaseException) -> failure_kinds.Kind | None:
    """The kind of a failure; None where it does not say what the root cause is, or where that was raised."""
    opened = wrappers.opened(exc)
    root = wrappers.innermost(exc)
    if (opened is not None and len(opened.roots) > 1) or static.members(root) is not None:
        return None
    kind = failure_kinds.of(root)
    return kind if kind.path is not None else None


def named(group: Group) -> str:
    """The names of a group's failures."""
    left = group.count - len(group.names)
    return ", ".join(group.names) + (f" and {left:,} more" if left else "")


def more(rest: list[Group]) -> str:
    """Of groups that are not even listed."""
    return f"and {len(rest):,} more root causes, of {sum(group.count for group in rest):,} failures"


def brief(group: Group) -> str:
    """A group as one line, ``a, b and 33 more: 35 × KeyError, at load.py:12 in parse``."""
    said = next(iter(group.lines), "")
    if len(group.lines) > 1:
        said = group.trace.root_cause.type if group.trace is not None else said.partition(":")[0]
    place = phrases.raised_at(group.trace.root_cause) if group.trace is not None and not group.is_by_words else None
    return f"{named(group)}: " * bool(group.names) + f"{group.count:,} × {said[:500]}" + (f", at {place}" if place else "")


def around(group: Group) -> list[str]:
    """The lines before and after a group's story."""
    lines = list(group.lines)
    if group.names:
        head = f"{named(group)}:"
    else:
        head = "root cause of 1 failure:" if group.count == 1 else f"root cause of {group.count:,} failures:"
    if group.trace is None:
        return [head, *lines[:MOST_LINES], *_others(group, len(lines) - MOST_LINES)]
    others, by_type = lines[1:], group.by_type
    told = [f"also: {line}" for line in others[:MOST_LINES]]
    unsure = [f"{by_type:,} of these {'was' if by_type == 1 else 'were'} compared by type alone"] if by_type else []
    return [head, *told, *_others(group, len(others) - MOST_LINES), *unsure]


def _others(group: Group, count: int) -> list[str]:
    return [f"also: {other_messages(count, group.lines, group.count)} of this kind"] if count > 0 else []


def other_messages(count: int, lines: dict[str, int], failures: int) -> str:
    """So many beside those that are told, of ``lines``; there are more where not those of all ``failures`` are kept."""
    more = "more than " * (sum(lines.values()) < failures)
    return f"{more}{count:,} other {'message' if count == 1 else 'messages'}"


def _text(group: Group, draw: Callable[[Trace], str]) -> str:
    head, *others = around(group)
    return "\n".join([head, *([draw(group.trace).rstrip("\n")] if group.trace is not None else []), *others])
