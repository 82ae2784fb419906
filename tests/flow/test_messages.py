"""What goes between a run and its workers survives the trip, whatever the user's exception is made of."""

from __future__ import annotations

import pickle
import threading

import pytest

import autotb
from autotb.flow import messages, packing
from autotb.flow.messages import Failed, Kept
from autotb.record import annotate, build


class Odd(Exception):
    """Cannot be made anew of its arguments."""

    def __init__(self, one, two):
        super().__init__(one)


class Gone(Exception):
    def __reduce__(self):
        return lost, ()


def lost():
    raise ImportError("not here")


def sent(value):
    return pickle.loads(pickle.dumps(value))


def test_an_exception_arrives_with_its_story():
    error = ValueError("x")
    annotate.attach(error, build.record(error, None, build.hop("flow", "in a worker", call="f(1)")))

    arrived = sent(Failed(error)).exception

    assert (type(arrived), arrived.args) == (ValueError, ("x",))
    assert autotb.explain(arrived).stack.hops[-1].call == "f(1)"


@pytest.mark.parametrize("error", [Odd(1, 2), Gone("x"), ValueError(threading.Lock())], ids=lambda error: type(error).__name__)
def test_whatever_it_is_made_of_an_exception_arrives(error):
    assert type(error).__name__ in packing.headline(sent(Failed(error)).exception)


def test_what_is_no_exception_any_longer_is_told_in_one():
    arrived = Failed.arrived(("Gone: x", b"nonsense", "")).exception

    assert str(arrived).startswith("Gone: x (the exception itself did not survive its way: ")


def test_what_was_kept_arrives():
    kept = sent(Kept([1, 2], [None, "place"], unseen=True))

    assert (kept.results, kept.places, kept.unseen) == ([1, 2], [None, "place"], True)


@pytest.mark.parametrize(
    ("columns", "rows"), [((), [()]), (([1, 2],), [(1,), (2,)]), (([1, 2], [3, 4]), [(1, 3), (2, 4)]), (([],), [])]
)
def test_rows_of_a_chunk(columns, rows):
    assert list(messages.rows_of(columns)) == rows


def test_columns_of_other_lengths_are_loud():
    with pytest.raises(ValueError):
        list(messages.rows_of(([1], [1, 2])))
