"""A story as HTML, for pages and notebooks: frames fold, source is highlighted, nothing that was hidden elsewhere is lost.

Flows in: a :class:`Trace`.  Flows out: a fragment whose every text is escaped; it needs no script, and without its style (GitHub
shows notebooks so) it is a list of lines still.  ``story.css`` has the style.
"""

from __future__ import annotations

import functools
from html import escape
from importlib.resources import files

from autotb import settings
from autotb.imports import own
from autotb.render import clean, source_html
from autotb.trace import bounds, phrases, tracebacklimit
from autotb.trace import visible as show
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Stack

WITHIN = bounds.LEVELS[0]
MOST_STACKS = 40  # exceptions of one story; of further ones a line is told
MOST_FOLDED = 60  # frames that are listed where folded ones are opened


@functools.cache
def style() -> str:
    """The sheet of a story."""
    return files(__package__).joinpath("story.css").read_text(encoding="utf-8")


def fragment(trace: Trace) -> str:
    """The story with its style, as a notebook shows it."""
    with own:
        return f"<style>{style()}</style>{story(trace)}"


def story(trace: Trace) -> str:
    """The story alone."""
    told = _Story(tracebacklimit.limited(trace))
    return f'<div class="autotb">{told.story()}</div>'


def styled(parts: str) -> str:
    """Stories, and what stands between them, as a notebook shows them."""
    return f'<style>{style()}</style><div class="autotb">{parts}</div>'


def opens(head: str, inside: str, *, is_open: bool = True) -> str:
    """A line that opens to stories."""
    return f"<details{' open' if is_open else ''}><summary><code>{line(head)}</code></summary>{inside}</details>"


def note(text: str) -> str:
    """A line beside stories."""
    return f'<p class="note">{line(text)}</p>'


def line(text: str) -> str:
    """Text of the program's for one line of a page."""
    return escape(clean.line(text))


def lines(text: str) -> str:
    """The same for where lines are kept."""
    return escape(clean.text(text))


class _Story:
    """One story; counts the exceptions that it has told."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.in_force = settings.used("frames", "context", "args", "locals")
        self.bare = show.is_bare(trace.stack)
        self.left = MOST_STACKS
        self.root = trace.root_cause

    def story(self) -> str:
        stack = bounds.shorter(self.trace.stack, WITHIN.chain)
        parts = [f'<p class="note">{line(self.trace.heading)}</p>' if self.trace.heading else "", self.stack(stack)]
        hints = [*self.trace.hints, *([f"kept in {self.trace.kept}"] if self.trace.kept else [])]
        parts += [f'<p class="hint">{line(hint)}</p>' for hint in hints]
        caused = phrases.caused_by(self.trace)
        return "".join([*parts, f'<p class="note">{line(caused)}</p>' if caused else ""])

    def stack(self, stack: Stack, depth: int = 0) -> str:
        self.left -= 1
        if self.left < 0:
            return f'<p class="note">{line(phrases.count_line([stack]))}</p>'
        noticed = show.noticed_by(stack, self.in_force.frames)
        of_engine = show.engines_own(stack, self.in_force.frames)
        before = ""
        if stack.before is not None and noticed is None and not of_engine:
            before = self.stack(stack.before, depth) + f'<p class="joint">{line(phrases.joint(stack))}</p>'
        alike, others = phrases.fan_in(stack)
        told = [self.frames(stack)]
        notes = [phrases.noticed(noticed)] if noticed is not None else []
        notes += [*([phrases.lost(stack)] if stack.lost else []), *([f"cut: {stack.cut}"] if stack.cut else [])]
        notes += [*phrases.counted(alike), *phrases.broken(stack), *phrases.raised_as(stack)]
        told += [f'<p class="note">{line(note)}</p>' for note in notes]
        if stack.members is not None:
            told.append(self.members(stack, depth))
        told.append(self.final(stack))
        return before + self.others(others, depth) + f'<section class="error">{"".join(told)}</section>'

    def final(self, stack: Stack) -> str:
        rows = []
        for text in phrases.final_lines(stack, WITHIN.lines):
            is_type = text.startswith(stack.type)
            rest = text[len(stack.type) :] if is_type else text
            rows.append((f"<b>{lines(stack.type)}</b>" if is_type else "") + lines(rest))
        rows += map(lines, phrases.notes(stack, WITHIN.lines))
        return f'<pre class="final">{chr(10).join(rows)}</pre>'

    def others(self, groups: list[list[Stack]], depth: int) -> str:
        """The other errors that the same tasks failed of."""
        if not groups:
            return ""
        told = "".join(
            f"<details><summary>{line(phrases.count_line(same))}</summary>{self.stack(same[0], depth + 1)}</details>"
            for same in groups[: WITHIN.listed]
        )
        more = sum(map(phrases.times, groups[WITHIN.listed :]))
        rest = f'<p class="note">{line(phrases.more_members(more))}</p>' if more else ""
        return f'<section class="members">{told}{rest}</section><p class="joint">{line(phrases.ALSO)}</p>'

    def members(self, stack: Stack, depth: int) -> str:
        groups = phrases.grouped(stack.members or ()) if depth < bounds.MAX_NESTING else []
        told = []
        for number, same in enumerate(groups[: WITHIN.listed], 1):
            head = f"{phrases.numbered(stack, same[0])}: {line(phrases.member_line(same))}"
            if number > WITHIN.full or self.left <= 0:
                told.append(f"<p>{head}</p>")
                continue
            is_open = " open" if number == 1 else ""
            told.append(f"<details{is_open}><summary>{head}</summary>{self.stack(same[0], depth + 1)}</details>")
        more = stack.count - sum(map(phrases.times, groups[: WITHIN.listed]))
        rest = f'<p class="note">{line(phrases.more_members(more))}</p>' if more else ""
        return f'<section class="members">{"".join(told)}{rest}</section>'

    def frames(self, stack: Stack) -> str:
        views, hidden = show.view(stack, self.in_force.frames, bare=self.bare, most=WITHIN.items)
        shown = [item for view in views for item in view.items if isinstance(item, show.Shown)]
        told = []
        for view in views:
            told.append(self.head(view.hop))
            told += [self.item(item, is_last=bool(shown) and item is shown[-1]) for item in view.items]
        if hidden:
            kinds = phrases.hidden(hidden, hidden.launchers).partition(" hidden")[0]
            told.append(_folded(f"every frame, with {kinds}", list(stack.frames)))
        return "".join(told)

    def head(self, hop: Hop) -> str:
        parts = phrases.where(hop, self.trace)
        where = [f"<p class={'where' if hop.where and not at else 'from'}>{line(part)}</p>" for at, part in enumerate(parts)]
        call = f"<p class=call>{line(hop.call)}</p>" if hop.call and self.in_force.args else ""
        return "".join([*where, call, *(f'<p class="note">{line(text)}</p>' for text in phrases.beside(hop))])

    def item(self, item: show.Item, is_last: bool) -> str:
        if isinstance(item, Gap):
            return f'<p class="note">… {line(phrases.gap(item))}</p>'
        if isinstance(item, show.Folded):
            return _folded(str(item).removeprefix("… "), list(item.frames))
        return self.frame(item.frame, is_last)

    def frame(self, frame: Frame, is_open: bool) -> str:
        """Folded it is its head and the failing line; opened it has the lines around, and the variables."""
        rows = source_html.rows(frame)
        failing = next((row for number, row in rows if number == frame.line), "")
        head = f"{_place(frame)}{f'<span class=short>{failing}</span>' if failing else ''}"
        around = "".join(_row(number, row, number == frame.line) for number, row in rows)
        changed = '<p class="note">the file has changed since it was imported: these lines may be others</p>'
        inside = (f"<pre>{around}</pre>" if around else "") + (changed if frame.changed else "") + self.locals(frame)
        if not inside:
            return f'<p class="frame">{head}</p>'
        return f'<details class="frame"{" open" if is_open else ""}><summary>{head}</summary>{inside}</details>'

    def locals(self, frame: Frame) -> str:
        if not frame.locals or self.in_force.locals == "0":
            return ""
        rows = "".join(f"<tr><th>{line(name)}<td>{line(value)}" for name, value in frame.locals)
        opened = " open" if self.in_force.locals == "1" else ""
        return f'<details class="locals"{opened}><summary>variables</summary><table>{rows}</table></details>'


def _place(frame: Frame) -> str:
    if frame.is_cell:
        name = f" in <b>{line(frame.name)}</b>" if frame.name != "<module>" else ""
        return f"<span class=path>{line(frame.path)}, line {frame.line}</span>{name}"
    return f"<span class=path>{line(frame.path)}:{frame.line or '?'}</span> in <b>{line(frame.name)}</b>"


def _row(number: int, row: str, failing: bool) -> str:
    return f"<span class={'failing' if failing else 'near'}><i>{number}</i>{row}\n</span>"


def _folded(head: str, frames: list[Frame]) -> str:
    rows = [f"<li>{_place(frame)}" for frame in frames[:MOST_FOLDED]]
    if len(frames) > MOST_FOLDED:
        rows.append(f"<li>and {len(frames) - MOST_FOLDED:,} more")
    return f"<details class=folded><summary>{line(head)}</summary><ol>{''.join(rows)}</ol></details>"
