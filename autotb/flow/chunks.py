"""What runs in a worker: a chunk of calls of one function, one after the other; a call that raises spoils no other.

Flows in: the function, the positional arguments of each call, the constants.  Flows out: the results in order, with a
:class:`~autotb.flow.messages.Failed` in place of each that raised; from another process as one pickle.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import pickle
import time
import uuid
from typing import Any

from autotb import engine_facts
from autotb.flow import failing, packing
from autotb.flow.attempts import Attempts
from autotb.flow.messages import Failed, Partly, Sink, Terms, Took, Unread, all_itself, rows_of
from autotb.flow.messages import Kept as Kept  # pickles of earlier versions name these classes here
from autotb.instrument import call_snapshot
from autotb.postmortem import status_file
from autotb.record import safe_repr

engine_facts.register(runs=((__name__, "run"), (__name__, "make")))  # where a worker's frames begin


_LOOK = 32  # calls between two looks at the clock, at most
_OF_RAY = "ray_terminate_msg"  # has the SystemExit with which Ray itself ends a worker
_BRIEF = 0.001  # seconds: calls that took less are made by twos, by fours… before the next look
_LOOK_EVERY = 0.05  # seconds between looks for the file that says that a run is over: it may be on a file system of the network
_alive: set[str] = set()  # runs of this process that are going on


def begin() -> str:
    """A run begins in this process: its id, by which workers in this process know whether it is over."""
    run = uuid.uuid4().hex
    _alive.add(run)
    return run


def end(run: str) -> None:
    """It is over: workers in this process make no further call for it."""
    _alive.discard(run)


def run(
    function: Any,
    columns: tuple[list[Any], ...],
    constants: dict[str, Any],
    stop: bool,
    parent: int,
    ats: Any = None,
    sink: Sink | None = None,
    terms: Terms | None = None,
    parsl_resource_specification: Any = None,  # noqa: ARG001  Parsl reads it, and passes it on
) -> Any:
    """Call ``function(*args, **constants)`` for each ``args`` of ``zip(*columns)``, once if there are none; with ``stop``, until
    one has failed; in any case no longer than the ``terms`` allow, and one call at least, unless the run is over.

    Returns a :class:`Took`; its results are a :class:`Kept` where there is a ``sink``, ``ats`` being the calls' positions in
    their step, and in a process other than ``parent`` a pickle, in which what cannot be pickled is a :class:`Failed` too.
    """
    begun, is_here = time.perf_counter(), os.getpid() == parent
    try:
        constants = all_itself(constants)
    except Unread as found:  # they cannot be had here
        return Took([] if is_here else packing.dumps([]), 0.0, unread=found.why)
    calls = _Calls(function, constants, stop, is_here, begun, terms)
    if calls.is_over():  # an engine that cannot cancel makes what was queued all the same
        return Took([], 0.0)
    if sink is not None:
        calls.keeper = _keeper(sink, function, columns, constants, ats, is_here, calls.spans)
        columns = calls.keeper.columns  # without the calls that a worker had made that died
        if not calls.keeper.ats or calls.is_over():
            return calls.took(columns, 0)
    return calls.took(columns, calls.make(columns))


class _Calls:
    """The calls of a chunk, and what they have come to so far."""

    def __init__(
        self, function: Any, constants: dict[str, Any], stop: bool, is_here: bool, begun: float, terms: Terms | None
    ) -> None:
        self.function, self.constants, self.stop, self.is_here, self.begun = function, constants, stop, is_here, begun
        self.until = begun + terms.seconds if terms is not None and terms.seconds is not None else math.inf
        self.results: list[Any] = []
        self.spans: list[tuple[int, float]] = []
        self.keeper: Any = None
        self.run = terms.run if terms is not None and is_here else None
        self.sends_ends = terms is not None and terms.sends_ends
        self.over = terms.over if terms is not None and not is_here else ""
        self.looked = -math.inf
        self.ended: Failed | None = None
        policy = terms.policy if terms is not None else None
        self.tries = Attempts(policy, function, constants, self.is_over) if policy is not None else None

    def is_over(self) -> bool:
        """Whether nobody asks for more, as far as this process can tell."""
        if self.is_here:
            return self.run is not None and self.run not in _alive
        sees = self.keeper is not None and self.keeper.sees
        if not (self.over or sees) or (now := time.perf_counter()) <= self.looked + _LOOK_EVERY:
            return False
        found = (self.over != "" and os.path.exists(self.over)) or (sees and self.keeper.is_orphaned())
        self.looked = -math.inf if found else now
        return found

    def make(self, columns: tuple[list[Any], ...]) -> int:
        """Make them, no longer than is allowed.  Returns why the arguments of the next one cannot be had here, or 0."""
        function, constants, tries = self.function, self.constants, self.tries
        total, looks, last, done = (len(columns[0]) if columns else 1), 1, time.perf_counter(), 0
        args: tuple[Any, ...] = ()
        add, rest, why, is_over = self.results.append, rows_of(columns), 0, False
        while len(self.results) < total:
            try:
                if tries is not None:
                    for args in itertools.islice(rest, looks):
                        add(tries.call(args))
                elif constants:
                    for args in itertools.islice(rest, looks):
                        add(function(*args, **constants))
                else:
                    for args in itertools.islice(rest, looks):
                        add(function(*args))
            except Unread as found:
                why = found.why
            except Exception as error:
                add = self.failed(error, args)
                is_over = self.stop
            except BaseException as error:
                if not self.sends_ends or hasattr(error, _OF_RAY):
                    raise
                self.ended = failing.failed(error, function, args, constants, self.is_here, tries)
                is_over = True
            now = time.perf_counter()
            if made := len(self.results) - done:
                self.spans.append((made, (now - last) / made))
            done += made
            if why or is_over:
                break
            if self.keeper is not None:
                self.keeper.look(self.results, now)
                last = time.perf_counter()
            else:
                looks, last = (min(2 * looks, _LOOK) if now - last < _BRIEF else 1), now
            if now > self.until or self.is_over():
                break
        return why

    def failed(self, error: Exception, args: tuple[Any, ...]) -> Any:
        """One call has.  Returns how further results are added."""
        if type(self.results) is not Partly:
            self.results = Partly(self.results)
        failed = failing.failed(error, self.function, args, self.constants, self.stop and self.is_here, self.tries)
        self.results.append(failed)
        return self.results.append

    def took(self, columns: tuple[list[Any], ...], unread: int) -> Took:
        """What is sent back."""
        retried, timed_out = self.tries.end() if self.tries is not None else (0, 0)
        found: Any = self.results
        if self.keeper is not None:
            kept = self.keeper.end(found)
            found = kept if self.is_here else _sent(kept)
        elif not self.is_here:
            found = _pickled(found, self.function, columns, self.constants)
        is_partly = self.keeper is not None and self.keeper.kept
        seconds, spans = (None, []) if is_partly else (time.perf_counter() - self.begun, self.spans)
        return Took(found, seconds, retried, timed_out, unread, spans, self.ended)


def _keeper(sink: Sink, *call: Any) -> Any:
    from autotb.flow.result_writer import Keeper

    return Keeper(sink, *call)


safe_repr.chunk_runner = run.__code__
call_snapshot.chunk_runner = run
status_file.chunk_of = safe_repr.chunk_of


class Sealed:
    """A function with its arguments, which an engine does not look into."""

    def __init__(self, function: Any, args: tuple[Any, ...]) -> None:
        self.function, self.args = function, args

    def __call__(self) -> Any:
        return self.function(*self.args)


safe_repr.sealed = Sealed


def received(sent: Any, count: int) -> Took:
    """What :func:`run` made, with a list or a :class:`Kept` in it.  A call whose result cannot be read here has failed; a pickle
    that is torn fails all calls of the chunk."""
    took = sent if type(sent) is Took else Took(sent, None)
    if type(took.results) is not bytes:
        return took
    try:
        return took._replace(results=_read(took.results))
    except Exception as error:
        return Took(Partly([Failed(error) for _ in range(count)]), None, ended=took.ended)


def _read(sent: bytes) -> Any:
    found, lost = _results(sent)
    if type(found) is Kept and type(found.results) is bytes:
        found.results, lost = _results(found.results)
        if lost:  # these have failed: what a worker has kept of them counts no more
            found.places = [None if at in lost else place for at, place in enumerate(found.places)]
    return found


def _results(sent: bytes) -> tuple[Any, set[int]]:
    """The results, and which of them cannot be read here."""
    try:
        return pickle.loads(sent), set()
    except Exception as error:
        why = error
    from autotb.flow import salvage

    try:
        found = salvage.items(sent)
    except Exception:
        raise why from None
    lost = {at for at, one in enumerate(found) if type(one) is salvage.Unreadable}
    return Partly([failing.unreadable(one.error) if at in lost else one for at, one in enumerate(found)]), lost


def _sent(kept: Any) -> bytes:
    """The results in a pickle of their own: that one cannot be read says nothing of where the others are kept."""
    if type(kept) is Kept:
        kept = Kept(packing.dumps(kept.results), kept.places, kept.unseen)
    return packing.dumps(kept)


def _pickled(results: list[Any], function: Any, columns: tuple[list[Any], ...], constants: dict[str, Any]) -> bytes:
    with contextlib.suppress(Exception):
        return packing.dumps(results)
    each = zip(results, rows_of(columns), strict=False)  # the last calls may not have been made
    return packing.dumps(Partly([failing.fit(result, function, args, constants) for result, args in each]))
