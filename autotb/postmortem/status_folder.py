"""The folder in which status files lie: this user's own, made with the first of them and gone with the last.

It is ``$XDG_RUNTIME_DIR/autotb``, else ``autotb-UID`` in the temporary directory, where anybody may put things: it is opened
without following links, and nothing in it is touched before its owner and mode were checked.  All work in it goes by its
descriptor, and by names that are nobody else's.
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

BEFORE, AFTER = "autotb-worker-", ".status"
_NONE = "Windows has no such folder: workers leave no word there"
_TRIES = 5  # another worker may take the folder away in the moment in which this one has made it


def path() -> str:
    """Where it lies, whether or not it is there."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK):
        return os.path.join(runtime, "autotb")
    temporary = next(filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))), "/tmp")  # noqa: S108  tempfile is slow to import
    if sys.platform == "win32":
        raise OSError(_NONE)
    return os.path.join(temporary, f"autotb-{os.getuid()}")


def opened() -> int:
    """Its descriptor.  Raises OSError where there is none, or where it is not this user's own."""
    where = path()
    if sys.platform == "win32":
        raise OSError(_NONE)
    found = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(found)
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(found)
        raise PermissionError(f"{where} is not this user's own folder, which nobody else may enter (mode 700)")
    return found


def inside(work: Callable[[int], T]) -> T:
    """``work(descriptor)`` in the folder.  Raises OSError."""
    found = opened()
    try:
        return work(found)
    finally:
        os.close(found)


def made(work: Callable[[int], T]) -> T:
    """The same in a folder that is made where there is none."""
    for attempt in range(_TRIES):
        try:
            os.mkdir(path(), 0o700)
        except FileExistsError:
            pass
        try:
            return inside(work)
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError  # not reached


def remove(file: str) -> None:
    """Take a file away, and the folder with its last one.  Raises OSError where there is no such file."""
    inside(lambda found: os.unlink(file, dir_fd=found))
    leave()


def leave() -> None:
    """Take the folder away if nothing is left in it."""
    try:
        os.rmdir(path())
    except OSError:
        pass  # it holds others' files


def read_in(found: int, file: str, most: int) -> bytes:
    """What a file of it holds, a regular one of this user's.  Raises OSError."""
    if sys.platform == "win32":
        raise OSError(_NONE)
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=found)
    with open(descriptor, "rb") as opened_file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
            raise PermissionError(f"{file} is not a file of this user's")
        return opened_file.read(most)


def name(pid: int) -> str:
    """The file of a process, which in another container may have the same number."""
    return f"{BEFORE}{pid}-{_namespace()}{AFTER}"


def _namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def pid_of(file: str) -> int | None:
    """The process of this machine, or container, whose file that is; None for a file of another name."""
    end = f"-{_namespace()}{AFTER}"
    if not file.startswith(BEFORE) or not file.endswith(end):
        return None
    number = file[len(BEFORE) : -len(end)]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 12 else None


def trouble() -> str:
    """Why no status files can be left, for ``doctor``; empty where they can."""
    try:
        inside(lambda found: os.access(".", os.W_OK, dir_fd=found))
    except FileNotFoundError:
        return "" if os.access(os.path.dirname(path()), os.W_OK) else f"{os.path.dirname(path())} cannot be written to"
    except OSError as error:
        return str(error) if error.errno is None else f"{path()}: {error.strerror}"
    return ""
