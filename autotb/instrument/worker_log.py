"""A worker's log of its tasks, where the setting ``worker_log`` names a folder: who began, who ended, in which environment.

Flows in: each task as it begins and ends.  Flows out: one file a worker, ``worker-HOST-PID.log``, whose first lines are its
environment, secrets masked; then ``[WORKER START] f(x=3)`` and ``[WORKER END] f(x=3)``.  A task that fails, or whose worker dies,
has the first line and not the second.
"""

from __future__ import annotations

import os
import sys
import time

from autotb import settings
from autotb.record import build, ownership, redaction, safe_repr

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this
    from collections.abc import Callable
    from typing import Any

START, END = "[WORKER START]", "[WORKER END]"

_log: WorkerLog | None = None
_asked = False


class WorkerLog:
    """The file of this process."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.path = os.path.abspath(os.path.join(folder, f"worker-{build.host()}-{os.getpid()}.log"))
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        lines = [f"Python {sys.version.split()[0]} at {sys.executable}, in {os.getcwd()}"]
        lines += [f"{name}={value}" for name, value in sorted(redaction.environment(dict(os.environ)).items())]
        for line in lines:
            self._write("[WORKER ENVIRONMENT] " + line)

    def start(self, call: str) -> None:
        """A task begins."""
        self._try_to_write(f"{START} {call}")

    def end(self, call: str) -> None:
        """It has a result."""
        self._try_to_write(f"{END} {call}")

    def _try_to_write(self, line: str) -> None:
        try:
            self._write(line)
        except Exception:
            pass  # the disk is full, or the program has closed all that it had: the task goes on

    def _write(self, line: str) -> None:
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
        text = " ".join(line.splitlines())
        os.write(self.descriptor, f"{stamp} {text}\n".encode("utf-8", "backslashreplace"))


class LoggedTask:
    """The task that a worker runs, for those that run one at a time: its lines in the log."""

    def __init__(self, log: WorkerLog) -> None:
        self.log, self.text = log, ""

    def began(self, told: Callable[[], tuple[str | None, Any]]) -> None:
        """``told()`` gives the call's text, None under ``AUTOTB_ARGS=0``, and the function, whose name must do then."""
        try:
            call, function = told()
            self.text = call or _name_only(function)
            self.log.start(self.text)
        except Exception:
            self.text = ""  # the task runs without a line

    def ended(self, well: bool) -> None:
        """It has ended, and ``well`` says whether with a result."""
        text, self.text = self.text, ""
        if well and text:
            self.log.end(text)


def log() -> WorkerLog | None:
    """This process's log; None where none is wanted, or none can be written."""
    global _log, _asked
    if not _asked:
        _asked = True
        folder = settings.value("worker_log")
        try:
            _log = WorkerLog(folder) if folder else None
            if _log is not None:
                build.worker_log = _log.path
        except OSError as error:
            sys.stderr.write(f"autotb: the worker's log cannot be written (worker_log={folder}: {error.strerror})\n")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forget)
    return _log


def call_of(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> str:
    """The call as it is logged; the name alone under ``AUTOTB_ARGS=0``."""
    return build.call_text(function, args, kwargs) or _name_only(function)


def _name_only(function: Any) -> str:
    batch = ownership.batch_of(function)
    return f"{safe_repr.function_name(batch[0][0] if batch else function)}(…)"


def _forget() -> None:
    global _log, _asked
    _log, _asked, build.worker_log = None, False, None
