"""What a program knows of its Dask tasks, by their keys.

Flows in: submissions.  Flows out: where each task was submitted; the number by which its worker's status file knows it.
"""

from __future__ import annotations

from typing import Any

from autotb.instrument import task_events

sites: dict[Any, Any] = {}  # by a task's key: (code, instruction, the client's batch)


def number(key: object) -> int:
    """A task's key as its status file has it."""
    return task_events.number(str(key).encode())
