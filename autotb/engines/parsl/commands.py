"""Parsl's bash apps: the command that failed, and what it wrote last.

Flows in: the traceback of what a bash app raised, in the worker, where the files of its output are.  Flows out: parts of the hop.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from autotb.assumption import Frame
from autotb.record import redaction, safe_repr, static

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from autotb.record.schema import Hop

COMMAND = Frame(
    "parsl.app.bash",
    "remote_side_bash_executor",
    "executable",
    "kwargs",
    costs="the command of a bash app, and what it wrote last",
)
LINES, MOST = 10, 4_000  # of a file: the last lines, within the last bytes
MAX_COMMAND = 2_000  # characters
_HEAD = re.compile(r"\A.*?^--> end executable <--$\n?", re.S | re.M)  # Parsl writes the command above what it says itself


def of(tb: TracebackType | None) -> Hop:
    """What a hop says of the command; nothing where none was made."""
    while tb is not None and not COMMAND.matches(tb.tb_frame):
        tb = tb.tb_next
    command, given = (COMMAND.read(tb.tb_frame) if tb is not None else None) or (None, None)
    if type(command) is not str or type(given) is not dict:
        return {}
    found: Hop = {"command": safe_repr.cut(redaction.mask(command.strip("\n")), MAX_COMMAND)}
    files = {which: path for which in ("stderr", "stdout") if (path := _path(given.get(which)))}
    if files:
        found["files"] = files
        found["stderr"] = _last_lines(files.get("stderr", ""))
        found["stdout"] = _last_lines(files.get("stdout", ""))
    return found


def _path(given: Any) -> str:
    """Where an app's output goes: a name, one with a mode, or one of Parsl's files."""
    name = given[0] if type(given) is tuple and given else given
    name = static.attributes(name).get("local_path") or static.attributes(name).get("path") or name
    return (
        os.path.abspath(name) if type(name) is str else os.path.abspath(os.fspath(name)) if isinstance(name, os.PathLike) else ""
    )


def _last_lines(path: str) -> str:
    try:
        with open(path, "rb") as file:
            begin = file.read(MAX_COMMAND + MOST)
            file.seek(0, os.SEEK_END)
            at = max(0, file.tell() - MOST)
            file.seek(at)
            end = file.read()
    except OSError:
        return ""
    text = (end if at else begin).decode("utf-8", "replace")
    lines = redaction.mask(_HEAD.sub("", text).rstrip()).splitlines()
    return "\n".join(lines[-LINES:])
