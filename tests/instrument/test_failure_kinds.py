"""Failures are counted by kind: type, line and causes; of what they say only whether it is the same."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from autotb import engine_facts
from autotb.instrument import failure_kinds
from autotb.record.capture import KEY, VERSION


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    failure_kinds.forget()
    yield
    failure_kinds.forget()


def fails(exc, cause=None):
    raise exc from cause


def raised(exc, cause=None):
    try:
        fails(exc, cause)
    except BaseException as error:
        return error


def raised_elsewhere(exc):
    try:
        raise exc
    except BaseException as error:
        return error


def recorded(exc, **record):
    exc.__dict__[KEY] = {"v": VERSION, "hops": [], **record}
    return exc


def frame(line, kind="user", path="/w.py"):
    return {"path": path, "line": line, "name": "f", "kind": kind}


def test_one_line_is_one_kind_whatever_is_said():
    assert failure_kinds.of(raised(ValueError(1))) is failure_kinds.of(raised(ValueError(2)))


@pytest.mark.parametrize(
    "other", [raised(KeyError(1)), raised_elsewhere(ValueError(1)), raised(ValueError(1), KeyError(2)), ValueError(1)]
)
def test_another_type_place_or_cause_is_another_kind(other):
    assert failure_kinds.of(raised(ValueError(1))) is not failure_kinds.of(other)


def test_the_place_is_the_innermost_line_of_the_users():
    found = failure_kinds.of(raised(ValueError(1)))

    assert (found.type, found.path, found.name) == ("ValueError", __file__, "fails")


def test_a_line_of_an_engines_is_no_place_but_tells_kinds_apart():
    def asked(ask):
        try:
            ask()
        except Exception as error:  # before 3.11 their TimeoutError is one of their own
            return failure_kinds.of(error.with_traceback(error.__traceback__.tb_next.tb_next))

    one, other = asked(lambda: Future().result(0)), asked(lambda: Future().exception(0))
    assert str(one) == str(other) and str(one).endswith("TimeoutError")
    assert one is not other


def test_without_a_traceback_there_is_no_place():
    assert str(failure_kinds.of(ValueError(1))) == "ValueError"


@pytest.mark.parametrize(
    ("hops", "line"),
    [
        ([{"frames": [frame(1), frame(2)]}], 2),
        ([{"frames": [frame(1), frame(2, "library")]}], 1),  # the user's
        ([{"frames": [frame(1, "library"), frame(2, "library")]}], 2),
        ([{"frames": [frame(1)]}, {"frames": [frame(5)]}], 5),  # the innermost hop
        ([{"frames": [frame(1)]}, {"frames": []}], 1),
        ([{"frames": [frame(1), {"omitted": 3}]}], 1),
    ],
)
def test_the_place_of_a_workers_failure_is_in_its_record(hops, line):
    assert failure_kinds.of(recorded(ValueError(1), hops=hops)).line == line


def test_the_causes_of_a_workers_failure_are_in_its_record():
    first, second = (
        recorded(ValueError(1), hops=[{"frames": [frame(1)]}], cause={"type": kind, "hops": []})
        for kind in ("KeyError", "OSError")
    )

    assert failure_kinds.of(first) is not failure_kinds.of(second)


def test_light_records_that_share_their_place_share_their_kind_at_once():
    base = {"pid": 7, "type": "ValueError", "frames": [frame(1)]}
    first, second = ValueError(1), ValueError(2)
    assert failure_kinds.of_record((VERSION, base, None)) is None
    for exc in first, second:
        exc.__dict__[KEY] = (VERSION, base, None)

    kind = failure_kinds.of(first)
    assert failure_kinds.of_record((VERSION, base, "f(1)")) is kind is failure_kinds.of(second)
    assert failure_kinds.of_record((VERSION, dict(base), None)) is None  # equal, and not the same


def test_a_chain_without_end_is_a_kind_too():
    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__cause__ = two, one

    assert failure_kinds.of(one).type == "ValueError"


def test_what_comes_after_the_last_kind_is_counted_together(monkeypatch):
    monkeypatch.setattr(failure_kinds, "MOST", 1)
    failure_kinds.of(raised(ValueError(1)))

    assert failure_kinds.of(raised(KeyError(1))) is failure_kinds.OTHERS
    assert failure_kinds.OTHERS in failure_kinds.every()


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (ValueError("a", 1), ("a", 1)),
        (KeyError("k"), ("k",)),
        (OSError(2, "gone", "/file"), (2, "gone", "/file", None)),
        (ValueError(["a list"]), None),
        (ValueError("x" * 400), None),
        (type("Said", (ValueError,), {"__str__": lambda self: "x"})(), None),
    ],
)
def test_what_a_message_is_made_of(exc, said):
    assert failure_kinds.said(exc) == said


def test_those_that_all_say_the_same_are_told_by_the_first_ones_words():
    kind = failure_kinds.of(raised(ValueError(1)))
    kind.first = "ValueError: 1"
    kind.count(raised(ValueError(1)))
    assert (str(kind), kind.unreported) == ("ValueError: 1", 1)

    kind.count(raised(ValueError(2)))
    kind.count(raised(ValueError(1)))
    assert str(kind).startswith("ValueError, at ")
    assert kind.unreported == 3


def test_a_forked_child_counts_anew():
    failure_kinds.of(raised(ValueError(1)))
    failure_kinds.OTHERS.unreported = 3
    failure_kinds.forget()

    assert failure_kinds.every() == [failure_kinds.OTHERS]
    assert failure_kinds.OTHERS.unreported == 0
