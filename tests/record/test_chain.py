"""The exceptions that are shown together."""

from __future__ import annotations

import builtins
import sys

import pytest

from autotb.record import annotate, capture, chain


def names(errors):
    return [str(error) for error in errors]


def made(name, **slots):
    error = ValueError(name)
    for slot, value in slots.items():
        setattr(error, slot, value)
    return error


def test_causes_go_before_contexts_and_none_is_followed_where_it_is_suppressed():
    a, b, c = (ValueError(name) for name in "abc")
    a.__cause__, a.__context__, b.__context__ = b, c, c
    assert names(chain.line(a)) == ["a", "b", "c"]

    b.__suppress_context__ = True
    assert names(chain.line(a)) == ["a", "b"]


def test_a_circle_ends():
    a, b = ValueError("a"), ValueError("b")
    a.__context__, b.__context__ = b, a
    assert names(chain.line(a)) == ["a", "b"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
def test_members_and_what_they_came_out_of():
    members = [ValueError("b"), made("c", __cause__=ValueError("d"))]
    group = builtins.ExceptionGroup("a", members)

    assert names(chain.every(group)) == ["a (2 sub-exceptions)", "b", "c", "d"]


def test_a_workers_error_anywhere_in_it():
    error = made("a", __cause__=made("b"))
    assert not chain.concerns(error)
    assert not chain.concerns(None)
    annotate.attach(error.__cause__, {"v": capture.VERSION, "hops": []})
    assert chain.concerns(error)
