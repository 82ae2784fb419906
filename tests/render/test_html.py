"""A story as HTML: everything that the text has, folded; nothing of it is markup."""

from __future__ import annotations

import sys

import pytest

from autotb.render import html
from autotb.trace.data import replace
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack
from tests.render import pages
from tests.render.stories import ENGINES, WORKER, ZERO, frame, plain_error, trace


def told(stack, **more):
    return pages.is_harmless(html.story(trace(stack, **more)))


def test_a_workers_error():
    text = html.story(trace(ZERO))
    page = pages.is_harmless(text)

    assert "<p class=where>in a worker, pid 7</p><p class=from>submitted at /main.py:5 in main</p>" in text
    assert "<p class=call>score(x=0)</p>" in text
    assert text.count("<details") == 3  # two frames, and those that are hidden
    assert text.count(" open>") == 1  # the innermost
    assert page.text.index("/job.py:5 in main") < page.text.index("/job.py:2 in score")
    assert text.endswith('<pre class="final"><b>ZeroDivisionError</b>: division by zero</pre></section></div>')


def test_hidden_and_folded_frames_are_there_to_be_opened():
    library = [Frame(f"/site-packages/lib/{name}.py", 3, name, "lib", kind="library") for name in ("outer", "inner")]
    page = told(Stack("E", "m", (replace(WORKER, frames=(ENGINES, frame("a"), *library, frame("b"))),)))

    assert "2 frames in lib, last at inner.py:3 in inner/site-packages/lib/outer.py:3 in outer" in page.text
    assert "every frame, with 1 engine frame" in page.text
    assert "/site-packages/pool.py:8 in run" in page.text


def test_variables_can_be_opened_unless_they_are_not_wanted(monkeypatch):
    stack = Stack("E", "m", (Hop((frame(locals=(("x", "0"), ("<b>", "</table>"))),)),))
    assert "<tr><th>x<td>0<tr><th>&lt;b&gt;<td>&lt;/table&gt;</table>" in html.story(trace(stack))

    monkeypatch.setenv("AUTOTB_LOCALS", "0")
    assert "<table" not in html.story(trace(stack))


def test_causes_come_first_and_groups_have_their_members():
    group = Stack("ExceptionGroup", "two", (WORKER,), members=(plain_error("a"), plain_error("a"), plain_error("b", "KeyError")))
    page = told(replace(group, cause=plain_error("the root", "OSError"), notes=("a note",)))

    order = ["OSError: the root", "direct cause", "2 × ZeroDivisionError: a", "KeyError: b", "ExceptionGroup: two", "a note"]
    assert [page.text.index(text) for text in order] == sorted(page.text.index(text) for text in order)
    assert "1 of 3: " in page.text


def test_what_else_a_story_says():
    worker = replace(WORKER, died=("killed by SIGKILL",), log="/w.log", inputs="/in.pkl", made=Place("/m.py", 4, "make"))
    stack = Stack(
        "E", "m", (worker, Hop((frame(), Gap(omitted=3)))), lost=("a note",), cut="sources", broken=("t (task 2)",), raised_as="W"
    )  # fmt: skip
    page = told(stack, hints=("hint: do it",), heading="a heading")

    for text in ("killed by SIGKILL", "the worker's log is /w.log", "rerun /in.pkl", "made at /m.py:4 in make", "3 more frames"):
        assert text in page.text
    for text in (
        "lost on the way from the worker: a note",
        "cut: sources",
        "t (task 2)",
        "raised as W",
        "hint: do it",
        "a heading",
    ):
        assert text in page.text


def test_hostile_text_stays_text_wherever_it_stands():
    bad = pages.HOSTILE
    hostile = Frame(bad, 2, bad, module=bad, source=((1, bad), (2, bad)), span=(1, 9), locals=((bad, bad),))
    place = Place(bad, 1, bad)
    folded = Frame(bad, 2, bad, module=bad, kind="library")
    hop = Hop(
        (hostile, folded, hostile), where=bad, call=bad, label=bad, submitted=place, made=place, job=((bad, bad),), died=(bad,),
        host=bad, inputs=bad, log=bad, thread=bad,
    )  # fmt: skip
    stack = Stack(bad, bad, (hop,), notes=(bad,), lost=(bad,), cut=bad, broken=(bad,), raised_as=bad, final=(bad,))
    stack = replace(stack, cause=stack, also=(stack, plain_error(bad)), members=(stack, replace(stack, message="x")))

    told(stack, hints=(bad,), heading=bad, kept=bad)


def test_its_length_is_bounded_and_what_is_left_out_is_counted():
    def nested(depth):
        members = tuple(replace(nested(depth - 1), message=str(at)) for at in range(4)) if depth else None
        return Stack("ExceptionGroup", "many", (WORKER,), members=members)

    text = html.story(trace(nested(5)))
    assert len(text) < 500_000
    assert "<p>3 of 4: ExceptionGroup: 2, at " in text

    chain = plain_error("root")
    for number in range(500):
        chain = plain_error(str(number), cause=chain)
    text = html.story(trace(chain))
    assert "led to 481 others, not shown here" in text


def test_sys_tracebacklimit(monkeypatch):
    monkeypatch.setattr(sys, "tracebacklimit", 0, raising=False)
    assert "job.py" not in html.story(trace(ZERO))


BACKGROUNDS = {"light": ("#ffffff", "#ffdddd"), "dark": ("#14171b", "#111111", "#1e1e1e")}


@pytest.mark.parametrize("theme", BACKGROUNDS)
def test_every_colour_can_be_read(theme):
    found = [one for one in pages.palettes(html.style()) if (one["ink"] < "#888888") == (theme == "light")]
    assert len(found) == 2  # the system's, and the notebook's

    for colours in found:
        for name in ("ink", "quiet", "red", "path", "accent", "key", "text", "number"):
            for background in (*BACKGROUNDS[theme], colours["fail"]):
                assert pages.contrast(colours[name], background) >= 4.5, (name, background)


def test_a_fragment_has_its_style_and_needs_no_other_file():
    text = html.fragment(trace(ZERO))
    assert text.startswith("<style>.autotb {")
    assert "url(" not in text
    assert "@import" not in text
