"""The line that made an operation of a lazy collection is found by the first frame of the function that it was given."""

from __future__ import annotations

import functools
import types

import pytest

from autotb.instrument import lazy
from autotb.record import shipped_code

PLACE = {"path": "/a.py", "line": 1, "name": "go"}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(lazy, "_made", {})


def given(function):
    """As a library's method that takes a function, and is called by a line of the user's."""
    lazy.operation(lambda collection, function: None)(None, function)


def user_gives(function):
    through(function)


def through(function):
    given(function)


def failed(function):
    code = function.__code__
    line = code.co_firstlineno + (code.co_name != "<lambda>")
    frame = {"path": code.co_filename, "name": code.co_name, "line": line, "kind": "user"}
    hop = {"frames": [{"path": "/engine.py", "kind": "engine"}, frame]}
    lazy.note_made(hop)
    return hop.get("made")


class Called:
    def __init__(self):
        pass

    def __call__(self, batch):
        return batch


def plain(row):
    return row


@pytest.mark.parametrize(
    ("value", "function"),
    [
        (plain, plain),
        (functools.partial(plain, 1), plain),
        (Called, Called.__call__),
        (Called, Called.__init__),
        (Called(), Called.__call__),
    ],
)
def test_an_operation_is_found_by_its_functions_first_frame(value, function):
    user_gives(value)

    assert failed(function)["name"] == "through"
    assert failed(user_gives) is None


def test_two_functions_of_one_line_that_were_given_at_one_are_of_that_line():
    first, second = (lambda row: row), (lambda rows: rows)
    for function in (first, second):
        user_gives(function)

    assert failed(first)["name"] == "through"


def test_a_method_whose_class_was_unpickled_here_is_found_by_its_name_and_lines():
    unpickled = types.FunctionType(plain.__code__.replace(co_filename=shipped_code.NAME), globals())
    user_gives(unpickled)

    assert failed(plain)["name"] == "through"
    assert failed(given) is None


def test_a_function_that_was_given_at_two_lines_is_of_neither():
    for _ in range(2):
        user_gives(plain)
    assert failed(plain) is not None

    def elsewhere():
        given(plain)

    elsewhere()
    assert failed(plain) is None


def test_a_place_that_is_known_stays():
    user_gives(plain)
    hop = {"frames": [{"path": plain.__code__.co_filename, "name": "plain", "line": 1, "kind": "user"}], "made": PLACE}
    lazy.note_made(hop)

    assert hop["made"] == PLACE


@pytest.mark.parametrize("value", [None, 3, "text", len, {}, int])
def test_what_is_no_function_of_the_users_is_passed_over(value):
    user_gives(value)

    assert lazy._made == {}


class Aggregation:
    """As an engine's, with what it was given."""

    def __init__(self, function):
        def wrapped():
            function()

        self.name, self.wrapped = "sum", wrapped


class Own(Aggregation):
    def combine(self, one, other):
        return one + other


@pytest.mark.parametrize(("value", "function"), [(Aggregation(plain), plain), (Own(len), Own.combine)])
def test_functions_are_found_in_what_holds_them(value, function):
    def user_aggregates():
        through()

    def aggregate(collection, *aggregations):
        pass

    def through():
        lazy.held(aggregate)(None, value)

    aggregate.__module__ = "engine.grouped"

    user_aggregates()
    assert failed(function)["name"] == "user_aggregates"
