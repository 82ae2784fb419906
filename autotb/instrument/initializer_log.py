"""What pools of ``concurrent.futures`` and loky log of a failed initializer: a line, as the story comes with the pool's error.

Flows in: their log records.  Flows out: the same, with a short text; only where no logging was set up, so that they go to stderr,
and only where the program will learn of the error itself.
"""

from __future__ import annotations

import logging
import sys

from autotb import settings
from autotb.instrument.patch import noise_is_kept
from autotb.record import one_line, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def shorten(record: logging.LogRecord) -> None:
    """Runs in the worker."""
    error = record.exc_info[1] if record.exc_info else None
    if not static.is_exception(error) or noise_is_kept() or not settings.switch("logging"):
        return
    if not logging.getLogger(record.name).hasHandlers() and (record.funcName == "_worker" or _is_left()):
        record.exc_text = one_line.of(error)


def _is_left() -> bool:
    """Whether this process has left its initializer's error to the program that started it; a thread need not."""
    status_file: Any = sys.modules.get("autotb.postmortem.status_file")
    status = status_file.begin() if status_file is not None else None
    return status is not None and bool(status.words[status_file.STATE] == status_file.RAISED)
