"""PyQt and PySide abort a program on an error in a slot only while ``sys.excepthook`` is Python's own: ours is taken off again.

Source: https://www.riverbankcomputing.com/static/Docs/PyQt6/incompatibilities.html#unhandled-python-exceptions
"""

from __future__ import annotations

import sys

from autotb import runtime
from autotb.instrument.patch import Patch

MODULES = ("PyQt5.QtCore", "PyQt6.QtCore", "PySide2.QtCore", "PySide6.QtCore")
NAME = "Qt for Python"
DISTRIBUTION = "PyQt6"
TESTED = "by a stand-in"
CAPTURED = "left as it is"
PATCHES: tuple[Patch, ...] = ()


def ready(_module: str) -> None:
    """Give the hook back."""
    if sys.excepthook is runtime.hook:
        sys.excepthook = sys.__excepthook__
