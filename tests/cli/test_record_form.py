"""The published form of a record is read from its schema."""

from __future__ import annotations

import json

import pytest

from autotb.cli import record_form
from autotb.record import schema

SHAPES = {"exception": schema.Tree, "hop": schema.Hop, "frame": schema.Frame, "place": schema.Place}


def test_what_a_key_holds_is_its_comment():
    assert record_form.keys(schema.Place)["line"] == "its number, from 1; 0 for code that has no lines"


def test_keys_of_the_shape_that_one_is_based_on_come_first():
    assert list(record_form.keys(schema.Frame))[:4] == ["path", "line", "name", "module"]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_table_has_a_row_for_each_key(shape):
    rows = record_form.table(shape).split("\n")[2:]

    assert [row.split("`")[1] for row in rows] == list(schema.forms(shape))


@pytest.fixture(scope="module")
def published():
    return json.loads(record_form.json_schema())


@pytest.mark.parametrize(("name", "shape"), [("error", schema.Tree), ("hop", schema.Hop), ("frame", schema.Frame)])
def test_the_json_schema_has_what_a_story_shows(published, name, shape):
    assert set(published["$defs"][name]["properties"]) - {"span", "end"} == set(schema.shown(shape))


def test_no_other_keys_are_allowed(published):
    assert {name for name, form in published["$defs"].items() if form["additionalProperties"]} == set()
