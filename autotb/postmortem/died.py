"""``WorkerDied``: the error of a task whose worker process died, for pools that have none of their own.

Flows in: who died, of what, at which task.  Flows out: an exception that can be caught as ``multiprocessing.ProcessError``.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from autotb.postmortem import death_report


class WorkerDied(multiprocessing.ProcessError):
    """A worker process of a pool died while it ran a task, so that the task has no result.

    Attributes:
        pid: the process that died.
        exitcode: its exit status; ``-N`` if signal N ended it.
        signal: that signal's number, or None.
        task: what it ran, as text; empty if that is not known.
    """

    def __init__(self, pid: int, exitcode: int | None, task: str = "", why: str = "") -> None:
        self.pid, self.exitcode, self.task, self.why = pid, exitcode, task, why
        self.signal = -exitcode if exitcode is not None and exitcode < 0 else None
        running = f" while it ran {task}" if task else ""
        super().__init__(f"worker process {pid} died{running}: {death_report.ended_by(exitcode)}{why}")

    def __reduce__(self) -> Any:
        return WorkerDied, (self.pid, self.exitcode, self.task, self.why), self.__dict__


WorkerDied.__module__ = "autotb"
