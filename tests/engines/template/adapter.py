"""tinypool: a pool of one worker process.

A worker catches what a task raises and sends it in a ``Failure(error, text)``, whose ``__reduce__`` gives the exception and its
traceback as text; the driver rebuilds the exception with that text as its cause.  Frames are lost, and so are exceptions that do
not survive pickling.  The record rides on the exception.  Source: tests/engines/template/package
"""
# A docstring like the one above says where the engine's errors cross a process, and where its source is.

from __future__ import annotations

from autotb import assumption, engine_facts
from autotb.assumption import Frame, Lost
from autotb.instrument import exception_wrappers, submission, task_events
from autotb.instrument.patch import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType
    from typing import Any

# The modules whose import loads this adapter: those that have the functions that are patched.  A literal, read without importing.
MODULES = ("tinypool", "tinypool.worker")
# What users call it; the package that has it (None: the standard library), whose version ``doctor`` shows; the README's row.
NAME = "tinypool"
DISTRIBUTION = "tinypool"
CAPTURED = "Pool: submit"
TESTED = "1.0"

# What all of autotb needs to know of the engine: the prefixes of its own modules, whose frames are hidden and counted; the classes
# that hold a worker's traceback as text; and, where it has such, ``asks`` (functions that wait for a result), ``runs`` (functions
# that call the user's), ``openers`` (exceptions that only pass on another one), ``crashes``, ``handles``, ``hints``.
engine_facts.register(own=("tinypool",), remote_texts=("tinypool.worker.RemoteText",))

# What the adapter takes for granted beside the functions that it patches, and what is lost where it moved: local variables of a
# frame (Frame), attributes of an object (Attributes), the words of a message (Text).  It is read through the declaration alone.
RUN = Frame("tinypool.worker", "run", "function", "args", costs=Lost.CALL)


# A wrapper takes the engine's function and returns what is called in its stead.  Its docstring says why it is there.  It never
# changes what the function does: ours is tried, and whatever it raises costs no more than the nicety.


def _wrap_failure_init(original: Any) -> Any:
    """Runs in the worker while the exception still has its traceback: ``_record`` is called here."""
    return exception_wrappers.wrap_init(original, _record)


def _record(exc: BaseException, tb: TracebackType | None, caller: FrameType) -> Any:
    from autotb.record import build  # what only failures need is imported when something failed

    function, args = assumption.read(caller, RUN) or (None, ())
    call = build.call_text(function, args) if function is not None else None
    return build.record(exc, tb, build.hop("tinypool", "in a tinypool worker", call=call))


def _wrap_rebuild(original: Any) -> Any:
    """Runs in the driver, on what arrives."""
    import sys

    return exception_wrappers.wrap_rebuild(original, sys.modules["tinypool.worker"].RemoteText)


def _wrap_run(original: Any) -> Any:
    """Runs a task in the worker: its log, where one is wanted, has it, and so does the word that a dead worker leaves."""
    return task_events.around(original, lambda function, args: (function, args), lambda outcome: outcome[0])


# Every patch: the module, the function in it, the wrapper, what is lost where the function is not found.  ``also`` names modules
# that imported it by name, ``optional`` says that some versions lack it.
PATCHES = (
    Patch("tinypool.worker", "run", _wrap_run, costs=Lost.DEATH),
    Patch("tinypool.worker", "Failure.__init__", _wrap_failure_init, costs=Lost.RECORD),
    Patch("tinypool.worker", "Failure.__reduce__", exception_wrappers.wrap_reduce, costs=Lost.FIT),
    Patch("tinypool.worker", "rebuild", _wrap_rebuild, costs=Lost.RECORD),
    Patch("tinypool", "Task.__init__", submission.on_self, costs=Lost.SITE),
    Patch("tinypool", "Task.result", submission.noted_when_raised, costs=Lost.SITE),
)
ASSUMPTIONS = (RUN,)


def probe(given: dict[str, Any], _timeout: float) -> Iterator[Any]:
    """For ``doctor --engine``: how the engine's workers are asked for the value of an expression.  An adapter may go without.

    ``given`` is what the file of ``--config`` defines.
    """
    import tinypool

    with given.get("pool") or tinypool.Pool() as pool:
        yield lambda expression: [("the worker", pool.submit(eval, expression).result())]


#: What ``python -m autotb demo --engine tinypool`` runs: a user's script, whose job fails by a division by zero.
DEMO = '''\
"""tinypool scores eight items in its worker; one of them is bad."""

import tinypool

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with tinypool.Pool() as pool:
        tasks = [pool.submit(score, item) for item in ITEMS]
        return [task.result() for task in tasks]


if __name__ == "__main__":
    main()
'''
