"""friendly_traceback: a worker's error has the frames of a direct call, and its notes say where the worker ran."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("friendly_traceback.core",)
NAME = "friendly_traceback"
DISTRIBUTION = "friendly-traceback"
TESTED = "0.7"
CAPTURED = "workers' errors in its explanations"


def _wrap_init(original: Function) -> Function:
    """All that it explains of an exception is read here."""

    @functools.wraps(original)
    def __init__(self: Any, etype: Any, value: Any, tb: Any) -> None:
        from autotb.record import chain

        if not chain.concerns(value):
            original(self, etype, value, tb)
            return
        from autotb.render import retold

        def read(tb: Any) -> None:
            with retold.silence():  # it takes Python's text apart
                original(self, etype, value, tb)

        retold.read(value, tb, read, in_notes=True, on_first=True, members=False)

    return __init__


def _wrap_message(original: Function) -> Function:
    """What an exception says."""

    @functools.wraps(original)
    def convert_value_to_message(value: Any) -> Any:
        from autotb.render import retold

        return retold.message(value, original(value))

    return convert_value_to_message


PATCHES = (
    Patch("friendly_traceback.core", "FriendlyTraceback.__init__", _wrap_init, costs=Lost.SHOWN),
    Patch("friendly_traceback.tb_data", "convert_value_to_message", _wrap_message, costs=Lost.SHOWN),
)
