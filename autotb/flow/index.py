"""The index of a run folder: which steps it has, and where each of their elements stands.  One SQLite file.

Flows in: rows, from the process that runs the flow and no other.  Flows out: rows again, also to a later process.
A rollback journal and an exclusive lock: run folders lie on network file systems, on which SQLite's WAL does not work.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any

from autotb.flow.result_log import MISSING, OK, STATE, Place

FILE = "index.sqlite"
_UNDONE = ".new"  # ends the name of an index that is being made
_FORMAT = 1
_APPLICATION = 0x61546246  # "aTbF", so that a foreign database is told from ours
_BUSY = 5.0  # seconds that another process's lock is waited for by who is to write
_BRIEFLY = 0.1  # and by who reads
_AT_ONCE = 100_000  # elements whose states are read at once
_TRIES, _PAUSE = 150, 0.02  # seconds between two looks at an index that is being written

_TABLES = """
CREATE TABLE steps (id INTEGER PRIMARY KEY, name TEXT UNIQUE, function TEXT, inputs TEXT, shape TEXT, seconds REAL DEFAULT 0);
CREATE TABLE shards (id INTEGER PRIMARY KEY, name TEXT UNIQUE, whole INTEGER DEFAULT 0);
CREATE TABLE elements (step INTEGER, at INTEGER, state INTEGER, shard INTEGER, offset INTEGER,
                       PRIMARY KEY (step, at)) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
"""


class Index:
    """An open index; ``is_live`` tells one whose run goes on in another process.

    Raises ValueError for a file that is none, and OSError where it cannot be read or written.
    """

    is_live = False

    def __init__(self, folder: str, mode: str, name: str = FILE) -> None:
        self.path = os.path.join(folder, name)
        if mode != "rwc" and not os.path.isfile(self.path):
            raise FileNotFoundError(2, f"there is no {FILE} of a run in this folder", folder)
        try:
            self.connection = self._opened(mode)
        except sqlite3.DatabaseError as error:
            raise _said(self.path, error) from error
        self._shards: dict[str, int] = {}

    def _opened(self, mode: str) -> sqlite3.Connection:
        uri = f"file:{_quoted(self.path)}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BRIEFLY if mode == "ro" else _BUSY, check_same_thread=False, isolation_level=None
        )
        try:
            if mode == "rwc":
                connection.executescript(
                    f"PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE; PRAGMA application_id={_APPLICATION};"
                    f"PRAGMA user_version={_FORMAT}; BEGIN; {_TABLES} COMMIT;"
                )
                return connection
            kind, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
            if kind != _APPLICATION or version != _FORMAT:
                raise ValueError(f"{self.path} is no index of a run of this version of autotb")
            if mode == "rw":
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
                connection.execute("PRAGMA cache_spill=0")  # the file is as the last commit left it, until the next
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")  # a second process that resumes the same run is told at once
                if "whole" not in [column[1] for column in connection.execute("PRAGMA table_info(shards)")]:
                    connection.execute("ALTER TABLE shards ADD COLUMN whole INTEGER DEFAULT 0")  # of an earlier version
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Let other processes have it."""
        self.connection.close()

    def execute(self, statement: str, values: Any = ()) -> list[Any]:
        """All rows of a statement."""
        try:
            return self.connection.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise _said(self.path, error) from error

    def add(self, step: int, rows: Iterable[tuple[int, Place]]) -> None:
        """Elements and where they stand; they last from the next :meth:`commit` on."""
        named = [(step, at, place.state, self._shard(place.shard), place.offset) for at, place in rows]
        try:
            if not self.connection.in_transaction:
                self.connection.execute("BEGIN")
            self.connection.executemany("INSERT OR REPLACE INTO elements VALUES (?, ?, ?, ?, ?)", named)
        except sqlite3.DatabaseError as error:
            raise _said(self.path, error) from error

    def change(self, statement: str, values: Any) -> None:
        """Make a change, which lasts from the next :meth:`commit` on."""
        if not self.connection.in_transaction:
            self.execute("BEGIN")
        self.execute(statement, values)

    def shards(self) -> dict[str, int]:
        """The shards, and up to which byte all of their records are in the index."""
        return dict(self.execute("SELECT name, whole FROM shards"))

    def set_whole(self, shard: str, whole: int) -> None:
        """All records of a shard up to this byte are in the index."""
        self.change("UPDATE shards SET whole = ? WHERE id = ?", (whole, self._shard(shard)))

    def lasts(self) -> dict[str, int]:
        """Where the last record of each shard begins, as far as the index knows."""
        names = dict(self.execute("SELECT id, name FROM shards"))
        return {names[shard]: last for shard, last in self.execute("SELECT shard, MAX(offset) FROM elements GROUP BY shard")}

    def rows(self, shard: str) -> Generator[tuple[int, int, int], None, None]:
        """Step, element and offset of each element that is in a shard, in the order of their offsets; none of them is kept."""
        try:
            statement = "SELECT step, at, offset FROM elements WHERE shard = ? ORDER BY offset"
            yield from self.connection.execute(statement, (self._shard(shard),))
        except sqlite3.DatabaseError as error:
            raise _said(self.path, error) from error

    def forget(self, elements: Iterable[tuple[int, int]]) -> None:
        """Elements, by step and number, that are not there."""
        for element in elements:
            self.change("DELETE FROM elements WHERE step = ? AND at = ?", element)

    def place(self, step: int, at: int) -> Place | None:
        """Where an element stands."""
        found = self.execute(
            "SELECT shards.name, offset, state FROM elements JOIN shards ON shards.id = elements.shard WHERE step = ? AND at = ?",
            (step, at),
        )
        return Place(*found[0]) if found else None

    def states(self, step: int, size: int) -> bytearray:
        """The states of so many elements of a step: a byte for each, 0 for a value."""
        count, extent = self.execute("SELECT COUNT(*), COALESCE(MAX(at) + 1, 0) FROM elements WHERE step = ?", (step,))[0]
        is_whole = count == extent <= size
        found = bytearray(count if is_whole else 0) + bytearray([MISSING]) * (size - count if is_whole else size)
        for start in range(0, min(extent, size), _AT_ONCE):
            rows = self.execute(
                "SELECT at, state FROM elements WHERE step = ? AND at >= ? AND at < ? AND state != ?",
                (step, start, min(start + _AT_ONCE, size), OK if is_whole else -1),
            )
            for at, state in rows:
                found[at] = state & STATE
        return found

    def extent(self, step: int) -> int:
        """How many elements a step has at least: up to the last that is known."""
        return int(self.execute("SELECT COALESCE(MAX(at) + 1, 0) FROM elements WHERE step = ?", (step,))[0][0])

    def _shard(self, name: str) -> int:
        if name not in self._shards:
            self.execute("INSERT OR IGNORE INTO shards (name) VALUES (?)", (name,))
            self._shards[name] = self.execute("SELECT id FROM shards WHERE name = ?", (name,))[0][0]
        return self._shards[name]

    def commit(self) -> None:
        """Write what was added."""
        if self.connection.in_transaction:
            self.execute("COMMIT")

    def count(self) -> int:
        """How many elements there are."""
        return int(self.execute("SELECT COUNT(*) FROM elements")[0][0])

    def note(self, **values: Any) -> None:
        """Keep something about the run."""
        for key, value in values.items():
            self.change("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def noted(self, key: str) -> Any:
        """What was kept; None where nothing was, or no JSON."""
        found = self.execute("SELECT value FROM meta WHERE key = ?", (key,))
        try:
            return json.loads(found[0][0]) if found else None
        except (TypeError, ValueError):
            return None

    def steps(self) -> list[tuple[str, bool]]:
        """The names of all steps, and whether there are results of them."""
        rows = self.execute("SELECT name, EXISTS (SELECT 1 FROM elements WHERE step = id) FROM steps ORDER BY id")
        return [(name, bool(has_results)) for name, has_results in rows]

    def step(self, name: str) -> tuple[Any, ...]:
        """``(id, name, function, inputs, shape)`` of a step."""
        found: list[tuple[Any, ...]] = self.execute("SELECT id, name, function, inputs, shape FROM steps WHERE name = ?", (name,))
        return found[0]

    def places(self, step: str, start: int, stop: int) -> list[tuple[int, Place]]:
        """The elements of a step from ``start`` on, before ``stop``, in order."""
        rows = self.execute(
            "SELECT at, shard, offset, state FROM elements WHERE step = (SELECT id FROM steps WHERE name = ?) "
            "AND at >= ? AND at < ? ORDER BY at",
            (step, start, stop),
        )
        names = dict(self.execute("SELECT id, name FROM shards"))  # after the rows: a run that goes on adds to them
        return [(at, Place(names[shard], offset, state)) for at, shard, offset, state in rows]


class Live(Index):
    """The index of a run that goes on in another process, which has it locked: each statement reads the file as it lies there,
    takes no lock and leaves nothing, and is tried again where the file is being written meanwhile.

    Raises BlockingIOError where it is written all the time.
    """

    is_live = True

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, FILE)

    def execute(self, statement: str, values: Any = ()) -> list[Any]:
        """All rows of a statement."""
        error: Exception | None = None
        for _ in range(_TRIES):
            before = self._settled()
            if before is not None:
                try:
                    with closing(self._opened("ro&immutable=1")) as connection:
                        rows = connection.execute(statement, values).fetchall()
                except (sqlite3.DatabaseError, ValueError) as failed:  # it may have been read in the midst of a change
                    error = failed
                else:
                    if self._settled() == before:
                        return rows
            time.sleep(_PAUSE)
        raise BlockingIOError(11, "the run that goes on here writes all the time: try again", self.path) from error

    def _settled(self) -> tuple[int, int] | None:
        """What changes with the file; None while a commit writes to it, which the head of the journal tells."""
        try:
            with open(self.path + "-journal", "rb") as journal:
                if journal.read(1).strip(b"\0"):
                    return None
        except FileNotFoundError:
            pass
        found = os.stat(self.path)
        return found.st_mtime_ns, found.st_size

    def close(self) -> None:
        """Nothing is open between two statements."""


def created(folder: str, token: str) -> Index:
    """A new index of the run with this token.  It is there entirely or not at all, at whatever moment this process is killed.

    Raises FileExistsError where there is one by now.
    """
    path = os.path.join(folder, FILE)
    made = f"{FILE}-{uuid.uuid4().hex}{_UNDONE}"
    with closing(Index(folder, "rwc", made)) as new:
        new.execute("INSERT INTO meta VALUES ('token', ?)", (token,))
    if os.path.isfile(path) and not os.path.getsize(path):
        os.remove(path)  # of one that was killed
    _named(os.path.join(folder, made), path)
    index = Index(folder, "rw")
    for name in os.listdir(folder):
        if name.startswith(FILE) and _UNDONE in name:  # of one that was killed, or comes too late
            with contextlib.suppress(OSError):
                os.remove(os.path.join(folder, name))
    return index


def _named(made: str, path: str) -> None:
    """Give a file its name, unless another has that by now: who removes the file before is such a one as well."""
    try:
        os.link(made, path)
    except FileNotFoundError:
        raise FileExistsError(17, "another run has begun the folder", path) from None
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.exists(path):
            raise FileExistsError(17, "another run has begun the folder", path) from None
        os.rename(made, path)


def is_begun(folder: str, ours: Callable[[str], bool]) -> bool:
    """Whether there is anything in a folder but what a run leaves that was killed before it began: names that are ``ours``, and
    no index, or an empty one."""
    names = os.listdir(folder)
    has_index = FILE in names and os.path.getsize(os.path.join(folder, FILE)) > 0
    return has_index or not all(name.startswith(FILE) or ours(name) for name in names)


def opened(folder: str) -> Index:
    """The index, to be read.  Also one whose run goes on, and one whose run was killed in the midst of writing, which SQLite
    takes back then."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "the run folder is gone, or cannot be seen from here", folder)
    try:
        return Index(folder, "ro")
    except BlockingIOError:
        return Live(folder)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or not os.path.exists(os.path.join(folder, FILE + "-journal")):
            raise
    with closing(Index(folder, "rw")):
        pass
    return Index(folder, "ro")


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(path))


def _said(path: str, error: sqlite3.DatabaseError) -> Exception:
    """The same in words: what is wrong with the file, or that somebody else has it."""
    text = str(error)
    if "locked" in text:
        return BlockingIOError(11, "another run of this flow, or somebody who reads it, has it open: wait for it to end", path)
    if "full" in text:
        return OSError(28, f"the index of the run cannot be written ({text})", path)
    if isinstance(error, sqlite3.OperationalError):
        return OSError(5, f"the index of the run cannot be read or written ({text})", path)
    return ValueError(f"{path} is torn, or no index of a run of autotb ({text})")
