"""stackprinter: a worker's error has the frames of a direct call, and below its message stands where the worker ran."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("stackprinter.formatting",)
NAME = "stackprinter"
DISTRIBUTION = "stackprinter"
TESTED = "0.2"
CAPTURED = "tracebacks of workers' errors in its own look"


def _wrap_format(original: Function) -> Function:
    """An exception and what it came out of, each by a call of its own."""

    @functools.wraps(original)
    def format_exc_info(etype: Any, evalue: Any, tb: Any, *args: object, **options: object) -> Any:
        from autotb.record import chain

        if not chain.concerns(evalue):
            return original(etype, evalue, tb, *args, **options)
        from autotb.render import retold

        shows_members = getattr(etype, "__name__", "") == "ExceptionGroup"  # it has Python's text of these, and knows no others
        return retold.one_of_a_chain(evalue, tb, lambda tb: original(etype, evalue, tb, *args, **options), members=shows_members)

    return format_exc_info


def _wrap_message(original: Function) -> Function:
    """The last line of an exception; it shows no notes."""

    @functools.wraps(original)
    def format_exception_message(etype: Any, evalue: Any, *args: object, **options: object) -> Any:
        from autotb.render import retold

        text, tale = original(etype, evalue, *args, **options), retold.being_read(evalue)
        if tale is None:
            return text
        return "\n".join([tale.shortened(text), *tale.lines])

    return format_exception_message


PATCHES = (
    Patch("stackprinter.formatting", "format_exc_info", _wrap_format, costs=Lost.SHOWN),
    Patch("stackprinter.formatting", "format_exception_message", _wrap_message, costs=Lost.SHOWN),
)
