"""Who is told how far a run is: a table of the steps or a bar on a terminal, a table in a notebook, a function of the user's, or
nobody.

Flows in: counts by step.  Flows out: lines of stderr that are redrawn, calls; at the end a table, or one log record.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

from autotb.flow import notebook
from autotb.flow.live_table import LiveTable, tell_failures
from autotb.flow.tallies import Tallies, displayed, left_out, passed_on
from autotb.render import bars, terminal
from autotb.render.logs import failed, say

log = logging.getLogger("autotb.flow")


class Silent:
    """Nobody is told while it runs; where something failed, one log record at the end says so, if that is wanted."""

    tell: Any = None

    def __init__(self, says_failures: bool) -> None:
        self.says_failures = says_failures

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, tallies: Tallies) -> None:
        """The run begins."""

    def finish(self, results: Any) -> None:
        """The run is done."""
        tallies = displayed(results.tallies).values()
        failures, skipped = sum(tally.failed for tally in tallies), sum(tally.skipped for tally in tallies)
        if self.says_failures and (failures or skipped):
            total = sum(tally.total for tally in tallies)
            left, passed = sum(tally.left_out for tally in tallies), sum(tally.passed for tally in tallies)
            told = [f", {skipped:,} {'was' if skipped == 1 else 'were'} skipped"] if skipped else []
            told += [f", {left_out(left)} of the inputs of others"] if left else []
            told += [f", {passed_on(passed)} to others"] if passed else []
            say(
                log,
                logging.WARNING,
                "%d of %d calls failed%s: print the results for the root causes",
                failures,
                total,
                "".join(told),
            )


class Called(Silent):
    """A function of the user's is called with (done, failed, skipped, total); ``done`` are all that are settled."""

    def __init__(self, function: Any) -> None:
        super().__init__(says_failures=False)
        self.function = function

    def tell(self, tallies: Tallies) -> None:
        """Call it with the sums over all steps."""
        of = tallies.all
        self.function(of.done, of.failed, of.skipped, of.total)


class Bars(Silent):
    """A bar a step, drawn by rich; after it the table, where something failed."""

    def __init__(self, shows_table: bool) -> None:
        super().__init__(says_failures=False)
        self.bars: Any = None
        self.tasks: dict[str, Any] = {}
        self.shows_table = shows_table

    def __enter__(self) -> None:
        try:
            self.bars = bars.begun("[red]{task.fields[failed]}", "[yellow]{task.fields[skipped]}")
        except Exception:
            self.bars = None  # results matter, the bar does not

    def begin(self, tallies: Tallies) -> None:
        """Draw what is to be done."""
        self._tell(tallies, tallies)

    def tell(self, tallies: Tallies) -> None:
        """Redraw what has changed; a stream that fails ends the drawing, not the run."""
        self._tell(tallies, tallies.changed)

    def _tell(self, tallies: Tallies, names: Iterable[str]) -> None:
        try:
            self._redraw(tallies, names)
        except Exception as error:
            failed("drawing the progress bars", error)
            self.__exit__()

    def _redraw(self, tallies: Tallies, names: Iterable[str]) -> None:
        for name in names if self.bars is not None else ():
            tally = tallies[name]
            if name not in self.tasks:
                self.tasks[name] = self.bars.add_task(name, total=None if tally.is_open else tally.total, failed="", skipped="")
            self.bars.update(
                self.tasks[name],
                completed=tally.done,
                total=None if tally.is_open else tally.total,
                failed=f"{tally.failed} failed" if tally.failed else "",
                skipped=f"{tally.skipped} skipped" if tally.skipped else "",
            )

    def __exit__(self, *_: object) -> None:
        drawn, self.bars = self.bars, None
        if drawn is not None:
            bars.ended(drawn)

    def finish(self, results: Any) -> None:
        """The run is done."""
        if self.shows_table and results.has_errors:
            tell_failures(results)


def listener(progress: Any, shows_table: bool = True) -> Any:
    """Who is told; a context manager around the run."""
    if callable(progress):
        return Called(progress)
    if progress is not False and notebook.kernel() is not None:
        return notebook.LiveTable()
    if progress is False or (progress is None and not terminal.is_terminal(sys.stderr)):
        return Silent(says_failures=progress is None)
    return LiveTable() if shows_table and _is_redrawn() else Bars(shows_table)


def _is_redrawn() -> bool:
    """Whether stderr is a terminal on which lines can be written over."""
    can = terminal.abilities(sys.stderr)
    return terminal.is_terminal(sys.stderr) and not can.dumb
