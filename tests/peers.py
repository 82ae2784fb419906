"""``python -m tests.peers FOLDER [argument of pytest …]``: other projects' own tests, with autotb installed and without.

Flows in: a folder with tests that pytest runs, what these need being installed beside autotb.  ``tests.cpython`` gives a suite of
another runner to ``compare``.  Flows out: a line a suite; each test whose outcome differs, and each file that only a run with autotb
leaves in the temporary directory.  The status is 1 where there is any, or no test.  What differs is run once more, both ways: tests
of timing fail now and then, and such a one is told as seen once.

With autotb and without are two environments of this interpreter with the same packages, of which one has the ``.pth`` file: programs
that the tests start without an environment of theirs, with ``-I`` or with ``-E`` are so too.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import programs

LIMIT = 1_800  # seconds of one suite, one way
WHOLE = "(the whole suite)"

Outcomes = dict[str, str]

#: Runs those tests of a suite (all of it without any) with an interpreter in a folder that is its own: what came of each.
Suite = Callable[[str, "list[str]", Path], Outcomes]

#: What tells pytest's outcomes as they come, so that those before a hang or a crash are known, and runs a part of the tests.
_PLUGIN = """
def pytest_addoption(parser):
    parser.addoption("--outcomes-to")
    parser.addoption("--outcomes-of")


def pytest_collection_modifyitems(config, items):
    path = config.getoption("--outcomes-of")
    if path:
        with open(path, encoding="ascii") as file:
            wanted = set(file.read().split("\\n"))
        items[:] = [item for item in items if ascii(item.nodeid)[1:-1] in wanted]


def pytest_configure(config):
    path = config.getoption("--outcomes-to")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Teller(path))


class _Teller:
    def __init__(self, path):
        self.path = path

    def tell(self, name, outcome):
        with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as file:
            print(ascii(name)[1:-1], outcome, sep="\\t", file=file)

    def pytest_runtest_logstart(self, nodeid):
        self.tell(nodeid, "never ended")

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            expected = hasattr(report, "wasxfail")
            self.tell(report.nodeid, f"{'x' if expected else ''}{report.outcome}" + ("" if report.when == "call" else f" at {report.when}"))

    def pytest_collectreport(self, report):
        if report.failed:
            self.tell(report.nodeid, "not collected")
"""


@dataclass(frozen=True)
class Difference:
    name: str
    bare: str
    ours: str

    def __str__(self) -> str:
        return f"{self.name}: {self.bare} without autotb, {self.ours} with it"


def environments(folder: Path) -> tuple[str, str]:
    """An interpreter without autotb's ``.pth`` file, and one with it."""
    made = []
    packages = Path(sysconfig.get_path("purelib"))
    for name in ("bare", "ours"):
        home = folder / name
        venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(home)
        site = next(home.glob("[Ll]ib/**/site-packages"))
        # The first by name: lines of the others import from there.
        (site / "00-packages.pth").write_text(f"{packages}\n")
        (site / "outcomes_of_peers.py").write_text(_PLUGIN)
        for file in packages.glob("*.pth"):
            if file.name != "autotb.pth" or name == "ours":
                (site / file.name).write_bytes(file.read_bytes())
        made.append(str(next(path for path in (home / "bin" / "python", home / "Scripts" / "python.exe") if path.exists())))
    return made[0], made[1]


def run(command: list[str], folder: Path, limit: float, cwd: Path | None = None) -> str:
    """The status of an interpreter's command that may hang; every process that it leaves behind is killed."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    own = os.path.dirname(sys.executable)
    path = [os.path.dirname(command[0]), *(part for part in os.environ.get("PATH", "").split(os.pathsep) if part != own)]
    environment = programs.environment(PATH=os.pathsep.join(path), TMPDIR=str(temporary), XDG_RUNTIME_DIR="")
    del environment["AUTOTB"]
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed by pip is compiled; tests count seconds
    with open(folder / "output.txt", "wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=cwd or folder,
            env=environment,
            start_new_session=True,
        )
        try:
            return str(process.wait(limit))
        except subprocess.TimeoutExpired:
            return f"over {limit:.0f} s"
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all of it has ended
    process.wait()


def with_pytest(suite: Path, arguments: list[str], limit: float = LIMIT) -> Suite:
    """The tests of a folder, run by pytest from there."""

    def outcomes(python: str, only: list[str], folder: Path) -> Outcomes:
        told = folder / "outcomes.txt"
        command = [python, "-m", "pytest", "-p", "outcomes_of_peers", f"--outcomes-to={told}", "-p", "no:cacheprovider"]
        command += ["--rootdir", str(suite), *arguments]
        if only:
            wanted = folder / "wanted.txt"
            wanted.write_text("\n".join(only), encoding="ascii")
            command.append(f"--outcomes-of={wanted}")
        found = {WHOLE: run(command, folder, limit, suite)}
        for line in told.read_text(encoding="utf-8").splitlines() if told.exists() else ():
            name, _, outcome = line.partition("\t")
            if found.get(name, "never ended") in ("never ended", "passed"):  # an error at the end outranks a success
                found[name] = outcome
        return found

    return outcomes


def compare(suite: Suite, kept: Path | None = None) -> tuple[int, list[Difference], list[Difference]]:
    """How many tests were run, what differs, and what differed in the first of two runs alone."""
    with tempfile.TemporaryDirectory(prefix="autotb-peers-", ignore_cleanup_errors=True) as made:
        folder = kept or Path(made)
        pythons = environments(folder)
        count, first = _once(suite, pythons, [], folder / "1")
        if not first:
            return count, [], []
        tests = [difference.name for difference in first if not difference.name.startswith("(")]
        _, second = _once(suite, pythons, tests, folder / "2")
    again = {difference.name for difference in second}
    return count, [one for one in first if one.name in again], [one for one in first if one.name not in again]


def _once(suite: Suite, pythons: tuple[str, str], only: list[str], folder: Path) -> tuple[int, list[Difference]]:
    found, left = [], []
    for name, python in zip(("bare", "ours"), pythons):
        (folder / name).mkdir(parents=True)
        found.append(suite(python, only, folder / name))
        left.append({_family(path.name) for path in (folder / name / "temporary").iterdir()})
    bare, ours = found
    differ = [
        Difference(name, bare.get(name, "not run"), ours.get(name, "not run"))
        for name in sorted({*bare, *ours})
        if bare.get(name) != ours.get(name)
    ]
    stayed = [Difference(f"(stays in the temporary directory: {name})", "no", "yes") for name in sorted(left[1] - left[0])]
    return len({*bare, *ours}) - 1, differ + stayed


def _family(name: str) -> str:
    """A name without what makes it its own: numbers, and tempfile's eight characters."""
    return re.sub(r"\d+", "N", re.sub(r"[a-z0-9_]{8}$", "X", name))


def tell(name: str, suite: Suite, kept: Path | None = None) -> bool:
    """Run a suite both ways and print what differs: whether anything does, or no test ran at all."""
    began = time.monotonic()
    count, differ, once = compare(suite, kept)
    seconds = time.monotonic() - began
    print(f"{name}: {count} tests, {f'{len(differ)} differ' if differ else 'the same'}, {seconds:.0f} s", flush=True)
    print("".join(f"  {one}\n" for one in differ), end="")
    print("".join(f"  once: {one}\n" for one in once), end="", flush=True)
    return bool(differ) or not count


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    folder = Path(sys.argv[1]).resolve()
    kept = os.environ.get("PEERS_KEEP")  # the folder that keeps what the runs printed
    return int(tell(folder.name, with_pytest(folder, sys.argv[2:]), Path(kept) if kept else None))


if __name__ == "__main__":
    sys.exit(main())
