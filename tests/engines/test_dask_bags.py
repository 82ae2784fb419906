"""Which line made an operation of a bag that left no frame of the user's."""

from __future__ import annotations

import json

import pytest

from autotb.engines import dask_bags
from autotb.record import callsite

CODE = compile("one()\ntwo(); three()\n", "bags.py", "exec")


def at(line):
    return callsite.at(CODE, next(start for start, _, number in CODE.co_lines() if number == line))


def also_at(line):
    """Another instruction of that line."""
    return callsite.at(CODE, max(end for _, end, number in CODE.co_lines() if number == line) - 2)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(dask_bags, "_functions", {})
    monkeypatch.setattr(dask_bags, "_chains", {})


def test_a_librarys_function_that_was_given_at_one_line_alone():
    dask_bags._note(dask_bags._functions, "json:loads", at(2))
    dask_bags._note(dask_bags._functions, "json:loads", also_at(2))
    assert dask_bags.site_of("json:loads") == at(2)

    dask_bags._note(dask_bags._functions, "json:loads", at(1))
    dask_bags._note(dask_bags._functions, "json:loads", at(2))
    assert dask_bags.site_of("json:loads") is None


def test_a_bag_that_was_made_at_one_line_from_its_source_on():
    dependencies = {"source": set(), "map": {"source"}, "part": {"map"}, "sum": {"part"}}
    dask_bags._note(dask_bags._chains, "source", at(1))
    assert [*dask_bags._before(dependencies, "map")] == []
    dask_bags._note(dask_bags._chains, "map", at(2))
    assert [*dask_bags._before(dependencies, "sum")] == [at(2)]  # what stands between is no bag
    assert dask_bags.site_of("in source-map") == at(2)
    dask_bags._note(dask_bags._chains, "sum", None)
    assert dask_bags.site_of("in source-map-sum") is None
    assert dask_bags.site_of("in other") is None


def test_a_bag_notes_the_line_that_gives_it_a_function():
    bags = pytest.importorskip("dask.bag.core")
    bags.from_sequence([]).map(json.loads)
    (site,) = dask_bags._functions.values()
    assert callsite.decode(site)["name"] == "test_a_bag_notes_the_line_that_gives_it_a_function"
