"""How far the steps of a run are, each and all together."""

from __future__ import annotations

from autotb.flow.tallies import Tallies


def told(tally):
    return tally.done, tally.failed, tally.skipped, tally.total


def test_the_sum_is_kept_as_the_steps_go_on():
    tallies = Tallies({"a": 5, "b": 1})
    tallies.add("a", 3, failed=1)
    tallies.expect("b", 10)
    tallies.add("b", 4, skipped=2)

    assert (told(tallies["a"]), told(tallies["b"]), told(tallies.all)) == ((3, 1, 0, 5), (4, 0, 2, 10), (7, 1, 2, 15))


def test_what_has_changed_is_known():
    tallies = Tallies({"a": 5, "b": 1})
    tallies.add("b", 1)

    assert tallies.changed == {"b"}
