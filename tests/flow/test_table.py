"""The table of a flow's steps, as text."""

from __future__ import annotations

import pytest

from autotb.flow import table
from autotb.flow.tallies import Tally


def tally(done=0, failed=0, skipped=0, total=0, seconds=0.0):
    made = Tally(total)
    made.done, made.failed, made.skipped, made.seconds = done, failed, skipped, seconds
    return made


def rows(text):
    return [line.split() for line in text.split("\n")]


def test_done_are_those_that_gave_a_value():
    text = table.text({"load": tally(10, 2, 1, 2_000, 3)}, [])

    assert rows(text)[-1] == ["load", "7", "2", "1", "2,000", "3.00", "s"]


def test_a_name_is_no_markup():
    assert rows(table.text({"[red]load": tally()}, []))[-1][0] == "[red]load"


def test_a_long_name_is_folded_and_no_count_is():
    text = table.text({"x" * 200: tally(total=123_456)}, [], width=60)

    assert text.count("x") == 200
    assert "123,456" in text
    assert max(map(len, text.split("\n"))) <= 60


def test_names_are_no_html():
    page = table.html({"<b>load": tally(1, 0, 0, 2)}, bars=True)

    assert "<b>" not in page
    assert '<progress value="1" max="2"></progress>' in page


def test_root_causes_follow():
    assert table.text({}, ["one", "two"]).endswith("\n\none\n\ntwo")


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0, "0.00 s"), (59.5, "59.50 s"), (60, "1 min 0 s"), (119, "1 min 59 s"), (3600, "1 h 0 min"), (7260, "2 h 1 min")],
)
def test_times(seconds, says):
    assert table.seconds(seconds) == says


@pytest.mark.parametrize(("seconds", "says"), [(59.999, "1 min 0 s"), (119.7, "2 min 0 s"), (7199.9, "2 h 0 min")])
def test_no_time_has_sixty_of_anything(seconds, says):
    assert table.seconds(seconds) == says
