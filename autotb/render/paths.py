"""A path that does not fit: in relation to the folder in which the program runs, else without its first folders.

Flows in: a path and the room for it.  Flows out: one that fits.  What a terminal can open goes before what has more folders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

_FOLDER = re.compile(r"[^/\\]*[/\\]")


def fitted(path: str, room: int, cells: Callable[[str], int], cut: str = "…") -> str | None:
    """``path``, or the most of it that goes into ``room`` cells; None where not even the name of the file does."""
    if cells(path) <= room:
        return path
    here = _from_here(path)
    if here and cells(here) <= room:
        return here
    rest = path
    for folder in _FOLDER.findall(path):
        rest = rest[len(folder) :]
        shorter = f"{cut}{folder[-1]}{rest}"
        if cells(shorter) <= room:
            return shorter
    return None


def shortest(path: str, cut: str = "…") -> str:
    """The name of the file, with what says that its folders are left out."""
    folders = _FOLDER.findall(path)
    return f"{cut}{folders[-1][-1]}{path[sum(map(len, folders)) :]}" if folders else path


def _from_here(path: str) -> str:
    try:
        here = os.path.join(os.getcwd(), "")
    except OSError:
        return ""  # the folder is gone
    return path[len(here) :] if path.startswith(here) else ""
