"""Results of Dask's that cannot be sent: whose they are, and which part of them is at fault.

A worker finds that out as it writes the result for whoever asks, long after the task has ended, and sends the text of the
pickler's error in place of the result.  Flows in: what could not be written, in the worker that has it; the error that is made
of the text where it was to be read.  Flows out: a record that rides on the message's header, and is put on that error.
"""

from __future__ import annotations

import functools
import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

from autotb import assumption
from autotb.assumption import Attributes, Frame, Lost
from autotb.engines import dask_calls
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, pickle_diagnosis, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from autotb.instrument.types import Function
    from autotb.record.callsite import Site
    from autotb.record.schema import Light, Tree

    class Worker(Protocol):
        """``distributed.Worker``."""

        address: str
        data: dict[Any, Any]


GIVEN = (Frame("distributed.client", "Client.submit", "func", "args", "kwargs", costs=Lost.UNSENT),)
READ = Frame("distributed.protocol.serialize", "serialization_error_loads", "header", costs=Lost.UNSENT)
WORKERS = Attributes("distributed.worker", "Worker", "data", "state", optional=True, costs=Lost.UNSENT)
_KEY = "autotb"  # of a message's header, which others pass on and do not look at
_MOST_BYTES = 10_000_000  # of a result that is pickled once more, to see what that raises


_unwritten: dict[int, list[dict[str, Any]]] = {}  # by thread: the headers of what could not be written of the value at hand


def _wrap_serialize(original: Function) -> Function:
    """Writes a value, part by part, or, where that fails, says so in its place."""

    @functools.wraps(original)
    def serialize(*args: object, **kwargs: object) -> Any:
        written = original(*args, **kwargs)
        header = written[0]
        if _unwritten or ("serializer" in header and header["serializer"] == "error"):
            try:
                _ended(header, args[0] if args else kwargs["x"])
            except Exception:
                pass  # then the pickler's text is all
        return written

    return serialize


def _ended(header: dict[str, Any], value: object) -> None:
    """A part of a value was written, or the whole."""
    thread = threading.get_ident()
    if header.get("serializer") == "error" and _KEY not in header:
        _unwritten.setdefault(thread, []).append(header)
    if static.name(type(value)) == "Serialize" and "distributed.worker" in sys.modules:
        headers = _unwritten.pop(thread, [])
        sent = _told(getattr(value, "data", None)) if headers else None
        for one in headers if sent is not None else ():
            one[_KEY] = sent


def _told(value: object) -> bytes | None:
    """What is to be said of a value, as it is sent."""
    workers = list(sys.modules["distributed.worker"].Worker._instances)
    for worker in workers:
        for key, task in _of(worker, value):
            return pickle.dumps((key, _record(value, key, task, worker)))
    return pickle.dumps((None, _record(value, None, None, workers[0]))) if len(workers) == 1 else None


def _of(worker: Worker, value: object) -> Iterator[tuple[Any, Any]]:
    """The task whose result a value is, of those that a worker has in its memory."""
    data, state = WORKERS.read(worker) or ({}, None)
    data = getattr(data, "fast", data)  # what is not spilled to its disk
    held = getattr(data, "d", data)
    for key in [key for key, one in list(held.items()) if one is value]:
        yield key, state.tasks.get(key)


def _record(value: object, key: object, task: object, worker: Worker) -> Tree | Light:
    import cloudpickle

    error = _raised_for(value, getattr(task, "nbytes", 0) or 0)
    label = f"task {key}" if key is not None else f"worker {worker.address}"
    call = dask_calls.of_task(getattr(task, "run_spec", None), worker.data) if task is not None else None
    hop = build.hop("dask", "in a Dask worker", call=call, label=label, twice=True)
    tree = build.record(error, static.traceback_of(error), hop)
    if not isinstance(tree, dict):
        return tree
    culprit = pickle_diagnosis.of_result(value, cloudpickle.CloudPickler)
    own = {"type", "message", "final"}  # the program has Dask's error, whose message tells this one's
    told: Any = {name: said for name, said in tree.items() if name not in own}
    if culprit:
        told["culprit"] = culprit
    return told  # type: ignore[no-any-return]


def _raised_for(value: object, size: int) -> BaseException:
    """What the pickler says of a value, with the line of the user's that it came from, where it was his."""
    import cloudpickle

    try:
        if size < _MOST_BYTES:
            cloudpickle.dumps(value)
    except Exception as error:
        return error
    return TypeError()


def note(error: BaseException, sites: dict[Any, Site | None]) -> bool:
    """Put the record on the error that was made of its text; ``sites`` are those of the tasks that this program submitted."""
    if type(error) is not TypeError or attached(error) is not None:
        return False
    header = next(variables(error, READ), None)
    sent = header.get(_KEY) if isinstance(header, dict) else None
    if sent is None:
        return False
    key, tree = pickle.loads(sent)
    annotate.attach(error, tree)
    annotate.note_submitted(error, engine_frames.place_of(sites.get(key)))
    return True


def variables(error: BaseException, frame: Frame) -> Iterator[Any]:
    """Those of a frame that are read, wherever an error came through it."""
    tb = static.traceback_of(error)
    while tb is not None:
        if frame.matches(tb.tb_frame) and static.name_of(tb.tb_frame) == frame.module:
            yield from frame.read(tb.tb_frame) or ()
        tb = tb.tb_next


def noted(error: BaseException, sites: dict[Any, Site | None]) -> None:
    """The same, for who has nothing to say where it does not work out."""
    try:
        note(error, sites)
    except Exception:
        pass  # then the pickler's text is all


def not_sent(error: BaseException, caller: FrameType | None) -> None:
    """The arguments of a call could not be sent: whose they are, and which part of them is at fault."""
    try:
        _note_call(error, caller)
    except Exception:
        pass  # as above


def _note_call(error: BaseException, caller: FrameType | None) -> None:
    function, args, kwargs = assumption.read(caller, *GIVEN, limit=2) or (None, (), {})
    if type(error) is not TypeError or function is None or attached(error) is not None:
        return
    import cloudpickle

    culprit = pickle_diagnosis.of_call(function, args, kwargs, cloudpickle.CloudPickler)
    if culprit:
        call = build.call_text(function, args, kwargs)
        annotate.note(error, culprit=culprit, hops=[{"frames": [], "call": call} if call else {"frames": []}])


PATCHES = (Patch("distributed.protocol.serialize", "serialize", _wrap_serialize, costs=Lost.UNSENT),)
ASSUMPTIONS = (*GIVEN, READ, WORKERS)
