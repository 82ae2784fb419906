"""tbvaccine pairs the lines of a traceback with the callers of its last frame, of which a worker's has none: of such an error it
colours the text alone.
"""

from __future__ import annotations

import functools
import traceback
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("tbvaccine.tbv",)
NAME = "tbvaccine"
DISTRIBUTION = "tbvaccine"
TESTED = "0.3"
CAPTURED = "workers' errors in its colours"


def _wrap_format(original: Function) -> Function:
    """All text with variables is made here."""

    @functools.wraps(original)
    def _format_tb_string_with_locals(self: Any, etype: Any, value: Any, tb: Any) -> Any:
        from autotb import settings
        from autotb.record import chain

        if not chain.concerns(value) or not settings.switch("traceback"):
            return original(self, etype, value, tb)
        from autotb.render import retold

        def read(tb: Any) -> list[str]:
            with retold.silence():
                return traceback.format_exception(etype, value, tb)

        parts, tales = retold.read(value, tb, read, in_notes=True)
        return self._format_tb_string("".join(retold.completed(parts, tales)))

    return _format_tb_string_with_locals


PATCHES = (Patch("tbvaccine.tbv", "TBVaccine._format_tb_string_with_locals", _wrap_format, costs=Lost.SHOWN),)
