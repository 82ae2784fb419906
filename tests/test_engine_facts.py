"""Adapters add facts; who has an answer that depends on them is told to find another."""

from __future__ import annotations

import pytest

from autotb import engine_facts
from autotb.engine_facts import Opened


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    monkeypatch.setattr(engine_facts, "learners", [])


@pytest.mark.parametrize("name", ["asyncio", "concurrent.futures", "multiprocessing", "threading", "runpy"])
def test_the_standard_librarys_engines_and_launchers_need_no_adapter(name):
    assert name in engine_facts.facts.own_modules


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("own", "own_modules"),
        *[
            (name, name)
            for name in ("asks", "runs", "openers", "remote_texts", "texts", "handles", "crashes", "hints", "scripts")
        ],
    ],
)
def test_a_fact_that_is_given_twice_is_there_once(given, field):
    before = len(getattr(engine_facts.facts, field))
    for _ in range(2):
        engine_facts.register(**{given: (("an.engine", "run"),)})

    found = getattr(engine_facts.facts, field)
    assert ("an.engine", "run") in found
    assert len(found) == before + 1


def test_those_who_remember_answers_are_told_of_new_facts():
    told = []
    engine_facts.learners.append(lambda: told.append(set(engine_facts.facts.own_modules)))
    engine_facts.register(own=("an.engine",))

    assert ["an.engine" in known for known in told] == [True]


def test_a_wrapper_is_opened_by_the_first_that_knows_it():
    first, second = Opened(text="first"), Opened(text="second")
    engine_facts.register(openers=(lambda exc: None, lambda exc: first, lambda exc: second))

    assert engine_facts.open_wrapper(ValueError()) is first


def test_an_exception_that_is_nobodys_wrapper_is_not_opened():
    engine_facts.register(openers=(lambda exc: None,))

    assert engine_facts.open_wrapper(ValueError()) is None
