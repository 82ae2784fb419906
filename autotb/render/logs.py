"""Records for the program's log, which may fail: an error that is on its way to the program is never replaced by the log's own.

Flows in: a logger and what is to be said.  Flows out: a record; where a handler or a filter raises, one line on stderr.  What
``logging`` itself does with a handler's failure (``logging.raiseExceptions``) is as ever: only what it lets out ends here.
"""

from __future__ import annotations

import logging

from autotb import runtime

MOST_TOLD = 10  # different failures of logs that are told
_told: set[tuple[str, str]] = set()


def say(log: logging.Logger, level: int, message: str, *args: object) -> None:
    """``log.log(level, message, *args)``; never raises an Exception."""
    try:
        log.log(level, message, *args, stacklevel=2)
    except Exception as error:
        failed(f"logging by {log.name}", error)


def failed(what: str, error: Exception) -> None:
    """Tell on stderr, once, that something which accompanies the program's results failed."""
    if (what, repr(type(error))) not in _told and len(_told) < MOST_TOLD:
        _told.add((what, repr(type(error))))
        runtime.report(what, error)
