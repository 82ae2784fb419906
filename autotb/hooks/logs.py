"""Log records of exceptions that came from a worker show the worker's frames, in plain grammar.

Flows in: ``logging.Formatter.formatException``; subclasses that override it are untouched.  Flows out: the plain style.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from autotb import capture, render, settings
from autotb.patch import Patch, put_on
from autotb.trace import build, limit

forced = threading.local()  # .on: shorten every record of this thread, for the time of one call


def install() -> None:
    """Patch the formatter; called when the first record is attached to an exception."""
    import logging  # noqa: F401  the patch's target

    if settings.switch("logging"):
        put_on(Patch("logging", "Formatter.formatException", _wrap_format), __name__)


def _wrap_format(original: Any) -> Any:
    """The stock formatter prints the engine's frames, and a worker's as a block of text."""

    @functools.wraps(original)
    def formatException(self: Any, ei: Any) -> Any:
        try:
            if capture.attached(ei[1]) is not None or getattr(forced, "on", False):
                return render.as_text(limit.limited(build.build(ei[1], ei[2]), outermost=True))
        except Exception:
            pass  # then as ever
        return original(self, ei)

    return formatException
