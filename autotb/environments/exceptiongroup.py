"""exceptiongroup (``ExceptionGroup`` before Python 3.11) teaches ``traceback`` to print groups only while ``sys.excepthook`` is
Python's own: it finds Python's own there, and ours stands in front of what it puts there.

Without that, groups would lose their members in logs, and pytest stops with an internal error.
Source: https://github.com/agronholm/exceptiongroup, ``_formatting.py``
"""

from __future__ import annotations

import sys

from autotb import runtime
from autotb.instrument.patch import Patch

MODULES = ("exceptiongroup._formatting",)
NAME = "exceptiongroup"
DISTRIBUTION = "exceptiongroup"
TESTED = "1.2 to 1.3"
CAPTURED = "before Python 3.11: groups in logs and under pytest are printed as without autotb"
PATCHES: tuple[Patch, ...] = ()

_stands_back = False


def begins(_module: str) -> None:
    """The module is about to look."""
    global _stands_back
    _stands_back = sys.excepthook is runtime.hook
    if _stands_back:
        sys.excepthook = sys.__excepthook__


def ready(_module: str) -> None:
    """It has looked; or did before autotb was switched on."""
    global _stands_back
    hook = sys.excepthook
    if _stands_back or getattr(hook, "__module__", None) == MODULES[0]:
        runtime.displace(hook)
        sys.excepthook = runtime.hook
    _stands_back = False
    door = sys.modules.get("autotb.hooks.tracebacks")
    if door is not None:
        door.install()  # what it was put on is no longer there
