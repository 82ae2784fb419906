"""What a worker that died left behind: its status file, read by whoever misses it.

Flows in: files that ``status_file`` made on this machine.  Flows out: :class:`Remains`.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from autotb.postmortem import crash_dump, status_file, status_folder
from autotb.postmortem.status_file import (
    BEGUN,
    HEAD_AT,
    HEAD_BYTES,
    IDLE,
    INDEX,
    JOB,
    MARK,
    MARKED,
    PAGE,
    PID,
    RAISED,
    RUNNING,
    STARTED,
    STATE,
    STOPPED,
    TEXT_AT,
    UNKNOWN,
    WORDS,
)
from autotb.record import arrival, redaction
from autotb.record.process_start import own_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.record.schema import Tree

_SLACK = 1_000_000_000  # nanoseconds by which clocks may have been set back, far less than it takes to give a number again


class Task(NamedTuple):
    """A task of a worker, or of one of its threads."""

    call: str
    where: str  # where it was when a Ctrl-C ended it
    job: int
    thread: int  # 0 where only one ran
    begun: int  # nanoseconds of ``time.time_ns()``


class Remains:
    """What a worker left: its numbers, the text of what it ran, and what faulthandler wrote when it crashed."""

    def __init__(self, data: bytes, written: int = 0) -> None:
        """``written``, in nanoseconds, is when the file was written to last: where a crash stands in it, when it crashed."""
        if len(data) < PAGE:
            raise ValueError("this status file is only being made")
        self.words = memoryview(bytearray(data[: WORDS * 8])).cast("q")
        if self.words[MARK] != MARKED:
            raise ValueError("no status file")
        self.pid, self.state = self.words[PID], self.words[STATE]
        self.dump = data[PAGE:].decode("utf-8", "replace")
        self.crashed = written if self.dump.startswith("Fatal") else 0
        text = data[TEXT_AT:HEAD_AT].partition(b"\0")[0].decode("utf-8", "replace")
        self.tasks = self._parsed(text) if self.state in (IDLE, RUNNING) else []  # those that run, or the one that ran last
        self._text = redaction.mask(text)
        self.head = data[HEAD_AT : HEAD_AT + HEAD_BYTES]

    def _parsed(self, text: str) -> list[Task]:
        found = []
        for line in text.split("\n") if "\t" in text else [text]:
            call, *words = line.split("\t")
            numbers = [int(word) for word in words[1:] if word.isdecimal()]
            if len(numbers) == 3:
                found.append(Task(redaction.mask(call), words[0], *numbers))
            elif not words:
                found.append(Task(redaction.mask(call), "", self.words[JOB], 0, self.words[STARTED]))
        return found

    @property
    def text(self) -> str:
        """What it ran, or ran last: a call; of several none of which is known to have ended it, "one of" them."""
        calls = [task.call for task in self.tasks]
        if len(calls) < 2:
            return calls[0] if calls else self._text
        return self.culprit.call if self.culprit is not None else f"one of {', '.join(calls)}"

    @property
    def culprit(self) -> Task | None:
        """The task that the worker died of: the only one, or of several the one whose thread crashed or ended the process."""
        if len(self.tasks) < 2:
            return self.tasks[0] if self.tasks else None
        thread = self.words[INDEX] if self.dump.startswith("{") else crash_dump.thread(self.dump)
        if thread:
            return next((task for task in self.tasks if task.thread == thread), None)
        name = crash_dump.outermost(self.dump)
        named = [task for task in self.tasks if name and task.call.partition("(")[0].rpartition(".")[2] == name]
        return named[0] if len(named) == 1 else None

    @property
    def running(self) -> bool:
        """Whether a task had begun and not ended."""
        return self.state == RUNNING

    @property
    def received(self) -> bool:
        """Whether a task had come that had not begun: it was being unpickled, or was about to be."""
        return self.running and self.words[JOB] == UNKNOWN

    def raised(self) -> Tree | None:
        """What its initializer raised, or the task that ended it; None where that raised nothing, or it could not be told."""
        if self.state != RAISED and not (self.running and self.dump.startswith("{")):
            return None
        try:
            record = arrival.parsed(self.dump)
        except ValueError:
            return None
        return arrival.tree(record) if type(record) is dict else None

    @property
    def seconds(self) -> float:
        """Since the task that runs, or ran last, began."""
        return seconds_since(self.words[STARTED])

    @property
    def stopped_after(self) -> float | None:
        """Seconds from the begin of the task that ran last to the Ctrl-C that ended it; None where none did."""
        started, stopped = self.words[STARTED], self.words[STOPPED]
        return (stopped - started) / 1e9 if stopped >= started > 0 else None

    @property
    def crashed_after(self) -> float | None:
        """Seconds from the task's begin to the crash that faulthandler wrote; None where it wrote none, or of several tasks."""
        culprit = self.culprit
        return max(0.0, (self.crashed - culprit.begun) / 1e9) if self.crashed and culprit is not None else None


def seconds_since(begun: int) -> float:
    """Seconds since a task began, never less than none: clocks are set back."""
    return max(0.0, (time.time_ns() - begun) / 1e9)


def of(pid: int, since: int | None = None) -> Remains | None:
    """What process ``pid`` of this machine, dead or alive, is or was doing.

    Numbers of processes are given again: what a process left that began before ``since`` (nanoseconds of ``time.time_ns()``; when
    this process began, unless told otherwise) is not that of this one.
    """
    try:
        found = Remains(*status_folder.inside(lambda at: _read(at, status_folder.name(pid))))
    except (OSError, ValueError, AttributeError):
        return None
    return found if found.words[BEGUN] >= (own_start() if since is None else since) - _SLACK else None


def _read(at: int, file: str) -> tuple[bytes, int]:
    return status_folder.read_in(at, file, 1 << 20), os.stat(file, dir_fd=at, follow_symlinks=False).st_mtime_ns


def of_child(process: Any) -> Remains | None:
    """The same of a process of ``multiprocessing`` that this one has started."""
    return of(process.pid, getattr(process, "_autotb_begun", None))


def every() -> list[Remains]:
    """All that lie on this machine, of this user."""
    try:
        pids = [status_folder.pid_of(file) for file in status_folder.inside(os.listdir)]
    except (OSError, AttributeError):
        return []
    return [found for pid in pids if pid is not None and (found := of(pid, 0)) is not None]


def is_dead(pid: int, within: float = 0) -> bool:
    """Whether no such process runs, or will in so many seconds: a process closes its sockets some time before it has ended.

    One that has ended and was not waited for so far is dead.
    """
    end = time.monotonic() + within
    while not status_file.has_ended(pid):
        if time.monotonic() >= end:
            return False
        time.sleep(0.01)
    return True


def bury_children() -> None:
    """Remove the files of this process's children, which have all ended."""
    try:
        status_folder.inside(lambda inside: status_file.sweep(inside, os.getpid()))
    except (OSError, AttributeError):
        return
    status_folder.leave()


def bury(pid: int) -> None:
    """Remove the file of a dead process."""
    try:
        status_folder.remove(status_folder.name(pid))
    except (OSError, AttributeError):
        pass
