"""Django's page of an error, and its mail to the administrators: a worker's has the frames of a direct call, and says where the
worker ran, with the notes.  Its parallel test runner: a failing test reads like one of a serial run.

Tracebacks of tests come from its processes as tblib makes them anew, whose frames have no globals: unittest knows its own by one.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("django.views.debug", "django.test.runner")
NAME = "Django"
DISTRIBUTION = "django"
TESTED = "5.2"
CAPTURED = "workers' errors on the debug page and in mails; manage.py test --parallel without unittest's own frames"


def _wrap_data(original: Function) -> Function:
    """All that a report shows of an error."""

    @functools.wraps(original)
    def get_traceback_data(self: Any) -> Any:
        from autotb.record import chain

        if not chain.concerns(self.exc_value):
            return original(self)
        from autotb.render import retold

        before = self.tb

        def read(tb: Any) -> Any:
            self.tb = tb
            return original(self)

        try:
            return retold.read(self.exc_value, before, read, in_notes=True, on_first=True, members=False)[0]
        finally:
            self.tb = before

    return get_traceback_data


def _wrap_handle_event(original: Function) -> Function:
    """Runs in the program, for each thing that happened to a test in a process."""

    @functools.wraps(original)
    def handle_event(self: Any, result: Any, tests: Any, event: Any) -> Any:
        try:
            for error in event[2:]:
                if type(error) is tuple and len(error) == 3:
                    _mark(error[2])
        except Exception:
            pass  # then unittest's own frames are shown
        return original(self, result, tests, event)

    return handle_event


def _mark(tb: Any) -> None:
    """Let unittest know its own frames."""
    from autotb.record import static

    while tb is not None:
        if static.is_rebuilt(tb.tb_frame.f_code) and static.name_of(tb.tb_frame).partition(".")[0] == "unittest":
            tb.tb_frame.f_globals["__unittest"] = True
        tb = tb.tb_next


PATCHES = (
    Patch("django.views.debug", "ExceptionReporter.get_traceback_data", _wrap_data, costs=Lost.SHOWN),
    Patch("django.test.runner", "ParallelTestSuite.handle_event", _wrap_handle_event, costs=Lost.SHOWN),
)
