"""What is reported of failed futures that were never retrieved: each kind once and soon, then counts.

Flows in: failures, as their futures are dropped.  Flows out: lines on stderr, written when a future is dropped or at exit: there
is no thread that would report them in between.  At most twenty lines a minute: the first failure is reported with its traceback,
further kinds in one line each; what there is no room for, and what is like something that was reported, is counted.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from autotb import render, settings
from autotb.instrument import failure_kinds, unretrieved
from autotb.record import sources, static
from autotb.render import clean, terminal
from autotb.trace import build, phrases

if TYPE_CHECKING:
    from autotb.record.schema import Place

MOST = 20  # lines in a minute
_LEFT = 6  # of these, for what is reported at exit
_MINUTE, _HOUR = 60.0, 3600.0  # seconds: counts are reported a minute after what was before them, then twice as long each time
MOST_KINDS = 12  # lines of one list of counts

_since = float("-inf")  # when the minute began
_used = 0  # lines in it
_wait = _MINUTE


def report(failures: list[tuple[BaseException, Place | None]]) -> None:
    """Futures were dropped that had failed of these errors, submitted at these places."""
    if not settings.switch("unretrieved"):
        return
    for error, submitted in failures:
        kind = failure_kinds.of(error)
        if kind.is_reported or not _report_one(kind, error, submitted):
            kind.count(error)
    if time.monotonic() >= unretrieved.due:
        _report_counts()


def _report_one(kind: failure_kinds.Kind, error: BaseException, submitted: Place | None) -> bool:
    """The first of a kind: whether there was room to tell it."""
    if kind is failure_kinds.OTHERS:
        return False
    kind.first = kind.first or _one_line(error)
    room = _room() - _LEFT
    if room < 1:
        return False
    where = clean.line(f", submitted at {sources.place(**submitted)}") if submitted else ""
    lines = [f"autotb: the exception of a failed future was never retrieved{where}"]
    if room == MOST - _LEFT:
        lines += render.as_text(build.build(error), is_placed=submitted is not None, with_hints=True).split("\n")
        if len(lines) > room:
            lines = [*lines[: room - 2], f"  … {len(lines) - room + 1} more lines", kind.first]
    else:
        lines = [f"{lines[0]}: {kind.first}"]
    kind.is_reported = True
    if not _write(lines):
        kind.is_reported = False
    return kind.is_reported


def _report_counts() -> None:
    """A while has passed since something was reported, and now another future was dropped: what was counted in between."""
    global _wait
    found = [kind for kind in failure_kinds.every() if kind.unreported]
    if found:
        _wait = min(2 * _wait, _HOUR)
        _write(_counted(found, "since then", MOST_KINDS))


def report_the_rest() -> None:
    """At exit: what was counted and not reported, grouped."""
    found = [kind for kind in failure_kinds.every() if kind.unreported]
    if found and settings.switch("unretrieved"):
        _write(_counted(found, "", max(1, min(MOST_KINDS, _room() - 2))))


def _counted(found: list[failure_kinds.Kind], since: str, most: int) -> list[str]:
    """How many of which kind, the most frequent ones first; they are reported then."""
    counts = sorted(((kind.unreported, kind) for kind in found), key=lambda one: -one[0])
    told = [f"  {count} × {clean.line(str(kind))}{_tasks(kind, count)}" for count, kind in counts[:most]]
    for count, kind in counts:
        kind.unreported -= count
        kind.is_reported = True
        kind.tasks = []
    total = sum(count for count, _ in counts)
    more = " more" if _used else ""
    lines = [f"autotb: {total}{more} future{'s' if total != 1 else ''} failed{' ' + since if since else ''}, never retrieved:"]
    lines += told
    if len(counts) > most:
        lines.append(f"  and {sum(count for count, _ in counts[most:])} others")
    return lines


def _tasks(kind: failure_kinds.Kind, count: int) -> str:
    """The names of so many tasks, as far as they are known."""
    more = count - len(kind.tasks)
    named = [*map(clean.line, kind.tasks), *([f"{more:,} more"] if more > 0 else [])]
    return f": {', '.join(named)}" if kind.tasks else ""


def with_the_end(error: BaseException) -> None:
    """The program ends with this error: the other failures of the pool that it came from are one line, before its story."""
    if not settings.switch("unretrieved"):
        return
    chain: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in chain and len(chain) < 50:
        chain.add(id(one))
        cause = static.cause_of(one)
        one = static.context_of(one) if cause is None else cause
    report_in_a_line(unretrieved.of_the_same_pool(chain))


def report_in_a_line(counts: dict[failure_kinds.Kind, int]) -> None:
    """Failures of a pool whose error ended the program, or is about to."""
    if not counts:
        return
    found = sorted(counts.items(), key=lambda one: -one[1])
    total = sum(counts.values())
    parts = [f"{count} × {clean.line(str(kind))}" for kind, count in found[:3]]
    if len(found) > 3:
        parts.append(f"and {sum(count for _, count in found[3:])} others")
    counts.clear()
    _write([f"autotb: {total} more future{'s' if total != 1 else ''} failed: {'; '.join(parts)}"])


def _one_line(error: BaseException) -> str:
    stack = build.build(error).stack
    place = phrases.raised_at(stack)
    return clean.line(stack.headline)[:300] + (f", at {clean.line(str(place))}" if place else "")


def _room() -> int:
    """Lines that are left of this minute's."""
    return MOST - _used if time.monotonic() - _since < _MINUTE else MOST


def _write(lines: list[str]) -> bool:
    global _since, _used
    try:
        terminal.write(sys.stderr, "\n".join(lines) + "\n")
    except RuntimeError:  # the garbage collector has brought this up in the midst of the program's own writing there
        return False
    now = time.monotonic()
    if now - _since >= _MINUTE:
        _since, _used = now, 0
    _used += len(lines)
    unretrieved.due = now + _wait
    return True


def _forget() -> None:
    global _since, _used, _wait
    _since, _used, _wait = float("-inf"), 0, _MINUTE


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
