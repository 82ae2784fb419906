"""Events go up to whoever shows them; showing one never fails, and is never interrupted by another."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from autotb import runtime, surface


@pytest.fixture(autouse=True)
def reported(monkeypatch):
    """What was reported."""
    found = []
    monkeypatch.setattr(surface, "_load", None)
    monkeypatch.setattr(runtime, "report", lambda where, error: found.append((where, error)))
    return found


def fill(**handlers):
    surface.fill(lambda: SimpleNamespace(**handlers))


def test_an_event_goes_to_who_was_given(reported):
    seen = []
    fill(thread_failed=lambda args: seen.append(args) or True)

    assert surface.events.thread_failed("args") is True
    assert seen == ["args"]


@pytest.mark.parametrize("answer", [False, None, 0, ""])
def test_the_answer_says_whether_it_was_shown(answer):
    fill(shorten_texts=lambda: answer)

    assert surface.events.shorten_texts() is False


def test_nobody_above_shows_nothing(reported):
    assert surface.events.shorten_texts() is False
    assert reported == []


def test_who_shows_it_is_loaded_by_the_first_event_and_not_before():
    loads = []
    surface.fill(lambda: loads.append(1) or SimpleNamespace(shorten_texts=lambda: True))
    assert loads == []

    surface.events.shorten_texts()
    assert loads == [1]


def test_showing_that_fails_is_reported_and_leaves_the_matter_to_the_engine(reported):
    fill(thread_failed=lambda args: 1 / 0)

    assert surface.events.thread_failed(None) is False
    assert [(where, type(error)) for where, error in reported] == [("thread_failed", ZeroDivisionError)]


def test_what_ends_the_program_ends_it():
    def ends():
        raise SystemExit(3)

    fill(shorten_texts=ends)

    with pytest.raises(SystemExit):
        surface.events.shorten_texts()
    assert surface._showing == {}


def test_a_failure_in_the_midst_of_an_import_of_ours_is_no_fault(reported, monkeypatch):
    half = ModuleType("autotb.half")
    half.__spec__ = SimpleNamespace(_initializing=True)
    monkeypatch.setitem(sys.modules, "autotb.half", half)
    fill(shorten_texts=lambda: 1 / 0)

    assert surface.events.shorten_texts() is False
    assert reported == []


def test_an_event_that_comes_up_while_another_is_shown_waits_for_its_turn():
    order = []

    def thread_failed(name):
        order.append(f"{name} begins")
        if name == "first":
            assert surface.events.thread_failed("second") is True
        order.append(f"{name} ends")
        return True

    fill(thread_failed=thread_failed)
    surface.events.thread_failed("first")

    assert order == ["first begins", "first ends", "second begins", "second ends"]
    assert surface._showing == {}
