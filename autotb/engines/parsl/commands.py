"""Parsl's bash apps: the command that failed, and what it wrote last.

Flows in: the traceback of what a bash app raised, in the worker, where the files of its output are.  Flows out: parts of the hop,
and what the exit code says.
"""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

from autotb.assumption import Frame
from autotb.record import redaction, safe_repr, static

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from autotb.instrument.types import Story
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
_BINARY = 20  # of a text not even one in so many characters is none
_EXIT = re.compile(r" failed with unix exit code (-?\d+)$")
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
            size = file.tell()
            at = max(0, size - MOST)
            file.seek(at)
            end = file.read()
    except OSError:
        return ""
    text = (end if at else begin).decode("utf-8", "replace")
    text = _HEAD.sub("", text).rstrip()
    if sum(map(text.count, ("\ufffd", "\0"))) * _BINARY > len(text):
        return f"({size:,} bytes that are no text)"
    return "\n".join(redaction.mask(text).splitlines()[-LINES:])


SIGNALLED = "exit code {code} {said} {name}{why}"


def signalled(trace: Story) -> dict[str, str] | None:
    """Of a command that a signal ended: the shell itself, or, as shells report it by 128 and more, what it ran."""
    root = trace.root_cause
    found = _EXIT.search(root.message) if root.type.endswith("BashExitFailure") else None
    code = int(found[1]) if found is not None else 0
    try:
        name = signal.Signals(-code if code < 0 else code - 128).name
    except ValueError:
        return None
    said = "says that the shell was ended by" if code < 0 else "is what a shell reports of a command that was ended by"
    why = ", as where there is no memory left, or by a batch system" if name == "SIGKILL" else ""
    return {"code": str(code), "said": said, "name": name, "why": why}
