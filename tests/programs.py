"""Runs real programs, as a user would, with autotb and without, and reads what they show."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
LIMIT = 120  # seconds; generous: a program that hits it hangs

#: Settings of the outer process that must not leak into a program under test.
_CLEARED = ("AUTOTB", "NO_COLOR", "FORCE_COLOR", "PYTHON_COLORS", "COLUMNS", "PYTHONUNBUFFERED", "PYTHONPATH")
_CLEARED += ("RAY_DEDUP_LOGS",)  # autotb sets it where a test imports Ray in this process

#: What says that a program collects the text, which is then plain: tests in CI look at what a user's pipe gets.
_COLLECTORS = ("GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TEAMCITY_VERSION", "JOURNAL_STREAM", "AWS_LAMBDA", "PYCHARM_HOSTED")

#: What an engine says of the machine is no part of a test: Ray complains of a disk that is nearly full, at any moment.
_QUIET = {"RAY_local_fs_capacity_threshold": "1"}

#: What tests need of the system beside Python: the command, Debian's name of its package, and what it is for.
SYSTEM = {
    "java": ("default-jre-headless", "PySpark"),
    "mpiexec": ("openmpi-bin", "mpi4py"),
    "valgrind": ("valgrind", "the budgets of start-up"),
}


def needs(command: str) -> pytest.MarkDecorator:
    """Skips a test, and says why, where the system lacks this command; in CI, which installs it, the test then fails."""
    package, purpose = SYSTEM[command]
    absent = shutil.which(command) is None and not os.environ.get("CI")
    return pytest.mark.skipif(absent, reason=f"{command} is not installed; it is for {purpose} (Debian: {package})")


@dataclass
class Ran:
    """What a program did."""

    status: int
    stdout: str
    stderr: str
    folder: Path
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.stderr.rstrip("\n").split("\n")

    @property
    def last(self) -> str:
        return self.lines[-1]

    @property
    def heads(self) -> list[str]:
        """The heads of the frames that are shown, ``file:line in function``, without their folders.

        One that is longer than the panel has no right border.
        """
        found = re.findall(r"^(?:│ )*│ (\S.*?:\d+ in \S+)(?: *│)?$", self.stderr, re.M)
        return [
            head.rpartition("/")[2]
            for head in found
            if ", at " not in head
            and not head.startswith(("in ", "submitted at", "made at", "started at", "spawned at", "…", "lost"))
        ]


def environment(autotb: str = "1", **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_CLEARED + _COLLECTORS)}
    path = os.path.dirname(sys.executable) + os.pathsep + kept.get("PATH", "")
    if os.environ.get("ELSEWHERE") == "1":
        more["PYTHONPATH"] = os.pathsep.join(filter(None, (str(REPOSITORY / "tests/elsewhere"), more.get("PYTHONPATH"))))
    return {**kept, "PATH": path, "PYTHONFAULTHANDLER": "", "AUTOTB": autotb, **_QUIET, **more}


def run(
    folder: Path,
    code: str,
    *args: str,
    autotb: str = "1",
    name: str = "main.py",
    command: list[str] | None = None,
    stdin: str | None = None,
    timeout: float = LIMIT,
    **env: str,
) -> Ran:
    """Write ``code`` to a file of ``folder`` and run it; every process that it leaves behind is killed."""
    script = folder / name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_bytes(textwrap.dedent(code).encode("utf-8", "surrogatepass"))
    return start([*(command or [sys.executable]), str(script), *args], folder, autotb=autotb, stdin=stdin, timeout=timeout, **env)


def start(
    command: list[str], folder: Path, *, autotb: str = "1", stdin: str | None = None, timeout: float = LIMIT, **env: str
) -> Ran:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(autotb, **env),
        start_new_session=True,
        encoding="utf-8",
        errors="surrogateescape",
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise AssertionError(f"the program hangs (over {timeout} s)\n{stdout}\n{stderr}") from None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return Ran(process.returncode, stdout, stderr, folder)


def sections(stderr: str) -> dict[str, str]:
    """What a program showed for each of its cases, which it announces by lines ``=== name``."""
    parts = re.split(r"^=== (\w+)\n", stderr, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))
