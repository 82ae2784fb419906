"""What others show of a worker's exception: the traceback without engines' frames, the chain without their text, the lines."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import re
import traceback
import types
import weakref

import pytest

from autotb.record import build, ownership
from autotb.render import retold


def ratio(clicks, views):
    return clicks / views


def caused(clicks):
    try:
        ratio(clicks, 0)
    except ZeroDivisionError as error:
        raise ValueError("no ratio") from error


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        yield pool


def failed(pool, function, *given):
    future = pool.submit(function, *given)
    concurrent.futures.wait([future])
    try:
        future.result()
    except Exception as error:
        return error


def names(tb):
    return [frame.name for frame in traceback.extract_tb(tb)]


def slots(error):
    return error.__traceback__, error.__cause__, error.__context__, error.__suppress_context__


def test_what_is_told_and_where(pool):
    error = failed(pool, ratio, 1, 0)
    told = retold.of(error, error.__traceback__)

    assert names(told.tb) == ["failed", "ratio"]
    assert [at for at, _ in told.places] == [1]
    assert told.lines[0].startswith("in a process-pool worker, pid ")
    assert told.lines[1] == "ratio(clicks=1, views=0)"
    assert re.fullmatch(r"[34] engine frames hidden, AUTOTB_FRAMES=all", told.lines[2])  # on 3.10 one of ours is among them


def test_all_frames_where_they_are_asked_for(pool, monkeypatch):
    monkeypatch.setenv("AUTOTB_FRAMES", "all")
    error = failed(pool, ratio, 1, 0)
    told = retold.of(error, error.__traceback__)

    assert told.tb is error.__traceback__
    assert [at for at, _ in told.places] == [names(error.__traceback__).index("ratio")]
    assert not any("hidden" in line for line in told.lines)


def test_nothing_of_a_plain_error():
    try:
        ratio(1, 0)
    except ZeroDivisionError as caught:
        assert retold.of(caught, caught.__traceback__) is None
    assert retold.of(None, None) is None


def test_nothing_with_the_switch_off_and_in_silence(pool, monkeypatch):
    error = failed(pool, ratio, 1, 0)
    with retold.silence():
        assert retold.of(error, error.__traceback__) is None
    assert retold.of(error, error.__traceback__) is not None
    monkeypatch.setenv("AUTOTB_TRACEBACK", "0")
    assert retold.of(error, error.__traceback__) is None


def test_for_a_while_the_chain_is_the_workers(pool):
    error = failed(pool, caused, 1)
    before = slots(error)
    with retold.for_a_while(error):
        assert names(error.__traceback__) == ["failed", "caused"]
        assert type(error.__cause__).__name__ == "ZeroDivisionError"
        assert str(error.__cause__) == "division by zero"
        assert names(error.__cause__.__traceback__) == ["caused", "ratio"]

    assert slots(error) == before
    assert ownership.is_remote_text(error.__cause__)


def handled(clicks):
    try:
        ratio(clicks, 0)
    except ZeroDivisionError:
        raise ValueError("no ratio")  # noqa: B904  as programs do


def without_its_chain(error):
    """As an engine gives it that tells the chain in the message, or leaves it behind."""
    error.__cause__ = error.__context__ = None
    error.__suppress_context__ = False
    return error


@pytest.mark.parametrize("function, said", [(caused, "direct cause"), (handled, "During handling")])
def test_what_an_engine_has_left_behind_is_the_workers(pool, function, said):
    error = without_its_chain(failed(pool, function, 1))
    first, is_said, _ = "".join(traceback.format_exception(error)).partition(said)

    assert is_said and first.count("return clicks / views") == 1
    assert slots(error)[1:] == (None, None, False)


def test_what_was_being_handled_here_comes_before_that(pool):
    error = without_its_chain(failed(pool, caused, 1))
    error.__context__ = KeyError("here")
    with retold.for_a_while(error):
        assert (str(error.__cause__), str(error.__cause__.__context__)) == ("division by zero", "'here'")


def test_a_chain_that_the_program_has_cut_stays_so(pool):
    error = without_its_chain(failed(pool, caused, 1))
    error.__suppress_context__ = True  # as by ``raise error from None``

    assert retold.workers_chain(error) is None


def test_a_chain_that_has_come_along_is_not_told_twice(pool):
    error = without_its_chain(failed(pool, handled, 1))
    error.__context__ = ZeroDivisionError("division by zero")

    assert retold.workers_chain(error) is None


def test_what_was_raised_anew_meanwhile_keeps_that(pool):
    error = failed(pool, ratio, 1, 0)
    with retold.for_a_while(error):
        try:
            raise error
        except ZeroDivisionError:
            pass

    assert names(error.__traceback__)[-3:] == ["test_what_was_raised_anew_meanwhile_keeps_that", "failed", "ratio"]


class Wrapper(Exception):
    """An engine's exception whose message is its text of the error."""


@pytest.mark.parametrize(
    "own, shown",
    [
        ('ray::f()\n  File "x.py", line 1, in f\nValueError: no ratio', "ValueError: no ratio"),
        ("no ratio, said the user", "no ratio, said the user"),
        ("no ratio", "no ratio"),
    ],
)
def test_an_engines_text_as_message_is_the_story_s_own(pool, own, shown):
    error = failed(pool, caused, 1)
    told = retold.of(error, error.__traceback__)
    told.error = Wrapper()

    assert told.message(own) == shown


def test_the_text_of_a_call_that_does_not_fit_says_nothing_more(pool):
    error = failed(pool, ratio)

    assert retold.is_whole(error)
    assert retold.workers_chain(error)[:2] == (None, None)


def test_the_text_of_a_worker_that_died_stays(pool):
    with concurrent.futures.ProcessPoolExecutor(1) as other:
        error = failed(other, os._exit, 3)
    told = retold.of(error, error.__traceback__)

    assert any("exit status 3" in line for line in told.lines)


@pytest.fixture(scope="module")
def errors():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        futures = [pool.submit(fails, number) for number in range(build.FULL_RECORDS + 20)]
        return [raised(future) for future in futures]


class TestFailuresOfOnePlace:
    """Many of them are described once; their calls are each one's own."""

    def texts(self, errors):
        return ["".join(traceback.format_exception(error)) for error in errors]

    def test_they_are_told_as_each_alone(self, errors):
        retold._patterns.clear()
        together = self.texts(errors)
        alone = []
        for error in errors:
            retold._patterns.clear()
            alone += self.texts([error])

        assert together == alone
        assert retold._patterns
        assert f"[fails(number={build.FULL_RECORDS + 19})]" in together[-1]

    def test_the_settings_hold(self, errors, monkeypatch):
        self.texts(errors)
        monkeypatch.setenv("AUTOTB_ARGS", "0")
        assert "[fails(" not in self.texts(errors[-1:])[0]
        monkeypatch.setenv("AUTOTB_FRAMES", "all")
        assert "_base.py" in self.texts(errors[-1:])[0]

    def test_nothing_of_the_programs_is_kept(self):
        with concurrent.futures.ProcessPoolExecutor(1) as pool:
            futures = [pool.submit(fails, number) for number in range(build.FULL_RECORDS + 5)]
            errors = [raised(future) for future in futures]
        planted = errors[-1].planted = Planted()
        seen = weakref.ref(planted)
        self.texts(errors)
        del planted, errors, futures
        gc.collect()

        assert seen() is None
        assert {type(each) for pattern in retold._patterns.values() for each in pattern.held} <= {dict, types.CodeType}


class Planted:
    pass


def fails(number):
    raise KeyError(number)


def raised(future):
    try:
        future.result()
    except KeyError as error:
        return error
