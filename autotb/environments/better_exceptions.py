"""better_exceptions: the traceback of a worker's error is as of a direct call; lines below it say where the worker ran."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotb.instrument.types import Function

MODULES = ("better_exceptions.formatter",)
NAME = "better_exceptions"
DISTRIBUTION = "better-exceptions"
TESTED = "0.3"
CAPTURED = "tracebacks of workers' errors in its own look"


def _wrap_format(original: Function) -> Function:
    """The hook, its logging and whoever asks for text: every traceback is made here, in parts."""

    @functools.wraps(original)
    def format_exception(self: Any, exc: Any, value: Any, tb: Any) -> Iterator[str]:
        from autotb.record import chain

        if not chain.concerns(value):
            return iter(original(self, exc, value, tb))
        from autotb.render import retold

        parts, tales = retold.read(value, tb, lambda tb: [*original(self, exc, value, tb)], in_notes=True, members=False)
        return iter(retold.completed(parts, tales))

    return format_exception


PATCHES = (Patch("better_exceptions.formatter", "ExceptionFormatter.format_exception", _wrap_format, costs=Lost.SHOWN),)
