"""The table of a flow's steps on a terminal, redrawn by rich while the run goes on.

Flows in: counts by step, which the drawing thread reads as they are.  Flows out: lines of stderr; after a run in which something
failed, the table with the root causes in their place.
"""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

from autotb import render
from autotb.flow import table
from autotb.flow.tallies import Tallies, Tally, displayed
from autotb.render import bars, terminal
from autotb.render.logs import failed

BRIEF = 0.5  # seconds: of a run that took less, and in which nothing failed, nothing stays
_BESIDE = 6  # lines of the terminal that are left for others
_WIDE = 100  # columns from which on the bars are long
_SHORT_BAR, _NARROWEST = 4, 8  # of a bar and of a step's name, where there is no room for more


class LiveTable:
    """Stands below what the program prints meanwhile; what cannot be drawn ends the drawing, not the run."""

    tell: Any = None  # nothing is to be done for each call

    def __init__(self) -> None:
        self.drawn: Any = None
        self.tallies = Tallies({})
        self.begun = monotonic()

    def __enter__(self) -> None:
        pass

    def begin(self, tallies: Tallies) -> None:
        """Draw what is to be done."""
        self.tallies = tallies
        try:
            self.drawn = bars.live(self.rows)
        except Exception as error:
            failed("drawing the table of the run", error)

    def __exit__(self, *raised: object) -> None:
        drawn, self.drawn = self.drawn, None
        if drawn is not None:
            is_told = any(tally.failed or tally.skipped for tally in self.tallies.values())  # by what comes then
            bars.ended(drawn, stays=raised[:1] != (None,) or not (is_told or monotonic() - self.begun < BRIEF))

    def finish(self, results: Any) -> None:
        """The run is done."""
        if results.has_errors:
            tell_failures(results)

    def rows(self, width: int, height: int) -> Any:
        """The table as rich draws it, in so many columns and no more lines."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        steps = displayed(self.tallies)
        shown = _chosen(steps, max(1, height - _BESIDE))
        columns = [name for name in table.counts_of(steps) if name != "time"]
        drawn = Table(box=None, pad_edge=False, padding=(0, 1), caption_justify="left", caption_style="dim")
        now, titles = monotonic(), [*columns, "time", "left"]
        texts = {name: [*table.counts(steps[name], columns), *_times(steps[name], now)] for name in shown}
        widths = [max(map(len, column)) for column in zip(titles, *texts.values(), strict=True)]
        room = width - sum(widths) - 2 * (len(titles) + 1)  # for names and bars, which leave the counts theirs
        bar = max(_SHORT_BAR, min(30 if width >= _WIDE else 12, room - max(map(len, shown), default=0)))
        drawn.add_column("step", overflow="ellipsis", no_wrap=True, max_width=max(_NARROWEST, room - bar))
        drawn.add_column("", width=bar)
        for title in titles:
            drawn.add_column(title, justify="right", no_wrap=True)
        for name, told in texts.items():
            tally = steps[name]
            part = ProgressBar(None if tally.is_open else max(tally.total, 1), tally.done if tally.total else 0, pulse=False)
            drawn.add_row(Text(name), part, *[Text(one, _style(title, one)) for title, one in zip(titles, told, strict=True)])
        if len(shown) < len(steps):
            drawn.caption = f"and {len(steps) - len(shown):,} more, {_ended(steps, shown)} of them at their end"
        return drawn


def tell_failures(results: Any) -> None:
    """The table and the root causes, once the drawing is over."""
    try:
        told = results.told(lambda trace: render.draw(trace, sys.stderr))
        terminal.write(sys.stderr, f"\n{told}\n")
    except Exception as error:
        failed("drawing the table of the run", error)


_STYLES = {"failed": "red", "timed out": "red", "skipped": "yellow", "retried": "yellow", "errors left out": "yellow"}


def _style(column: str, text: str) -> str:
    return _STYLES.get(column, "") if text != "0" else "dim"


def _times(tally: Tally, now: float) -> tuple[str, str]:
    """How long a step has run, and will at its pace."""
    if tally.begun is None:
        return "", ""
    if tally.done >= tally.total and not tally.is_open:
        return table.seconds(tally.seconds or now - tally.begun), ""
    elapsed = now - tally.begun
    made = tally.done - tally.before
    is_known = made and not tally.is_open
    return table.seconds(elapsed), table.seconds((tally.total - tally.done) * elapsed / made) if is_known else ""


def _is_ended(tally: Tally) -> bool:
    return tally.begun is not None and tally.done >= tally.total and not tally.is_open


def _ended(steps: dict[str, Tally], shown: list[str]) -> str:
    return f"{sum(_is_ended(tally) for name, tally in steps.items() if name not in shown):,}"


def _chosen(steps: dict[str, Tally], most: int) -> list[str]:
    """The steps that there is room for, in their order: first those that are running, then those of which something failed."""
    if len(steps) <= most:
        return [*steps]

    def rank(name: str) -> int:
        tally = steps[name]
        if tally.begun is not None and not _is_ended(tally):
            return 0
        return 1 if tally.failed else 2 if not _is_ended(tally) else 3

    chosen = {*sorted(steps, key=rank)[:most]}
    return [name for name in steps if name in chosen]
