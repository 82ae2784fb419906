"""What Parsl's tasks do when a Ctrl-C ends the program that waits for them.

The workers of HighThroughputExecutor are no children of the program, and a terminal's Ctrl-C does not reach them: they go on.
Those of this machine say in their status files with what, and their manager's command line has the folder of the run.  Tasks on
threads are told by ``instrument.pool_tasks``.

Flows in: the kernels that were loaded, their tasks, the status files.  Flows out: what ``instrument.interrupted`` tells.
"""

from __future__ import annotations

import inspect
import os
import weakref
from typing import TYPE_CHECKING, Any

from autotb.assumption import Attributes, Lost
from autotb.instrument import engine_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotb.instrument.types import Function
    from autotb.instrument.waited_tasks import Task

KERNEL = Attributes("parsl.dataflow.dflow", "DataFlowKernel", "tasks", "run_dir", costs=Lost.WAITED)
_kernels: weakref.WeakSet[Any] = weakref.WeakSet()
_MOST = 1_000  # tasks that are looked at


def submits(kernel: Any) -> None:
    """A kernel of this program is given a task."""
    if kernel not in _kernels:
        _kernels.add(kernel)


def running(app: Callable[..., tuple[Any, Any, Any]]) -> dict[object, Task]:
    """The tasks that were launched and are not done: those that a worker of this machine runs, where one does.

    ``app`` gives the user's function and arguments of what Parsl runs.
    """
    found: dict[object, Task] = {}
    for kernel in list(_kernels):
        tasks, folder = KERNEL.read(kernel) or ({}, "")
        launched = [task for task in list(tasks.values())[-_MOST:] if _is_launched(task)]
        if launched:
            found.update(_of_kernel(launched, os.path.abspath(folder), app))
    return found


def _is_launched(task: dict[str, Any]) -> bool:
    return task["status"].name == "launched" and not task["app_fu"].done()


def _of_kernel(launched: list[dict[str, Any]], folder: str, app: Callable[..., tuple[Any, Any, Any]]) -> dict[object, Task]:
    from autotb import settings
    from autotb.instrument.waited_tasks import RUNNING, Task
    from autotb.postmortem import status_file
    from autotb.postmortem.death_report import duration

    known: dict[str, list[dict[str, Any]]] = {}
    for task in launched:
        text = status_file.plain(*app(_behind(task["func"]), task["args"], task["kwargs"]))
        known.setdefault(text if settings.switch("args") else text.partition("(")[0], []).append(task)
    found: dict[object, Task] = {}
    for left in _workers_of(folder):
        alike = known.get(left.text, [])
        places = [engine_frames.place_of(getattr(task["app_fu"], "_autotb_site", None)) for task in alike]
        place = places[0] if places and all(each == places[0] for each in places) else None
        number = f", task {alike[0]['id']}" if len(alike) == 1 else ""
        found["pid", left.pid] = Task(RUNNING, left.text + number, f"for {duration(left.seconds)}, pid {left.pid}", place)
    return found or _not_done(known)


def _behind(function: Function) -> Any:
    """The app's function; Parsl's own is around it."""
    return inspect.unwrap(function)


def _not_done(known: dict[str, list[dict[str, Any]]]) -> dict[object, Task]:
    """Tasks of which no worker of this machine tells; those on threads are told by their pools."""
    from autotb.instrument.waited_tasks import NOT_DONE, Task

    return {
        ("task", id(task["app_fu"])): Task(
            NOT_DONE, f"{text}, task {task['id']}", place=engine_frames.place_of(getattr(task["app_fu"], "_autotb_site", None))
        )
        for text, tasks in known.items()
        for task in tasks
        if not _is_on_threads(task)
    }


def _is_on_threads(task: dict[str, Any]) -> bool:
    executor = task["dfk"].executors.get(task.get("executor"))
    return type(executor).__name__ == "ThreadPoolExecutor"


def _workers_of(folder: str) -> list[Any]:
    """The status files of the workers of a run that have a task."""
    from autotb.postmortem import status_file, status_reader

    of_run: dict[int, bool] = {}
    found = []
    for left in status_reader.every():
        manager = left.words[status_file.PARENT]
        if manager not in of_run:
            of_run[manager] = folder.encode() in _command(manager)
        if of_run[manager] and left.running and not left.received:
            found.append(left)
    return found


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(100_000)
    except OSError:
        return b""  # gone, or a system without /proc


ASSUMPTIONS = (KERNEL,)
