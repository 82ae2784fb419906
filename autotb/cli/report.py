"""``python -m autotb report FOLDER… -o report.html``: one page for all failures of a night, grouped by root cause.

Flows in: what ``cli.kept`` reads; nothing is unpickled, nothing is run.  Flows out: a file of HTML, and a line on stdout.
"""

from __future__ import annotations

import os
import sys
from array import array
from typing import Any

from autotb.cli import kept
from autotb.imports import own
from autotb.record import arrival
from autotb.render import clean, files, page, terminal
from autotb.trace import serial
from autotb.trace.failure_groups import Group, Groups

MOST_LISTED = 50_000  # failures that the page lists; of each root cause at least
LEAST_LISTED = 100
MOST_UNREAD = 1_000
AT_ONCE = 2.0  # seconds between two records of one failure, in different inputs


def command(options: Any) -> int:
    """Write the page; 2 where an input cannot be read, or the page not written."""
    report = _Report()
    try:
        for path in options.paths:
            report.take(path)
        with own:
            text = report.text(", ".join(options.paths))
        _write(options.output, text)
    except (OSError, ValueError) as error:
        where = str(error.filename) if isinstance(error, OSError) and error.filename else options.output
        terminal.write(sys.stderr, clean.line(f"autotb report: {where}: {kept.reason(error)}") + "\n")
        return 2
    for said in report.unread[:10]:
        terminal.write(sys.stderr, clean.line(f"autotb report: not read: {said}") + "\n")
    if len(report.unread) > 10:
        terminal.write(sys.stderr, f"autotb report: not read: {len(report.unread) - 10:,} more, which the page names\n")
    if options.output != "-":
        terminal.write(sys.stdout, clean.line(f"{options.output}: {report.counts()}") + "\n")
    return 0


def _write(path: str, text: str) -> None:
    if path == "-":
        terminal.write(sys.stdout, text)
    else:
        files.write_whole(path, text.encode(errors="backslashreplace"))


class _Members:
    """What is kept of the failures of one group."""

    def __init__(self) -> None:
        self.listed: list[page.Member] = []
        self.times = array("d")


class _Twins:
    """Knows a failure that stands in another input as well: the same story, at the same time."""

    def __init__(self) -> None:
        self.seen: dict[int, list[tuple[float, set[str]]]] = {}
        self.count = 0

    def has(self, failure: kept.Kept, source: str) -> bool:
        """Whether it was there before, in another input."""
        if failure.trace is None or not failure.time:
            return False  # which may be another one
        before = self.seen.setdefault(hash((failure.trace.host, failure.trace.stack)), [])
        for moment, sources in before:
            if abs(moment - failure.time) <= AT_ONCE and source not in sources:
                sources.add(source)
                self.count += 1
                return True
        before.append((failure.time, {source}))
        return False


class _Report:
    """Failures as they are read."""

    def __init__(self) -> None:
        self.groups = Groups()
        self.members: dict[int, _Members] = {}
        self.sources: dict[str, list[int]] = {}  # by name: its number, how many failures
        self.unread: list[str] = []
        self.twins = _Twins()
        self.listed = self.count = 0
        self.others = 0  # records that hold no failure of autotb's

    def take(self, path: str) -> None:
        """Raises OSError and ValueError, with the path, where it cannot be read."""
        try:
            for failure in kept.everything([path], self._bad):
                self._add(failure)
        except ValueError as error:
            raise OSError(None, str(error), path) from error

    def _bad(self, path: str, why: ValueError | OSError) -> None:
        if isinstance(why, serial.NoStoryError):
            self.others += 1
        elif len(self.unread) < MOST_UNREAD:
            self.unread.append(f"{path}: {kept.reason(why)}")

    def _add(self, failure: kept.Kept) -> None:
        folder, file = os.path.split(failure.source)
        source, file = (folder or ".", file) if kept.is_of_folder(file) else (failure.source, "")
        known = self.sources.setdefault(source, [len(self.sources), 0])
        known[1] += 1
        if self.twins.has(failure, source):
            return
        group = self.groups.add(failure.trace) if failure.trace is not None else self.groups.add_line(clean.line(failure.line))
        members = self.members.setdefault(id(group), _Members())
        self.count += 1
        if failure.time:
            members.times.append(failure.time)
        if self.listed < MOST_LISTED or len(members.listed) < LEAST_LISTED:
            self.listed += 1
            line = failure.line or _line(failure)
            call = arrival.shortened(failure.call, 4 * page.MOST_CALL)
            members.listed.append(page.Member(failure.name, call, line, failure.time, known[0], file))

    def text(self, title: str) -> str:
        causes = [self._cause(group) for group in self.groups.sorted()]
        sources = [(name, count) for name, (_, count) in self.sources.items()]
        inputs = page.Inputs(sources, self.twins.count, self.others, self.unread)
        return page.page(causes, inputs, f"{self.counts()} · {title}")

    def _cause(self, group: Group) -> page.Cause:
        members = self.members[id(group)]
        return page.Cause(group.trace, group.count, group.lines, members.listed, members.times)

    def counts(self) -> str:
        causes = len(self.groups.sorted())
        if not causes:
            return "no failure"
        return f"{self.count:,} failure{'' if self.count == 1 else 's'}, {causes:,} root cause{'' if causes == 1 else 's'}"


def _line(failure: kept.Kept) -> str:
    return failure.trace.root_cause.line if failure.trace is not None else ""
