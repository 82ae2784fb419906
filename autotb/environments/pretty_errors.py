"""pretty_errors: a worker's error has the frames of a direct call, and below its message stands where the worker ran."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("pretty_errors",)
NAME = "pretty_errors"
DISTRIBUTION = "pretty-errors"
TESTED = "1.2"
CAPTURED = "tracebacks of workers' errors in its own look"


def _wrap_hook(original: Function) -> Function:
    """An exception and what it came out of, each by a call of its own."""

    @functools.wraps(original)
    def excepthook(exception_type: Any, exception_value: Any, traceback: Any) -> Any:
        from autotb.record import chain

        if not chain.concerns(exception_value):
            return original(exception_type, exception_value, traceback)
        from autotb.render import retold

        return retold.one_of_a_chain(exception_value, traceback, lambda tb: original(exception_type, exception_value, tb))

    return excepthook


def _wrap_exception(original: Function) -> Function:
    """The last lines of an exception; it shows no notes."""

    @functools.wraps(original)
    def write_exception(self: Any, exception_type: Any, exception_value: Any) -> None:
        from autotb.render import retold

        original(self, exception_type, exception_value)
        tale = retold.being_read(exception_value)
        for line in tale.lines if tale is not None else ():
            self.output_text(line)

    return write_exception


PATCHES = (
    Patch("pretty_errors", "excepthook", _wrap_hook, costs=Lost.SHOWN),
    Patch("pretty_errors", "ExceptionWriter.write_exception", _wrap_exception, costs=Lost.SHOWN),
)
