"""The tables of the documents stand where a document has a place for them."""

from __future__ import annotations

import pytest

from autotb import settings
from autotb.cli import table


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    monkeypatch.setattr(table, "TABLES", {"one": lambda: "| 1 |", "two": lambda: "| 2 |"})


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("no place", "no place"),
        ("a\n<!-- table: one -->\nold\n<!-- end -->\nb", "a\n<!-- table: one -->\n| 1 |\n<!-- end -->\nb"),
        (
            "<!-- table: two -->\n<!-- end -->\n<!-- table: one -->\n<!-- end -->",
            "<!-- table: two -->\n| 2 |\n<!-- end -->\n<!-- table: one -->\n| 1 |\n<!-- end -->",
        ),
    ],
)
def test_a_document_is_filled(text, filled):
    assert table.filled(text) == filled


def test_a_document_that_is_filled_stays_as_it_is():
    once = table.filled("<!-- table: one -->\n<!-- end -->\nrest")

    assert table.filled(once) == once


def test_each_setting_is_a_row():
    rows = table.options().split("\n")[2:]

    assert [row.split("`")[3] for row in rows] == list(settings.OPTIONS)
