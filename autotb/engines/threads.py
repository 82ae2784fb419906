"""threading.Thread: an error in a thread is shown by ``threading.excepthook``, in the thread, with its own traceback.

CPython 3.10 to 3.15.  Nearly every program imports threading, so this adapter imports as little as it can.
Source: https://docs.python.org/3/library/threading.html#threading.excepthook
"""

from __future__ import annotations

import functools
import sys

from autotb import callsite, registry
from autotb.patch import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULES = ("threading",)
NAME = "threading.Thread"
DISTRIBUTION = None
CAPTURED = "errors in threads, with the line that started them"
NOISE: dict[str, str] = {}

registry.register(
    runs=(("threading", "_bootstrap_inner"),),
)


def _wrap_start(original: Any) -> Any:
    """Remembers the line of ``start()``: the thread's own stack begins in the engine."""

    @functools.wraps(original)
    def start(self: Any) -> None:
        try:
            self._autotb_site = callsite.here(2)
        except Exception:
            pass  # a subclass that takes no attributes: its start is not shown
        return original(self)  # type: ignore[no-any-return]

    return start


def excepthook(args: Any) -> None:
    """Show a thread's error; Python's own display where that fails."""
    if args.exc_type is SystemExit or not registry.surface("thread_failed", args):
        sys.modules["threading"].__excepthook__(args)


def ready(module: str) -> None:
    """Take the hook where it is still Python's own."""
    threading = sys.modules["threading"]
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = excepthook


PATCHES = (Patch("threading", "Thread.start", _wrap_start),)
