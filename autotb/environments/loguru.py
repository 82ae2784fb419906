"""loguru: the traceback of a log record of a worker's error is as of a direct call; lines below it say where the worker ran."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotb.instrument.types import Function

MODULES = ("loguru._better_exceptions",)
NAME = "loguru"
DISTRIBUTION = "loguru"
TESTED = "0.7"
CAPTURED = "tracebacks of workers' errors in log records"


def _wrap_format(original: Function) -> Function:
    """Every traceback of a log record is made here, in parts."""

    @functools.wraps(original)
    def format_exception(self: Any, type_: Any, value: Any, tb: Any, **options: Any) -> Iterator[str]:
        from autotb.record import chain

        if not chain.concerns(value):
            return iter(original(self, type_, value, tb, **options))
        from autotb.render import retold

        parts, tales = retold.read(value, tb, lambda tb: [*original(self, type_, value, tb, **options)], in_notes=True)
        return iter(retold.completed(parts, tales))

    return format_exception


PATCHES = (Patch("loguru._better_exceptions", "ExceptionFormatter.format_exception", _wrap_format, costs=Lost.SHOWN),)
