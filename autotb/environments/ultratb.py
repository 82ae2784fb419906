"""IPython's tracebacks used alone (``sys.excepthook = ultratb.FormattedTB()``): a worker's error has the frames of a direct call,
and below its message stands where the worker ran.
"""

from __future__ import annotations

import functools
import re
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch
from autotb.record import made_frames

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("IPython.core.ultratb", "IPython.core.doctb")
NAME = "IPython's ultratb"
DISTRIBUTION = "ipython"
TESTED = "9.18"
CAPTURED = "tracebacks of workers' errors in IPython's own look, outside its shell"


#: In a signature, what says of a worker's frame that its values are texts.
_MARK = re.compile(rf"(?:, )?(?:\x1b\[[\d;]*m)*{made_frames.MARK}(?:=<[^<>]*>)?")


def _wrap_structured(original: Function) -> Function:
    """A traceback of one exception, and of those that it came out of, in parts; by a list of frames, there is nothing to read."""

    @functools.wraps(original)
    def structured_traceback(self: Any, etype: Any, evalue: Any = None, etb: Any = None, *more: Any, **named: Any) -> Any:
        from autotb.record import chain

        if type(etb) is not TracebackType or not chain.concerns(evalue):
            return original(self, etype, evalue, etb, *more, **named)
        from autotb.render import retold

        if retold.is_read(evalue):
            return original(self, etype, evalue, etb, *more, **named)
        given = more[0] if more else named.get("tb_offset")
        offset = self.tb_offset if given is None else given

        def read(tb: Any) -> Any:
            left = offset if tb is etb else 0
            return original(self, etype, evalue, tb, left, *more[1:], **{key: named[key] for key in named if key != "tb_offset"})

        is_doc = type(self).__name__ == "DocTB"  # whose notes follow each other in one line
        parts, tales = retold.read(evalue, _after(etb, offset), read, in_notes=not is_doc, members=False)
        parts = [_MARK.sub("", part) for part in retold.completed(parts, [] if is_doc else tales)]
        if is_doc and tales and tales[0] is not None:
            parts += [f"\n{line}" for line in tales[0].lines]
        return parts

    return structured_traceback


def _after(tb: Any, offset: int) -> Any:
    """From the entry on that is the first to be shown, if there is one."""
    left = tb
    for _ in range(offset):
        left = left.tb_next if left is not None else None
    return left or tb


def _patch(module: str, owner: str, *, optional: bool = False) -> Patch:
    return Patch(module, f"{owner}.structured_traceback", _wrap_structured, optional=optional, costs=Lost.SHOWN)


PATCHES = (
    _patch("IPython.core.ultratb", "VerboseTB"),
    _patch("IPython.core.ultratb", "ListTB"),
    _patch("IPython.core.doctb", "DocTB", optional=True),
)
