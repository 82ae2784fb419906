"""Engines that pickle an exception inside a wrapper object of theirs, with its traceback as text.

Flows in: the wrapper class's ``__init__`` and ``__reduce__``, and the function that rebuilds the exception.  Flows out:
their replacements; the record rides on the pickle.  What only failures need is imported when something failed.
"""

from __future__ import annotations

import functools
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def wrap_init(original: Any, record: Callable[..., Any], unpack: Callable[..., Any] | None = None) -> Any:
    """Runs in the worker while the exception still has its traceback: ``record(exc, tb, caller's frame)`` is made here."""

    @functools.wraps(original)
    def __init__(self: Any, exc: Any, tb: Any) -> None:
        if unpack is not None:
            exc, tb = unpack(exc, tb)
        try:
            self._autotb = record(exc, tb, sys._getframe(1))
        except Exception:
            pass  # without a record the driver reads the text
        from autotb.engines import worker

        worker.original_init(original, self, exc, tb)

    return __init__


def wrap_reduce(original: Any) -> Any:
    """What is pickled: the engine's own rebuild function, with an exception that is fit to travel and carries its record."""

    @functools.wraps(original)
    def __reduce__(self: Any) -> Any:
        from autotb.engines import worker

        rebuild, arguments = original(self)[:2]
        return worker.reduced(self, rebuild, arguments)

    return __reduce__


def wrap_rebuild(original: Any, remote_text: Callable[[str], BaseException]) -> Any:
    """Sets ``__cause__`` on what arrives; a class that refuses attributes would break the engine's receiving end here."""

    @functools.wraps(original)
    def rebuild(exc: Any, tb: Any) -> Any:
        from autotb import carrier
        from autotb.engines import worker

        carrier.share(exc)
        try:
            return original(exc, tb)
        except Exception:
            return worker.set_cause(exc, remote_text(tb))

    return rebuild
