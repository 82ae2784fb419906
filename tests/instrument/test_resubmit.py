"""A failed future keeps its call where that is small, as far as can be seen without running any of the user's code."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from autotb.instrument import resubmit
from autotb.record.capture import KEY


class Plain:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class Meta(type):
    def __eq__(cls, other):
        raise AssertionError

    __hash__ = type.__hash__


class Compared(metaclass=Meta):
    def __init__(self, **fields):
        self.__dict__.update(fields)


LARGE = b"x" * (resubmit.LARGE + 1)


@pytest.mark.parametrize(
    "value",
    [1, 2.5, None, True, "a", b"a", [1, ["a"]], {"a": {1: 2}}, {1, 2}, Plain(a=[1]), Compared(a=1), print],
    ids=lambda value: type(value).__name__,
)
def test_what_is_small(value):
    assert resubmit.is_small(value, 3)


@pytest.mark.parametrize(
    "value",
    [
        LARGE,
        LARGE.decode(),
        bytearray(LARGE),
        [[LARGE]],
        {"a": LARGE},
        {LARGE},
        list(range(2_000)),
        Plain(a=LARGE),
        Compared(a=LARGE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_large(value):
    assert not resubmit.is_small(value, 3)


def test_what_lies_deeper_than_is_looked_at_counts_as_small():
    assert resubmit.is_small([[[[LARGE]]]], 3)


def test_arrays_are_measured():
    numpy = pytest.importorskip("numpy")

    assert resubmit.is_small({"a": [numpy.zeros(10)]}, 3)
    assert not resubmit.is_small({"a": [numpy.zeros(1_000_000)]}, 3)


def test_an_array_whose_size_is_not_told_is_large():
    assert not resubmit.is_small(type("Array", (), {"__module__": "torch.nested"})(), 3)


def call(*args, **kwargs):
    return test_what_is_small, args, kwargs


def keep(call, error=None):
    """What a future keeps of this call."""
    future = SimpleNamespace()
    resubmit.keep_call(future, error or ValueError(), lambda: call)
    return getattr(future, "_autotb_call", None)


def test_a_small_call_is_kept_as_the_pool_has_it():
    made = call(1, x=[2])

    assert keep(made) is made


@pytest.mark.parametrize(
    "made", [call(LARGE), call(x=LARGE), (threading.Thread, (), {}), None], ids=["argument", "keyword", "engine's", "none"]
)
def test_a_large_call_an_engines_own_and_what_is_no_task_are_not_kept(made):
    assert keep(made) is None


def test_one_of_a_flood_keeps_nothing_and_its_call_is_not_looked_for():
    error = ValueError()
    error.__dict__[KEY] = (1, {}, None)
    future = SimpleNamespace()
    resubmit.keep_call(future, error, lambda: 1 / 0)

    assert not hasattr(future, "_autotb_call")
