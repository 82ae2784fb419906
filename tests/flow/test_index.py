"""The index of a run folder: what is written is found again, and what is no index is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from autotb.flow import index
from autotb.flow.index import FILE, Index
from autotb.flow.result_log import DERIVED, FAILED, LEFT_OUT, MISSING, OK, Place


@pytest.fixture
def made(tmp_path):
    """A folder with one step, two of whose elements are there."""
    with closing(Index(str(tmp_path), "rwc")) as new:
        new.execute("INSERT INTO steps (name, function, inputs, shape) VALUES ('load', 'm.load', 'digest', '[3]')")
        new.add(1, [(2, Place("a.shard", 70, FAILED)), (0, Place("b.shard", 0, OK))])
        new.commit()
    return str(tmp_path)


def test_elements_are_found_in_order(made):
    with closing(index.opened(made)) as found:
        assert found.places("load", 0, 3) == [(0, Place("b.shard", 0, OK)), (2, Place("a.shard", 70, FAILED))]


@pytest.mark.parametrize(("start", "stop", "ats"), [(0, 2, [0]), (1, 3, [2]), (1, 2, [])])
def test_a_part_of_the_elements(made, start, stop, ats):
    with closing(index.opened(made)) as found:
        assert [at for at, _ in found.places("load", start, stop)] == ats


def test_steps_are_known_by_their_names(made):
    with closing(index.opened(made)) as found:
        assert (found.steps(), found.step("load")) == ([("load", True)], (1, "load", "m.load", "digest", "[3]"))


def test_a_step_without_results_is_known_as_such(made):
    with closing(Index(made, "rw")) as again:
        again.change("INSERT INTO steps (name) VALUES (?)", ("new",))
        again.commit()
    with closing(index.opened(made)) as found:
        assert found.steps() == [("load", True), ("new", False)]


def test_an_element_that_is_written_again_stands_where_it_stands_last(made):
    with closing(Index(made, "rw")) as again:
        again.add(1, [(2, Place("c.shard", 5, OK))])
        again.commit()
        assert again.places("load", 2, 3) == [(2, Place("c.shard", 5, OK))]


def test_elements_may_be_forgotten(made):
    with closing(Index(made, "rw")) as again:
        again.forget([(1, 2), (1, 7)])
        assert [at for at, _ in again.places("load", 0, 3)] == [0]
        assert again.states(1, 3) == bytes([OK, MISSING, MISSING])


def test_what_is_known_of_the_shards(made):
    with closing(Index(made, "rw")) as again:
        again.add(1, [(1, Place("a.shard", 9, OK))])
        again.set_whole("a.shard", 100)
        assert again.shards() == {"a.shard": 100, "b.shard": 0}
        assert again.lasts() == {"a.shard": 70, "b.shard": 0}
        assert sorted(again.rows("a.shard")) == [(1, 1, 9), (1, 2, 70)]
        assert (again.place(1, 2), again.place(1, 5)) == (Place("a.shard", 70, FAILED), None)


def test_an_index_of_an_earlier_version_is_read_and_written(made):
    with closing(sqlite3.connect(index.os.path.join(made, FILE))) as connection:
        connection.executescript(
            "CREATE TABLE before (id INTEGER PRIMARY KEY, name TEXT UNIQUE); INSERT INTO before SELECT id, name FROM shards;"
            "DROP TABLE shards; ALTER TABLE before RENAME TO shards;"
        )
    with closing(index.opened(made)) as found:
        assert len(found.places("load", 0, 3)) == 2
    with closing(Index(made, "rw")) as again:
        assert again.shards() == {"a.shard": 0, "b.shard": 0}


def test_what_was_not_committed_is_not_there(made):
    with closing(Index(made, "rw")) as again:
        again.add(1, [(1, Place("a.shard", 9, OK))])
    with closing(index.opened(made)) as found:
        assert [at for at, _ in found.places("load", 0, 3)] == [0, 2]


def test_a_path_with_what_urls_mean_by_something(tmp_path):
    folder = tmp_path / "a?b#c%20d"
    folder.mkdir()
    with closing(Index(str(folder), "rwc")):
        pass

    assert (folder / FILE).is_file()


def test_a_second_process_that_writes_is_told_at_once(made, monkeypatch):
    monkeypatch.setattr(index, "_BUSY", 0.01)
    with closing(Index(made, "rw")), pytest.raises(BlockingIOError, match="another run of this flow"):
        Index(made, "rw")


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_a_folder_without_one_is_told(tmp_path, mode):
    with pytest.raises(FileNotFoundError, match="there is no index.sqlite of a run in this folder"):
        Index(str(tmp_path), mode)


def test_a_folder_that_is_gone_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="the run folder is gone"):
        index.opened(str(tmp_path / "gone"))


def test_a_file_of_another_kind_is_told(tmp_path):
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)

    with pytest.raises(ValueError, match="is torn, or no index"):
        index.opened(str(tmp_path))


def test_a_database_of_another_program_is_told(tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("CREATE TABLE theirs (x)")

    with pytest.raises(ValueError, match="is no index of a run of this version"):
        index.opened(str(tmp_path))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlite3.OperationalError("database is locked"), BlockingIOError),
        (sqlite3.OperationalError("database or disk is full"), OSError),
        (sqlite3.OperationalError("disk I/O error"), OSError),
        (sqlite3.DatabaseError("file is not a database"), ValueError),
    ],
)
def test_what_sqlite_says_in_the_systems_words(error, kind):
    assert type(index._said("/index", error)) is kind


def test_an_index_is_made_under_another_name_and_is_there_with_its_token(tmp_path):
    with closing(index.created(str(tmp_path), "t")) as new:
        assert new.execute("SELECT value FROM meta WHERE key = 'token'") == [("t",)]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_there_is_one_index_whoever_makes_another(tmp_path):
    with closing(index.created(str(tmp_path), "t")), pytest.raises(FileExistsError):
        index.created(str(tmp_path), "other")


def test_on_a_file_system_without_links(tmp_path, monkeypatch):
    monkeypatch.setattr(index.os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "Operation not permitted")))
    index.created(str(tmp_path), "t").close()
    with pytest.raises(FileExistsError):
        index.created(str(tmp_path), "other")


def test_one_that_is_locked_is_read_beside_its_run(made):
    with closing(Index(made, "rw")) as run:
        run.add(1, [(1, Place("a.shard", 9, OK))])
        with closing(index.opened(made)) as found:
            assert found.is_live
            assert [at for at, _ in found.places("load", 0, 3)] == [0, 2]
            run.commit()
            assert [at for at, _ in found.places("load", 0, 3)] == [0, 1, 2]
            run.note(begun=1.5)
            run.commit()
            assert (found.noted("begun"), found.noted("nothing")) == (1.5, None)


def test_one_that_is_being_written_is_waited_for(made, monkeypatch):
    monkeypatch.setattr(index, "_TRIES", 3)
    with closing(Index(made, "rw")):
        found = index.opened(made)
        with open(found.path + "-journal", "r+b" if index.os.path.exists(found.path + "-journal") else "wb") as journal:
            journal.write(b"\xd9")  # as a commit begins
        with pytest.raises(BlockingIOError, match="writes all the time"):
            found.steps()
        with open(found.path + "-journal", "r+b") as journal:
            journal.write(b"\0")


def test_what_is_noted_and_is_none_of_ours_is_nothing(made):
    with closing(Index(made, "rw")) as run:
        run.change("INSERT INTO meta VALUES (?, ?)", ("begun", "no JSON"))
        assert run.noted("begun") is None


@pytest.mark.parametrize(
    ("states", "size", "told"),
    [
        ({0: OK, 1: OK, 2: OK}, 3, [OK, OK, OK]),
        ({0: OK, 1: FAILED | LEFT_OUT, 2: OK}, 4, [OK, FAILED, OK, MISSING]),
        ({1: OK, 2: DERIVED}, 3, [MISSING, OK, OK]),
        ({0: OK, 5: FAILED}, 3, [OK, MISSING, MISSING]),  # the step was longer
        ({}, 2, [MISSING, MISSING]),
    ],
)
def test_the_states_of_a_step(tmp_path, monkeypatch, states, size, told):
    monkeypatch.setattr(index, "_AT_ONCE", 2)
    with closing(index.created(str(tmp_path), "token")) as made:
        made.add(1, [(at, Place("a.shard", at, state)) for at, state in states.items()])
        assert made.states(1, size) == bytes(told)
