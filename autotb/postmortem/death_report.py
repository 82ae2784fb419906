"""The death of a worker as a hop of the story: what ended it, what it was doing, and the Python lines of a crash.

Flows in: an exit status and what the worker left (``status_reader``), as far as each is known.  Flows out: a hop of ``capture``'s
form, with ``died``, lines of text that stand below the call.
"""

from __future__ import annotations

import os
import re
import signal

from autotb import settings
from autotb.postmortem import crash_dump, oom, status_file, status_reader
from autotb.postmortem.status_reader import Remains
from autotb.record import build, redaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.record.schema import Hop, Tree

UNLOADED = "could not import the main script"
STARTED, NEVER = "started and then crashed", "never started"
LEFT = "started, and what it raised ended its worker"
_AT_ONCE = ("process pool", "loky", "multiprocessing.Pool")  # wait for deaths; other engines look now and then
_NOT_ALL = ("ray", "dask")  # run tasks, coroutines for one, of which a worker leaves no word


def hop(
    engine: str, where: str, pid: int | None, exitcode: int | None, left: Remains | None, call: str | None = None, **more: Any
) -> Hop:
    """What is known of one dead worker; ``call`` where the driver knows it better than the worker's own few words."""
    if call is None and left is not None and left.running and not left.received and settings.switch("args"):
        call = left.text or None
    place = {"engine": engine, "where": where, "pid": pid, "host": build.host()}
    told = [doing(left, engine in _AT_ONCE, engine not in _NOT_ALL)]
    # A status that is not known is known from what it raised.
    is_told = told[0] == LEFT if exitcode is None else exitcode == 0 and left is not None and left.state == status_file.RAISED
    if not is_told:
        told = [f"{told[0]}: {ended_by(exitcode)}{why(exitcode, left)}"]
    frames, elsewhere = crash_dump.frames(left.dump) if left is not None else ([], False)
    if elsewhere:
        told[0] += ", in another thread than the one shown"
    found = {**place, "call": call, "log": _log(place["host"], pid), **more}
    result: Any = {key: value for key, value in found.items() if value is not None} | {"frames": frames, "died": told}
    return result  # type: ignore[no-any-return]


def to_who_asks(found: Hop, left: Remains, job: int) -> list[Hop]:
    """A death as it is told to who asks for one of the tasks that the worker left word of: it need not have died of that one."""
    own = next((task for task in left.tasks if task.job == job), None)
    if own is None:
        return [found]
    culprit, others = left.culprit, ", ".join(task.call for task in left.tasks if task is not own)
    shown: Any = {"call": own.call} if settings.switch("args") else {}
    if not left.running:
        how = found["died"][0].removeprefix(doing(left, False, False))
        return [{**found, **shown, "died": [f"had ended when its worker died{how}", *found["died"][1:]]}]
    if culprit is None:
        beside_it = f"beside it ran {others}: which of them ended the worker is not known"
        return [{**found, **shown, "died": [*found["died"], beside_it]}]
    if culprit is own:
        return [{**found, "died": [*found["died"], f"beside it ran {others}"]} if others else found.copy()]
    beside: Any = {key: value for key, value in found.items() if key != "log"} | shown
    beside |= {"frames": [], "died": ["ran beside another task, of which its worker died as follows"]}
    return [beside, found]


def of_process(engine: str, where: str, process: Any, patience: float = 0) -> tuple[Hop, Tree | None]:
    """What is known of a dead child of this process, whose status file is taken away, and what the task raised that ended it;
    ``patience`` are the seconds that it may still take to end."""
    if patience:
        process.join(patience)
    left = status_reader.of_child(process)
    status_reader.bury(process.pid)
    return hop(engine, where, process.pid, process.exitcode, left), left.raised() if left is not None else None


def _log(host: object, pid: int | None) -> str | None:
    folder = settings.value("worker_log")
    path = os.path.abspath(os.path.join(folder, f"worker-{host}-{pid}.log")) if folder else ""
    return path if os.path.exists(path) else None


def doing(left: Remains | None, at_once: bool = True, tells_all: bool = True) -> str:
    """What a worker was doing when it died.

    ``at_once`` says whether it is no longer dead than it takes to tell of it, ``tells_all`` whether it leaves word of every task.
    """
    if left is None:
        return "died"
    if left.received:
        return "received a task, and died before that began"
    if left.running:
        if left.culprit is None:
            return STARTED  # of several it is not known which
        if left.raised() is not None:
            return LEFT
        if left.crashed_after is not None:
            return f"{STARTED}, after {duration(left.crashed_after)}"
        return f"{STARTED}, within {duration(left.seconds)}" if at_once else STARTED
    if left.state == status_file.FAILING:
        return f"could not unpickle a task, and died of {left.text}"
    if left.state == status_file.RAISED:
        return f"its initializer raised {left.text}"
    if left.state == status_file.UNLOADED:
        return f"{UNLOADED}, of {left.text}" if left.text else UNLOADED
    if left.state == status_file.STARTING:
        return "died in its initializer, before its first task"
    if not tells_all:
        last = left.text if left.state == status_file.IDLE and left.words[status_file.STARTED] else ""
        last = last if settings.switch("args") else last.partition("(")[0]
        return f"died, and {last}, the last task that it told of, had ended" if last else "died"
    return "died after a task, before another began" if left.words[status_file.STARTED] else "died before its first task began"


def duration(seconds: float) -> str:
    """In words that are as exact as anybody wants to know."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def ended_by(exitcode: int | None) -> str:
    """``killed by signal 9 (SIGKILL)``, ``exit status 3``."""
    if exitcode is None:
        return "gone, its exit status is not known"
    if exitcode < 0:
        return f"killed by signal {-exitcode} ({signal_name(-exitcode)})"
    return f"exit status {exitcode}"


def signal_name(number: int) -> str:
    """``SIGKILL``; the bare number for one that has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def why(exitcode: int | None, left: Remains | None) -> str:
    """What more is known of the cause, as the end of a sentence."""
    first = left.dump.partition("\n")[0] if left is not None else ""
    if exitcode == -9 or (exitcode is None and not first):
        known = left is not None and left.words[status_file.OOM] >= 0 and left.words[status_file.GROUP] == oom.group()
        verdict = oom.verdict(left.words[status_file.OOM] if left is not None and known else None)
        return f", {verdict}" if verdict else ""
    return f", {first}" if first.startswith("Fatal Python error") else ""


def tail(path: str, lines: int = 10, most: int = 4_000, leaving_out: re.Pattern[str] | None = None) -> list[str]:
    """The last lines of a file, as ``died`` shows them; nothing of one that is empty or cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - most))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    found = [line for line in redaction.mask(text.rstrip()).splitlines() if leaving_out is None or not leaving_out.match(line)][
        -lines:
    ]
    return [f"the last lines of {path}:", *(f"  {line}" for line in found)] if found else []
