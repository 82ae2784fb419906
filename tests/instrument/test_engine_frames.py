"""What adapters share where something failed: the call, wrappers that a hostile exception breaks, texts of a worker."""

from __future__ import annotations

import functools
import pickle
import sys

import pytest

from autotb import engine_facts, settings
from autotb.instrument import engine_frames
from autotb.record import annotate, build, callsite
from autotb.record.capture import KEY, VERSION


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(annotate, "_texts", True)
    monkeypatch.setattr(engine_frames, "_places", {})


@pytest.fixture
def switch(monkeypatch):
    """Sets switches; the others are on, but for that which keeps inputs."""
    given = {"keep_inputs": False}
    monkeypatch.setattr(settings, "switch", lambda name: given.get(name, True))
    return given


def halve(x):
    return 1 / x


def rebinds(x):
    x = None
    return 1 / 0 if x is None else x


def raised(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error


def test_a_place_is_the_same_object_for_the_same_line():
    site = callsite.here(1)
    code, offset = callsite.code_of(site), callsite.offset_of(site)
    first, second = callsite.at(code, offset), callsite.at(code, offset, "a batch")

    assert engine_frames.place_of(first) is engine_frames.place_of(second)
    assert engine_frames.place_of(first)["name"] == "test_a_place_is_the_same_object_for_the_same_line"
    assert engine_frames.place_of(None) is None


def test_places_of_equal_code_are_not_one():
    """Code that says the same in two files is equal."""
    codes = [compile("submit()", name, "exec") for name in ("first", "second")]
    assert codes[0] == codes[1]
    assert [engine_frames.place_of(callsite.at(code, 0))["path"] for code in codes] == ["first", "second"]


@pytest.mark.parametrize(
    ("chunk", "star", "call"),
    [([0], False, "halve(x=0)"), ([(0,)], True, "halve(x=0)"), ([3, 0], False, "halve(x=0)")],
)
def test_the_call_of_a_chunk_is_the_failing_elements(switch, chunk, star, call):
    assert engine_frames.chunk_call(halve, chunk, raised(halve, 0).__traceback__, star=star) == call


def test_where_the_parameter_was_rebound_it_is_one_of_the_chunk(switch):
    found = engine_frames.chunk_call(rebinds, [3, 4], raised(rebinds, 3).__traceback__, star=False)

    assert found == "rebinds, for one of 2 elements: [3, 4]"


def test_arguments_that_are_not_to_be_captured_are_not(switch):
    switch["args"] = False
    tb = raised(halve, 0).__traceback__

    assert engine_frames.chunk_call(halve, [3, 0], tb, star=False) is None
    assert engine_frames.frame_call(tb) is None


def test_the_call_of_a_traceback_is_its_first_frame_of_the_users(switch):
    tb = raised(halve, 0).__traceback__.tb_next

    assert engine_frames.frame_call(tb) == "halve(x=0)"
    assert engine_frames.frame_call(None) is None


def passing(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Around:
    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def with_more(function):
    def wrapper(*args, **kwargs):
        kwargs.pop("more", None)
        return divided(*args, **kwargs)

    return wrapper


class Keeps:
    def __init__(self, by, first):
        self.by = by
        kept = by
        self.share = first / kept


def divided(first, *others, by=0, **more):
    return first / by


@pytest.mark.parametrize(
    ("function", "given", "named", "told"),
    [
        (passing(halve), (0,), {}, "halve(x=0)"),
        (passing(passing(halve)), (), {"x": 0}, "halve(x=0)"),
        (Around(passing(halve)), (0,), {}, "halve(x=0)"),
        (passing(rebinds), (3,), {}, "wrapper(3)"),
        (with_more(halve), (1,), {"more": 2, "by": 0}, "wrapper(1, by=0, …)"),
        (Keeps, (0, 1), {}, f"{'Keeps.' if sys.version_info >= (3, 11) else ''}__init__(by=0, first=1)"),
        (divided, (1,), {}, "divided(first=1, by=0)"),
        (divided, (1, 2, "b"), {"token": "x"}, "divided(1, 2, 'b', by=0, token=***)"),
        (lambda *args: 1 / args[0], (0, 1), {}, "<lambda>(0, 1)"),
        (lambda *args: 1 / args[0], range(25), {}, f"<lambda>({', '.join(map(str, range(20)))}, … 5 more)"),
    ],
)
def test_a_wrapper_that_passes_on_what_it_is_given_is_the_function_that_it_is_around(function, given, named, told):
    with pytest.raises(ArithmeticError) as raised:
        function(*given, **named)

    assert engine_frames.frame_call(raised.value.__traceback__.tb_next) == told


def test_only_frames_of_the_users_count(monkeypatch):
    tb = raised(halve, 0).__traceback__
    assert engine_frames.has_user_frame(tb)
    monkeypatch.setattr(engine_frames.ownership, "kind_of_frame", lambda frame: "library")
    assert not engine_frames.has_user_frame(tb)


def test_a_flood_in_threads_shares_its_record_and_its_calls_are_not_made(switch, monkeypatch):
    monkeypatch.setattr(build, "is_flood", lambda tb: True)
    error = raised(halve, 0)
    engine_frames.note_thread(error, "threads", "in a thread", lambda: 1 / 0)

    assert type(error.__dict__[KEY]) is tuple


def test_a_threads_failure_has_its_call(switch, monkeypatch):
    monkeypatch.setattr(build, "is_flood", lambda tb: False)
    error = raised(halve, 0)
    engine_frames.note_thread(error, "threads", "in a thread", lambda: "halve(0)")
    (hop,) = error.__dict__[KEY]["hops"]

    assert (hop["engine"], hop["where"], hop["call"], hop["live"]) == ("threads", "in a thread", "halve(0)", True)


class Box:
    """An engine's wrapper."""


def fails(box, exc, *given):
    raise TypeError("a hostile exception")


def test_a_hostile_exception_is_boxed_without_being_asked(switch):
    class Hostile(Exception):
        def __str__(self):
            raise AssertionError

        def __setattr__(self, name, value):
            raise AssertionError

    error, box = raised(rebinds, 1), Box()
    hostile = Hostile()
    engine_frames.original_init(fails, box, hostile, error.__traceback__)

    assert box.exc is hostile
    assert box.tb.startswith('\n"""\nTraceback (most recent call last):\n')
    assert "in rebinds" in box.tb
    assert hostile.__traceback__ is None


def test_one_that_cannot_be_asked_whether_it_is_there_is_not_rescued():
    """``if exception:`` in the driver would end the thread that every caller waits for."""

    class Unaskable(Exception):
        def __bool__(self):
            raise ValueError

    with pytest.raises(TypeError, match="a hostile exception"):
        engine_frames.original_init(fails, Box(), Unaskable(), None)


def test_without_rescue_the_engine_fails_as_ever(switch):
    switch["rescue"] = False

    with pytest.raises(TypeError, match="a hostile exception"):
        engine_frames.original_init(fails, Box(), ValueError(), None)


def test_a_cause_is_set_on_a_class_that_refuses_it():
    class Refuses(Exception):
        def __setattr__(self, name, value):
            raise TypeError

    error, cause = Refuses(), ValueError()

    assert engine_frames.set_cause(error, cause).__cause__ is cause


def rebuild(exc, text):
    return exc, text


def test_what_a_wrapper_pickles_into_carries_the_record():
    box = Box()
    box._autotb = {"v": VERSION, "type": "ValueError", "message": "x", "hops": []}
    function, arguments = engine_frames.reduced(box, rebuild, (ValueError("x"), "text"))
    exc, text = pickle.loads(pickle.dumps((function, arguments)))[1]

    assert (function, text) == (rebuild, "text")
    assert exc.__dict__[KEY]["type"] == "ValueError"


def test_a_wrapper_of_another_form_pickles_as_ever():
    assert engine_frames.reduced(Box(), rebuild, ("one", "two", "three")) == (rebuild, ("one", "two", "three"))


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    1 / 0\nZeroDivisionError: by zero\n',
            "ZeroDivisionError",
            "by zero",
        ),
        ("  frames\nmine.errors.Odd: one\ntwo\n\n", "Odd", "one\ntwo"),
        ("  frames\nKeyboardInterrupt\n", "KeyboardInterrupt", ""),
    ],
)
def test_the_headline_of_a_text(text, kind, message):
    found = engine_frames.headline_of(text)

    assert (type(found).__name__, str(found)) == (kind, message)


@pytest.mark.parametrize("text", ["", "no frames at all", "  frames alone\n"])
def test_a_text_without_frames_or_an_end_has_none(text):
    assert engine_frames.headline_of(text) is None


def test_a_class_that_may_not_exist_here_bears_its_whole_name():
    made = engine_frames.named("mine.errors.Odd", "x")

    assert (type(made).__module__, type(made).__qualname__, str(made)) == ("mine.errors", "Odd", "x")
    assert type(engine_frames.named("ValueError", "x")).__module__ == "builtins"


def test_a_record_says_better_than_the_text_what_a_wrapper_holds():
    error = ValueError("  frames\nKeyError: 1\n")
    assert engine_frames.opened_text(error, str(error)).headline is not None

    error.__dict__[KEY] = {"v": VERSION, "hops": [], "submitted": {}}  # a mere note
    assert engine_frames.opened_text(error, str(error)).headline is not None

    error.__dict__[KEY] = {"v": VERSION, "type": "KeyError", "message": "1", "hops": []}
    found = engine_frames.opened_text(error, str(error), "step 2")
    assert (type(found), found.headline, found.text, found.broken) == (engine_facts.Opened, None, None, ("step 2",))
