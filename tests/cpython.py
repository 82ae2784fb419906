"""``python -m tests.cpython [module …]``: CPython's own tests, those that this interpreter ships, with autotb and without.

Flows in: names of modules of CPython's ``test`` package, DEFAULT without any; ``--match PATTERN`` runs a part of them.  Flows out:
what ``tests.peers`` tells of other projects' tests.
"""

from __future__ import annotations

import argparse
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

from tests import peers

DEFAULT = (
    "test_concurrent_futures",
    "test_thread",
    "test_threading_local",
    "test_queue",
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
    "test_importlib",
    "test_pkgutil",
    "test_zipimport",
    "test_pickle",
    "test_inspect",
    "test_pdb",
    "test_warnings",
    "test_contextlib",
    "test_contextlib_async",
    "test_except_star",
    "test_gc",
    "test_weakref",
    "test_code",
    "test_subprocess",
    "test_atexit",
    "test_site",
)


def suite(module: str, match: list[str], limit: float = peers.LIMIT) -> peers.Suite:
    """The tests of a module, run by CPython's own runner."""

    def outcomes(python: str, only: list[str], folder: Path) -> peers.Outcomes:
        report = folder / "report.xml"
        command = [python, "-m", "test", "--junit-xml", str(report), module]
        command += [argument for pattern in only or match for argument in ("-m", pattern)]
        found = {peers.WHOLE: peers.run(command, folder, limit)}
        if report.exists():
            for case in xml.parse(report).iter("testcase"):  # noqa: S314  it was written by the interpreter itself
                found[case.get("name", "?")] = _outcome(case)
        return found

    return outcomes


def _outcome(case: xml.Element) -> str:
    for kind in ("failure", "error", "skipped"):
        if case.find(kind) is not None:
            return kind
    return case.get("result") or "success"


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
        differs = peers.tell(module, suite(module, options.match)) or differs
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
