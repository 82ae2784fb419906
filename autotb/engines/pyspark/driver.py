"""What Spark's Python workers know of their driver: a folder that is made before the JVM starts, whose name they inherit.

Flows in: the start of the JVM.  Flows out: the folder, for records, and the numbers by which this program's tasks are told from
those of others on the machine.  With the program go the folder, and the status files of its workers, who end after it.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import zlib
from typing import TYPE_CHECKING, Any

from autotb.instrument import inherited_settings

if TYPE_CHECKING:
    from autotb.instrument.types import Function

FOLDER = "_AUTOTB_SPARK_RECORDS"  # no setting: those begin with ``AUTOTB_``

_folder = ""


def folder() -> str:
    """This driver's folder; empty where it has started no JVM."""
    return _folder


def made() -> str:
    """The folder, made once."""
    global _folder
    if not _folder:
        _folder = tempfile.mkdtemp(prefix="autotb-spark-")
        atexit.register(_end, _folder, os.getpid())
    return _folder


def _end(path: str, pid: int) -> None:
    if os.getpid() != pid:
        return  # a forked child
    shutil.rmtree(path, ignore_errors=True)
    from autotb.postmortem import status_file, status_reader

    for left in status_reader.every():
        if left.words[status_file.JOB] >> _BITS == number(path, 0) >> _BITS:
            status_reader.bury(left.pid)


_BITS = 31


def number(path: str, task: int) -> int:
    """Of a task of the driver that has this folder; ``task`` is Spark's TID, which other programs on the machine give too."""
    return (zlib.crc32(os.path.basename(path).encode()) << _BITS) | (task & (1 << _BITS) - 1)


def telling(original: Function) -> Function:
    """Starts the JVM, which starts the workers, in the environment of this process."""
    start = inherited_settings.telling(original)

    @functools.wraps(original)
    def launch_gateway(*args: object, **kwargs: object) -> Any:
        try:
            os.environ[FOLDER] = made()
        except Exception:
            pass  # no temporary folder: Spark's own words are read
        try:
            return start(*args, **kwargs)
        finally:
            os.environ.pop(FOLDER, None)

    return launch_gateway
