"""What goes between a run and its workers beside the user's values: a call that failed, where results are kept, what was kept.

Flows in: exceptions and results, in a worker.  Flows out: their pickles, which name these classes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from autotb.flow import packing
from autotb.flow.attempts import Policy
from autotb.flow.packing import Packed
from autotb.record import annotate
from autotb.record.capture import attached

if TYPE_CHECKING:
    from autotb.flow.left_out import Kept as Told
    from autotb.record.schema import Place


class Failed:
    """The exception of one call; with its story, once it has come from another process.  ``earlier`` are those of its attempts
    before the last: the same object for those that were alike; ``kept`` are id and time of the snapshot that is kept of it."""

    __slots__ = ("earlier", "exception", "kept")

    def __init__(
        self, exception: BaseException, earlier: Sequence[BaseException] = (), kept: tuple[str, str] | None = None
    ) -> None:
        self.exception, self.earlier, self.kept = exception, earlier, kept

    def __reduce__(self) -> tuple[Any, ...]:
        return Failed.arrived, (_packed(self.exception), packing.pack_all(self.earlier, _packed), self.kept)

    @classmethod
    def arrived(cls, packed: Packed, earlier: packing.Several = (), kept: tuple[str, str] | None = None) -> Failed:
        """The same where it is unpickled."""
        return cls(_arrived(packed), packing.unpack_all(earlier, _arrived), kept)


@dataclass(frozen=True)
class Sink:
    """Where workers keep their results: the shards of a run folder.

    With ``keeps_errors`` errors are kept too, as snapshots.  ``owned`` tells that nothing of a result is sent back but where it
    stands, not of an error either; with ``is_read`` nothing of a value is.  ``names`` are there where the engine may make the
    chunk anew after the death of a worker: its own, and those of earlier chunks that had some of its calls.  ``is_mapped`` tells
    that a later step goes over the list which the one call gives.
    """

    folder: str
    token: str
    step: int
    owned: bool
    place: Place | None  # where the step was made part of the flow
    is_read: bool = False
    made: Mapping[int, Told] | None = None  # of what elements are made, where that is to be told
    names: tuple[str, ...] = ()
    keeps_errors: bool = False
    is_mapped: bool = False


class Terms(NamedTuple):
    """On which terms a worker makes the calls of a chunk: ``run`` names the run, by which a worker in its process knows whether
    it is over; after so many ``seconds`` the worker hands back what is left; the ``policy`` says what may be tried again; with
    ``sends_ends`` what ends the run (SystemExit) is sent back, by an engine that would take it for the end of its worker; a file
    ``over`` that is there tells a worker in another process that the run is, where its engine cannot cancel."""

    run: str
    seconds: float | None
    policy: Policy | None = None
    sends_ends: bool = False
    over: str = ""


class Took(NamedTuple):
    """What a worker sends back of a chunk: what it came to, and the seconds that this took, where they are known; they are not
    where another worker had made some of its calls.  There may be fewer results than calls: the last ones were not made.
    ``retried`` and ``timed_out`` count calls; ``unread`` says why the arguments of the next call are to be read elsewhere;
    ``spans`` are the seconds of each call, of so many in a row the same: of brief ones the mean of some.  ``ended`` is what a
    call raised that ends the run."""

    results: Any
    seconds: float | None
    retried: int = 0
    timed_out: int = 0
    unread: int = 0
    spans: Sequence[tuple[int, float]] = ()
    ended: Failed | None = None

    @property
    def each(self) -> array[float]:
        """The seconds of each call."""
        found = array("f")
        for count, seconds in self.spans:
            found.extend([seconds] * count)
        return found


UNSEEN, UNREAD = 1, 2  # a worker does not see the run folder; it cannot have a value of it, or that holds errors


class Unread(BaseException):
    """The next call's arguments are to be read by the process that runs the flow; ``why`` is one of the above."""

    def __init__(self, why: int) -> None:
        self.why = why


class Elsewhere:
    """Stands for an argument that is read by the worker that makes the call."""

    def itself(self) -> Any:
        """The argument.  Raises :class:`Unread` in a worker that cannot have it."""
        raise Unread(UNREAD)

    def load(self, index: int) -> Any:
        """One argument of as many as it stands for, in the process that runs the flow."""
        raise NotImplementedError

    def taken(self, indexes: Sequence[int]) -> Any:
        """Some of them."""
        raise NotImplementedError

    def extend(self, other: Any) -> None:
        """Stand for those of another of the same kind as well."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        """What is told of one without reading it."""
        raise NotImplementedError


def copied(column: Any) -> Any:
    """A column of arguments that can be extended by others."""
    return column.taken(range(len(column))) if isinstance(column, Elsewhere) else [*column]


def itself(value: Any) -> Any:
    """An argument, read where it is stored."""
    return value.itself() if isinstance(value, Elsewhere) else value


def all_itself(constants: dict[str, Any]) -> dict[str, Any]:
    """The same of arguments by name: they themselves where none is stored."""
    if not any(isinstance(value, Elsewhere) for value in constants.values()):
        return constants
    return {name: itself(value) for name, value in constants.items()}


class Partly(list[Any]):
    """Results among which are :class:`Failed` ones; where there are none, the results are a plain list."""


class Kept:
    """What a worker with a :class:`Sink` sends back: results (stubs in place of errors that it has kept) and their places, None
    for each that it has not; ``unseen`` says that it cannot see the folder.  On the way the results are a pickle."""

    __slots__ = ("places", "results", "unseen")

    def __init__(self, results: Any, places: list[Any], unseen: bool = False) -> None:
        self.results, self.places, self.unseen = results, places, unseen

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, (self.results, self.places, self.unseen)


def rows_of(columns: tuple[list[Any], ...]) -> Iterator[tuple[Any, ...]]:
    """The arguments of each call of a chunk."""
    return zip(*columns, strict=True) if columns else iter([()])


def _packed(exception: BaseException) -> Packed:
    return packing.pack_exception(exception, attached(exception))


def _arrived(packed: Packed) -> BaseException:
    found: Any = packing.unpack(packed)
    if not isinstance(found, BaseException):
        found = RuntimeError(f"{packed[0]} (the exception itself did not survive its way: {found.why})")
    if isinstance(found, SystemExit) and found.code is None:
        SystemExit.__init__(found, *found.args)  # tblib's pickles, which Dask has it make, leave the code behind
    annotate.arrived(found)
    return found  # type: ignore[no-any-return]
