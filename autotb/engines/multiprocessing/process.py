"""``Process``: where it was started, how it fails, and what it leaves behind.

Flows in: ``start()`` in the parent, ``run()`` in the child.  Flows out: the line of the start on the process object, a child's
error to where it is shown, and a hint where a worker that was forked among threads waits for a lock.
"""

from __future__ import annotations

import functools
import os
import sys
import time

from autotb import first_use, surface
from autotb.record import callsite, ownership

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this: what only failures need is imported where they are handled
    from types import ModuleType
    from typing import Any

    from autotb.instrument.types import Function, Process
    from autotb.record.schema import Place


def wrap_start(original: Function) -> Function:
    """Remembers the line of ``start()`` on the process object, which reaches the child by fork and by pickle."""

    @functools.wraps(original)
    def start(self: Any) -> None:
        try:
            self._autotb_begun = time.time_ns()  # see postmortem.remains
            self._autotb_started = _place(callsite.decode(callsite.here(3)))
        except Exception:
            pass  # a subclass that takes no attributes: its start is not shown
        result = original(self)
        try:
            _tidy_at_the_end(sys.modules[original.__module__.partition(".")[0] + ".util"])
            if self._popen.method == "fork":
                _note_threads(self.pid)
        except Exception:
            pass  # a process of another make: nothing is to be noted
        return result  # type: ignore[no-any-return]

    return start


def _place(started: Place | None) -> Place | None:
    """As the child is to tell it: it knows of no cells of a notebook."""
    sources: Any = sys.modules.get("autotb.record.sources")
    return {**started, "path": sources.called(started["path"])} if started is not None and sources is not None else started


_tidied: dict[int, set[Any]] = {}  # this process: the modules ``util`` that will have us tidy up


def _tidy_at_the_end(util: ModuleType) -> None:
    """Daemons that still run are ended when their parent ends; what they leave behind is taken away after that."""
    here = _tidied.setdefault(os.getpid(), set())
    if util not in here:
        here.add(util)
        util.Finalize(None, _bury_children, exitpriority=-1_000)


def _bury_children() -> None:
    try:
        from autotb.postmortem import status_reader

        status_reader.bury_children()
    except Exception:
        pass  # they are swept away later


_forked: dict[int, list[str]] = {}  # a process that was forked while other threads of the user's ran: their names


def _note_threads(pid: int) -> None:
    import threading

    others = [
        thread.name
        for thread in list(threading._active.values())  # type: ignore[attr-defined]
        if thread not in (threading.main_thread(), threading.current_thread())
        and not ownership.is_engines(getattr(thread, "_target", None) if type(thread) is threading.Thread else type(thread))
    ]
    if others:
        if len(_forked) > 1_000:
            _forked.clear()
        _forked[pid] = others


def waits_for_a_lock(trace: Any) -> dict[str, str] | None:
    """Somebody gave up waiting, while a worker that was forked from a program with threads waits for a lock."""
    if not _forked or trace.root_cause.type.rpartition(".")[2] not in ("TimeoutError", "KeyboardInterrupt"):
        return None
    from autotb.postmortem import death_report, status_reader

    for pid, threads in _forked.items():
        left = status_reader.of(pid)
        if left is not None and left.running and left.seconds > 1 and not status_reader.is_dead(pid) and _at_a_futex(pid):
            names = ", ".join(threads[:3]) + (", …" if len(threads) > 3 else "")
            call = left.text or "a task"
            return {"pid": str(pid), "call": call, "seconds": death_report.duration(left.seconds), "threads": names}
    return None


def _at_a_futex(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/wchan") as file:
            return "futex" in file.read()
    except OSError:
        return False  # another system


FORKED = (
    "worker {pid} waits for a lock in {call}, which began {seconds} ago, and may wait for ever: it was forked while other "
    "threads ran ({threads}), and a lock that one of them held at that moment is never released in the worker; start it with "
    'mp_context=multiprocessing.get_context("forkserver"), or before the threads'
)


def wrap_bootstrap(original: Function) -> Function:
    """``_bootstrap`` prints a failed ``run`` with no hook in between: ``run`` is given one, and then fails silently."""

    @functools.wraps(original)
    def _bootstrap(self: Any, *args: object, **kwargs: object) -> Any:
        try:
            self.run = functools.partial(_shown, self, self.run)
        except Exception:
            pass  # as above: Python's own display will do
        return original(self, *args, **kwargs)

    return _bootstrap


def _shown(process: Process, run: Function) -> Any:
    try:
        return run()
    except SystemExit:
        raise
    except BaseException as error:
        if not surface.events.process_failed(error, process):
            first_use.clean(error)
            raise
    raise SystemExit(1)  # as _bootstrap would have ended; it prints nothing for this one
