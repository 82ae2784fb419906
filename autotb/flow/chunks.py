"""What runs in a worker: a chunk of calls of one function, one after the other; a call that raises spoils no other.

Flows in: the function, the positional arguments of each call, the constants.  Flows out: the results in order, with a
:class:`~autotb.flow.messages.Failed` in place of each that raised; from another process as one pickle.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

from autotb import engine_facts
from autotb.flow import packing
from autotb.flow.messages import Failed, Partly, Sink, fit, rows_of
from autotb.flow.messages import Kept as Kept  # pickles of earlier versions name these classes here
from autotb.postmortem import status_file
from autotb.record import annotate, build, safe_repr

engine_facts.register(runs=((__name__, "run"),))  # where a worker's frames begin


def run(
    function: Any,
    columns: tuple[list[Any], ...],
    constants: dict[str, Any],
    stop: bool,
    parent: int,
    ats: Any = None,
    sink: Sink | None = None,
    parsl_resource_specification: Any = None,  # noqa: ARG001  Parsl reads it, and passes it on
) -> Any:
    """Call ``function(*args, **constants)`` for each ``args`` of ``zip(*columns)``, once if there are none; with ``stop``, until
    one has failed.

    With a ``sink`` it returns a :class:`Kept`, ``ats`` being the calls' positions in their step.  In a process other than
    ``parent`` it returns a pickle, in which what cannot be pickled is a :class:`Failed` too.
    """
    is_here = os.getpid() == parent
    results: list[Any] = []
    add, rest = results.append, rows_of(columns)
    args: tuple[Any, ...] = ()
    while True:
        try:
            if constants:
                for args in rest:
                    add(function(*args, **constants))
            else:
                for args in rest:
                    add(function(*args))
            break
        except Exception as error:
            if type(results) is not Partly:
                results = Partly(results)
                add = results.append
            add(_failed(error, function, args, constants, stop and is_here))
            if stop:
                break
    if sink is not None:
        from autotb.flow import result_writer

        if is_here and result_writer.is_over(sink):
            return results
        try:
            kept = result_writer.keep(sink, function, columns, constants, ats, results)
        finally:
            if is_here:
                result_writer.let_go(sink)
        return kept if is_here else packing.dumps(kept)
    return results if is_here else _pickled(results)


safe_repr.chunk_runner = run.__code__
status_file.chunk_of = safe_repr.chunk_of


class Sealed:
    """A function with its arguments, which an engine does not look into."""

    def __init__(self, function: Any, args: tuple[Any, ...]) -> None:
        self.function, self.args = function, args

    def __call__(self) -> Any:
        return self.function(*self.args)


safe_repr.sealed = Sealed


def received(result: Any, count: int) -> Any:
    """What :func:`run` made, a list or a :class:`Kept`.  A pickle that cannot be read fails all calls of the chunk."""
    if type(result) is not bytes:
        return result
    try:
        return pickle.loads(result)
    except Exception as error:
        return Partly([Failed(error) for _ in range(count)])


def _failed(error: Exception, function: Any, args: tuple[Any, ...], constants: dict[str, Any], is_raised: bool) -> Failed:
    """An exception that is about to be raised in this process keeps its frames; else a record stands for them, which holds
    nothing of the user's."""
    try:
        call = build.call_text(function, args, constants)
        hop = build.hop("flow", "in a worker of a flow", call=call)
        if is_raised:
            annotate.note_live(error, hop)
        else:
            begun = error.__traceback__.tb_next if error.__traceback__ is not None else None  # without our own
            annotate.attach(error, build.record(error, begun, hop))
            error.__traceback__ = None
    except Exception:
        pass  # the error itself is told
    return Failed(error)


def _pickled(results: list[Any]) -> bytes:
    try:
        return packing.dumps(results)
    except Exception:
        return packing.dumps(Partly([fit(result) for result in results]))
