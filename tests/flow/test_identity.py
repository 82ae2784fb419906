"""What a step is compared by when a run is resumed."""

from __future__ import annotations

import os
import sys
import threading

import pytest

import autotb
from autotb.flow import identity
from autotb.flow.steps import Node, Output, as_step
from tests.flow.calls import double, invert


def node(function, *inputs, product=False, **constants):
    return Node("made", as_step(function), True, inputs, constants, product, frozenset(), 1)


def test_a_step_is_known_by_its_function_and_its_shape():
    made = identity.of(node(double, [1, 2]), (2,))

    assert (made.name, made.function, made.shape) == ("made", "tests.flow.calls.double", "[2]")
    assert identity.of(node(double, [1, 2]), None).shape is None


@pytest.mark.parametrize(
    "other",
    [
        node(double, [1, 3]),
        node(double, [1, 2], [1, 2]),
        node(double, [1, 2], product=True),
        node(double, [1, 2], scale=1),
        node(double, Output(None, "before")),
    ],
    ids=range(5),
)
def test_other_inputs_make_another_digest(other):
    assert identity.of(other, None).inputs != identity.of(node(double, [1, 2]), None).inputs


def test_equal_inputs_make_the_same():
    assert identity.of(node(double, [1, "a", double]), None) == identity.of(node(double, [1, "a", double]), None)


@pytest.mark.parametrize(
    ("value", "told"),
    [(double, "tests.flow.calls.double"), (threading.Lock(), "<lock>")],
)
def test_what_an_input_is_compared_by(value, told):
    assert identity._told(value) == told


@pytest.mark.parametrize("values", [[1, 2.5, "a'b", b"c", None, True, 1j], [1, [2]], [double, 1], [], list(range(25))])
def test_many_inputs_are_told_as_each_by_itself(monkeypatch, values):
    monkeypatch.setattr(identity, "_AT_ONCE", 10)

    assert "".join(identity._all_told(values)) == "".join(map(identity._told, values))


def test_an_error_is_the_same_that_has_occurred_again():
    one, other = (autotb.map(invert, [0], error_handling="continue", progress=False)[0] for _ in range(2))

    assert identity._told(one) == identity._told(other)


def test_where_the_program_is():
    found = identity.whereabouts()

    assert (found["folder"], found["path"]) == (os.getcwd(), [one for one in sys.path if isinstance(one, str)])
    assert found["main"] is None or os.path.isabs(found["main"])
