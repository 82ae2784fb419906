"""What Ray and its libraries log of an error that the program gets: on the terminal its first lines are enough.

Ray Data logs the traceback where an operation fails and again where the data set ends; Ray Train in the worker, and twice in the
controller, whose lines Ray shows in the driver.  Their log files get all of it as ever, and so does the terminal where the error
is not raised: a block that may fail, a training that is tried again.
A worker whose actor was not created prints the error, and Ray shows that in the driver when it gets to it.
Source: https://docs.ray.io/en/latest/ray-observability/user-guides/configure-logging.html

Flows in: log records on their way to the terminal.  Flows out: the same, or shortened copies.
"""

from __future__ import annotations

import copy
import functools
import sys
import threading
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost, Text
from autotb.engines.ray import environments
from autotb.instrument import attempts
from autotb.instrument.patch import Patch, noise_is_kept
from autotb.record import callsite, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    import logging

    from autotb.instrument.types import Function
    from autotb.record.schema import Tree

ABORTS = Text(
    "ray.data._internal.execution.streaming_executor_state",
    r"Dataset execution will now abort\.",
    words=("Dataset execution will now abort.",),
    optional=True,
    costs=Lost.TWICE,
)
FULL = Text("ray.data.exceptions", r"^Full stack trace:$", words=('"Full stack trace:"',), optional=True, costs=Lost.TWICE)
WORKER = Text(
    "ray.train.v2._internal.util",
    r"^Error in training function:\n",
    words=("Error in training function:",),
    optional=True,
    costs=Lost.TWICE,
)
POLICY = Text(
    "ray.train.v2._internal.execution.failure_handling.default",
    r"^\[FailurePolicy\] [A-Z]+\n",
    words=("[FailurePolicy] ", "Error: {training_failed_error}"),
    optional=True,
    costs=Lost.TWICE,
)
_SHUFFLES = "ray.data._internal.execution.operators."
PARTITION = Text(
    f"{_SHUFFLES}shuffle_operators.shuffle_reduce_operator",
    r"^(Reduce of partition \d+ failed|Aggregation of the \d+ partition failed with): ",
    also=(f"{_SHUFFLES}hash_shuffle",),
    words=(" failed",),
    optional=True,
    costs=Lost.TWICE,
)
RAISES = "[FailurePolicy] RAISE\n"


def _wrap_emit(original: Function) -> Function:
    """The handler that writes to stderr, of the driver as of workers."""

    @functools.wraps(original)
    def emit(self: Any, record: logging.LogRecord) -> None:
        shown: logging.LogRecord | None = record
        try:
            if record.levelno >= 20 and not noise_is_kept():
                shown = _shortened(record)
        except Exception:
            pass  # then as Ray does it
        if shown is not None:
            original(self, shown)

    return emit


def _shortened(record: logging.LogRecord) -> logging.LogRecord | None:
    """None for one that says nothing but the traceback."""
    error = record.exc_info[1] if type(record.exc_info) is tuple else None
    if record.name == FULL.module and _is_recorded(error) and FULL.search(record.getMessage()):
        return None
    if record.name == ABORTS.module and _is_recorded(error) and ABORTS.search(record.getMessage()):
        return _with(record, record.getMessage())
    if record.name == POLICY.module and POLICY.search(record.getMessage()):
        message = record.getMessage()
        if message.startswith(RAISES):
            return _with(record, message.partition("\nError: ")[0])
        if static.is_exception(error) and static.traceback_of(error) is None:
            return _with(record, message)  # which has the error's text already
    if record.name.startswith(_SHUFFLES) and static.is_exception(error):  # what becomes of the error is logged next
        begins, tree = PARTITION.match(record.getMessage()), attached(error)
        if begins and tree is not None:
            return _with(record, f"{begins[0]}{tree['type']}: {tree['message']}")
    live = sys.exc_info()[1]
    if record.name == WORKER.module and live is not None and WORKER.search(record.getMessage()):
        return _with(record, f"{record.getMessage().partition(chr(10))[0]} {attempts.headline(live)}")
    return record


def _is_recorded(error: object) -> bool:
    """Whether the story will be there where the error is raised."""
    return static.is_exception(error) and any(attached(each) is not None for each in static.chain(error))


_CREATION = "The actor died because of an error raised in its creation task: "
_printing = threading.RLock()
_MOMENT = 1.0  # seconds that a story waits for a line on its way to the terminal
_told: dict[object, tuple[str, ...]] = {}  # by the pid of an actor's worker: what it prints of the error that this process has


def shorten(error: Any, tree: Tree) -> None:
    """A worker prints this text to its stderr, which Ray shows in the driver: the driver has the whole story."""
    error.error_msg = f"{_CREATION}{tree['type']}: {tree['message']}"


def have(tree: Tree) -> None:
    """The error of an actor that was not created has reached this process: a line of it that Ray shows afterwards is none."""
    text = f"Exception raised in creation task: {_CREATION}{tree['type']}: {tree['message']}"
    callsite.remember(_told, tree["hops"][0].get("pid"), tuple(text.split("\n")))
    if _printing.acquire(timeout=_MOMENT):  # one that was let through just before is shown before the story
        _printing.release()


def _wrap_print(original: Function) -> Function:
    """In the driver: what a worker has written, some lines of it."""

    @functools.wraps(original)
    def print_worker_logs(data: dict[str, Any], *args: object, **kwargs: object) -> None:
        with _printing:
            try:
                left = _left_of(data.get("pid"), data["lines"])
                if left != data["lines"] and not noise_is_kept():
                    if not left:
                        return
                    data = {**data, "lines": left}
            except Exception:
                pass  # then as Ray does it
            original(data, *args, **kwargs)

    return print_worker_logs


def _left_of(pid: object, lines: list[str]) -> list[str]:
    """The lines that are shown of what a worker has written, or Ray's daemon on this machine."""
    if pid == _DAEMON:  # an environment that cannot be made: the program gets the error too
        return environments.shortened("".join(f"{line}\n" for line in lines)).split("\n")[:-1]
    told = _told.get(pid)
    return lines if told is None else _without(lines, told)


_DAEMON = "raylet"


def _without(lines: list[str], told: tuple[str, ...]) -> list[str]:
    """Lines without these, which stand there in a row."""
    for at in range(len(lines) - len(told) + 1):
        if tuple(lines[at : at + len(told)]) == told:
            return lines[:at] + lines[at + len(told) :]
    return lines


def _with(record: logging.LogRecord, message: str) -> logging.LogRecord:
    short = copy.copy(record)
    short.msg, short.args, short.exc_info, short.exc_text = message, None, None, None
    return short


PATCHES = (
    Patch("ray._private.log", "PlainRayHandler.emit", _wrap_emit, optional=True, costs=Lost.TWICE),
    Patch("ray._private.worker", "print_worker_logs", _wrap_print, optional=True, costs=Lost.TWICE),
)
ASSUMPTIONS = (ABORTS, FULL, WORKER, POLICY, PARTITION)
