"""What became of each element of each step: in memory, or in a run folder, or both.

Flows in: values and errors, as they arrive; of workers that keep them in the folder, where they stand.  Flows out: the same, one
by one; and :class:`Source` objects, which find the elements of an array again, from a folder also in a later process.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pickle
import time
import uuid
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotb.flow import left_out, packing, repeats, result_log, snapshots
from autotb.flow.catching_up import catch_up
from autotb.flow.identity import Identity, whereabouts
from autotb.flow.index import FILE, Index, created, is_begun, opened
from autotb.flow.left_out import Kept, Made
from autotb.flow.result_log import FAILED, MISSING, OK, SKIPPED, ItemPlace, Place, Record
from autotb.flow.snapshots import ErrorSnapshot, ErrorStub, PropagatedErrorSnapshot, as_json
from autotb.flow.steps import of_call
from autotb.record import arrival

Places = Sequence[Place | None] | None  # where workers have kept some elements; None for those that they have not
Seconds = Sequence[float]  # of the calls of some elements, or none
_STORIES = 200  # errors of a process whose stories can be shown without unpickling; of further ones a line can
_AT_ONCE = 1_000  # elements whose places are asked for at once
_MOST = 1 << 53  # calls: what is more is none
COMMIT = 0.5  # seconds between commits; what a killed run has not committed is found in the shards


_MARK = "run-"
_UNKNOWN = array("f", [math.nan])
_ERRORS = (*snapshots.ERRORS, ErrorStub)


def state_of(value: Any) -> int:
    """Whether a result is a value, an error, or in place of a call that was not made."""
    kind = type(value)
    if kind is ErrorSnapshot:
        return FAILED
    if kind is PropagatedErrorSnapshot:
        return SKIPPED
    if kind is ErrorStub:
        return SKIPPED if value.propagated else FAILED
    return OK


@dataclass
class Column:
    """The elements of one step, counted through in the order of the last axis first; ``shape`` is ``()`` for a single call.

    ``states`` has a byte for each; ``values`` is None where they are in the folder only.  ``seconds`` is what each call took, as
    far as this run has made it; else it is no number."""

    name: str
    shape: tuple[int, ...]
    states: bytearray
    values: list[Any] | None
    step: int = 0
    made: dict[int, Made] = field(default_factory=dict)  # of what elements were made, where errors have to do with it
    seconds: array[float] = field(default_factory=lambda: array("f"))

    def took(self, ats: Sequence[int], seconds: Seconds) -> None:
        """So long the calls of some elements took."""
        if not self.seconds:
            self.seconds = _UNKNOWN * len(self.states)
        if isinstance(ats, range) and ats.step == 1:
            self.seconds[ats.start : ats.stop] = array("f", seconds)
            return
        for at, one in zip(ats, seconds, strict=True):
            self.seconds[at] = one

    def errors(self) -> list[int]:
        """Which elements are errors."""
        if self.states.count(FAILED) + self.states.count(SKIPPED) == 0:
            return []
        return self.errors_of(range(len(self.states)))

    def errors_of(self, ats: Sequence[int]) -> list[int]:
        """Which of these are errors."""
        return [at for at in ats if self.states[at] in (FAILED, SKIPPED)]


class Memory:
    """Results that live as long as this process."""

    folder: str | None = None
    token = ""
    is_read_by_workers = False  # what is in a folder: until one has said that it does not see it

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}
        self.tries: dict[str, list[int]] = {}  # by step: how many calls were retried, and how many timed out

    def tried(self, name: str, retried: int, timed_out: int) -> None:
        """So many more calls of a step were retried, so many timed out."""
        before = self.tries.get(name, [0, 0])
        self.tries[name] = [before[0] + retried, before[1] + timed_out]

    def begin(self, name: str, shape: tuple[int, ...], grows: bool = False) -> Column:  # noqa: ARG002  Folder's
        """A step's place; its elements are missing until they are put there."""
        size = math.prod(shape)
        self.columns[name] = column = Column(name, shape, bytearray([MISSING]) * size, [None] * size)
        return column

    def waiting(self, column: Column, count: int) -> int:  # noqa: ARG002  Passing's
        """How many of so many elements of a step nobody has taken who is to."""
        return 0

    def grow(self, column: Column, count: int) -> None:
        """A step that is mapped over a stream has so many elements by now."""
        new = count - len(column.states)
        column.shape = (count,)
        if new > 0:
            column.states.extend(bytes([MISSING]) * new)
            if column.values is not None:
                column.values.extend([None] * new)
            if column.seconds:
                column.seconds.extend(_UNKNOWN * new)

    def results(self, name: str) -> Coming:
        """The results of a step, as they come."""
        return Coming(self, name)

    def put(
        self,
        column: Column,
        ats: Sequence[int],
        values: list[Any],
        places: Places,  # noqa: ARG002  Folder's
        seconds: Seconds = (),
    ) -> bytes:
        """What some elements came to; ``places`` says where workers have kept them.  Returns their states."""
        if seconds and len(seconds) == len(values):
            column.took(ats, seconds)
        is_sound = not snapshots.Noted.any_made or {*map(type, values)}.isdisjoint(_ERRORS)
        states = bytes(len(values)) if is_sound else bytes(map(state_of, values))
        if isinstance(ats, range) and ats.step == 1:
            column.states[ats.start : ats.stop] = states
            if column.values is not None:
                column.values[ats.start : ats.stop] = values
            return states
        for at, value, state in zip(ats, values, states, strict=True):
            column.states[at] = state
            if column.values is not None:
                column.values[at] = value
        return states

    def read(self, column: Column, start: int, stop: int) -> list[Any]:
        """The elements from ``start`` on, before ``stop``."""
        assert column.values is not None
        return column.values[start:stop]

    def places(self, column: Column, ats: Sequence[int]) -> list[tuple[int, Place]]:  # noqa: ARG002  Folder's
        """Where elements stand in a run folder."""
        raise KeyError(f"{column.name!r} is in memory")

    def pick(self, column: Column, ats: Sequence[int]) -> list[Any]:
        """Some elements."""
        return [self.read(column, at, at + 1)[0] for at in ats]

    def source(self, column: Column) -> Any:
        """Where a column's elements are found again."""
        assert column.values is not None
        return MemorySource(column.values, column.shape)

    def finish(self, column: Column, seconds: float) -> None:
        """A step is done."""

    @property
    def is_behind(self) -> bool:
        """Whether something is not yet where others see it."""
        return False

    def settle(self) -> None:
        """Nothing to do in memory."""

    def catch_up(self) -> None:
        """Nothing to do in memory."""

    def close(self) -> None:
        """Nothing to do in memory."""


class Coming:
    """The results of one step that are there by now, in order; those of a product one after the other."""

    def __init__(self, store: Memory, name: str) -> None:
        self.store, self.name, self._at = store, name, 0

    def ready(self) -> Iterator[Any]:
        """Those that have come since they were last asked for."""
        column = self.store.columns.get(self.name)
        while column is not None and self._at < math.prod(column.shape) and column.states[self._at] != MISSING:
            self._at += 1
            yield self.store.read(column, self._at - 1, self._at)[0]


class Passing(Memory):
    """Results of one step that is mapped over a stream, each of which is given away in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self._given = 0
        self._values: dict[int, Any] = {}

    def waiting(self, column: Column, count: int) -> int:  # noqa: ARG002  there is one
        """How many are still to be given away."""
        return count - self._given

    def grow(self, column: Column, count: int) -> None:
        """What is not there takes no room."""

    def put(
        self,
        column: Column,  # noqa: ARG002
        ats: Sequence[int],
        values: list[Any],
        places: Places,  # noqa: ARG002
        seconds: Seconds = (),  # noqa: ARG002
    ) -> bytes:
        """What some elements came to.  Returns their states."""
        self._values.update(zip(ats, values, strict=True))
        return bytes(map(state_of, values))

    def results(self, name: str) -> Any:  # noqa: ARG002  there is one
        """Itself."""
        return self

    def ready(self) -> Iterator[Any]:
        """What is next, as far as it is there."""
        while self._given in self._values:
            self._given += 1
            yield self._values.pop(self._given - 1)


class Folder(Memory):
    """Results in a run folder; ``keeps`` tells whether their values stay in memory as well.

    Raises FileExistsError for a folder that exists, unless ``resume``; ValueError for one that holds something else.
    """

    def __init__(self, folder: str, keeps: bool, resume: bool, checks_all: bool = False) -> None:
        super().__init__()
        self.folder: str = os.path.abspath(folder)
        self.keeps, self.is_read_by_workers = keeps, True
        self._last, self._is_urgent = time.monotonic(), False
        self._steps: dict[str, Identity] = {}
        self._checks_all = checks_all
        self._wholes: dict[str, _Whole] = {}
        self._grown: set[str] = set()  # steps that have become longer
        self._flowing: set[str] = set()  # those that may become longer still
        self._identities: dict[tuple[str, int], str] = {}  # of errors that steps take which are given errors
        self._skipped: set[str] = set()  # steps of which an earlier run has skipped calls
        self._earlier: result_log.Reader | None = None  # for what stands of these
        self._going: dict[str, tuple[float, float]] = {}  # steps that are not done: since when, and how much of it is noted
        if not resume:
            refuse_existing(self.folder)
        self.index = self._resumed() if _holds(self.folder) else self._begun(resume)
        self._known = self.index.shards()
        self.tries, self._has_tries = tries_of(self.index), False
        _open[self.folder] = self

    def _begun(self, resume: bool) -> Index:
        os.makedirs(os.path.join(self.folder, result_log.FOLDER), exist_ok=True)
        self.token = uuid.uuid4().hex
        with open(os.path.join(self.folder, mark(self.token)), "wb"):
            pass
        try:
            return created(self.folder, self.token)
        except FileExistsError:  # another run was faster
            os.remove(os.path.join(self.folder, mark(self.token)))
            if not resume:
                refuse_existing(self.folder)
            return self._resumed()

    def _resumed(self) -> Index:
        if not os.path.isfile(os.path.join(self.folder, FILE)):
            raise ValueError(f"{self.folder} is no run folder of autotb: it has no {FILE}; give a folder that is not there yet")
        found = Index(self.folder, "rw")
        try:
            self.token = self._taken_over(found)
            repeats.forget_all(self.folder)
            catch_up(found, self.folder, self._checks_all)
        except BaseException:
            found.close()
            raise
        return found

    def _taken_over(self, index: Index) -> str:
        """The folder gets a token of its next turn.  Workers that outlive the run that was killed (a cluster's) miss theirs, make
        no further call, and what they keep yet is told from what this run keeps."""
        token = result_log.next_turn(index.execute("SELECT value FROM meta WHERE key = 'token'")[0][0])
        os.makedirs(os.path.join(self.folder, result_log.FOLDER), exist_ok=True)
        with open(os.path.join(self.folder, mark(token)), "wb"):
            pass
        index.change("UPDATE meta SET value = ? WHERE key = 'token'", (token,))
        index.commit()
        for name in os.listdir(self.folder):
            if name.startswith(_MARK) and name != mark(token):
                with contextlib.suppress(OSError):
                    os.remove(os.path.join(self.folder, name))
        return token

    def tried(self, name: str, retried: int, timed_out: int) -> None:
        """The same; it is noted with the next commit."""
        super().tried(name, retried, timed_out)
        self._has_tries = True

    def expect(self, steps: list[Identity]) -> None:
        """The steps that are to come.  Raises ValueError where one that has results in the folder has given place to another.
        Steps may be added, or left out."""
        names, known = {one.name for one in steps}, dict(self.index.steps())
        gone = [name for name, has_results in known.items() if has_results and name not in names]
        new = [one.name for one in steps if one.name not in known]
        if gone and new:
            raise self._changed(f"it has no step {new[0]!r}, and {gone[0]!r} in its stead")
        for one in steps:
            if one.name not in known:
                self.index.change("INSERT INTO steps (name) VALUES (?)", (one.name,))
            if not known.get(one.name):
                self.index.change(
                    "UPDATE steps SET function = ?, inputs = ?, shape = ? WHERE name = ?",
                    (one.function, one.inputs, one.shape, one.name),
                )
        self.index.note(begun=time.time(), before=self.index.count(), **whereabouts())
        self.index.commit()
        self._steps = {one.name: one for one in steps}

    def begin(self, name: str, shape: tuple[int, ...], grows: bool = False) -> Column:
        """A step's place, with what an earlier run of the folder has of it.  Raises ValueError where that was another step."""
        if grows:
            super().grow(column := super().begin(name, (0,)), self.index.extent(self.index.step(name)[0]))
            shape = column.shape
            self._grown.add(name)
            self._flowing.add(name)
            self.index.note(open=sorted(self._flowing))
        else:
            column = super().begin(name, shape)
        if not self.keeps:
            column.values = None
        known = self.index.step(name)
        column.step, told = known[0], json.dumps(shape)
        if known[4] is None or grows:
            self.index.change("UPDATE steps SET shape = ? WHERE id = ?", (told, column.step))
            self._is_urgent = True
            known = (*known[:4], told)
        self._check(known, self._steps[name].function, self._steps[name].inputs, shape)
        self._going[name] = time.monotonic(), 0.0
        column.states[:] = self.index.states(column.step, len(column.states))
        if SKIPPED in column.states:
            self._skipped.add(name)
        column.made.update(left_out.read(self.folder, self.index, column.step, every=True))
        if column.values is not None and column.states.count(MISSING) < len(column.states):
            for at, value in Elements(self.folder, name, self).all(len(column.states)):
                column.values[at] = value
        return column

    def grow(self, column: Column, count: int) -> None:
        """The same; how many they are is noted with the next commit."""
        super().grow(column, count)
        self._grown.add(column.name)

    def _check(self, known: Any, function: str, inputs: str, shape: tuple[int, ...]) -> None:
        _, name, before, given, form = known
        for what, now, then in (
            ("function", function, before),
            ("shape", str(list(shape)), form),
            ("inputs", inputs, given),
        ):
            if now != then:
                shown = f" is {now} now and was {then}" if what != "inputs" else " are not those that it had"
                raise self._changed(f"the {what} of step {name!r}{shown}")

    def _changed(self, what: str) -> ValueError:
        return ValueError(
            f"{self.folder} cannot be resumed: {what}; run it again as it was, or give a run_folder that is not there yet"
        )

    def put(self, column: Column, ats: Sequence[int], values: list[Any], places: Places, seconds: Seconds = ()) -> bytes:
        """The same; what no worker has kept is written here."""
        if places is None:
            places = [None] * len(values)
        rows = [(at, place) for at, place in zip(ats, places, strict=True) if place is not None]
        kept = self._kept(column, ats, values) if column.name in self._skipped else {}
        values = [kept.get(at, value) for at, value in zip(ats, values, strict=True)] if kept else values
        if len(rows) + len(kept) < len(values):
            shard = result_log.mine(self.folder, self.token)
            spent: Sequence[float | None] = seconds if len(seconds) == len(values) else [None] * len(values)
            each = zip(ats, values, spent, places, strict=True)
            mine = [(at, value, one) for at, value, one, place in each if place is None and at not in kept]
            made = {at: column.made[at].kept for at, _, _ in mine if at in column.made} if column.made else {}
            records = [record_of(shard, column.step, at, value, None, made.get(at), one) for at, value, one in mine]
            rows += zip([at for at, _, _ in mine], shard.append(records), strict=True)
        self.index.add(column.step, rows)
        for _, place in rows:
            if place.shard not in self._wholes:
                self._wholes[place.shard] = _Whole(self._known.get(place.shard, 0))
            self._wholes[place.shard].add(place)
        states = super().put(column, ats, values, places, seconds)
        self._commit_in_time()
        return states

    def _kept(self, column: Column, ats: Sequence[int], values: list[Any]) -> dict[int, Any]:
        """Of calls that an earlier run has skipped for the same errors what stands of them, which is not written once more."""
        found = {}
        for at, value in zip(ats, values, strict=True):
            place = (
                self.index.place(column.step, at) if type(value) is PropagatedErrorSnapshot and at not in column.made else None
            )
            if place is not None and place.state == SKIPPED:
                self._earlier = self._earlier or result_log.Reader(self.folder)
                with contextlib.suppress(Exception):  # damaged, or of a class that is not here
                    known = _value(self._earlier, column.name, at, place)
                    if repr(known) == repr(value) and _roots(known) == _roots(value):
                        found[at] = known
        return found

    def read(self, column: Column, start: int, stop: int) -> list[Any]:
        """The elements, from memory or from the folder."""
        if column.values is not None:
            return super().read(column, start, stop)
        return list(Elements(self.folder, column.name, self).read(start, stop))

    def pick(self, column: Column, ats: Sequence[int]) -> list[Any]:
        """Some elements, from memory or from the folder."""
        if column.values is not None:
            return super().pick(column, ats)
        if len(ats) and ats[-1] - ats[0] == len(ats) - 1:
            return self.read(column, ats[0], ats[-1] + 1)
        return list(Elements(self.folder, column.name, self).pick(ats))

    def places(self, column: Column, ats: Sequence[int]) -> list[tuple[int, Place]]:
        """Where elements stand.  Raises KeyError where one is missing."""
        if len(ats) and ats[-1] - ats[0] == len(ats) - 1:
            found = self.index.places(column.name, ats[0], ats[-1] + 1)
        else:
            found = [(at, place) for at in ats if (place := self.index.place(column.step, at)) is not None]
        if len(found) != len(ats):
            raise KeyError(f"{self.folder} lacks elements of {column.name!r}: the run did not come so far")
        return found

    def identity(self, column: Column, at: int) -> str:
        """What tells an error from another in its place, be it kept again: what it says, and what its roots say."""
        key = column.name, at
        if key not in self._identities:
            place = self.index.place(column.step, at)
            try:
                self._identities[key] = self._said(column, at, place)
            except Exception:  # damaged, or of a class that is not here
                self._identities[key] = str(place and (place.shard, place.offset))
        return self._identities[key]

    def _said(self, column: Column, at: int, place: Place | None) -> str:
        if place is not None and column.states[at] == FAILED:
            text = next(result_log.read(self.folder, [place], only_text=True)).text
            return _said_of(arrival.parsed(text))
        (error,) = self.pick(column, [at])
        roots = [_said_of({"call": root.call, "error": packing.headline(root.exception)}) for root in error.get_root_causes()]
        return repr((repr(error), sorted(roots)))

    def source(self, column: Column) -> Any:
        """Where a column's elements are found again."""
        return FolderSource(self.folder, column.name, column.shape)

    def finish(self, column: Column, seconds: float) -> None:
        """A step is done: how long it took is noted."""
        _, noted = self._going.pop(column.name)
        self.index.change("UPDATE steps SET seconds = seconds + ? WHERE id = ?", (max(0.0, seconds - noted), column.step))
        if column.name in self._flowing:
            self._flowing.discard(column.name)
            self.index.note(open=sorted(self._flowing))
        self._commit_in_time()

    def settle(self) -> None:
        """Before calls of a step are made: their records are to find the step in the index, whenever the run is killed."""
        if self._is_urgent:
            self._commit()

    @property
    def is_behind(self) -> bool:
        """Whether something is not committed yet."""
        return self.index.connection.in_transaction

    def catch_up(self) -> None:
        """Commit it."""
        self._commit()

    def _commit_in_time(self) -> None:
        if time.monotonic() - self._last > COMMIT:
            self._commit()

    def _commit(self) -> None:
        self._last, self._is_urgent = time.monotonic(), False
        self._note_wholes()
        self._note_seconds()
        while self._grown:
            column = self.columns[self._grown.pop()]
            self.index.change("UPDATE steps SET shape = ? WHERE id = ?", (json.dumps([len(column.states)]), column.step))
        if self._has_tries:
            self.index.note(tries=self.tries)
            self._has_tries = False
        self.index.commit()

    def _note_seconds(self) -> None:
        """How long steps take that are not done, so far."""
        now = time.monotonic()
        for name, (begun, noted) in self._going.items():
            step = self.columns[name].step
            self.index.change("UPDATE steps SET seconds = seconds + ? WHERE id = ?", (now - begun - noted, step))
            self._going[name] = begun, now - begun

    def _note_wholes(self) -> None:
        """Up to where all records of a shard are in the index: a later run reads what comes after that."""
        for shard, whole in self._wholes.items():
            if whole.has_grown:
                self.index.set_whole(shard, whole.end)
                whole.has_grown = False

    def close(self) -> None:
        """Let other processes have the folder."""
        _open.pop(self.folder, None)
        try:
            self._commit()
        finally:
            if self._earlier is not None:
                self._earlier.__exit__()
            self.index.close()
            result_log.end(self.folder)
            repeats.forget_all(self.folder)


def _roots(skipped: PropagatedErrorSnapshot) -> list[str]:
    return [root.id for root in skipped.get_root_causes()]


def _said_of(told: dict[str, Any]) -> str:
    return f"{told['call']}: {told['error']}"


def tries_of(index: Index) -> dict[str, list[int]]:
    """By step, how many calls were retried, and how many timed out, as a run has noted it."""
    found = index.noted("tries")
    return {
        name: counts
        for name, counts in (found.items() if type(found) is dict else ())
        if type(counts) is list and len(counts) == 2 and all(type(count) is int and 0 <= count < _MOST for count in counts)
    }


class _Whole:
    """Up to where all records of a shard are in the index, in whatever order they arrive."""

    def __init__(self, end: int) -> None:
        self.end, self.has_grown = end, False
        self._later: dict[int, int] = {}

    def add(self, place: Place) -> None:
        """A record is in the index."""
        if place.offset != self.end:
            self._later[place.offset] = place.offset + place.size
            return
        self.has_grown = True
        self.end += place.size
        while self.end in self._later:
            self.end = self._later.pop(self.end)


_open: weakref.WeakValueDictionary[str, Folder] = weakref.WeakValueDictionary()  # those whose run is going on in this process


def is_open(folder: str, token: str) -> bool:
    """Whether this run is going on there, in this process."""
    run = _open.get(folder)
    return run is not None and run.token == token


def refuse_existing(folder: str) -> None:
    """Raises FileExistsError where there is something already.  An empty folder is nothing."""
    if os.path.lexists(folder) and not (os.path.isdir(folder) and not os.listdir(folder)):
        raise FileExistsError(
            17,
            "the run folder exists; give resume=True to go on with its run, or a folder that is not there yet",
            folder,
        )


_seen: set[str] = set()  # marks of run folders that this process sees


def sees(folder: str, token: str) -> bool:
    """Whether this process sees the folder of a run."""
    path = os.path.join(folder, mark(token))
    if path not in _seen and os.path.isfile(path):
        _seen.add(path)
    return path in _seen


def mark(token: str) -> str:
    """The file by which a worker knows that it sees the folder of this run."""
    return f"{_MARK}{token}"


def _holds(folder: str) -> bool:
    """Whether there is a run in a folder, or something else that is to be left alone."""
    if not os.path.isdir(folder):
        return False
    is_empty = not any(os.path.getsize(os.path.join(folder, result_log.FOLDER, name)) for name in result_log.names(folder))
    return not is_empty or is_begun(folder, lambda name: name == result_log.FOLDER or name.startswith(_MARK))


def record_of(
    shard: result_log.Shard,
    step: int,
    at: int,
    value: Any,
    data: bytes | None = None,
    made: Kept | None = None,
    seconds: float | None = None,
    text: bytes = b"",
) -> Record:
    """A value or an error as it is kept in a shard; ``data`` is its pickle, where that is made already, ``made`` says of what it
    was made, where that is to be told, ``seconds`` how long the call took, where that is known; ``text`` is told of a value.

    Raises what the picklers raise for a value that cannot be pickled.
    """
    state = state_of(value)
    if state in (FAILED, SKIPPED):
        text = as_json(value, with_story=shard.stories < _STORIES)
        shard.stories += b', "trace": ' in text
    if made is not None:
        state, text = state | made.flags, made.beside(text)
    return Record(state, step, at, time.time_ns(), text, packing.dumps(value) if data is None else data, seconds)


def load(folder: str, step: str, rows: Iterable[tuple[int, Place | ItemPlace]]) -> Iterator[tuple[int, Any]]:
    """The values of some elements at their places, one by one.  They are unpickled: a run folder is to be trusted as code is.

    Raises ValueError for one that cannot be, and for one that is damaged.
    """
    at = -1
    try:
        with result_log.Reader(folder) as reader:
            for at, place in rows:
                yield at, of_call(_value(reader, step, at, place))  # nobody keeps it here
    except result_log.DamagedError as error:
        raise ValueError(
            f"{folder}: element {at} of step {step!r} is damaged ({error}): resume the run with "
            f"retry_failed=True to call it again"
        ) from error


def _value(reader: result_log.Reader, step: str, at: int, place: Place | ItemPlace) -> Any:
    data = reader.part(place) if isinstance(place, ItemPlace) else _data(reader.record(place), at)
    try:
        return pickle.loads(data)
    except Exception as error:
        raise ValueError(
            f"{reader.folder}: element {at} of step {step!r} is there, but cannot be unpickled here: {packing.headline(error)}"
        ) from error


def _data(record: Record, at: int) -> bytes:
    if record.at != at:
        raise result_log.DamagedError(f"the record of element {record.at} stands in its place")
    return record.data


class Elements:
    """A step's elements in a folder, whose index is that of the run that is going on, or is opened each time."""

    def __init__(self, folder: str, name: str, run: Folder | None = None) -> None:
        self.folder, self.name, self.run = folder, name, run or _open.get(folder)

    def _index(self) -> contextlib.AbstractContextManager[Index]:
        return contextlib.nullcontext(self.run.index) if self.run is not None else contextlib.closing(opened(self.folder))

    def read(self, start: int, stop: int) -> Iterator[Any]:
        """The values from ``start`` on, before ``stop``, loaded one by one.  Raises KeyError where one is missing."""
        return self._loaded(range(at, min(at + _AT_ONCE, stop)) for at in range(start, stop, _AT_ONCE))

    def pick(self, ats: Iterable[int]) -> Iterator[Any]:
        """The values of some elements, and no others, loaded one by one.  Raises KeyError where one is missing."""
        return self._loaded(range(at, at + 1) for at in ats)

    def all(self, size: int) -> Iterator[tuple[int, Any]]:
        """Each element of so many that is there, with its number."""
        return self._rows((range(at, at + _AT_ONCE) for at in range(0, size, _AT_ONCE)), are_all=False)

    def seconds(self, size: int) -> Iterator[tuple[int, float]]:
        """What the calls of so many elements took, each with its number, where that is known."""
        with self._index() as index, result_log.Reader(self.folder) as reader:
            for at, place in index.places(self.name, 0, size):
                seconds = reader.record(place, only_text=True).seconds
                if seconds is not None:
                    yield at, seconds

    def _loaded(self, ranges: Iterable[range]) -> Iterator[Any]:
        return (value for _, value in self._rows(ranges, are_all=True))

    def _rows(self, ranges: Iterable[range], are_all: bool) -> Iterator[tuple[int, Any]]:
        with self._index() as index:

            def rows() -> Iterator[tuple[int, Place]]:
                for some in ranges:
                    found = index.places(self.name, some.start, some.stop)
                    if are_all and len(found) != len(some):
                        raise KeyError(f"{self.folder} lacks elements of {self.name!r}: the run did not come so far")
                    yield from found

            yield from load(self.folder, self.name, rows())


class MemorySource:
    """The elements of an array that is in memory."""

    lasting = False

    def __init__(self, values: list[Any], shape: tuple[int, ...]) -> None:
        self.values, self.shape = values, shape

    def read(self, indices: tuple[tuple[int, ...], ...]) -> list[Any]:
        """Those at these positions."""
        return [self.values[flat(position, self.shape)] for position in positions(indices, self.shape)]


class FolderSource:
    """The elements of an array in a run folder; it can be pickled, and asked in a later process."""

    lasting = True

    def __init__(self, folder: str, name: str, shape: tuple[int, ...]) -> None:
        self.folder, self.name, self.shape = folder, name, shape

    def read(self, indices: tuple[tuple[int, ...], ...]) -> list[Any]:
        """Those at these positions, and no others, are loaded.  Raises FileNotFoundError where the folder is gone."""
        ats = [flat(position, self.shape) for position in positions(indices, self.shape)]
        return list(Elements(self.folder, self.name).pick(ats))

    def origin(self, indices: tuple[tuple[int, ...], ...]) -> list[tuple[str, list[int]]]:
        """The step, and the elements that these are."""
        return [(self.name, [flat(position, self.shape) for position in positions(indices, self.shape)])]


class OneOf:
    """One element of an array."""

    def __init__(self, source: Any, position: tuple[int, ...]) -> None:
        self.source, self.position = source, position
        self.lasting = source.lasting

    def read(self, _indices: Any) -> list[Any]:
        """That one."""
        found: list[Any] = self.source.read(tuple((index,) for index in self.position))
        return found

    def origin(self, _indices: Any) -> list[tuple[str, list[int]]]:
        """The step, and which of its elements it is."""
        return left_out.origin(self.source, tuple((index,) for index in self.position))


def positions(indices: tuple[tuple[int, ...], ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Each position that numpy's form of them names; a single call has the position ``()``."""
    return list(zip(*indices, strict=True)) if shape else [()]


def flat(position: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """How many elements come before that at a position."""
    at = 0
    for index, length in zip(position, shape, strict=True):
        at = at * length + index
    return at


def nested(values: list[Any], shape: tuple[int, ...]) -> Any:
    """A flat list as nested lists of this shape; the value itself for a single call."""
    if not shape:
        return values[0]
    for length in reversed(shape[1:]):
        values = [values[start : start + length] for start in range(0, len(values), length)] if length else []
    if 0 in shape[1:]:
        return [nested([], shape[1:]) for _ in range(shape[0])]
    return values


class Lazy(Sequence[Any]):
    """The results of a map that lie in a run folder: each is read when it is asked for."""

    def __init__(self, folder: str, name: str, shape: tuple[int, ...], offset: int = 0) -> None:
        self.folder, self.name, self.shape, self.offset = folder, name, shape, offset

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        start = self.offset + at * math.prod(self.shape[1:])
        if len(self.shape) > 1:
            return Lazy(self.folder, self.name, self.shape[1:], start)
        return next(Elements(self.folder, self.name).read(start, start + 1))

    def __iter__(self) -> Iterator[Any]:
        if len(self.shape) > 1:
            yield from (self[at] for at in range(len(self)))
            return
        yield from Elements(self.folder, self.name).read(self.offset, self.offset + len(self))

    def __repr__(self) -> str:
        return f"<results of {self.name} in {self.folder}, shape {self.shape}>"
