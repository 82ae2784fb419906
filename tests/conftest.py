"""Fixtures: programs that are run with autotb and without."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import programs

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job of a shell's background; the programs would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., programs.Ran]:
    """Runs a program under autotb."""

    def runner(code: str, *args: str, **options: object) -> programs.Ran:
        return programs.run(tmp_path, code, *args, **options)  # type: ignore[arg-type]

    return runner


@pytest.fixture
def shows(tmp_path: Path) -> Callable[..., programs.Ran]:
    """Runs a program twice: ``check`` holds with autotb, and fails without (so that it cannot be a check of nothing)."""

    def runner(code: str, check: Callable[[programs.Ran], None], *args: str, **options: object) -> programs.Ran:
        ran = programs.run(tmp_path, code, *args, **options)  # type: ignore[arg-type]
        try:
            check(ran)
        except AssertionError as error:
            raise AssertionError(f"{error}\n\nstatus {ran.status}\n{ran.stdout}\n{ran.stderr}") from None
        bare = programs.run(tmp_path, code, *args, **{**options, "autotb": "0"})  # type: ignore[arg-type]
        with pytest.raises(AssertionError):
            check(bare)
        return ran

    return runner


MAIN = (3, 11)


def pytest_collection_modifyitems(items):
    """In CI, what is marked as the main Python's alone is left out on the others, and what is marked as too long everywhere."""
    if not os.environ.get("CI"):
        return
    for item in items:
        if any(_marks(mark, item) for mark in item.iter_markers("not_in_ci")):
            item.add_marker(pytest.mark.skip(reason="not in CI: `python -m pytest -m not_in_ci` runs it before a release"))
        elif sys.version_info[:2] != MAIN and any(_marks(mark, item) for mark in item.iter_markers("on_main")):
            item.add_marker(pytest.mark.skip(reason="in CI on the main Python alone"))


def _marks(mark, item):
    """Whether the mark names this case, or none."""
    case = item.callspec.id if hasattr(item, "callspec") else ""
    return not mark.args or bool(set(mark.args) & set(re.split(r"[-\[\]]", case)))


def pytest_generate_tests(metafunc):
    """The tests that every engine has run once a case of that engine."""
    if "target" in metafunc.fixturenames and hasattr(metafunc.cls, "targets"):
        metafunc.parametrize("target", metafunc.cls.targets(), ids=lambda target: re.sub(r"[^,]*:", "", target))
    if "moved" in metafunc.fixturenames and hasattr(metafunc.cls, "moves"):
        metafunc.parametrize("moved", metafunc.cls.moves())
    if metafunc.cls is not None and hasattr(metafunc.cls, "cases"):
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", metafunc.cls.cases())
        if "more" in metafunc.fixturenames:
            metafunc.parametrize("more", list(metafunc.cls.MORE) or [None])


@pytest.fixture(scope="class")
def program(request, tmp_path_factory):
    """An engine's program, run once for all tests of its class."""
    return request.cls.run_all(tmp_path_factory)


class _AtOnce:
    """Names a failed test when it fails: a run of many minutes may be ended before its summary."""

    def __init__(self, reporter):
        self.reporter = reporter

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.reporter.write_line(f"\nFAILED {report.nodeid} ({report.when})\n{str(report.longrepr)[-1500:]}")


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.register(_AtOnce(reporter))
