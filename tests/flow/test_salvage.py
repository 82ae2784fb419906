"""A list of which some items cannot be unpickled: the others are read, each as what it was."""

from __future__ import annotations

import collections
import fractions
import pickle

import pytest

from autotb.flow import salvage


class Unreadable:
    def __init__(self, *holds):
        self.holds = holds

    def __reduce__(self):
        return refuse, self.holds


class Own(list):
    pass


def refuse(*holds):
    raise LookupError("refused")


SHARED = [1, 2]
LISTS = {
    "one": [Unreadable()],
    "first": [Unreadable(), 1],
    "last": [1, Unreadable()],
    "deep": [(1, {"a": [Unreadable()]}), 2],
    "of one class": [Unreadable(), fractions.Fraction(1, 2), Unreadable(), fractions.Fraction(1, 3)],
    "many": [*range(1500), Unreadable(), *map(str, range(1500))],
    "big": ["x" * 70_000, Unreadable("y" * 70_000), "z" * 70_000, b"z" * 70_000],
    "nested": [[[1], [2]], Unreadable([1]), [], {}, (), collections.OrderedDict(a=[3]), {4}, frozenset([5])],
}


def is_readable(value):
    return "Unreadable" not in str(value)


@pytest.mark.parametrize("kind", [list, Own])
@pytest.mark.parametrize("values", LISTS.values(), ids=LISTS)
def test_the_others_are_read(kind, values):
    found = salvage.items(pickle.dumps(kind(values), 4))

    assert type(found) is kind
    assert len(found) == len(values)
    for one, value in zip(found, values):
        if is_readable(value):
            assert one == value
        else:
            assert isinstance(one.error, LookupError)


def test_what_was_shared_is_shared_again():
    first, _, last = salvage.items(pickle.dumps([SHARED, Unreadable(), (SHARED,)], 4))

    assert first is last[0]


def test_what_is_shared_with_one_that_cannot_be_read_is_not_made_up():
    lost, also, good = salvage.items(pickle.dumps([Unreadable(SHARED), SHARED, "good"], 4))

    assert isinstance(lost.error, LookupError)
    assert "shares an object with a result that cannot be read" in str(also.error)
    assert good == "good"


TORN = {
    "nothing": b"",
    "no pickle": b"torn",
    "cut off": pickle.dumps([1, 2], 4)[:-3],
    "no list": pickle.dumps({"no": "list"}, 4),
    "no items": pickle.dumps([], 4),
}


@pytest.mark.parametrize("data", TORN.values(), ids=TORN)
def test_what_is_no_pickle_of_items_is_refused(data):
    with pytest.raises((EOFError, ValueError, pickle.UnpicklingError)):
        salvage.items(data)
