"""structlog's tracebacks as data (``dict_tracebacks``): a worker's error has the frames of a direct call, and its notes say where
the worker ran; what ``format_exc_info`` makes is ``traceback``'s or rich's.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("structlog.tracebacks",)
NAME = "structlog"
DISTRIBUTION = "structlog"
TESTED = "26.1"
CAPTURED = "workers' errors as data"


def _wrap_extract(original: Function) -> Function:
    """Whatever is made data of is read here."""

    @functools.wraps(original)
    def extract(exc_type: Any, exc_value: Any, traceback: Any, **options: Any) -> Any:
        from autotb.record import chain

        if not chain.concerns(exc_value):
            return original(exc_type, exc_value, traceback, **options)
        from autotb.render import retold

        trace, tales = retold.read(exc_value, traceback, lambda tb: original(exc_type, exc_value, tb, **options), in_notes=True)
        for stack, tale in zip(trace.stacks, tales):
            if tale is not None:
                stack.exc_value = tale.message(stack.exc_value)
        return trace

    return extract


PATCHES = (Patch("structlog.tracebacks", "extract", _wrap_extract, costs=Lost.SHOWN),)
