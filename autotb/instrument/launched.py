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
    from collections.abc import Iterable
    from types import FrameType, TracebackType

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
        self._untold: dict[int, tuple[float, Tree]] = {}  # what nobody has told so far, by pid; when it was found

    def records(self) -> dict[int, Tree]:
        """What processes have left since this was asked for last, by their pids."""
        found: dict[int, Tree] = {}
        for name in os.listdir(self.folder):
            if name.endswith(".json"):
                try:
                    found.update(_taken(os.path.join(self.folder, name)))
                except Exception:
                    pass  # cut off, on a full disk: the others are whole
        self._untold.update({pid: (time.monotonic(), tree) for pid, tree in found.items() if tree.get("told")})
        return found

    def untold(self, older: float = 0.0) -> dict[int, Tree]:
        """What processes have left, and leave to the launcher to tell, for at least so many seconds; the earliest first."""
        now = time.monotonic()
        found = {pid: tree for pid, (when, tree) in self._untold.items() if now - when >= older}
        return dict(sorted(found.items(), key=lambda item: item[1].get("time", 0.0)))

    def tells(self, pids: Iterable[int]) -> None:
        """What these have left is told."""
        for pid in pids:
            self._untold.pop(pid, None)

    def end(self) -> None:
        """Its processes have ended."""
        os.environ.pop(VARIABLE, None)
        shutil.rmtree(self.folder, ignore_errors=True)


def _taken(path: str) -> dict[int, Tree]:
    try:
        with open(path, encoding="utf-8") as file:
            tree: Tree = json.load(file)
    finally:
        os.unlink(path)
    return {int(os.path.basename(path)[: -len(".json")]): tree}


def hand_over(exc: BaseException, tb: TracebackType | None) -> bool:
    """In a process that was launched: leave an error's record to the launcher; whether that tells it on this stderr."""
    now, launcher = time.time(), json.loads(os.environ[VARIABLE])
    if launcher["pid"] != os.getppid() or issubclass(type(exc), KeyboardInterrupt):
        return False
    if not _is_left(exc) and (not launcher["is_sure"] or _is_by_hand()):
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


def _is_left(exc: BaseException) -> bool:
    """Whether that has been left to the launcher already, in an engine's own file: this process says no word of it."""
    from autotb.record.capture import attached

    return bool((attached(exc) or {}).get("told"))


def _is_by_hand() -> bool:
    """Whether the program itself calls the hook, and goes on perhaps: of an uncaught error no code of its runs any more."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name in ("<module>", "_bootstrap"):  # of a thread
            return True
        frame = frame.f_back
    return False


def is_told_here() -> bool:
    """Whether this process's launcher tells errors on the very stderr that this process writes to."""
    from autotb.instrument.patch import noise_is_kept

    told = json.loads(os.environ.get(VARIABLE, "{}")).get("stderr")
    return told is not None and told == stderr() and not noise_is_kept()


def stderr() -> str | None:
    """Which file this process writes its errors to; None where that is not known, or the program has another in mind."""
    try:
        found = os.fstat(2)
        if sys.stderr is None or os.fstat(_descriptor(2)).st_ino != found.st_ino or not found.st_ino:
            return None  # pipes and consoles of Windows have no number
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}"


def _descriptor(default: int) -> int:
    try:
        return int(sys.stderr.fileno())
    except Exception:
        return default  # torch.distributed takes the text of an error before it writes it
