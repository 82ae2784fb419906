"""What the index of a run folder lacks, and what it names that is there no longer."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from contextlib import closing

import pytest

from autotb.flow import index, result_log
from autotb.flow.catching_up import catch_up
from autotb.flow.result_log import OK, Place, Record


@pytest.fixture
def folder(tmp_path):
    (tmp_path / result_log.FOLDER).mkdir()
    with closing(index.created(str(tmp_path), "t")) as made:
        made.execute("INSERT INTO steps (name) VALUES ('load')")
    return str(tmp_path)


def kept(folder, *records, token="t"):
    """A shard with these elements, each at a time."""
    shard = result_log.Shard(folder, token)
    places = shard.append([Record(OK, 1, at, stamp, b"", b"data") for at, stamp in records])
    shard.close()
    return shard.path, places


def caught_up(folder, checks_all=False):
    with closing(index.Index(folder, "rw")) as found:
        catch_up(found, folder, checks_all)
        return dict(found.places("load", 0, 100))


def without_size(place):
    return Place(*place[:3])


def test_what_the_index_has_not_is_read(folder):
    _, places = kept(folder, (0, 1), (1, 2))

    assert caught_up(folder) == {at: without_size(place) for at, place in enumerate(places)}


def test_of_two_records_the_newer_counts_wherever_it_stands(folder):
    _, (old,) = kept(folder, (0, 5))
    assert caught_up(folder) == {0: without_size(old)}
    _, (new,) = kept(folder, (0, 9))
    assert caught_up(folder) == {0: without_size(new)}
    kept(folder, (0, 7))
    assert caught_up(folder) == {0: without_size(new)}


def test_what_it_has_is_not_read_again(folder, monkeypatch):
    path, _ = kept(folder, (0, 1), (1, 2))
    caught_up(folder)
    starts = []
    scan = result_log.scan
    monkeypatch.setattr(result_log, "scan", lambda folder, shard, start=0: starts.append(start) or scan(folder, shard, start))
    caught_up(folder)

    assert starts == [os.path.getsize(path)]


def test_records_after_a_damaged_one_are_not_dropped_and_it_is_told(folder):
    path, places = kept(folder, (0, 1), (1, 2), (2, 3))
    with open(path, "r+b") as file:
        file.seek(places[1].offset)
        file.write(b"X")

    with pytest.warns(RuntimeWarning, match=f"{os.path.basename(path)}: {places[1].size} bytes are damaged"):
        assert sorted(caught_up(folder)) == [0, 2]


def test_a_shard_that_became_shorter_is_read_as_a_whole(folder):
    path, places = kept(folder, (0, 1), (1, 2))
    caught_up(folder)
    os.truncate(path, places[1].offset + 3)

    with pytest.warns(RuntimeWarning, match="called again: element 1 of step 'load'$"):
        assert sorted(caught_up(folder)) == [0]


def test_damage_in_the_midst_is_found_where_all_is_checked(folder, monkeypatch):
    path, places = kept(folder, (0, 1), (1, 2), (2, 3))
    caught_up(folder)
    with open(path, "r+b") as file:
        file.seek(places[1].offset - 1)
        file.write(b"X")

    assert sorted(caught_up(folder)) == [0, 1, 2]
    with pytest.warns(RuntimeWarning, match="called again: element 0 of step 'load'$"):
        assert sorted(caught_up(folder, checks_all=True)) == [1, 2]
    asked = []
    place = index.Index.place
    monkeypatch.setattr(index.Index, "place", lambda *of: asked.append(of) or place(*of))
    with warnings.catch_warnings(action="error") if sys.version_info >= (3, 11) else contextlib.nullcontext():
        assert sorted(caught_up(folder, checks_all=True)) == [1, 2]  # nothing is called again of what was told before
    assert asked == []  # what is where the index has it is read, and nothing else


def test_a_torn_tail_is_nothing(folder):
    path, places = kept(folder, (0, 1), (1, 2))
    os.truncate(path, places[1].offset + 20)

    assert sorted(caught_up(folder)) == [0]


def test_what_a_run_has_kept_is_not_changed_by_what_a_worker_of_an_earlier_one_keeps_later(folder):
    _, (made,) = kept(folder, (0, 5), token="t.3")
    kept(folder, (0, 9), (1, 9), token="t.2")
    first = kept(folder, (0, 9), (2, 9))[1][1]
    found = caught_up(folder)

    assert found[0] == without_size(made)
    assert {1, 2} <= found.keys()  # what nobody else has made is taken
    assert found[2] == without_size(first)
