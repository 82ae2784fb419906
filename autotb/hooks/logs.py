"""Log records of exceptions that came from a worker show the worker's frames, in plain grammar; a record that asyncio writes of
an error is drawn where no log was set up and logging itself puts it on stderr.

Flows in: ``logging.Formatter.formatException``; subclasses that override it are untouched.  Flows out: text.  Whether there is a
record at all (levels, filters, handlers) is logging's affair.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotb import settings
from autotb.instrument.patch import Patch, put_on
from autotb.record import capture

if TYPE_CHECKING:
    from types import TracebackType

    from autotb.instrument.types import Function

expected = threading.local()  # .error, .story: what asyncio is logging in this thread
forced = threading.local()  # .on: shorten every record of this thread, for the time of one call


def install() -> None:
    """Patch the formatter; called when the first record is attached to an exception."""
    import logging  # noqa: F401  the patch's target

    if settings.switch("logging"):
        put_on(Patch("logging", "Formatter.formatException", _wrap_format), __name__)


def expect(error: BaseException | None, story: Callable[[], str] | None) -> bool:
    """This thread is about to log ``error`` through asyncio's logger; ``story`` draws it.  None: it has done so."""
    expected.error, expected.story = error, story
    if error is not None:
        install()
    return True


def _is_the_last_resort(formatter: Any) -> bool:
    """Whether a record of asyncio's ends in logging's own handler for programs that have none, and looks as logging makes it."""
    import logging

    stock = getattr(logging, "_defaultLastResort", None)
    if stock is None or logging.lastResort is not stock or sys.stderr is None or getattr(stock, "formatter", None) is not None:
        return False
    return formatter is getattr(logging, "_defaultFormatter", None) and not logging.getLogger("asyncio").hasHandlers()


def _wrap_format(original: Function) -> Function:
    """The stock formatter prints the engine's frames, and a worker's as a block of text."""

    @functools.wraps(original)
    def formatException(self: Any, ei: Any) -> Any:
        try:
            if getattr(expected, "error", None) is ei[1] and _is_the_last_resort(self):
                return expected.story()
            if capture.attached(ei[1]) is not None or getattr(forced, "on", False):
                return _story(*ei)
        except Exception:
            pass  # then as ever
        return original(self, ei)

    return formatException


def _story(_kind: object, error: BaseException, tb: TracebackType | None) -> str:
    from autotb import render
    from autotb.trace import build, tracebacklimit

    return render.as_text(tracebacklimit.limited(build.build(error, tb), outermost=True))
