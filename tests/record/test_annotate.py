"""What is noted on an exception goes to its record, without asking the exception; many from one place share theirs."""

from __future__ import annotations

import pytest

from autotb import surface
from autotb.record import annotate, build, capture, made_frames, static
from autotb.record.capture import KEY, VERSION

PLACE = {"path": "/main.py", "line": 3, "name": "main"}
OTHER = {"path": "/main.py", "line": 9, "name": "main"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(annotate, "_shared", {})
    monkeypatch.setattr(annotate, "_texts", True)


class Refuses(Exception):
    """One whose class answers for itself."""

    def __getattribute__(self, name):
        raise AssertionError(name)

    def __setattr__(self, name, value):
        raise AssertionError(name)


def recorded(exc, **record):
    annotate.attach(exc, {"v": VERSION, "hops": [], **record})
    return exc


def light(call="f(1)", **more):
    """A record as it arrives: equal to others of its place, and another object."""
    base = {"pid": 7, "type": "ValueError", "frames": [{"path": "/w.py", "line": 1, "name": "f"}], **more}
    exc = ValueError("x")
    annotate.attach(exc, (VERSION, base, call))
    return exc


def raw(exc):
    return dict.get(capture.fields_of(exc), KEY)


def test_a_class_that_answers_for_itself_is_not_asked():
    exc = Refuses()
    annotate.note(exc, culprit="x")
    annotate.note_submitted(exc, PLACE)
    annotate.note_live(exc, {"engine": "e"})

    assert raw(exc)["culprit"] == "x"


def test_a_note_makes_a_record_where_there_is_none():
    exc = ValueError()
    annotate.note(exc, culprit="x", nothing=None)

    assert raw(exc) == {"v": VERSION, "hops": [], "culprit": "x"}


def test_the_first_record_of_a_process_shortens_its_texts_once(monkeypatch):
    class Events:
        count = 0

        def shorten_texts(self):
            self.count += 1

    events = Events()
    monkeypatch.setattr(surface, "events", events)
    monkeypatch.setattr(annotate, "_texts", False)
    for _ in range(2):
        annotate.attach(ValueError(), {"v": VERSION, "hops": []})

    assert events.count == 1


def test_a_record_that_has_arrived_shortens_them_too(monkeypatch):
    shortened = []
    monkeypatch.setattr(annotate, "_a_record_is_here", lambda: shortened.append(1))
    exc = ValueError()
    dict.__setitem__(capture.fields_of(exc), KEY, {"v": VERSION, "hops": [{"engine": "a"}]})
    annotate.note_submitted(exc, PLACE)

    assert shortened == [1]


def test_the_place_of_submission_is_the_outermost_hops():
    exc = recorded(ValueError(), hops=[{"engine": "a"}, {"engine": "b"}])
    annotate.note_submitted(exc, PLACE)

    assert [hop.get("submitted") for hop in raw(exc)["hops"]] == [PLACE, None]


def test_the_place_of_submission_that_is_known_stays():
    exc = recorded(ValueError(), hops=[{"engine": "a", "submitted": OTHER}])
    annotate.note_submitted(exc, PLACE)

    assert raw(exc)["hops"][0]["submitted"] == OTHER


def test_without_a_hop_the_record_itself_has_it():
    exc = ValueError()
    annotate.note_submitted(exc, PLACE)

    assert raw(exc)["submitted"] == PLACE


def test_a_place_that_is_not_known_leaves_no_record():
    exc = ValueError()
    annotate.note_submitted(exc, None)

    assert raw(exc) is None


def test_light_records_of_one_place_share_what_is_the_same():
    first, second = light(), light("f(2)")
    for exc in first, second:
        annotate.share(exc)

    assert raw(first)[1] is raw(second)[1]
    assert (raw(first)[2], raw(second)[2]) == ("f(1)", "f(2)")


@pytest.mark.parametrize("other", [{"pid": 8}, {"type": "KeyError"}, {"frames": [{"path": "/w.py", "line": 2}]}])
def test_those_of_another_place_do_not(other):
    first, second = light(), light(**other)
    for exc in first, second:
        annotate.share(exc)

    assert raw(first)[1] is not raw(second)[1]


@pytest.mark.parametrize("record", [(1,), (VERSION, {}, None), (VERSION, None, None), "text"])
def test_a_record_of_another_form_stays_as_it_came(record):
    exc = ValueError()
    annotate.attach(exc, record)
    annotate.share(exc)

    assert raw(exc) is record


def test_submitted_at_one_line_they_still_share():
    first, second = light(), light("f(2)")
    for exc in first, second:
        annotate.share(exc)
        annotate.note_submitted(exc, PLACE)

    assert raw(first)[1] is raw(second)[1]
    assert raw(first)[1]["submitted"] == PLACE


def test_submitted_at_two_lines_each_keeps_its_own():
    first, second = light(), light()
    for exc, place in (first, PLACE), (second, OTHER):
        annotate.share(exc)
        annotate.note_submitted(exc, place)

    assert [raw(exc)[1]["submitted"] for exc in (first, second)] == [PLACE, OTHER]


def test_what_is_shared_has_a_bound(monkeypatch):
    monkeypatch.setattr(build, "MAX_PLACES", 3)
    for number in range(10):
        annotate._one(number, number)

    assert len(annotate._shared) <= 4


def test_failures_of_one_thread_share_one_record():
    first, second = ValueError(), ValueError()
    for exc in first, second:
        annotate.attach_shared(exc, "thread pool", "in a thread")

    assert raw(first) is raw(second)
    assert raw(first)[1]["live"] is True


def test_a_threads_hop_comes_before_those_that_came_with_the_error():
    exc = recorded(ValueError(), hops=[{"engine": "process"}])
    annotate.note_live(exc, {"engine": "thread"})

    assert raw(exc)["hops"] == [{"engine": "thread", "live": True}, {"engine": "process"}]


def test_one_death_is_told_to_each_who_asks_with_his_own_place():
    hops = [{"engine": "a", "died": ["x"]}]
    first, second = ValueError(), ValueError()
    annotate.note_death(first, hops, PLACE)
    annotate.note_death(second, hops, None)

    assert raw(first)["hops"] == [{"engine": "a", "died": ["x"], "submitted": PLACE}]
    assert raw(second)["hops"] == [{"engine": "a", "died": ["x"]}]


def test_a_traceback_that_was_made_anew_has_the_records_frames_and_so_have_those_of_its_causes():
    tblib = pytest.importorskip("tblib")
    with pytest.raises(ValueError) as raised:
        try:
            light().no
        except AttributeError as error:
            raise ValueError("no") from error
    exc, cause = raised.value, raised.value.__cause__
    annotate.attach(exc, build.record(exc, exc.__traceback__, {"engine": "Dask", "where": "in a Dask worker"}))
    for each in (exc, cause):  # as Dask carries them
        static.set_traceback(each, tblib.Traceback(each.__traceback__).as_traceback())

    tracebacks = [annotate.renewed(exc, exc.__traceback__), cause.__traceback__]

    assert all(made_frames.is_made(static.innermost(tb).tb_frame) for tb in tracebacks)
