"""Root causes that are the same story with other values: told once, with how often it occurred and in which words.

Flows in: traces, or where only a line was kept of a failure, that.  Flows out: text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from autotb.trace import phrases
from autotb.trace.model import Trace

MOST_STORIES, MOST_LINES = 10, 4


@dataclass
class Group:
    """Failures of one root cause; ``trace`` is the story of the first of them."""

    trace: Trace | None
    count: int = 0
    lines: dict[str, int] = field(default_factory=dict)  # the words in which it was told, and how often


class Groups:
    """The failures of a run by root cause."""

    def __init__(self) -> None:
        self._groups: dict[object, Group] = {}
        self._lines: dict[str, Group] = {}

    def add(self, trace: Trace) -> Group:
        """A failure of which the story is known; the group that it is of."""
        root = trace.root_cause
        line = root.headline.partition("\n")[0]
        group = self._groups.setdefault(phrases.same_failure(root), Group(trace))
        self._lines.setdefault(line, group)
        self._count(group, line)
        return group

    def add_line(self, line: str) -> Group:
        """A failure of which ``Type: message`` is known; it counts with those that say the same, else with those of its type."""
        group = self._lines.get(line)
        kind = line.partition(":")[0]
        if group is None:
            alike = (one for one in self._groups.values() if one.trace is not None and one.trace.root_cause.type == kind)
            group = next(alike, None) or self._groups.setdefault(kind, Group(None))
        self._count(group, line)
        return group

    def sorted(self) -> list[Group]:
        """Those of most failures first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    @staticmethod
    def _count(group: Group, line: str) -> None:
        group.count += 1
        if line in group.lines or len(group.lines) < 1_000:
            group.lines[line] = group.lines.get(line, 0) + 1

    def texts(self, draw: Callable[[Trace], str]) -> list[str]:
        """Each group's first story, how many failures are of it, and what else they said."""
        groups = self.sorted()
        found = [_text(group, draw) for group in groups[:MOST_STORIES]]
        return [*found, _more(groups[MOST_STORIES:])] if groups[MOST_STORIES:] else found

    def html(self) -> str:
        """The same for a page, with stories that open."""
        from autotb.render import html

        groups = self.sorted()
        found = [_html(group) for group in groups[:MOST_STORIES]]
        if groups[MOST_STORIES:]:
            found.append(html.note(_more(groups[MOST_STORIES:])))
        return html.styled("".join(found)) if found else ""


def _more(rest: list[Group]) -> str:
    return f"and {len(rest)} more root causes, of {sum(group.count for group in rest):,} failures"


def _html(group: Group) -> str:
    from autotb.render import html

    head, *others = _around(group)
    story = html.story(group.trace) if group.trace is not None else ""
    return f'<p class="joint">{html.line(head)}</p>{story}{"".join(map(html.note, others))}'


def _around(group: Group) -> list[str]:
    """The lines before and after a group's story."""
    lines = list(group.lines)
    head = "root cause of 1 failure:" if group.count == 1 else f"root cause of {group.count:,} failures:"
    if group.trace is None:
        return [head, *lines[:MOST_LINES]]
    others = lines[1:]
    more = [f"also: {len(others) - MOST_LINES:,} other messages of this kind"] if len(others) > MOST_LINES else []
    return [head, *(f"also: {line}" for line in others[:MOST_LINES]), *more]


def _text(group: Group, draw: Callable[[Trace], str]) -> str:
    head, *others = _around(group)
    return "\n".join([head, *([draw(group.trace).rstrip("\n")] if group.trace is not None else []), *others])
