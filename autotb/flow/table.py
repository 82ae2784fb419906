"""The table of a flow's steps and its root causes, as text.

Flows in: counts and times by step, grouped stories.  Flows out: text, drawn by rich.
"""

from __future__ import annotations

import io
from typing import Any


def text(tallies: dict[str, Any], causes: list[str], width: int = 100) -> str:
    """The table, then the root causes."""
    return "\n\n".join([_table(tallies, width), *causes])


def _table(tallies: dict[str, Any], width: int) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("step", overflow="fold")
    for name in ("done", "failed", "skipped", "of", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, tally in tallies.items():
        sound = tally.done - tally.failed - tally.skipped
        counts = [f"{count:,}" for count in (sound, tally.failed, tally.skipped, tally.total)]
        table.add_row(Text(name), *counts, _seconds(tally.seconds))
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(table)
    drawn: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in drawn.rstrip().split("\n"))


def _seconds(seconds: float) -> str:
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if round(seconds, 2) >= 60 else f"{seconds:.2f} s"
