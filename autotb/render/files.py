"""Stories in files: JSON written whole or not at all, and the folder in which failures are kept.

Flows in: plain builtins, traces.  Flows out: files that only their owner may read.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from autotb import runtime, settings
from autotb.trace.data import replace
from autotb.trace.model import Trace

_numbers = itertools.count(1)


def write_json(path: str | os.PathLike[str], record: dict[str, Any], mode: int | None = None) -> None:
    """Write one JSON object, whole or not at all; missing folders are made.

    ``mode`` are the file's permissions, by default those of any new file.  Raises OSError.
    """
    content = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, content.encode(errors="backslashreplace"), mode)


def write_whole(path: str | os.PathLike[str], content: bytes, mode: int | None = None) -> None:
    """Write a file, whole or not at all; missing folders are made.  ``mode`` as above.  Raises OSError."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask() if mode is None else mode)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask, read without setting it where the system tells."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass  # no such file on this system
    return 0o077


def keep(trace: Trace) -> Trace:
    """Under ``AUTOTB_DIR`` the story is written to a file of that folder; the trace that comes back names it."""
    folder = settings.value("dir")
    if not folder:
        return trace
    kind = re.sub(r"\W+", "", trace.stack.type.rpartition(".")[2])[:50]
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = Path(folder).absolute() / f"{stamp}-{os.getpid()}-{next(_numbers)}-{kind}.json"
    try:
        write_json(path, trace.to_dict(), 0o600)
    except (OSError, ValueError) as error:
        runtime.report(f"keeping the error in AUTOTB_DIR={folder}", error)
        return trace
    return replace(trace, kept=str(path))
