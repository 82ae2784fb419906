"""Django's page of an error, and its mail to the administrators: a worker's has the frames of a direct call, and says where the
worker ran, with the notes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("django.views.debug",)
NAME = "Django"
DISTRIBUTION = "django"
TESTED = "5.2"
CAPTURED = "workers' errors on the debug page and in mails"


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
            return retold.read(self.exc_value, before, read, in_notes=True)[0]
        finally:
            self.tb = before

    return get_traceback_data


PATCHES = (Patch("django.views.debug", "ExceptionReporter.get_traceback_data", _wrap_data, costs=Lost.SHOWN),)
