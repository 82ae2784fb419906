"""The lines of source files, for frames: only what Python itself has read, or could have run.

Flows in: paths, of this process's own code or of a record.  Flows out: lines, none where the file is a device, a pipe, too large,
or (for a record's) no Python.
"""

from __future__ import annotations

import linecache
import os
import sys

from autotb.record import arrival

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from collections.abc import Callable
    from typing import Any

MAX_SOURCE = 10 << 20  # bytes
_PYTHON = (".py", ".pyw", ".pyx", ".pyi", ".pxd", ".pxi")


namers: list[Callable[[str], str]] = []  # what environments call files that are theirs; "" for others
# The files of the code that environments were given piece by piece, the first piece first.
cells: list[Callable[[], list[str]]] = []


def called(path: str) -> str:
    """A file's name as the user knows it: a notebook's cell has a file that is nowhere."""
    for namer in namers:
        name = namer(path)
        if name:
            return name
    return path


def of_cells() -> list[str]:
    """The files of a notebook's cells, as they were run."""
    return [path for files in cells for path in files()]


def place(path: str, line: int, name: str) -> str:
    """A line of a file in words: ``path:line in name``, of a notebook's cell as the notebook says it."""
    path = called(path)
    if is_cell(path):
        return f"{path}, line {line}" + ("" if name == "<module>" else f", in {name}")
    return f"{path}:{line or '?'} in {name}"  # code that was made by hand may have no lines


def is_cell(path: str) -> bool:
    """Whether a file is called as IPython calls a cell."""
    return path.startswith("Cell In[")


def lines(path: str, variables: dict[str, Any] | None = None) -> list[str]:
    """The lines of code that runs in this process; ``variables`` are its globals, which may know where the source is.

    The program may have put them there: a line that is wanted is taken with ``static.text_of``.
    """
    if not _is_known(path) and not _may_be_read(path):
        return []
    try:
        found = linecache.getlines(path, variables)
    except BaseException:  # a loader of the program's that fails, were it by SystemExit; a name that is no path
        return []
    return found if type(found) is list else []


def lines_from_elsewhere(path: str) -> list[str]:
    """The lines of a file that a record or a text names."""
    return lines(path) if _is_known(path) or path.lower().endswith(_PYTHON) or _is_a_script(path) else []


def _is_known(path: str) -> bool:
    """Whether linecache holds the lines; an entry of one part is only what it would ask for them if there were no such file."""
    cached: Any = linecache.cache.get(path)
    return cached is not None and len(cached) != 1


def _may_be_read(path: str) -> bool:
    """Whether what linecache would open is a regular file of a size for people; where there is none, a loader may know."""
    if path.startswith("<") and path.endswith(">"):
        return True
    found = next((each for each in _candidates(path) if _exists(each)), None)
    return found is None or arrival.is_regular(found, MAX_SOURCE)


def _candidates(path: str) -> list[str]:
    if os.path.isabs(path):
        return [path]
    return [path, *(os.path.join(folder, path) for folder in sys.path if isinstance(folder, str))]


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except (OSError, ValueError):
        return False
    return True


def _is_a_script(path: str) -> bool:
    """The program that runs, or a file that names Python in its first line."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(main, str) and os.path.abspath(main) == os.path.abspath(path):
        return True
    if not arrival.is_regular(path, MAX_SOURCE):
        return False
    try:
        with open(path, "rb") as file:
            first = file.read(200).partition(b"\n")[0]
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first
