"""An error in one line: its type, how its message begins, and the line of the user's in which it came up.

Flows in: an exception whose story is told elsewhere.  Flows out: text.
"""

from __future__ import annotations

from autotb.record import ownership, safe_repr, static
from autotb.record.capture import message_of, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_LONGEST = 200  # characters of type and message


def of(error: BaseException) -> str:
    """``KeyError: 'id', at /home/u/load.py:12 in parse``."""
    message = " ".join(message_of(error).strip().partition("\n\n")[0].split()).rstrip(".")
    return safe_repr.cut(f"{type_name(type(error))}: {message}".removesuffix(": "), _LONGEST) + _at(static.traceback_of(error))


def _at(tb: TracebackType | None) -> str:
    found = None
    while tb is not None:
        if ownership.kind_of_frame(tb.tb_frame) == ownership.USER and not tb.tb_frame.f_code.co_filename.startswith("<"):
            found = tb
        tb = tb.tb_next
    if found is None:
        return ""
    code = found.tb_frame.f_code
    return f", at {static.exact(code.co_filename)}:{found.tb_lineno} in {static.exact(code.co_name)}"
