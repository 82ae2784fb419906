"""Progress bars on stderr, drawn by rich.

Flows in: what is shown beside each bar.  Flows out: rich's ``Progress``, begun and ended.
"""

from __future__ import annotations

from typing import Any

from autotb.render import logs


def begun(*beside: str) -> Any:
    """A ``rich.progress.Progress`` that is being drawn: description, bar, count, the texts ``beside``, times.

    Raises whatever rich does where nothing can be drawn.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *map(TextColumn, beside),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    bars.start()
    return bars


def ended(bars: Any) -> None:
    """Leave the bars as they are; never raises, whatever has become of the stream that they are drawn on."""
    try:
        bars.stop()
    except Exception as error:
        logs.failed("drawing the progress bar", error)
