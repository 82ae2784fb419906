"""Functions that wait for their first call: another's code stands in for theirs, and leaves no trace."""

from __future__ import annotations

import sys
import traceback
from types import ModuleType, SimpleNamespace

import pytest

from autotb import first_use


@pytest.fixture(autouse=True)
def waiting(monkeypatch):
    monkeypatch.setattr(first_use, "waiting", [])
    return first_use.waiting


def engines(self):
    return "the engine's", self


def fails(self):
    raise ValueError(self)


def put_in(function, first):
    own = function.__code__
    function.__code__ = first_use.code_of_stand_in(own, first)
    return own


@pytest.fixture
def function():
    """One of which the code may be exchanged."""
    return type(engines)(engines.__code__, globals(), "start")


def test_the_stand_in_calls_what_was_put_in_with_the_functions_own_argument(function):
    put_in(function, lambda self: ("first", self))

    assert function(5) == ("first", 5)


def test_the_stand_in_says_the_functions_own_place(function):
    own = put_in(function, lambda self: None)
    code = function.__code__

    assert (code.co_filename, code.co_firstlineno, code.co_name) == (own.co_filename, own.co_firstlineno, first_use.NAME)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a frame that raises again stays in the traceback")
def test_what_it_raises_has_no_frame_of_ours(function):
    put_in(function, fails)
    with pytest.raises(ValueError) as caught:
        function(5)

    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "fails"
    assert first_use.NAME not in names[1:-1]


def raised(*files):
    """An exception with a frame of each of these files, outermost first."""
    raises = "def call():\n    raise ValueError\n"
    passes = "def call():\n    inner()\n"
    call = None
    for file in reversed(files):
        names = {"inner": call}
        exec(compile(raises if call is None else passes, file, "exec"), names)
        call = names["call"]
    try:
        call()
    except ValueError as error:
        error.__traceback__ = error.__traceback__.tb_next  # without this function's
        return error


OURS = first_use.FOLDER + "a.py"


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ([OURS, "/user.py"], ["/user.py"]),
        ([OURS, first_use.FOLDER + "b.py", "/user.py"], ["/user.py"]),
        (["/user.py"], ["/user.py"]),
        (["/user.py", OURS], ["/user.py", OURS]),
        ([OURS, first_use.FOLDER + "b.py"], [first_use.FOLDER + "b.py"]),  # an error of ours keeps its last frame
    ],
)
def test_the_outermost_frames_of_ours_are_taken_out(files, kept):
    error = raised(*files)
    first_use.clean(error)

    assert [frame.filename for frame in traceback.extract_tb(error.__traceback__)] == kept


def test_a_traceback_is_set_on_a_class_that_refuses_attributes():
    class Refuses(Exception):
        def __setattr__(self, name, value):
            raise TypeError(name)

    try:
        raise Refuses
    except Refuses as error:
        first_use.clean(error)
        assert error.__traceback__ is not None


@pytest.mark.parametrize(
    ("name", "filename", "is_ours"),
    [
        (first_use.NAME, "/lib/threading.py", True),
        ("start", first_use.FOLDER + "engines/threads.py", True),
        ("start", "/lib/threading.py", False),
    ],
)
def test_code_is_known_as_ours_by_name_or_folder(name, filename, is_ours):
    assert first_use.is_our_code(SimpleNamespace(co_name=name, co_filename=filename)) is is_ours


def test_a_function_is_found_in_the_class_that_holds_it():
    module = ModuleType("engine")
    module.Thread = type("Thread", (), {"start": engines})
    module.text = "no class"

    assert first_use.function_of(module, "Thread.start") is engines
    assert first_use.function_of(module, "Thread.stop") is None
    assert first_use.function_of(module, "text.start") is None
    assert first_use.function_of(module, "Missing.start") is None


def test_all_of_one_module_get_their_own_code_back(function, waiting):
    other = type(engines)(engines.__code__, globals(), "other")
    for name, each in ("threading", function), ("asyncio", other):
        own = put_in(each, lambda self: "first")
        waiting.append((name, each, own, each.__code__))
    first_use.stop_waiting("threading")

    assert function(1) == ("the engine's", 1)
    assert other(1) == "first"
    assert [first_use.waits(name) for name in ("threading", "asyncio")] == [False, True]


def test_code_that_somebody_has_put_in_since_stays(function, waiting):
    own = put_in(function, lambda self: "first")
    waiting.append(("threading", function, own, function.__code__))
    function.__code__ = fails.__code__
    first_use.stop_waiting()

    assert function.__code__ is fails.__code__
    assert waiting == []
