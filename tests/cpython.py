"""``python -m tests.cpython [module …]``: CPython's own tests, those that this interpreter ships, with autotb and with AUTOTB=0.

Flows in: names of modules of CPython's ``test`` package, DEFAULT without any; ``--match PATTERN`` runs a part of them.  Flows out:
a line a module; each test whose outcome differs, and each file that only a run with autotb leaves in the temporary directory.
The status is 1 where there is any.  A module that differs is run once more, both ways: tests of timing fail now and then.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

from tests import programs

DEFAULT = (
    "test_concurrent_futures",
    "test_threading",
    "test_asyncio",
    "test_traceback",
    "test_multiprocessing_fork",
    "test_multiprocessing_spawn",
    "test_multiprocessing_forkserver",
    "test_multiprocessing_main_handling",
    "test_logging",
    "test_sys",
    "test_cmd_line",
    "test_cmd_line_script",
    "test_doctest",
    "test_unittest",
    "test_exceptions",
    "test_exception_group",
    "test_faulthandler",
    "test_runpy",
    "test_code_module",
    "test_import",
    "test_pickle",
    "test_contextlib",
    "test_site",
)
LIMIT = 1_800  # seconds of one module, one way

Outcomes = dict[str, str]


def outcomes(module: str, autotb: str, match: list[str], folder: Path, limit: float = LIMIT) -> tuple[Outcomes, list[str]]:
    """What came of each test, and what stayed in the temporary directory."""
    temporary, report = folder / "temporary", folder / "report.xml"
    temporary.mkdir(parents=True)
    command = [sys.executable, "-m", "test", "--junit-xml", str(report), module]
    command += [argument for pattern in match for argument in ("-m", pattern)]
    environment = programs.environment(autotb, TMPDIR=str(temporary), XDG_RUNTIME_DIR="")
    with open(folder / "output.txt", "wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            status = str(process.wait(limit))
        except subprocess.TimeoutExpired:
            status = f"over {limit:.0f} s"
        finally:
            _end(process)
    found = {"(the whole module)": status}
    if report.exists():
        for case in xml.parse(report).iter("testcase"):  # noqa: S314  it was written by the interpreter itself
            found[case.get("name", "?")] = _outcome(case)
    return found, sorted(path.name for path in temporary.iterdir())


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all of it has ended
    process.wait()


def _outcome(case: xml.Element) -> str:
    for kind in ("failure", "error", "skipped"):
        if case.find(kind) is not None:
            return kind
    return case.get("result") or "success"


def compare(module: str, match: list[str], tries: int = 2) -> tuple[int, list[str]]:
    """How many tests were run, and what differs, in every one of so many tries."""
    count, told = 0, ["never run"]
    for _ in range(tries):
        with tempfile.TemporaryDirectory(prefix="autotb-cpython-", ignore_cleanup_errors=True) as folder:
            bare, stayed = outcomes(module, "0", match, Path(folder) / "bare")
            ours, left = outcomes(module, "1", match, Path(folder) / "ours")
        count = len(bare) - 1
        again = [
            f"{name}: {bare.get(name, 'not run')} with AUTOTB=0, {ours.get(name, 'not run')} with autotb"
            for name in sorted({*bare, *ours})
            if bare.get(name) != ours.get(name)
        ]
        again += [f"stays in the temporary directory: {name}" for name in left if name not in stayed]
        told = again if told == ["never run"] else [line for line in told if line in again]
        if not told:
            break
    return count, told


def there(module: str) -> bool:
    """Whether this interpreter ships that module of tests."""
    import importlib.util

    try:
        return importlib.util.find_spec(f"test.{module}") is not None
    except ModuleNotFoundError:  # the package that it would be in is not there, or is no package
        return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cpython", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", default=list(DEFAULT))
    parser.add_argument("--match", action="append", default=[], metavar="PATTERN", help="only tests of these names")
    options = parser.parse_args()
    differs = False
    for module in options.modules:
        if not there(module):
            print(f"{module}: not in this Python", flush=True)
            continue
        began = time.monotonic()
        count, told = compare(module, options.match)
        seconds = time.monotonic() - began
        print(f"{module}: {count} tests, {'differs' if told else 'the same'}, {seconds:.0f} s", flush=True)
        print("".join(f"  {line}\n" for line in told), end="", flush=True)
        differs = differs or bool(told)
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
