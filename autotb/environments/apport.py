"""Debian's and Ubuntu's crash reporter puts its own hook on ``sys.excepthook`` from sitecustomize, after our start-up file.

Its hook reports the crash and then prints Python's traceback: it goes on reporting, and ours prints.
"""

from __future__ import annotations

import functools
import io
import sys
from typing import TYPE_CHECKING, Any

from autotb import runtime
from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from types import TracebackType

    from autotb.instrument.types import Function

MODULES = ("apport_python_hook",)
NAME = "apport (Ubuntu's crash reporter)"
DISTRIBUTION = "apport"
TESTED = "by a stand-in"
CAPTURED = "its hook goes on reporting; autotb prints"


def _wrap_install(original: Function) -> Function:
    """Called by sitecustomize: afterwards the hook is apport's."""

    @functools.wraps(original)
    def install(*args: object, **kwargs: object) -> Any:
        result = original(*args, **kwargs)
        hook = sys.excepthook
        if hook is not runtime.hook and getattr(hook, "__module__", "") == "apport_python_hook":
            sys.excepthook = functools.partial(_both, hook)
        return result

    return install


def _both(theirs: Function, kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
    runtime.hook(kind, value, traceback)
    stderr, stock = sys.stderr, sys.__excepthook__
    try:
        sys.stderr = io.StringIO()
        sys.__excepthook__ = lambda *_: None
        theirs(kind, value, traceback)
    finally:
        sys.stderr, sys.__excepthook__ = stderr, stock


PATCHES = (Patch("apport_python_hook", "install", _wrap_install, costs=Lost.SHOWN),)
