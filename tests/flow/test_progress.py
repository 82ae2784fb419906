"""Who is told how far a run is."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from autotb import Flow
from autotb.flow import progress
from autotb.flow.tallies import Tallies, Tally
from tests.flow.calls import invert, total


def tally(done, failed, skipped, of):
    made = Tally(of)
    made.done, made.failed, made.skipped = done, failed, skipped
    return made


def tallies(**counts):
    made = Tallies({name: of for name, (*_, of) in counts.items()})
    for name, (done, failed, skipped, _) in counts.items():
        made.add(name, done, failed, skipped)
    return made


@pytest.mark.parametrize(
    ("asked", "is_terminal", "kind"),
    [
        (None, False, progress.Silent),
        (None, True, progress.LiveTable),
        (True, False, progress.Bars),
        (False, True, progress.Silent),
        (print, True, progress.Called),
    ],
)
def test_who_is_told(monkeypatch, asked, is_terminal, kind):
    monkeypatch.setattr(progress.terminal, "is_terminal", lambda _: is_terminal)

    assert type(progress.listener(asked)) is kind


def test_a_function_is_given_the_sums():
    told = []
    progress.listener(lambda *counts: told.append(counts)).tell(tallies(a=(1, 1, 0, 5), b=(2, 0, 1, 3)))

    assert told == [(3, 1, 1, 8)]


@pytest.mark.parametrize(
    ("failed", "skipped", "said"),
    [
        (0, 0, []),
        (2, 0, ["2 of 5 calls failed: print the results for the root causes"]),
        (1, 1, ["1 of 5 calls failed, 1 was skipped: print the results for the root causes"]),
    ],
)
def test_failures_are_one_record(caplog, failed, skipped, said):
    progress.Silent(says_failures=True).finish(SimpleNamespace(tallies={"a": tally(5, failed, skipped, 5)}))

    assert [record.getMessage() for record in caplog.records] == said


def test_errors_that_calls_were_made_in_spite_of_are_in_it(caplog):
    tallies = {"a": tally(5, 1, 0, 5), "b": tally(5, 0, 0, 5)}
    tallies["a"].left_out, tallies["b"].passed = 2, 1
    progress.Silent(says_failures=True).finish(SimpleNamespace(tallies=tallies))

    assert "1 of 10 calls failed, 2 errors were left out of the inputs of others, 1 error was passed on to others:" in caplog.text


def test_who_wants_no_progress_gets_no_record(caplog):
    progress.listener(False).finish(SimpleNamespace(tallies={"a": tally(5, 1, 0, 5)}))

    assert caplog.records == []


def test_a_bar_that_cannot_be_drawn_costs_the_bar_alone(monkeypatch):
    monkeypatch.setattr(progress.bars, "begun", lambda *_: 1 / 0)
    shown = progress.Bars(shows_table=False)
    with shown:
        shown.begin(tallies(a=(0, 0, 0, 5)))

    assert shown.bars is None


def test_a_bar_whose_stream_fails_is_drawn_no_longer(monkeypatch, capsys):
    monkeypatch.setattr(progress.bars, "begun", lambda *_: SimpleNamespace(add_task=lambda *_, **__: 1 / 0, stop=lambda: None))
    monkeypatch.setattr(progress, "failed", lambda what, _: sys.stderr.write(what))
    shown = progress.Bars(shows_table=False)
    with shown:
        shown.begin(tallies(a=(0, 0, 0, 5)))
        shown.tell(tallies(a=(1, 0, 0, 5)))

    assert capsys.readouterr().err == "drawing the progress bars"


def test_failures_are_logged_once_where_there_is_no_terminal(caplog):
    flow = Flow(error_handling="continue")
    flow.call(total, flow.map(invert, [1, 0]))
    flow.run()
    assert [record.getMessage() for record in caplog.records if record.name == "autotb.flow"] == [
        "1 of 3 calls failed, 1 was skipped: print the results for the root causes"
    ]


def test_a_row_for_each_step(monkeypatch):

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    flow = Flow(error_handling="continue")
    flow.call(total, flow.map(invert, [1, 0, 0]))
    flow.run()
    shown = screen.getvalue()
    assert "invert" in shown
    assert shown.count("root cause of 2 failures:") == 1
