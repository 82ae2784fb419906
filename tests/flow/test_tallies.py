"""How far the steps of a run are, each and all together."""

from __future__ import annotations

from autotb.flow import tallies
from autotb.flow.tallies import Tallies


def told(tally):
    return tally.done, tally.failed, tally.skipped, tally.total


def test_the_sum_is_kept_as_the_steps_go_on():
    steps = Tallies({"a": 5, "b": 1})
    steps.add("a", 3, failed=1)
    steps.expect("b", 10)
    steps.add("b", 4, skipped=2)

    assert (told(steps["a"]), told(steps["b"]), told(steps.all)) == ((3, 1, 0, 5), (4, 0, 2, 10), (7, 1, 2, 15))


def test_what_has_changed_is_known():
    steps = Tallies({"a": 5, "b": 1})
    steps.add("b", 1)

    assert steps.changed == {"b"}


def test_the_time_of_a_step_that_has_begun_goes_on_until_its_end(monkeypatch):
    now = 5.0
    monkeypatch.setattr(tallies.time, "monotonic", lambda: now)
    tally = tallies.Tallies({"a": 1})["a"]
    assert tally.elapsed == 0
    tally.begun = 3.0
    assert tally.elapsed == 2
    tally.seconds = 1.0
    assert tally.elapsed == 1
