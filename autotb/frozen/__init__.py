"""For programs that are packed into one file: what PyInstaller is told (its entry point ``pyinstaller40``).

Flows in: PyInstaller's question for folders with hooks.  Flows out: this one, whose ``hook-autotb.py`` names what is loaded by
name alone, which PyInstaller's analysis cannot see.
"""

from __future__ import annotations

import os


def hook_dirs() -> list[str]:
    """Called by PyInstaller."""
    return [os.path.dirname(os.path.abspath(__file__))]
