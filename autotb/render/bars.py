"""Progress bars and live tables on stderr, drawn by rich.

Flows in: what is shown beside each bar, what makes a table.  Flows out: rich's ``Progress`` or ``Live``, begun and ended; what
the program prints meanwhile, above it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from autotb.render import logs, terminal


def begun(*beside: str) -> Any:
    """A ``rich.progress.Progress`` that is being drawn: description, bar, count, the texts ``beside``, times.

    Raises whatever rich does where nothing can be drawn.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = _console()
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *map(TextColumn, beside),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        redirect_stdout=terminal.is_terminal(sys.stdout),
    )
    bars.start()
    _keep_lines_whole(console)
    return bars


def live(drawn: Callable[[int, int], Any]) -> Any:
    """A ``rich.live.Live`` of what ``drawn`` makes for so many columns and lines, again and again.

    Raises whatever rich does where nothing can be drawn.
    """
    from rich.live import Live

    console = _console()

    def again() -> Any:
        try:
            return drawn(console.width, console.height)
        except Exception as error:
            logs.failed("drawing the table", error)
            return ""

    table = Live(
        get_renderable=again,
        console=console,
        redirect_stdout=terminal.is_terminal(sys.stdout),
    )
    table.start(refresh=True)
    _keep_lines_whole(console)
    return table


def ended(bars: Any, stays: bool = True) -> None:
    """Leave the bars as they are, or remove them; never raises, whatever has become of the stream that they are drawn on."""
    taken: list[Any] = [stream for stream in (sys.stdout, sys.stderr) if getattr(type(stream), "__name__", "") == "WholeLines"]
    try:
        getattr(bars, "live", bars).transient = not stays
        bars.stop()
    except Exception as error:
        logs.failed("drawing the progress bar", error)
    for stream in taken:  # what has no end of its line yet
        rest, stream.rest = stream.rest, ""
        if rest:
            terminal.write(stream.rich_proxied_file, rest)


def _console() -> Any:
    """Draws on a terminal that is one, whatever ``FORCE_COLOR`` says of a pipe."""
    from rich.console import Console

    return Console(stderr=True, force_terminal=terminal.is_terminal(sys.stderr))


def _keep_lines_whole(console: Any) -> None:
    """What the program prints is moved above the drawing by rich, which would fold it too."""
    from rich.file_proxy import FileProxy

    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is FileProxy:
            setattr(sys, name, _whole_lines()(console, stream.rich_proxied_file))


@functools.cache
def _whole_lines() -> Any:
    from rich.file_proxy import FileProxy
    from rich.text import Text

    class WholeLines(FileProxy):  # type: ignore[misc]
        """Takes text, and hands its lines to the console as they are."""

        def __init__(self, console: Any, file: Any) -> None:
            super().__init__(console, file)
            self.console, self.rest = console, ""

        def write(self, text: str) -> int:
            """Whole lines are printed, what follows them waits for its end."""
            if not isinstance(text, str):
                raise TypeError(f"write() argument must be str, not {type(text).__name__}")
            lines = (self.rest + text).split("\n")
            self.rest = lines.pop()
            self._print(lines)
            return len(text)

        def flush(self) -> None:
            """A line that has not ended is printed as one: it may be a question."""
            rest, self.rest = self.rest, ""
            self._print([rest] if rest else [])

        def _print(self, lines: list[str]) -> None:
            if lines:
                with self.console:
                    self.console.print(Text("\n").join(map(Text.from_ansi, lines)), soft_wrap=True)

    return WholeLines
