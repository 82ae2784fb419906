"""Text of the program's: control characters are shown, never obeyed."""

from __future__ import annotations

import pytest

from autotb.render import clean


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain ünïcode 日本", "plain ünïcode 日本"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x07\x7f\x9b", "\\x00\\x07\\x7f\\x9b"),
        ("over\rwritten", "over\\x0dwritten"),
        ("abc\u202ecba", "abc\\u202ecba"),  # reads backwards on a terminal
        ("\u2028\u2066\ufeff", "\\u2028\\u2066\\ufeff"),
        ("half \ud800", "half \\ud800"),  # no encoding has it
    ],
)
def test_text(raw, shown):
    assert clean.text(raw) == shown


@pytest.mark.parametrize(("raw", "shown"), [("a\nb", "a\\nb"), ("a\tb", "a\\tb"), ("a\r\nb", "a\\x0d\\nb")])
def test_a_line_stays_one(raw, shown):
    assert clean.line(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [("\tx", "    x"), ("a\tb", "a   b"), ("abcd\te", "abcd    e"), ("\x0cx", " x"), ("'\x1b'", "'\\x1b'")],
)
def test_the_tabs_of_source_become_spaces(raw, shown):
    assert clean.source(raw) == shown


def test_every_control_character_is_harmless():
    controls = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]

    assert [char for char in controls if not clean.text(char).isprintable()] == []
