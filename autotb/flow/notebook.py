"""A run inside a notebook: whether it is one, and the table of steps that is redrawn in the cell's output while it runs.

Flows in: counts by step.  Flows out: HTML, shown and updated by IPython's own display.
"""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

from autotb.flow import table
from autotb.flow.tallies import Tallies
from autotb.render.logs import failed

REDRAWN = 0.2  # seconds between two updates, which travel to the page
BRIEF = 0.5  # seconds: of a run that took less, and in which nothing failed, nothing stays


def is_one() -> bool:
    """Whether this is a cell: its event loop is the notebook's, and waits for the cell whatever that does."""
    return kernel() is not None or _is_marimo()


def kernel() -> Any:
    """IPython's shell in a kernel (Jupyter, VS Code, Colab…); None elsewhere, IPython in a terminal included."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if hasattr(shell, "kernel") else None


def _is_marimo() -> bool:
    marimo = sys.modules.get("marimo")
    return marimo is not None and marimo.running_in_notebook() is True


class LiveTable:
    """Stands in the cell's output while the run goes on; what cannot be shown ends the showing, not the run."""

    def __init__(self) -> None:
        self.shown: Any = None
        self.tallies: Tallies | None = None
        self.begun = self.drawn = monotonic()

    def __enter__(self) -> None:
        pass

    def begin(self, tallies: Tallies) -> None:
        """Show what is to be done."""
        self.tallies = tallies
        self._guarded(self._show)

    def tell(self, _: Tallies) -> None:
        """Show how far it is, not too often."""
        if self.shown is not None and monotonic() - self.drawn > REDRAWN:
            self._guarded(self._update)

    def __exit__(self, *raised: object) -> None:
        if self.shown is None:
            return
        tallies = (self.tallies or {}).values()
        well = raised[:1] == (None,) and not any(tally.failed or tally.skipped for tally in tallies)
        self._guarded(self._clear if well and monotonic() - self.begun < BRIEF else self._update)

    def finish(self, results: Any) -> None:
        """The run is done; its results show themselves."""

    def _show(self) -> None:
        from IPython.display import display

        self.shown = display(self._drawn(), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def _update(self) -> None:
        self.drawn = monotonic()
        self.shown.update(self._drawn(), raw=True)

    def _clear(self) -> None:
        self.shown.update({"text/html": "", "text/plain": ""}, raw=True)

    def _drawn(self) -> dict[str, str]:
        tallies: dict[str, Any] = self.tallies or {}
        return {"text/html": table.html(tallies, bars=True), "text/plain": table.text(tallies, [])}

    def _guarded(self, draw: Any) -> None:
        try:
            draw()
        except Exception as error:
            self.shown = None
            failed("drawing the table of the run", error)
