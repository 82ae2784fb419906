"""What Dask's cluster logs on a terminal of errors that are told there in another way.

Workers log each failed task, and what of it could not be sent, on the program's own terminal where a ``LocalCluster`` started
them; so does a scheduler in the program what it answers.  Flows in: records of logging.  Flows out: nothing less to files, to
the dashboard's deque and whoever else listens; terminals are spared.
"""

from __future__ import annotations

import logging
import multiprocessing
import sys

from autotb import settings
from autotb.assumption import Text
from autotb.instrument.patch import is_applied, noise_is_kept
from autotb.record import static

local = False  # whether this process has made a LocalCluster

UNSENT = Text(
    "distributed.protocol.serialize",
    "Could not serialize object of type ",
    words=("Could not serialize object of type ",),
    costs="one line for what cannot be sent, in place of three tracebacks",
)
_TWICE = "the quiet of a LocalCluster's workers on the terminal, where the driver reports the same"
COMPUTE = Text("distributed.worker", "Compute Failed", words=("Compute Failed",), costs=_TWICE)
SERIALIZE = Text("distributed.protocol.pickle", "Failed to serialize", words=("Failed to serialize",), costs=_TWICE)
WRITE = Text("distributed.protocol.core", "Failed to Serialize$", words=("Failed to Serialize",), costs=_TWICE)
ASKED = Text(
    "distributed.core",
    "Exception while handling op (variable_get|queue_get|queue_put)$",
    words=("Exception while handling op ",),
    costs="the quiet of a LocalCluster's scheduler on the terminal, where who asked it has the same error",
)
DESERIALIZE = Text("distributed.protocol.core", "Failed to deserialize$", words=("Failed to deserialize",), costs=_TWICE)


def _is_new(record: logging.LogRecord) -> bool:
    """A terminal's filter: drops the record of an error that the driver tells there: of a task, or of what could not be sent."""
    if _is_a_marker(record):
        return noise_is_kept()
    text = str(record.msg)
    if ASKED.match(record.getMessage()) and record.exc_info:
        return not (static.name(type(record.exc_info[1])) == "TimeoutError" and is_told_here())
    if not (COMPUTE.match(text) or SERIALIZE.match(text)):
        error = record.exc_info[1] if record.exc_info else None
        if type(error) is not TypeError or not UNSENT.match(next(map(static.text_of, static.args_of(error)), "")):
            return True
        if not (DESERIALIZE.match(text) or ((WRITE.match(text) or record.msg is error) and is_told_here())):
            return True
    return not is_told_here() and not getattr(multiprocessing.current_process(), "_autotb_told_by_driver", False)


def _is_a_marker(record: logging.LogRecord) -> bool:
    """Whether asyncio tells of what ends Dask's own waiting early: a Ctrl-C leaves one for each future."""
    kind = type(record.exc_info[1]) if record.exc_info else None
    return kind is not None and static.name(kind) == "AllExit" and static.module(kind) == "distributed.client"


def is_told_here() -> bool:
    """Whether this process has workers that write to its terminal, and tells their errors itself."""
    return local and settings.switch("unretrieved") and not noise_is_kept() and asking_is_seen()


_ASKING = ("Future._result", "Future._exception", "Client._gather", "Client._release_key")


def asking_is_seen() -> bool:
    """Whether it is known which futures are asked and which are dropped; where it is not, each would seem to be unasked for."""
    return is_applied("distributed.client", *_ASKING)


def _spare_the_terminal(record: logging.LogRecord) -> bool:
    """A logger's filter, which drops nothing: files, the dashboard's deque and whoever else listens get every record."""
    try:
        if not _is_new(record):
            logger: logging.Logger | None = logging.getLogger(record.name)
            if logger is not None and not logger.hasHandlers():
                return False  # then stderr is all that there is
            while logger is not None:
                for handler in logger.handlers:
                    if _writes_to_terminal(handler) and _is_new not in handler.filters:
                        handler.addFilter(_is_new)
                logger = logger.parent if logger.propagate else None
    except Exception:
        pass  # then the error is told twice
    return True


def _writes_to_terminal(handler: logging.Handler) -> bool:
    if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
        return False
    stream = handler.stream
    return any(stream is known for known in (sys.stderr, sys.__stderr__, sys.stdout, sys.__stdout__))


_LOGGERS = (
    *("distributed.worker", "distributed.protocol.pickle", "distributed.protocol.core", "distributed.comm.utils"),
    *("distributed.core", "asyncio"),
)


def begin() -> None:
    """Give the loggers their filter."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _spare_the_terminal not in logger.filters:
            logger.addFilter(_spare_the_terminal)


ASSUMPTIONS = (UNSENT, COMPUTE, SERIALIZE, WRITE, ASKED, DESERIALIZE)
