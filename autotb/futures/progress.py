"""The bar that ``collect`` draws on a terminal, by rich; none in a pipe or a log.

Flows in: counts.  Flows out: a line of stderr that is redrawn.
"""

from __future__ import annotations

import sys
from typing import Any

from autotb.render import bars
from autotb.render.logs import failed
from autotb.render.terminal import is_terminal


class Bar:
    """A progress bar, if one is wanted and can be drawn."""

    def __init__(self, total: int, wanted: bool | None) -> None:
        self.total = total
        self.is_shown = (is_terminal(sys.stderr) if wanted is None else bool(wanted)) and total > 0
        self.bar: Any = None

    def start(self) -> None:
        """Begin to draw."""
        if not self.is_shown:
            return
        try:
            self.bar = bars.begun("[red]{task.fields[failed]}")
            self.task = self.bar.add_task("collecting", total=self.total, failed="")
        except Exception:
            self.bar, self.is_shown = None, False  # results matter, the bar does not

    def advance(self, failures: int) -> None:
        """One more is done; ``failures`` of them failed."""
        if self.bar is not None:
            try:
                self.bar.update(self.task, advance=1, failed=f"{failures} failed" if failures else "")
            except Exception as error:
                self._lost(error)

    def stop(self) -> None:
        """Leave the bar as it is."""
        bar, self.bar = self.bar, None
        if bar is not None:
            bars.ended(bar)

    def _lost(self, error: Exception) -> None:
        """The stream that it is drawn on has failed: the results go on without it."""
        failed("drawing the progress bar", error)
        self.stop()
