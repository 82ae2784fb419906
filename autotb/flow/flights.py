"""The calls of a step that are still to be made, cut into chunks.  What is not to be called is settled on the way.

Flows in: a step whose inputs are there, its pace, what workers hand back.  Flows out: :class:`Flight`, one after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from autotb.flow import execute
from autotb.flow.context import Leaving
from autotb.flow.execute import Answer, Run, Settling, Task
from autotb.flow.messages import UNSEEN, copied
from autotb.flow.pace import MOST_CALLS, Pace
from autotb.flow.step_inputs import MOST_LOADED, Work
from autotb.flow.steps import ELEMENT

_UNKNOWN = 1 << 30  # elements of a stream, which are as many as anybody knows
_LOOKED_AT = 64  # elements that are looked at one by one before the first of them is sent


@dataclass
class Flight:
    """A chunk that is with the executor, and who waits for it: the calls that were looked at together, or each that was looked at
    by itself, with its task."""

    work: Work
    task: Task
    together: Settling | None
    alone: list[tuple[Settling, Task]]
    names: tuple[str, ...] = ()  # where the engine may make it anew: its own, and those of others that had some of its calls

    def land(self, answer: Answer) -> None:
        """Settle the calls that were made.  Raises the user's error, in raise mode."""
        if self.together is not None:
            sent(self.together, answer)
            return
        for at, (settling, _) in enumerate(self.alone[: len(answer.results)]):
            places = answer.places[at : at + 1] if answer.places is not None else None
            sent(settling, Answer(answer.results[at : at + 1], places, answer.seconds[at : at + 1]))


class Flights:
    """What of a step is still to be called, and how many of its chunks are flying."""

    def __init__(self, run: Run, work: Work, workers: int, queues: bool) -> None:
        self.work, self.flying = work, 0
        self._run, self._is_single = run, _is_single(work)
        most = MOST_LOADED if work.loads and not work.is_read_by_workers else MOST_CALLS
        self.pace = Pace(workers, 1 if self._is_single else work.step.chunksize, most, queues)
        self._reader = work.reader
        if self._reader is not None:
            self._reader.ahead = 2 * workers * (work.step.chunksize or MOST_LOADED)
        # Elements that nobody has looked at, and where of them to go on.
        missing = work.missing() if self._reader is None else ()
        self._ats: deque[tuple[Sequence[int], int]] = deque([(missing, 0)] if missing else [])
        self._left = len(missing)
        self._calls: deque[tuple[Settling, Task]] = deque()  # those that were looked at, and are to be made
        self._had: dict[int, tuple[str, ...]] = {}  # the chunks that had an element before, of which more may be kept than came

    @property
    def is_done(self) -> bool:
        """Whether all calls are made and settled."""
        return not (self.flying or self._left or self._calls) and (self._reader is None or self._reader.is_over)

    @property
    def is_slow(self) -> bool:
        """Whether others are to have their turn, since reading takes its time."""
        return self._reader is not None and self._reader.is_slow and not self._reader.is_over

    @property
    def may_fly(self) -> bool:
        """Whether there is one more, as far as that is known, and the executor may have it."""
        if not (self._left or self._calls or self._reader is not None):
            return False
        return self.flying < (2 * self.pace.workers if self.work.loads and not self.work.is_read_by_workers else self.pace.flying)

    def next(self) -> Flight | None:
        """The next chunk; None where there is nothing left to be called."""
        while True:
            size = self.pace.size(self._left + len(self._calls) + (_UNKNOWN if self._reader is not None else 0))
            if self._calls:
                return self._alike(size)
            ats = self._taken(size)
            if not ats:
                return None
            columns = self.work.plain_columns(ats)
            if columns is None and self.work.is_read_by_workers:
                ats, wrong = self.work.parted(ats)
                for at in wrong:  # they are not made, mostly
                    self._look(at)
                columns = self.work.plain_columns(ats) if ats else None
            if columns is not None:
                self.work.note_all(ats)
                settling = execute.settle_chunk(self._run, self.work, ats, columns)
                return Flight(self.work, next(settling), settling, [])
            if self.pace.fixed is None and not self.work.loads:
                ats = [*ats, *self._taken(_LOOKED_AT - len(ats))]
            for at in ats:
                self._look(at)

    def _look(self, at: int) -> None:
        """Look at one call: it is settled, or to be made."""
        call = execute.settle(self._run, self.work, at)
        task = sent(call, None)
        if task is not None:
            self._calls.append((call, task))
        else:
            self.drop((at,))

    def back(self, flight: Flight, made: int, is_unread: bool = False) -> None:
        """A worker has made the first calls of a chunk and hands the others back: those whose inputs it could not read are looked
        at anew."""
        if flight.together is None and not is_unread:
            self._calls.extendleft(reversed(flight.alone[made:]))
            return
        self._ats.appendleft((flight.task.ats, made))
        self._left += len(flight.task.ats) - made

    def name(self, flight: Flight, name: str) -> None:
        """Name a chunk that the engine may make anew."""
        had = [self._had.pop(at) for at in flight.task.ats if at in self._had] if self._had else []
        flight.names = (name, *dict.fromkeys(one for names in had for one in names))

    def keep_names(self, flight: Flight, made: int) -> None:
        """Of the calls of a chunk that come back, a worker may have kept some that died."""
        for at in flight.task.ats[made:]:
            self._had[at] = flight.names

    def drop(self, ats: Sequence[int]) -> None:
        """These are settled."""
        if self._reader is not None:
            self._reader.drop(ats)

    def unread(self, at: int, why: int) -> None:
        """A worker could not read the inputs of a call: from now on they are read here."""
        self.pace.most = MOST_LOADED
        if why == UNSEEN:
            self.work.store.is_read_by_workers = False
        self.work.read_here(at)

    def _taken(self, size: int) -> Sequence[int]:
        """Some elements that nobody has looked at, in a row."""
        if not self._ats and size > 0 and self._reader is not None:
            return self._reader.read(size)
        if not self._ats or size <= 0:
            return ()
        ats, start = self._ats.popleft()
        some = ats[start : start + size]
        if start + size < len(ats):
            self._ats.appendleft((ats, start + size))
        self._left -= len(some)
        return some

    def _alike(self, size: int) -> Flight:
        """As many calls that were looked at as can be sent together."""
        call, first = self._calls.popleft()
        task, alone = Task(first.columns, first.kwargs, first.resources, first.ats), [(call, first)]
        if not self._is_single and size > 1:
            task = Task(tuple(map(copied, first.columns)), first.kwargs, first.resources, list(first.ats))
            while self._calls and len(alone) < size and is_alike(task, self._calls[0][1]):
                alone.append(self._calls.popleft())
                task.add(alone[-1][1])
        return Flight(self.work, task, None, alone)


def _is_single(work: Work) -> bool:
    """Whether each call is sent by itself: an engine that is asked for resources is to give them to one call."""
    step = work.step
    return step.resources is not None and step.resources_scope == ELEMENT and step.chunksize is None


def is_alike(one: Task, other: Task) -> bool:
    """Whether two calls can be sent in one chunk."""
    if one.kwargs is not other.kwargs or [*map(type, one.columns)] != [*map(type, other.columns)]:
        return False
    try:
        return one.resources is other.resources or bool(one.resources == other.resources)
    except Exception:
        return False  # they cannot be compared


def sent(settling: Settling, answer: Answer | None) -> Task | None:
    """The call's next task; None where it is settled.  Raises the user's error, in raise mode."""
    try:
        return next(settling) if answer is None else settling.send(answer)
    except StopIteration:
        return None
    except Leaving as leaving:
        error = leaving.error
    raise error
