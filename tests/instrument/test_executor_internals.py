"""Modules of the make of ``concurrent.futures.process`` are read by one declaration, under each one's name."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from autotb.assumption import Assumption
from autotb.instrument import executor_internals
from autotb.instrument.executor_internals import Internals


@pytest.fixture
def declared(monkeypatch):
    monkeypatch.setattr(executor_internals, "_every", [])
    return Internals("engine.process")


def process_result_item(self, work_item):
    return executor_internals.read(sys._getframe(), "result")


class Manager:
    def _terminate_broken(self, cause):
        return executor_internals.read(sys._getframe(), "breaking")


def test_what_stands_in_a_frame_is_read_whichever_module_it_is_of(declared):
    Internals("other.process")

    assert process_result_item(None, "item") == ("item",)


def test_a_frame_may_have_an_older_name(declared):
    manager = Manager()

    assert manager._terminate_broken("cause") == (manager,)


def test_another_frame_is_not_read(declared):
    assert executor_internals.read(sys._getframe(), "result") is None


def test_an_items_parts(declared):
    item = SimpleNamespace(fn=len, args=("a",), kwargs={})

    assert declared.item.read(item) == (len, ("a",), {})
    assert declared.item.read(SimpleNamespace(fn=len)) is None


def test_all_are_declared_with_what_they_cost(declared):
    fields = [value for value in vars(declared).values() if isinstance(value, Assumption)]

    assert set(fields) == set(declared.all)
    assert all(each.costs and each.module == "engine.process" for each in fields)
