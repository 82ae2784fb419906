"""Progress bars are rich's, on stderr; one that cannot be ended is told in one line."""

from __future__ import annotations

import io
import sys

from autotb import runtime
from autotb.render import bars, logs


def test_a_bar_shows_its_count_and_what_stands_beside(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")

    drawn = bars.begun("[red]{task.fields[failed]} failed")
    drawn.add_task("sums [bold]", total=4, completed=3, failed=2)
    bars.ended(drawn)

    assert "sums [bold]" in screen.getvalue()  # the user's text is no markup
    assert "3/4" in screen.getvalue()
    assert "2 failed" in screen.getvalue()


def test_a_bar_that_cannot_be_ended_ends_nothing_else(monkeypatch, capsys):
    monkeypatch.setattr(logs, "_told", set())
    monkeypatch.setattr(runtime, "told", set())
    monkeypatch.setattr(runtime, "problems", [])

    class Broken:
        def stop(self):
            raise OSError("the terminal is gone")

    bars.ended(Broken())

    assert capsys.readouterr().err == (
        "autotb: drawing the progress bar failed (OSError: the terminal is gone); Python goes on without it\n"
    )


def test_what_is_printed_to_a_file_goes_there_while_a_bar_is_drawn(monkeypatch):
    screen, file = io.StringIO(), io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setenv("TERM", "xterm")

    drawn = bars.begun()
    print("a result")
    print("a log line", end="", file=sys.stderr)
    bars.ended(drawn)

    assert sys.stdout is file
    assert file.getvalue() == "a result\n"
    assert screen.getvalue().endswith("a log line")
    assert sys.stderr is screen


def test_colours_that_are_forced_make_no_terminal_of_a_pipe(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    monkeypatch.setenv("FORCE_COLOR", "1")

    bars.ended(bars.begun())

    assert "\x1b[?25l" not in pipe.getvalue()
