"""pytest: the report of a test that failed with a worker's exception has a section with its story.

No entry point: pytest warns of a plugin that was imported before it could rewrite its assertions, and the start-up file is.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("_pytest.runner",)
NAME = "pytest"
TESTED = "9.2"
DISTRIBUTION = "pytest"
CAPTURED = "failed tests' reports"


def _wrap_makereport(original: Function) -> Function:
    """Every report of a test is made here, with the exception in hand."""

    @functools.wraps(original)
    def pytest_runtest_makereport(item: object, call: Any) -> Any:
        report = original(item, call)
        try:
            text = _story(call.excinfo.value) if call.excinfo is not None else ""
            if text:
                report.sections.append(("autotb", text))
        except Exception:
            pass  # the report is pytest's and goes on without us
        return report

    return pytest_runtest_makereport


def _story(error: BaseException) -> str:
    from autotb.record.capture import attached

    if attached(error) is None:
        return ""
    from autotb import render

    return str(render.explain(error))


PATCHES = (Patch("_pytest.runner", "pytest_runtest_makereport", _wrap_makereport, costs=Lost.SHOWN),)
