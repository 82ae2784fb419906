"""The engines' wrappers of exceptions: a record is made while the traceback lives; where that fails the engine's way is gone."""

from __future__ import annotations

import pickle
import sys

import pytest

from autotb.instrument import exception_wrappers as wrappers
from autotb.record.capture import KEY, VERSION


class Box:
    """As multiprocessing's and concurrent.futures' are."""

    def __init__(self, exc, tb):
        self.exc, self.tb = exc, str(tb)

    def __reduce__(self):
        return rebuild, (self.exc, self.tb)


def rebuild(exc, tb):
    exc.__cause__ = RemoteText(tb)
    return exc


class RemoteText(Exception):
    pass


class Refuses(Exception):
    def __setattr__(self, name, value):
        raise TypeError(name)


def raised(exc):
    try:
        raise exc
    except BaseException as error:
        return error


def init(record, unpack=None):
    return wrappers.wrap_init(Box.__init__, record, unpack)


def test_the_wrapper_keeps_the_record_that_is_made_of_exception_and_traceback():
    error, box, seen = raised(ValueError()), Box.__new__(Box), []

    def record(exc, tb, caller):
        seen.append((exc, tb, caller.f_code.co_name))
        return "the record"

    def engine():
        stands_in()

    def stands_in():
        init(record)(box, error, error.__traceback__)

    engine()
    assert seen == [(error, error.__traceback__, "engine")]
    assert (box._autotb, box.exc) == ("the record", error)


@pytest.mark.parametrize("given", [("a text",), ()])
def test_a_wrapper_that_gets_a_text_or_nothing_has_the_exceptions_own_traceback(given):
    error, box, seen = raised(ValueError()), Box.__new__(Box), []
    wrappers.wrap_init(lambda self, exc, *more: None, lambda exc, tb, caller: seen.append(tb))(box, error, *given)

    assert seen == [error.__traceback__]


def test_a_record_that_cannot_be_made_costs_nothing_else():
    error, box = raised(ValueError()), Box.__new__(Box)
    init(lambda *args: 1 / 0)(box, error, None)

    assert box.exc is error
    assert not hasattr(box, "_autotb")


def test_what_was_carried_is_unpacked_first():
    inner, box = raised(KeyError()), Box.__new__(Box)
    init(lambda *args: None, lambda exc, tb: (exc.args[0], "tb"))(box, ValueError(inner), None)

    assert box.exc is inner


def test_keywords_are_arguments_too():
    error, box = raised(ValueError()), Box.__new__(Box)
    init(lambda *args: None)(box, exc=error, tb=None)

    assert box.exc is error


def test_what_is_pickled_is_the_engines_own_with_the_record():
    box = Box(ValueError("x"), "text")
    box._autotb = {"v": VERSION, "type": "ValueError", "message": "x", "hops": []}
    function, arguments = wrappers.wrap_reduce(Box.__reduce__, pickle.dumps, pickle.loads)(box)
    exc, text = pickle.loads(pickle.dumps(arguments))

    assert (function, text) == (rebuild, "text")
    assert exc.__dict__[KEY] == box._autotb


@pytest.mark.parametrize("reduced", ["a name", (rebuild, (ValueError(), "text"), {"state": 1})])
def test_a_wrapper_that_reduces_otherwise_is_left_alone(reduced):
    assert wrappers.wrap_reduce(lambda self: reduced)(Box(1, 2)) is reduced


def test_an_error_that_refuses_attributes_arrives_all_the_same():
    error = Refuses()
    found = wrappers.wrap_rebuild(rebuild, RemoteText)(error, "text")

    assert found is error
    assert found.__cause__.args == ("text",)


def test_an_error_that_takes_them_is_rebuilt_by_the_engine():
    error = ValueError()

    assert wrappers.wrap_rebuild(rebuild, lambda tb: 1 / 0)(error, "text") is error
    assert type(error.__cause__) is RemoteText


def test_an_error_of_the_engines_notes_who_makes_it():
    notes = []

    def note(error, frame):
        """What the note says."""
        notes.append((error.args, frame.f_code.co_name))

    class Died(Exception):
        pass

    wrapped = wrappers.when_made(note)(Died.__init__)
    Died.__init__ = lambda self, *args: wrapped(self, *args)
    Died("x")

    assert notes == [(("x",), "test_an_error_of_the_engines_notes_who_makes_it")]


def test_a_note_that_fails_leaves_the_error_as_the_engine_makes_it():
    made = ValueError()
    wrappers.when_made(lambda error, frame: 1 / 0)(ValueError.__init__)(made, "x")

    assert made.args == ("x",)
    assert sys.exc_info() == (None, None, None)
