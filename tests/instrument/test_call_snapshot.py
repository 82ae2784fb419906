"""Whether a call can be made once more as it was made: what cannot change, what has changed, and what nobody can tell."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import sys
import threading
from collections import namedtuple
from types import ModuleType

import pytest

from autotb import runtime
from autotb.instrument import call_snapshot


class Hostile:
    def __getattribute__(self, name):
        raise AssertionError(name)

    def __eq__(self, other):
        raise AssertionError

    __hash__ = None


class Plain:
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def method(self):
        pass


class Slotted:
    __slots__ = ("items",)


class Both(Slotted):
    pass


class Colour(enum.Enum):
    RED = 1


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize("value", [1, "a", b"c", None, 2.5, True, range(3), int, print, len, sys, threading.Thread])
def test_what_cannot_change_needs_no_snapshot(value):
    assert call_snapshot.part(value) == ()
    assert call_snapshot.of_values((value,)) == ()


@pytest.mark.parametrize("value", [Colour.RED, datetime.date(2020, 1, 1), decimal.Decimal(1)])
def test_what_is_never_another_stands_for_itself(value):
    assert call_snapshot.part(value) == call_snapshot.part(value) is not None


nest: list[object] = []
nest.append(nest)
DEEP = [[[[[[[[n] for n in range(5)]] * 5]] * 5]] * 5]


@pytest.mark.parametrize(
    "value",
    [Slotted(), Both(), object(), nest, DEEP, list(range(1000)), iter([]), (x for x in []), [].append, bytearray(20_000)],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_compared_is_not_known_to_be_the_same(value):
    assert call_snapshot.part(value) is None


def test_the_attributes_of_an_object_are_seen_without_its_code():
    assert call_snapshot.part(Hostile()) is not None


half, text = "y" * (call_snapshot.LARGE // 2), "x" * (call_snapshot.LARGE + 1)


@pytest.mark.parametrize(
    "value",
    [Plain(text=text), [half] * 3, dict(enumerate([half] * 3)), [b"z" * call_snapshot.LARGE, b"z"], [[half] * 3]],
    ids=["attribute", "list", "dict", "bytes", "nested"],
)
def test_what_is_large_is_not_looked_at(value):
    """A snapshot is made when a task is submitted: it must cost nothing that grows with what the task is given."""
    assert call_snapshot.part(value) is None


def test_as_many_items_as_are_looked_at_are_known():
    assert call_snapshot.part(["y"] * call_snapshot.FLAT) is not None


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([1, [2]], lambda value: value[1].append(3)),
        ({"a": {1, 2}}, lambda value: value["a"].add(3)),
        ([-1], lambda value: value.__setitem__(0, -2)),
        ([1], lambda value: value.__setitem__(0, True)),
        (["a" * 1000], lambda value: value.__setitem__(0, "b" * 1000)),
        (bytearray(b"a"), lambda value: value.extend(b"b")),
        (Plain(a=[1]), lambda value: value.a.append(2)),
        (Plain(a=1), lambda value: setattr(value, "b", 1)),
        (Plain(a=1).method, lambda value: setattr(value.__self__, "a", 2)),
        (functools.partial(len, [1]), lambda value: value.args[0].append(2)),
        (Point([1], 2), lambda value: value.x.append(2)),
    ],
)
def test_a_change_is_seen(value, change):
    before = call_snapshot.part(value)
    assert before == call_snapshot.part(value) != ()
    change(value)
    assert before != call_snapshot.part(value)


def test_an_array_is_compared_by_what_it_holds():
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(10)
    before = call_snapshot.part(array)
    array[3] = 1

    assert before is not None
    assert call_snapshot.part(array) != before
    assert call_snapshot.part(numpy.zeros(100_000)) is None
    assert call_snapshot.part(numpy.array([object()])) is None


def test_what_stands_for_itself_by_order_of_the_caller():
    slotted = Slotted()

    assert call_snapshot.part(slotted, (Slotted,)) == call_snapshot.part(slotted, (Slotted,)) is not None


def work(first, second=None):
    pass


def why(before, *args, **kwargs):
    return call_snapshot.why_not_same(before, work, args, kwargs)


def test_the_same_call_has_no_reason():
    given = [1]

    assert why(call_snapshot.of_values((work, 1, given)), 1, given) == ""


def test_the_argument_that_has_changed_is_named():
    given = [1]
    before = call_snapshot.of_values((work, 1, given))
    given.append(2)

    assert why(before, 1, given) == "its argument second, of type list, has changed since it was given"
    assert why(before, 1, second=given) == "its argument second, of type list, has changed since it was given"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (iter([1]), "its argument first, of type list_iterator, is used up by being read"),
        (Slotted(), "its argument first, of type test.Slotted, may have changed since it was given: autotb cannot compare it"),
    ],
)
def test_what_cannot_be_compared_is_named(value, reason):
    assert why(call_snapshot.of_values((work, value)), value) == reason.replace("test.", f"{__name__}.")


def test_without_a_snapshot_only_what_cannot_change_is_the_same():
    assert why(None, 1, "a") == ""
    assert why(None, [1]).startswith("its argument first, of type list, may have changed")


def test_an_object_that_is_called_has_a_state_too():
    held = Plain(a=1)
    before = call_snapshot.of_values((held.method,))
    held.a = 2
    found = call_snapshot.why_not_same(before, held.method, (), {})

    assert found == f"its function's object, of type {__name__}.Plain, has changed since it was given"


def test_a_call_of_another_number_of_arguments_is_not_known():
    assert why(((), ()), 1, 2) == "what it was given could not be noted"


@pytest.fixture
def nobody(monkeypatch):
    """A process in which nobody has imported autotb so far."""
    monkeypatch.setattr(call_snapshot, "_imported", False)
    monkeypatch.setattr(runtime, "used", False)


def test_a_program_that_never_imports_autotb_pays_for_no_snapshot(nobody, monkeypatch):
    monkeypatch.setattr(call_snapshot, "_held", lambda modules: call_snapshot._NOBODYS)

    assert call_snapshot.of(work, ([1],), {}) is None


@pytest.mark.skipif(not call_snapshot._COUNTS, reason="references are not counted here")
def test_who_holds_the_package_has_imported_it(nobody):
    modules = {"autotb": ModuleType("autotb")}
    assert call_snapshot._held(modules) == call_snapshot._NOBODYS

    held = modules["autotb"]
    assert call_snapshot._held(modules) > call_snapshot._NOBODYS
    del held


def test_who_has_taken_a_name_of_it_has_imported_it_for_good(nobody, monkeypatch):
    monkeypatch.setattr(call_snapshot, "_held", lambda modules: call_snapshot._NOBODYS)
    monkeypatch.setattr(runtime, "used", True)
    assert call_snapshot.of(work, ([1],), {}) is not None

    monkeypatch.setattr(runtime, "used", False)
    assert call_snapshot.is_imported() or not call_snapshot._COUNTS
