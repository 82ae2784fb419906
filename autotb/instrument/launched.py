"""Uncaught errors of processes whose launcher tells them: torchrun's ranks.

Flows in: a launcher that is about to start processes; in one of these, an error that nobody caught.  Flows out: its record, in a
folder of the launcher's.  The process says nothing itself where both write to the same stderr.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from autotb.record.schema import Tree

# What processes learn of their launcher: its pid, its stderr, its folder, its engine, in words where they run.  They have it by
# the environment, and only the launcher's own children heed it.  No setting: those begin with ``AUTOTB_``.
VARIABLE = "_AUTOTB_LAUNCHER"


class Launcher:
    """A launcher while its processes run; ``is_sure`` says that no program may catch the error that it raises of theirs."""

    def __init__(self, engine: str, where: str, *, is_sure: bool) -> None:
        self.folder = tempfile.mkdtemp(prefix="autotb-")
        told = {"pid": os.getpid(), "stderr": stderr(), "folder": self.folder, "engine": engine, "where": where}
        os.environ[VARIABLE] = json.dumps({**told, "is_sure": is_sure})

    def records(self) -> dict[int, Tree]:
        """What processes have left since this was asked for last, by their pids."""
        found: dict[int, Tree] = {}
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if name.endswith(".json"):
                with open(path, encoding="utf-8") as file:
                    found[int(name[: -len(".json")])] = json.load(file)
                os.unlink(path)
        return found

    def end(self) -> None:
        """Its processes have ended."""
        os.environ.pop(VARIABLE, None)
        shutil.rmtree(self.folder, ignore_errors=True)


def hand_over(exc: BaseException, tb: TracebackType | None) -> bool:
    """In a process that was launched: leave an error's record to the launcher; whether that tells it on this stderr."""
    now, launcher = time.time(), json.loads(os.environ[VARIABLE])
    if not launcher["is_sure"] or launcher["pid"] != os.getppid() or issubclass(type(exc), KeyboardInterrupt):
        return False
    from autotb.instrument import engine_frames
    from autotb.record import build

    where = launcher["where"].format_map(os.environ)
    tree = build.record(exc, tb, build.hop(launcher["engine"], where, call=engine_frames.last_call(tb)))
    if not isinstance(tree, dict):
        return False
    tree["time"], tree["told"] = now, is_told_here()
    path = os.path.join(launcher["folder"], f"{os.getpid()}.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(tree, file)
    os.replace(path + ".new", path)  # seen whole or not at all
    return tree["told"]


def is_told_here() -> bool:
    """Whether this process's launcher tells errors on the very stderr that this process writes to."""
    from autotb.instrument.patch import noise_is_kept

    told = json.loads(os.environ.get(VARIABLE, "{}")).get("stderr")
    return told is not None and told == stderr() and not noise_is_kept()


def stderr() -> str | None:
    """Which file this process writes its errors to; None where that is not known, or the program has another in mind."""
    try:
        found = os.fstat(2)
        if sys.stderr is None or os.fstat(_descriptor(2)).st_ino != found.st_ino:
            return None
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}"


def _descriptor(default: int) -> int:
    try:
        return int(sys.stderr.fileno())
    except Exception:
        return default  # torch.distributed takes the text of an error before it writes it
