"""The bar that ``collect`` draws: wanted, or on a terminal; results matter, the bar does not."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from autotb.futures import progress
from autotb.futures.progress import Bar


@pytest.fixture
def drawn(monkeypatch):
    """What rich is told."""
    told = []
    rich = SimpleNamespace(
        add_task=lambda name, **more: told.append((name, more)) or 7,
        update=lambda task, **more: told.append((task, more)),
        stop=lambda: told.append("stop"),
    )
    monkeypatch.setattr(progress.bars, "begun", lambda *_: rich)
    return told


@pytest.mark.parametrize(
    ("wanted", "is_terminal", "total", "is_shown"),
    [(None, True, 3, True), (None, False, 3, False), (True, False, 3, True), (False, True, 3, False), (True, True, 0, False)],
)
def test_whether_it_is_shown(monkeypatch, wanted, is_terminal, total, is_shown):
    monkeypatch.setattr(progress, "is_terminal", lambda _: is_terminal)

    assert Bar(total, wanted).is_shown is is_shown


def test_failures_are_counted_beside_it(drawn):
    bar = Bar(2, True)
    bar.start()
    bar.advance(0)
    bar.advance(1)
    bar.stop()

    assert drawn == [
        ("collecting", {"total": 2, "failed": ""}),
        (7, {"advance": 1, "failed": ""}),
        (7, {"advance": 1, "failed": "1 failed"}),
        "stop",
    ]


def test_one_that_is_not_shown_says_nothing(drawn):
    bar = Bar(2, False)
    bar.start()
    bar.advance(1)
    bar.stop()

    assert drawn == []


def test_it_is_ended_once(drawn):
    bar = Bar(2, True)
    bar.start()
    bar.stop()
    bar.stop()

    assert drawn.count("stop") == 1


def test_one_that_cannot_be_drawn_is_none(monkeypatch):
    monkeypatch.setattr(progress.bars, "begun", lambda *_: 1 / 0)
    bar = Bar(2, True)
    bar.start()
    bar.advance(1)

    assert (bar.bar, bar.is_shown) == (None, False)


def test_a_stream_that_fails_ends_the_drawing_and_is_told(drawn, monkeypatch, capsys):
    monkeypatch.setattr(progress, "failed", lambda what, error: sys.stderr.write(f"{what}: {error}"))
    bar = Bar(2, True)
    bar.start()
    bar.bar.update = lambda *_, **__: 1 / 0
    bar.advance(1)
    bar.advance(1)

    assert capsys.readouterr().err == "drawing the progress bar: division by zero"
    assert drawn[-1] == "stop"
