"""Progress bars on stderr, drawn by rich.

Flows in: what is shown beside each bar.  Flows out: rich's ``Progress``, begun.
"""

from __future__ import annotations

from typing import Any


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
