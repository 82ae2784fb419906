"""Which attempt of a task an error is of, and whether the ones before failed alike."""

from __future__ import annotations

import pytest

from autotb.instrument import attempts
from autotb.record import annotate
from autotb.record.capture import attached


@pytest.mark.parametrize(
    ("number", "most", "failed", "expected"),
    [
        (3, 3, ["a", "a", "a"], "attempt 3 of 3, all failed alike"),
        (2, 4, ["b", "a"], "attempt 2 of 4, others failed of b"),
        (3, 3, ["a"], "attempt 3 of 3"),
        (2, 0, [], "attempt 2"),
        (6, 6, ["b", "c", "d", "e", "f", "a"], "attempt 6 of 6, others failed of b; c; d and 2 more"),
    ],
)
def test_what_is_said(number, most, failed, expected):
    assert attempts.said(number, most, failed) == expected


def test_it_stands_beside_what_the_engine_calls_the_task():
    error = ValueError()
    annotate.attach(error, {"v": 1, "hops": [{"label": "task 7", "frames": []}]})
    attempts.note(error, 2, 2, [])

    assert attached(error)["hops"][0]["label"] == "task 7, attempt 2 of 2"


def test_a_first_attempt_and_an_error_without_a_story_are_let_be():
    error = ValueError()
    attempts.note(error, 2, 2, [])
    assert attached(error) is None

    annotate.attach(error, {"v": 1, "hops": [{"frames": []}]})
    attempts.note(error, 1, 1, ["a"])
    assert "label" not in attached(error)["hops"][0]


def test_the_oldest_tasks_are_forgotten(monkeypatch):
    monkeypatch.setattr(attempts, "MAX_TASKS", 2)
    known = attempts.Attempts()
    for task in (1, 2, 2, 3):
        known.failed_of(task, "a")

    assert known.failed == {2: ["a", "a"], 3: ["a"]}


def test_an_errors_headline():
    assert attempts.headline(ValueError("bad")) == "ValueError: bad"
    assert attempts.headline(ValueError()) == "ValueError"
