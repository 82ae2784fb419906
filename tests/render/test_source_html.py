"""Source lines as HTML: highlighted, underlined where it failed, escaped."""

from __future__ import annotations

import re
import sys

import pytest

from autotb.render import source_html
from autotb.trace.parts import Frame
from tests.render import pages


def rows(text, line=1, span=None):
    return source_html.rows(Frame("/job.py", line, "f", source=tuple(enumerate(text.split("\n"), 1)), span=span))


def bare(html):
    return pages.Page(html).text


def test_tokens_have_classes_and_the_common_indentation_is_left_out():
    assert rows('    if x:\n        return "a", 1  # b') == [
        (1, "<span class=k>if</span> x:"),
        (2, '    <span class=k>return</span> <span class=s>&quot;a&quot;</span>, <span class=n>1</span>  <span class=c># b</span>'),
    ]  # fmt: skip


def test_the_failing_expression_is_underlined():
    ((_, row),) = rows("    return 1 / x", span=(11, 16))
    assert row == "<span class=k>return</span> <u><span class=n>1</span> / x</u>"


def test_tabs_and_wide_characters_move_no_mark():
    ((_, row),) = rows('\tname = "日本" + x', span=(15, 16))
    assert row.endswith("+ <u>x</u>")
    assert bare(row) == 'name = "日本" + x'


@pytest.mark.parametrize("span", [(50, 60), (5, 2), (-3, 1_000_000), (0, 0)])
def test_columns_that_are_not_the_lines_harm_nothing(span):
    ((_, row),) = rows("return 1", span=span)
    assert bare(row) == "return 1"


def test_a_string_that_begins_above_colours_only_its_own_line():
    found = dict(rows('the end of a text."""\nvalue = 1'))
    assert found[2] == "value = <span class=n>1</span>"


@pytest.mark.parametrize("text", [pages.HOSTILE, '"' + pages.HOSTILE, "# " + pages.HOSTILE, "x = 1\n\n" + "'''" + pages.HOSTILE])
def test_hostile_text_stays_text(text):
    for _, row in rows(text):
        page = pages.is_harmless(row)
        assert set(page.tags) <= {"span", "u"}


def test_a_long_line_is_cut_and_counted():
    ((_, row),) = rows("x = " + "1 + " * 10_000)
    assert re.search(r"<i>… \(39,60\d more characters\)</i>$", row)
    assert len(row) < 20_000


def test_without_pygments_it_is_plain(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygments.lexers.python", None)
    monkeypatch.setitem(sys.modules, "pygments", None)

    assert rows("return 1 < x") == [(1, "return 1 &lt; x")]


def test_no_source_no_rows():
    assert rows("") == []
