"""Wrappers of engines: opened by the class that an adapter names, in one another, and by the type that is to be caught."""

from __future__ import annotations

import pytest

from autotb import engine_facts
from autotb.record import ownership, wrappers
from autotb.record.capture import Capture


class Wrapper(Exception):
    pass


class Below(Wrapper):
    pass


class Marker(Exception):
    pass


@pytest.fixture(autouse=True)
def _declared(monkeypatch):
    facts = engine_facts.facts
    monkeypatch.setattr(facts, "wrappers", {f"{__name__}.Wrapper": wrappers.by_cause})
    monkeypatch.setattr(facts, "markers", {f"{__name__}.Marker"})


def raised(error, cause=None):
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.parametrize("kind", [Wrapper, Below])
def test_a_wrapper_is_opened_by_its_class_or_one_above(kind):
    root = raised(ValueError("x"))
    error = raised(kind("failed"), root)

    assert wrappers.opened(error).roots == (root,)
    assert wrappers.innermost(raised(kind("again"), error)) is root


def test_others_are_not_opened():
    assert wrappers.opened(raised(KeyError("k"), ValueError("x"))) is None
    assert wrappers.opened(Wrapper("without a cause")) is None


def test_the_story_is_the_roots_and_says_what_to_catch():
    tree = Capture().tree(raised(Below("failed"), raised(ValueError("x"))))

    assert (tree["type"], tree["message"]) == ("ValueError", "x")
    assert tree["raised_as"].endswith("Below")
    assert tree.get("cause") is None


def test_in_a_worker_there_is_one_hop():
    place = {"engine": "e", "where": "in a worker", "pid": 1}
    tree = Capture().tree(raised(Wrapper("failed"), raised(ValueError("x"))), None, place)

    assert [hop.get("where") for hop in tree["hops"]] == ["in a worker"]
    assert len(tree["hops"][0]["frames"]) == 2
    assert not tree.get("raised_as")


def test_a_type_that_is_caught_as_what_it_is_told_as_is_not_named():
    class Dual(Wrapper, ValueError):
        pass

    assert wrappers.raised_as(Dual(), "ValueError", None) == ""
    assert wrappers.raised_as(Dual(), "KeyError", Wrapper()).endswith("Wrapper")  # no name leads to ``Dual``


def test_a_marker_is_no_cause():
    tree = Capture().tree(raised(KeyError("k"), Marker()))

    assert tree.get("cause") is None
    assert Capture().tree(raised(KeyError("k"), Marker("says something")))["cause"]["message"] == "says something"


def test_frames_of_an_error_whose_message_says_all_are_counted(monkeypatch):
    monkeypatch.setattr(engine_facts.facts, "wrappers", {f"{__name__}.Wrapper": lambda exc: engine_facts.Opened(is_message=True)})

    def fails():
        raise Wrapper("all is said")

    try:
        fails()
    except Wrapper as error:
        kept = Capture().tree(error)["hops"][0]["frames"]
        monkeypatch.setattr(ownership, "kind_of", lambda *_: ownership.ENGINE)
        counted = Capture().tree(error)["hops"][0]["frames"]

    assert [frame["name"] for frame in kept] == ["test_frames_of_an_error_whose_message_says_all_are_counted", "fails"]
    assert counted == [{"omitted": 2}]
