"""What is taken for granted of an engine is read through its declaration: all of it, or None."""

from __future__ import annotations

import gc
import sys
import weakref
from types import SimpleNamespace

import pytest

from autotb import assumption
from autotb.assumption import Attributes, Frame, Text


class Value:
    """Of the user's."""


def execute(function, args):
    return sys._getframe()


def wrapped(function):
    return execute(function, ())


def outer():
    return wrapped(len)


EXECUTE = Frame("engine", "Worker.execute", "function", "args", costs="the call")


@pytest.mark.parametrize(
    ("names", "found"),
    [(("function", "args"), (len, (1,))), (("args",), ((1,),)), (("function", "no_such"), None), ((), ())],
)
def test_a_frames_variables_are_read_all_or_none(names, found):
    assert Frame("engine", "execute", *names, costs="").read(execute(len, (1,))) == found


def test_a_variable_that_is_not_set_yet_is_none():
    def begins():
        frame = sys._getframe()
        found = Frame("engine", "begins", "later", costs="").read(frame)
        later = 1
        return found, later

    assert begins()[0] == (None,)


def test_looking_keeps_nothing_of_the_users_alive():
    def held():
        value = Value()
        frame = sys._getframe()
        EXECUTE_OF_VALUE.read(frame)
        reference = weakref.ref(value)
        del value
        gc.collect()
        return reference() is None

    EXECUTE_OF_VALUE = Frame("engine", "held", "value", costs="")
    assert held()


@pytest.mark.parametrize(
    ("qualname", "or_named", "matches"),
    [("Worker.execute", "", True), ("execute", "", True), ("Worker.run", "Worker.execute", True), ("executed", "", False)],
)
def test_a_frame_is_known_by_its_functions_name(qualname, or_named, matches):
    assert Frame("engine", qualname, costs="", or_named=or_named).matches(execute(1, 2)) is matches


@pytest.mark.parametrize(("limit", "found"), [(1, None), (2, (len,)), (5, (len,))])
def test_the_nearest_caller_that_is_one_is_read(limit, found):
    assert assumption.read(outer(), Frame("engine", "wrapped", "function", costs=""), limit=limit) == found


def test_of_several_frames_the_one_that_calls_is_read():
    other = Frame("engine", "other", "x", costs="")

    assert assumption.read(outer(), other, EXECUTE) == (len, ())
    assert assumption.read(None, EXECUTE) is None


def test_variables_of_closures_are_variables_too():
    held = 1

    def inner():
        return held

    assert assumption.missing(inner.__code__, ("held",)) == []
    assert assumption.missing(inner.__code__, ("held", "other")) == ["other"]
    assert assumption.missing(test_variables_of_closures_are_variables_too.__code__, ("held", "inner")) == []


def test_an_objects_attributes_are_read_all_or_none():
    pool = SimpleNamespace(_workers=[1], _state="RUN")

    assert Attributes("engine", "Pool", "_workers", "_state", costs="").read(pool) == ([1], "RUN")
    assert Attributes("engine", "Pool", "_workers", "_no_such", costs="").read(pool) is None


def test_a_messages_words():
    died = Text("engine", r"Worker-(\d+) died", words=("died",), costs="who died")

    assert died.match("Worker-3 died, alas")[1] == "3"
    assert died.match("alas, Worker-3 died") is None
    assert died.search("alas, Worker-3 died")[1] == "3"
    assert died.replaced("W", "Worker-3 died, Worker-4 died") == "W, W"


def test_a_copys_are_the_same_under_the_copys_name():
    copied = EXECUTE.in_copy("engine", "copy.engine")

    assert (type(copied), copied.module, copied.qualname, copied.names) == (
        Frame,
        "copy.engine",
        "Worker.execute",
        ("function", "args"),
    )
