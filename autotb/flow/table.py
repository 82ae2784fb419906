"""The table of a flow's steps and its root causes, as text and as HTML.

Flows in: counts and times by step, grouped stories.  Flows out: text, drawn by rich; a table of HTML.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from autotb.flow.tallies import displayed

if TYPE_CHECKING:
    from autotb.trace.failure_groups import Group, Groups


_WIDEST, _NARROWEST = 100, 40


def text(tallies: dict[str, Any], causes: list[str], width: int | None = None) -> str:
    """The table, no wider than the terminal, then the root causes."""
    return "\n\n".join([_table(displayed(tallies), _width() if width is None else width), *causes])


def _width() -> int:
    """Of the terminal that the program writes to, if there is one."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # it is none
            return min(_WIDEST, max(_NARROWEST, os.get_terminal_size(stream.fileno()).columns or _WIDEST))
    return _WIDEST


_CELL = "text-align:{};padding:0.1em 0.6em"


def html(tallies: dict[str, Any], *, bars: bool = False) -> str:
    """The table for a page, with a bar for each step where it is still running; in the page's own colours."""
    tallies = displayed(tallies)
    columns = counts_of(tallies)
    names = ("step", *(("",) if bars else ()), *columns)
    head = "".join(f'<th style="{_CELL.format("left" if name == "step" else "right")}">{name}</th>' for name in names)
    rows = []
    for name, tally in tallies.items():
        far = "" if tally.is_open else f' value="{tally.done}" max="{max(tally.total, 1)}"'
        bar = (f"<progress{far}></progress>",)
        cells = (*(bar if bars else ()), *counts(tally, columns))
        first = f'<td style="{_CELL.format("left")}">{escape(name)}</td>'
        rows.append(f"<tr>{first}" + "".join(f'<td style="{_CELL.format("right")}">{cell}</td>' for cell in cells) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def causes(groups: Groups) -> str:
    """The root causes for a page, with stories that open."""
    from autotb.render import html
    from autotb.trace import failure_groups

    found = groups.sorted()
    told = [_cause(group) for group in found[: failure_groups.MOST_STORIES]]
    if found[failure_groups.MOST_STORIES :]:
        told.append(html.note(failure_groups.more(found[failure_groups.MOST_STORIES :])))
    return html.styled("".join(told)) if told else ""


def _cause(group: Group) -> str:
    from autotb.render import html
    from autotb.trace import failure_groups

    head, *others = failure_groups.around(group)
    story = html.story(group.trace) if group.trace is not None else ""
    return f'<p class="joint">{html.line(head)}</p>{story}{"".join(map(html.note, others))}'


COUNTS = {
    "done": "sound",
    "failed": "failed",
    "skipped": "skipped",
    "retried": "retried",
    "timed out": "timed_out",
    "errors left out": "left_out",
    "errors passed on": "passed",
    "of": "total",
    "time": "elapsed",
}
_RARE = ("retried", "timed out", "errors left out", "errors passed on")  # told where there are any


def counts_of(tallies: dict[str, Any]) -> list[str]:
    """The columns that a table has beside the step's name."""
    return [name for name in COUNTS if name not in _RARE or any(getattr(tally, COUNTS[name]) for tally in tallies.values())]


def counts(tally: Any, columns: Sequence[str]) -> list[str]:
    """What stands in these columns."""
    told = {name: getattr(tally, COUNTS[name]) for name in columns}
    more = "+" if tally.is_open else ""  # of a stream, as far as it is read
    return [seconds(count) if name == "time" else f"{count:,}{more if name == 'of' else ''}" for name, count in told.items()]


def _table(tallies: dict[str, Any], width: int) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("step", overflow="fold")
    columns = counts_of(tallies)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for name, tally in tallies.items():
        table.add_row(Text(name), *counts(tally, columns))
    # Nor does it write into a notebook's page of itself.
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False, force_jupyter=False)
    console.print(table)
    drawn: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in drawn.rstrip().split("\n"))


def seconds(count: float) -> str:
    """A time as it is read."""
    whole = round(count)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if round(count, 2) >= 60 else f"{count:.2f} s"
