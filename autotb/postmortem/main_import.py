"""Workers that die as they import the main script: one of several that fail alike tells the error, the others a line each.

Flows in: in a process that ``multiprocessing`` starts afresh, the error of that import.  Flows out: the process's status file,
which the others of the same program look for, and which the program reads where it misses this one; a line, or nothing where the
error is told in full.
"""

from __future__ import annotations

import os
import sys
import time

from autotb import surface
from autotb.postmortem import status_file, status_folder, status_reader
from autotb.record import annotate, one_line

_TRIES, _PAUSE = 40, 0.05  # to be the one that looks, or that the other has ended; seconds
_READ = 10  # seconds within which the program reads of one that it misses
_NEW = 60  # seconds within which others that fail alike do so for the same reason


def failed(error: BaseException, parent: int) -> None:
    """This process is about to die of ``error``."""
    try:
        status = status_file.begin() if sys.platform != "win32" else None
        if status is None:
            return
        status.words[status_file.PARENT], status.words[status_file.STATE] = parent, status_file.UNLOADED
        said = one_line.of(error)
        before = status_folder.inside(lambda inside: _first(inside, status, parent, said))
        if before:
            name = getattr(sys.modules["multiprocessing.process"].current_process(), "name", "a process")
            line = f"{name}, pid {os.getpid()}, failed as pid {before} did: {said}"
            if surface.events.told_in_a_line(line):
                annotate.note(error, told=True)
                _wait_for(before)
    except Exception:
        pass  # then it is told in full


def _wait_for(pid: int) -> None:
    """Until the one that tells the error has done so: a pool that misses this process ends the others."""
    for _ in range(_TRIES):
        if status_file.has_ended(pid):
            return
        time.sleep(_PAUSE)


def _first(inside: int, status: status_file.StatusFile, parent: int, said: str) -> int:
    """The process that has failed alike before this one; 0 where this one is the first.  One process at a time looks."""
    _lock(inside)
    before, now = 0, time.time_ns()
    for file in os.listdir(inside):
        pid = status_folder.pid_of(file)
        left = status_reader.of(pid, 0) if pid not in (None, os.getpid()) else None
        if left is None or left.state != status_file.UNLOADED or left.words[status_file.PARENT] != parent:
            continue
        if status_file.fits(said, left.text):
            age = (now - left.words[status_file.BEGUN]) / 1e9
            before = left.pid if age < _NEW else before
            if age > _READ and status_file.has_ended(left.pid):
                status_reader.bury(left.pid)  # a program may start such processes for ever; others find this one
    status.unloaded(said)
    return before


def _lock(inside: int) -> None:
    """Released with the descriptor.  Whoever holds it may have been stopped: without it two may tell the same in full."""
    import fcntl

    for _ in range(_TRIES):
        try:
            fcntl.flock(inside, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[attr-defined,unused-ignore]
            return
        except BlockingIOError:
            time.sleep(_PAUSE)
