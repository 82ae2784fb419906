"""Spark's Python workers that died: what each ran, in a status file, for a driver on the same machine.

Spark says of such a worker that it ``exited unexpectedly``, and of which task.  A worker begins a status file with each task that
it is given; the driver looks for the one of that task, whose process has ended.  Which exit status that had nobody learns: the
daemon that forks Spark's workers ignores SIGCHLD.  Of workers on other machines Spark's words are all.

Flows in: a task's function, as a worker unpickles it; the text of the JVM's error in the driver.  Flows out: the death, in the
exception's record.
"""

from __future__ import annotations

import functools
import os
import re
from types import FunctionType
from typing import TYPE_CHECKING, Any

from autotb.engines.pyspark import driver, records
from autotb.record import annotate, safe_repr

if TYPE_CHECKING:
    from autotb.instrument.types import Function
    from autotb.postmortem.status_file import StatusFile
    from autotb.postmortem.status_reader import Remains

COSTS = "which Spark worker died, at which partition, and the Python lines of a crash"
_TASK = re.compile(r"Lost task \d+\.(?P<attempt>\d+) in stage (?P<stage>\d+)\.\d+ \(TID (?P<task>\d+)\)")
_PATIENCE = 1.0  # seconds: a process closes its sockets, by which Spark learns of its end, some time before that

_status: StatusFile | None = None  # this worker's


# In a worker


def noting(original: Function) -> Function:
    """Runs in a worker, once a task or more often, and unpickles what that calls."""

    @functools.wraps(original)
    def read_command(*args: object, **kwargs: object) -> Any:
        command = original(*args, **kwargs)
        try:
            folder = os.environ.get(driver.FOLDER)
            if folder is not None:
                _begin(folder, command)
        except Exception:
            pass  # then a death is told in Spark's words
        return command

    return read_command


def _begin(folder: str, command: object) -> None:
    global _status
    from autotb.postmortem import status_file

    partition, _, _, task = records.task()
    _status = status_file.begin() if task >= 0 else None
    if _status is None:
        return
    job = driver.number(folder, task)
    # A task of several UDFs runs any of them.
    _status.says("" if _status.words[status_file.JOB] == job else _called(command))
    _status.runs(job, partition, "")


def _called(command: object) -> str:
    """What a UDF calls; an RDD's command has functions of Spark's alone."""
    function = command[0] if type(command) is tuple and len(command) == 2 else None
    return f"{safe_repr.function_name(function)}(…)" if type(function) is FunctionType else ""


def ending(original: Function) -> Function:
    """Runs in a worker when a task has been done."""

    @functools.wraps(original)
    def report_times(*args: object, **kwargs: object) -> Any:
        if _status is not None:
            _status.idles()
        return original(*args, **kwargs)

    return report_times


# In the driver


def note(error: BaseException, text: str, most: int) -> None:
    """Tell of the worker that died of the task whose loss Spark tells of; ``most`` is how often it tries one."""
    match, folder = _TASK.search(text), driver.folder()
    left = _left(driver.number(folder, int(match["task"]))) if match is not None and folder else None
    if match is None or left is None:
        return
    from autotb.postmortem import death_report, status_file, status_reader

    status_reader.bury(left.pid)
    label = records.label(left.words[status_file.INDEX], int(match["stage"]), int(match["attempt"]), most)
    annotate.note_death(error, [death_report.hop("pyspark", "in a PySpark worker", left.pid, None, left, label=label)], None)


def _left(job: int) -> Remains | None:
    from autotb.postmortem import status_file, status_reader

    found = [each for each in status_reader.every() if each.words[status_file.JOB] == job and each.running]
    return next((each for each in found if status_reader.is_dead(each.pid, within=_PATIENCE)), None)
