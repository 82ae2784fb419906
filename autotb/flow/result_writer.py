"""What a worker does with its results where they are kept in a run folder: each goes to this process's shard.

Flows in: the results of a chunk, as they come.  Flows out: a :class:`~autotb.flow.messages.Kept`, with stubs in place of what was
kept.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from collections.abc import Sequence
from typing import Any

from autotb.flow import failing, items, packing, repeats, result_log, store
from autotb.flow.context import CONTINUE, maybe_wrap_exception
from autotb.flow.messages import Elsewhere, Failed, Kept, Partly, Sink
from autotb.flow.snapshots import ErrorSnapshot, ErrorStub
from autotb.flow.stored import value_of
from autotb.record import annotate

_EVERY = 0.01  # seconds after which results are written; of slower calls each as it comes


class Keeper:
    """Writes the results of a chunk as they come; ``columns`` and ``ats`` are those of its calls that are still to be made: all,
    but where a worker died that had ``kept`` some, by their number in the chunk.  ``spans`` are those of ``Took``, as they come.

    Raises OSError where that is impossible, which is no error of the user's function.
    """

    def __init__(
        self,
        sink: Sink,
        function: Any,
        columns: Any,
        constants: dict[str, Any],
        ats: Any,
        is_here: bool,
        spans: Sequence[tuple[int, float]] = (),
    ) -> None:
        self._spans = spans  # each of one call: this looks at every one
        self.sink, self.function, self.constants, self.is_here = sink, function, constants, is_here
        self.columns, self.ats, self._count = columns, ats, len(ats)
        self.sent: list[Any] = []
        self.places: list[Any] = []
        self.sees, self._last = store.sees(sink.folder, sink.token), time.perf_counter()
        self._mark = os.path.join(sink.folder, store.mark(sink.token))
        self.kept: dict[int, tuple[Any, Any]] = {}  # what is sent of a result, and its place
        self._is_noted = not sink.names
        if sink.names and self.sees and (begun := _begun(sink)):
            self.kept = _kept(sink, begun, ats)
            left = [index for index in range(len(ats)) if index not in self.kept]
            self.columns, self.ats = tuple([_taken(column, left) for column in columns]), [ats[index] for index in left]

    def is_orphaned(self) -> bool:
        """Whether the run was killed, and another has gone on with its folder since."""
        return not os.path.isfile(self._mark)

    def look(self, results: list[Any], now: float) -> None:
        """Write what has come, if the last time is some time ago."""
        if now - self._last > _EVERY:
            self._last = now
            self.write(results)

    def write(self, results: list[Any]) -> None:
        """Write what has come, but where this process does not see the folder, or is that of a run that is over."""
        if not self.sees or (self.is_here and is_over(self.sink)):
            return
        new = results[len(self.sent) :]
        try:
            shard = result_log.mine(self.sink.folder, self.sink.token)
            records, kept = [], []
            for result in new:
                value, record = self._record(shard, len(self.sent), result)
                self.sent.append(value)
                kept.append(record is not None)
                records += [record] if record is not None else []
            if records and not self._is_noted:
                self._is_noted = True
                repeats.note(self.sink.folder, self.sink.names[0], shard.name, os.path.getsize(shard.path))
            places = iter(shard.append(records))
            self.places += [next(places) if is_kept else None for is_kept in kept]
        finally:
            if self.is_here and is_over(self.sink):  # it has ended meanwhile: nobody else closes the shard that this began
                result_log.end(self.sink.folder)

    def _write_late(self, new: list[Any]) -> None:
        """Keep what a thread came to after a Ctrl-C has ended the run; the program waits for it as it ends.  It is in a shard of
        its own, which the run that goes on with the folder finds; where one has done so already, nothing is kept."""
        keeps_errors = self.sink.owned or self.sink.keeps_errors
        if not any(keeps_errors or type(one) is not Failed for one in new) or not self.sees or self.is_orphaned():
            return
        try:
            with contextlib.closing(result_log.Shard(self.sink.folder, self.sink.token)) as shard:
                records = [self._record(shard, index, one)[1] for index, one in enumerate(new, len(self.sent))]
                shard.append([record for record in records if record is not None])
        except OSError:
            pass  # nobody waits for it, and it is called again

    def end(self, results: list[Any]) -> Any:
        """What is sent back."""
        self.write(results)
        if self.is_here and is_over(self.sink):
            self._write_late(results[len(self.sent) :])
            return results  # nobody asks for them
        if not self.sees:
            fit = [failing.fit(result, self.function, self._args(index), self.constants) for index, result in enumerate(results)]
            return Kept(Partly(fit), [None] * len(results), unseen=True)
        if len(self.sent) < len(results):
            return results  # the run was over meanwhile, as above
        sent, places = self._together() if self.kept else (self.sent, self.places)
        return Kept(Partly(sent) if Failed in {*map(type, sent)} else sent, places)

    def _together(self) -> tuple[list[Any], list[Any]]:
        """What is sent back of the first calls of the chunk, up to the first of which there is nothing."""
        found, made = [], zip(self.sent, self.places, strict=True)
        for index in range(self._count):
            one = self.kept[index] if index in self.kept else next(made, None)
            if one is None:
                break
            found.append(one)
        return [sent for sent, _ in found], [place for _, place in found]

    def _record(self, shard: result_log.Shard, index: int, result: Any) -> tuple[Any, Any]:
        """What is sent of a result, and what is written."""
        step, owned, at = self.sink.step, self.sink.owned, self.ats[index]
        made = self.sink.made.get(at) if self.sink.made else None
        seconds = self._spans[index][1] if index < len(self._spans) else None
        if type(result) is not Failed:
            try:
                data = packing.dumps(result)
            except Exception as error:  # the result cannot be pickled, which is the error of the function that made it
                result = failing.unfit(error, result, self.function, self._args(index), self.constants)
            else:
                sent = _stub(store.state_of(result)) if owned or self.sink.is_read else result
                data, text = items.split(result, data) if self.sink.is_mapped else (data, b"")
                return sent, store.record_of(shard, step, at, result, data, made, seconds, text)
        if not (owned or self.sink.keeps_errors):
            return result, None
        annotate.note_submitted(result.exception, self.sink.place)
        args = self._args(index)
        snapshot = maybe_wrap_exception(CONTINUE, self.function, args, self.constants, result.exception, (), result.earlier)
        result.kept = snapshot.id, snapshot.timestamp
        return ErrorStub(False) if owned else result, store.record_of(shard, step, at, snapshot, None, made, seconds)

    def _args(self, index: int) -> tuple[Any, ...]:
        """The arguments of a call, as they are told."""
        return tuple([value_of(column, index) for column in self.columns])


def _begun(sink: Sink) -> list[repeats.Begun]:
    """Where workers that have had these calls before have kept what they made of them."""
    own, *others = sink.names
    return [*repeats.begin(sink.folder, own), *(begun for name in others for begun in repeats.before(sink.folder, name))]


def _kept(sink: Sink, begun: list[repeats.Begun], ats: Sequence[int]) -> dict[int, tuple[Any, Any]]:
    places = repeats.kept(sink.folder, begun, sink.step, ats)
    found: dict[int, tuple[Any, Any]] = {}
    with result_log.Reader(sink.folder) as reader:
        for index, at in enumerate(ats):
            if (place := places.get(at)) is None:
                continue
            if sink.owned or sink.is_read:
                found[index] = _stub(place.state & result_log.STATE), place
                continue
            with contextlib.suppress(Exception):  # what cannot be had here is called again
                value = pickle.loads(reader.record(place).data)
                is_error = type(value) is ErrorSnapshot
                sent = Failed(value.exception, value.earlier, (value.id, value.timestamp)) if is_error else value
                found[index] = sent, place
    return found


def _taken(column: Any, indexes: list[int]) -> Any:
    """Some arguments of a column."""
    return column.taken(indexes) if isinstance(column, Elsewhere) else [column[index] for index in indexes]


def is_over(sink: Sink) -> bool:
    """In the process of the run: whether it has ended, by a Ctrl-C say, while this chunk was worked on."""
    return not store.is_open(sink.folder, sink.token)


def _stub(state: int) -> ErrorStub | None:
    """What is sent in place of a result in this state."""
    return None if state == result_log.OK else ErrorStub(state == result_log.SKIPPED)
