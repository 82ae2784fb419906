"""What a worker does with its results where they are kept in a run folder: each goes to this process's shard.

Flows in: the results of a chunk.  Flows out: a :class:`~autotb.flow.messages.Kept`, with stubs in place of what was kept.
"""

from __future__ import annotations

import os
from typing import Any

from autotb.flow import packing, result_log, store
from autotb.flow.context import CONTINUE, maybe_wrap_exception
from autotb.flow.messages import Failed, Kept, Partly, Sink, fit, rows_of
from autotb.flow.snapshots import ErrorStub
from autotb.record import annotate

_seen: set[str] = set()  # marks of run folders that this process sees


def keep(sink: Sink, function: Any, columns: Any, constants: dict[str, Any], ats: Any, results: list[Any]) -> Kept:
    """Write the results of a chunk.  Raises OSError where that is impossible, which is no error of the user's function."""
    if not _sees(sink):
        return Kept(Partly([fit(result) for result in results]), [None] * len(results), unseen=True)
    sent, places = [], []
    for args, at, result in zip(rows_of(columns), ats, results, strict=False):
        value, place = _kept(sink, function, args, constants, at, result)
        sent.append(value)
        places.append(place)
    return Kept(Partly(sent) if Failed in {*map(type, sent)} else sent, places)


def is_over(sink: Sink) -> bool:
    """In the process of the run: whether it has ended, by an error say, while this chunk was worked on."""
    return not store.is_open(sink.folder)


def let_go(sink: Sink) -> None:
    """In the process of the run: if it has ended meanwhile, nobody else closes the shard that this chunk began."""
    if is_over(sink):
        result_log.end(sink.folder)


def _kept(sink: Sink, function: Any, args: Any, constants: dict[str, Any], at: int, result: Any) -> tuple[Any, Any]:
    if type(result) is not Failed:
        try:
            data = packing.dumps(result)
        except Exception as error:  # the result cannot be pickled, which is the error of the function that made it
            result = Failed(error)
        else:
            return (_stub(result) if sink.owned else result), store.write(sink.folder, sink.step, at, result, data)
    if not sink.owned:
        return result, None
    annotate.note_submitted(result.exception, sink.place)
    snapshot = maybe_wrap_exception(CONTINUE, function, args, constants, result.exception)
    return ErrorStub(False), store.write(sink.folder, sink.step, at, snapshot)


def _stub(result: Any) -> ErrorStub | None:
    state = store.state_of(result)
    return None if state == result_log.OK else ErrorStub(state == result_log.SKIPPED)


def _sees(sink: Sink) -> bool:
    path = os.path.join(sink.folder, store.mark(sink.token))
    if path not in _seen and os.path.isfile(path):
        _seen.add(path)
    return path in _seen
