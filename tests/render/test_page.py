"""The page of a report: small, whole in itself, and harmless whatever the failures say."""

from __future__ import annotations

import json
from array import array

import pytest

from autotb.render import page
from autotb.trace.parts import Stack
from tests.render import pages
from tests.render.stories import WORKER, ZERO, plain_error, trace

NIGHT = 1_795_644_000.0


def member(number, text="", **more):
    return page.Member(**{"name": f"task {number}{text}", "call": f"score(x={number}{text})", "line": "E: m", "time": NIGHT + number,
                          "source": 0, "file": text, **more})  # fmt: skip


def cause(count=3, told=ZERO, lines=None, text=""):
    members = [member(number, text) for number in range(count)]
    times = array("d", (one.time for one in members))
    return page.Cause(told and trace(told), count, lines or {"E: m": count}, members, times)


def drawn(*causes, **more):
    return page.page(causes, page.Inputs(**{"sources": [("night", sum(one.count for one in causes))], **more}), "a title")


def data(text):
    return json.loads(pages.Page(text).scripts[0])


def test_causes_with_their_failures():
    text = drawn(cause(300), cause(1, plain_error("bad", "KeyError")))
    found, whole = pages.is_harmless(text), data(text)

    assert "301 failures, 2 root causes" in found.text
    assert "2026-11-25 22:00:00 to 22:04:59 UTC" in found.text
    assert text.count('class="cause"') == 2
    assert [one["count"] for one in whole["causes"]] == [300, 1]
    assert whole["texts"][whole["causes"][0]["call"][7]] == "score(x=7)"
    assert whole["causes"][0]["time"][7] == NIGHT + 7


def test_a_failure_costs_some_bytes_and_its_story_stands_once():
    few, many = drawn(cause(10)), drawn(cause(10_000))

    assert (len(many) - len(few)) / 9_990 < 120
    assert many.count("in a worker, pid 7") == 1


def test_of_many_root_causes_the_first_have_their_stories_and_all_are_listed():
    text = drawn(*(cause(1, Stack("E", f"m {number}", (WORKER,))) for number in range(3_000)))
    whole = data(text)

    assert text.count('class="autotb"') == page.MOST_STORIES
    assert whole["causes"][page.MOST_STORIES]["head"] == ["E", f"m {page.MOST_STORIES}", "/job.py:2 in score"]
    assert "and 2,800 more root causes" in text
    assert len(text) < 3_000 * 2_000


def test_hostile_text_stays_text():
    bad = pages.HOSTILE
    causes = [
        cause(2, plain_error(bad, bad), {bad: 1, bad + "x": 1}, bad),
        cause(1, None, {bad: 1}),
        *[cause(1)] * page.MOST_STORIES,
    ]
    text = drawn(*causes, cause(1, plain_error(bad, bad), {bad: 1}), sources=[(bad, 1)] * 20, unread=[bad])
    found = pages.is_harmless(text)

    assert found.scripts[0].isascii()
    assert not set("<>&") & set(found.scripts[0])
    assert "<script>alert(1)</script>" in data(text)["causes"][-1]["head"][0]
    assert "\\u202e" in data(text)["causes"][-1]["head"][0]  # as it is shown


def test_nothing_comes_from_elsewhere_and_no_other_script_runs():
    text = drawn(cause())
    assert "default-src 'none'" in text
    assert "script-src 'sha256-" in text
    for remote in ("http:", "https:", "url(", "@import", "fetch("):
        assert remote not in text


def test_what_is_not_known_is_not_said():
    one = page.Cause(trace(ZERO), 1, {"E: m": 1}, [member(0, time=0.0)], array("d"))
    text = drawn(one)
    assert "UTC</p>" not in text
    assert "<svg" not in text
    assert "of 1 it is not known when" in drawn(one, cause(2))


def test_inputs_are_told_and_counted():
    found = pages.Page(
        drawn(cause(), sources=[(f"n{at}", 2) for at in range(12)], twice=3, others=4, unread=["a.json: torn"])
    ).text
    for text in ("n0: 2", "and 4 more inputs", "counted once, as it stands in two of these: 3", "no failure of autotb's: 4",
                 "not read: 1", "a.json: torn"):  # fmt: skip
        assert text in found


def test_no_failure():
    assert "0 failures" in drawn()
    assert "no failure<" in drawn()


@pytest.mark.parametrize("colours", pages.palettes(page._asset("report.css")))
def test_every_colour_can_be_read(colours):
    for name in ("ink", "quiet", "red"):
        for background in ("page", "hover"):
            assert pages.contrast(colours[name], colours[background]) >= 4.5


@pytest.mark.skipif(not pages.CHROMIUM, reason="chromium is not installed; it is for pages as a browser has them")
def test_in_a_browser(tmp_path):
    file = tmp_path / "report.html"
    file.write_text(drawn(cause(250, plain_error(pages.HOSTILE, "KeyError"), text=pages.HOSTILE)), errors="backslashreplace")
    found, said = pages.browsed(file)

    assert said == []
    assert not {"img"} & set(found.tags)
    assert found.tags.count("script") == 2
    assert "250 failures" in found.text
    assert found.tags.count("tr") == 101  # a heading, and the first hundred, drawn by the script
    assert "150 more" in found.text
    assert 'score(x=7</script><script>alert(1)</script><img src=x onerror=alert(2)>"' in found.text
