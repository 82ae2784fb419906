"""Status files: what a worker process is doing, in a small file that outlives it.

Flows in: a few stores into mapped memory for each task, in the worker (under 1 µs).  Flows out: the file, which ``status_reader``
reads in whatever process finds the worker dead.  Behind the page of numbers faulthandler writes the Python lines of a crash.

The file lies in ``status_folder``, and is named by the process and its PID namespace.  Where it cannot be made, nothing is known
of a death but its exit status.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock
from types import CodeType, FunctionType, MethodType

from autotb.postmortem import status_folder
from autotb.record import redaction, static

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this
    from typing import Any

    Task = tuple[str, str, int, int, int]  # its call, where it is, its number, its thread, when it began

PAGE = 4096
WORDS = 16
MARK, PID, STATE, JOB, INDEX, READS, WRITES, OOM, BEGUN, STARTED, TAKEN, PARENT, GROUP, STOPPED = range(14)
# Of STATE; FAILING: no task could be unpickled; STARTING: its initializer runs; RAISED: that has failed; UNLOADED: the main
# script could not be imported.
IDLE, RUNNING, FAILING, STARTING, RAISED, UNLOADED = range(6)
UNKNOWN = -1  # of JOB: a task was received, and which is not known yet
MARKED = 0x0000_6175_746F_7462  # "autotb"
TEXT_AT, TEXT_BYTES = WORDS * 8, 1024
HEAD_AT, HEAD_BYTES = TEXT_AT + TEXT_BYTES, 128  # how the message began that was received last (see pipes)
_PLACE = 0x5A5A_5A5A  # where our descriptor stands in its file: one that was closed and opened anew stands elsewhere
_HIGH = 200  # descriptors above this one are rarely swept up by others
_LONGEST = 200  # characters of a call, where those of several threads are told
_OLD = 600  # seconds after which a dead worker's file may be removed though its parent, who may want to read it, lives

_mine: StatusFile | None = None
_making = allocate_lock()


class StatusFile:
    """This process's own; ``words`` is written to by index, for speed."""

    def __init__(self, inside: int) -> None:
        import mmap

        file = status_folder.name(os.getpid())
        try:
            os.unlink(file, dir_fd=inside)  # of a process that had this number before
        except FileNotFoundError:
            pass
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC  # type: ignore[attr-defined,unused-ignore]
        descriptor = os.open(file, flags, 0o600, dir_fd=inside)
        try:
            os.write(descriptor, bytes(PAGE))  # a full disk must fail here, not as a signal at a store
            page = mmap.mmap(descriptor, PAGE)
        except BaseException:
            os.close(descriptor)
            os.unlink(file, dir_fd=inside)
            raise
        self.file, self.descriptor, self.watching = file, descriptor, False
        self.page = memoryview(page)
        self.words = self.page[: WORDS * 8].cast("q")
        self.words[PID], self.words[BEGUN], self.words[MARK] = os.getpid(), time.time_ns(), MARKED
        self.words[PARENT], self.words[STATE] = _parent(), IDLE

    def runs(self, job: int, index: int, text: str) -> None:
        """A task begins."""
        words = self.words
        words[JOB], words[INDEX], words[STARTED] = job, index, time.time_ns()
        if text:
            self.says(text)
        words[STATE] = RUNNING
        if self.watching:
            self.check()

    def idles(self) -> None:
        """It has ended."""
        self.words[STATE] = IDLE

    def fails(self, error: BaseException) -> None:
        """A task was received that cannot be unpickled, and the worker is about to die of it."""
        import traceback

        self.words[STATE] = FAILING
        self.says("".join(traceback.format_exception_only(type(error), error)).strip())
        text = "".join(traceback.format_tb(error.__traceback__))
        os.write(self.descriptor, ("Stack (most recent call last):\n" + text).encode("utf-8", "replace"))

    def raised(self, kind: str, record: str) -> None:
        """The initializer raised an error of this type, and the worker is about to end of it; its record as JSON."""
        self.words[STATE] = RAISED
        self.says(kind)
        os.write(self.descriptor, record.encode())

    def leaves(self, record: str, thread: int) -> None:
        """The task that runs in this thread raised what ends the worker (SystemExit); its record as JSON."""
        os.write(self.descriptor, record.encode())
        self.words[INDEX], self.words[STOPPED] = thread, time.time_ns()  # so that the file outlives the process

    def unloaded(self, said: str) -> None:
        """The main script could not be imported, of this error, and the worker is about to end of it."""
        self.words[STATE] = UNLOADED
        self.says(said)

    def says(self, text: str) -> None:
        """What runs, in words."""
        data = text.encode("utf-8", "replace")[: TEXT_BYTES - 1]
        self.page[TEXT_AT : TEXT_AT + len(data) + 1] = data + b"\0"

    def watch(self) -> None:
        """Let faulthandler write to this file, unless somebody uses it already: there is one in a process."""
        import faulthandler

        if sys.platform == "win32" or faulthandler.is_enabled():
            return
        import fcntl

        high = fcntl.fcntl(self.descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        os.close(self.descriptor)
        self.descriptor = high
        os.lseek(high, _PLACE, os.SEEK_SET)  # it is written at its end all the same
        faulthandler.enable(high)
        self.watching = True

    def check(self) -> None:
        """faulthandler keeps a bare number: where somebody has closed it, a crash would be written into a file of theirs."""
        try:
            if os.lseek(self.descriptor, 0, os.SEEK_CUR) == _PLACE:
                return
        except OSError:
            pass
        self.watching = False
        import faulthandler

        faulthandler.disable()

    def is_interrupted(self, tasks: list[Task]) -> None:
        """A Ctrl-C ends this process in the midst of tasks that run in threads."""
        self.says(lines(tasks))
        self.words[STATE], self.words[STOPPED] = RUNNING, time.time_ns()

    def end(self) -> None:
        """This process ends in good order; a child that it forked has this object too, and leaves the file alone.

        Where a Ctrl-C ended it in the midst of a task, who started it reads the file, and takes it away.
        """
        words = self.words
        if words[STATE] == RUNNING and words[STOPPED] >= words[STARTED]:
            return
        try:
            if words[PID] == os.getpid():
                status_folder.remove(self.file)
        except OSError:
            pass


def lines(tasks: list[Task]) -> str:
    """The tasks of several threads, one a line: its call, where it is, its number, its thread, when it began.

    Of more than there is room for those that began last.
    """
    found, size = [], 0
    for call, *more in reversed(tasks):
        line = "\t".join([" ".join(call.split())[:_LONGEST], *map(str, more)])
        size += len(line.encode("utf-8", "replace")) + 1
        if size >= TEXT_BYTES:
            break
        found.append(line)
    return "\n".join(found[::-1])


def fits(said: str, text: str) -> bool:
    """Whether ``text``, of a status file, is what that can hold of ``said``."""
    return text == redaction.mask(said.encode("utf-8", "replace")[: TEXT_BYTES - 1].decode("utf-8", "replace"))


def _parent() -> int:
    """Who started this process; of one that a fork server has forked, whoever asked it to."""
    for package in ("multiprocessing", "multiprocess"):
        parent = getattr(sys.modules.get(f"{package}.process"), "_parent_process", None)
        pid = getattr(parent, "_pid", None)
        if type(pid) is int and pid > 0:
            return pid
    return os.getppid()


def begin() -> StatusFile | None:
    """This process's status file, made when its first task is near; None where it cannot be."""
    global _mine
    if _mine is None:
        with _making:  # the first tasks of several threads
            try:
                from autotb import settings

                _mine = _made() if _mine is None and settings.switch("postmortem") else _mine
            except Exception:
                return None  # a death will be told without it
    return _mine


def _made() -> StatusFile:
    from autotb.postmortem import oom

    status = status_folder.made(_swept)
    kills = oom.oom_kills()
    status.words[OOM], status.words[GROUP] = -1 if kills is None else kills, oom.group()
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=_not_mine)
    status.watch()
    return status


def _swept(inside: int) -> StatusFile:
    try:
        sweep(inside)
    except OSError:
        pass  # less is tidied up
    return StatusFile(inside)


def _not_mine() -> None:
    """In a child that a worker has forked."""
    global _making, _mine
    found, _mine, _making = _mine, None, allocate_lock()
    if found is not None and found.watching:
        found.watching = False
        import faulthandler

        faulthandler.disable()


def sweep(inside: int, parent: int = 0) -> None:
    """Remove what dead workers left behind, and their drivers did not take away; of the workers of ``parent`` in any case."""
    for file in os.listdir(inside):
        pid = status_folder.pid_of(file)
        if pid is not None and has_ended(pid):
            try:
                if _is_nobodys(inside, file, pid, parent):
                    os.unlink(file, dir_fd=inside)
            except OSError:
                pass  # another worker was faster, or it is no file


def _is_nobodys(inside: int, file: str, pid: int, parent: int) -> bool:
    """Whether nobody will read a dead worker's file: it was only being made, or who started it is done, or had the time to."""
    words = memoryview(status_folder.read_in(inside, file, WORDS * 8).ljust(WORDS * 8, b"\0")).cast("q")
    if words[MARK] == 0:
        return True
    if words[MARK] == MARKED and words[PID] == pid and (words[PARENT] == parent or has_ended(words[PARENT])):
        return True
    return os.stat(file, dir_fd=inside, follow_symlinks=False).st_mtime < time.time() - _OLD


def lives(pid: int) -> bool:
    """Whether there is such a process; one that has ended and was not waited for still is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def has_ended(pid: int) -> bool:
    """Whether no such process runs; one that was not waited for so far, perhaps never, has ended all the same."""
    if not lives(pid):
        return True
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read(1_000).rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return os.path.exists("/proc/self")  # it has just gone; without /proc it lives, as far as is known


chunk_of: Any = None  # ``safe_repr.chunk_of``, once there are chunks of calls


def plain(function: Any, args: Any, kwargs: Any = None) -> str:
    """A call in few words, made in under a microsecond for usual ones: plain values, and others by their type."""
    if type(function) is not FunctionType:
        inner = static.behind_partials(function)
        if inner is not function:
            return _partial(function, args, kwargs)
        called = _name_of(function)
    else:
        called = function.__qualname__
    chunk = chunk_of(function, args) if chunk_of is not None else None
    if chunk is not None:
        return plain(*chunk[:3]) + (f" and {chunk[3] - 1} more" if chunk[3] > 1 else "")
    parts = [_brief(value) for value in args[:8]] if type(args) is tuple or type(args) is list else ["…"]
    for at in _secrets_of(function) if type(function) is FunctionType else ():
        if at < len(parts):
            parts[at] = redaction.MASK
    if type(kwargs) is dict:
        parts += [
            f"{key}={redaction.MASK if type(key) is str and redaction.is_secret(key) else _brief(value)}"
            for key, value in list(kwargs.items())[:8]
        ]
    return f"{called}({', '.join(parts)})"


_secret: dict[CodeType, tuple[int, ...]] = {}


def _secrets_of(function: FunctionType) -> tuple[int, ...]:
    """The positions of a function's arguments whose names tell a secret."""
    code = function.__code__
    found = _secret.get(code)
    if found is None:
        if len(_secret) > 1_000:
            _secret.clear()
        names = code.co_varnames[: min(code.co_argcount, 8)]
        found = _secret[code] = tuple([at for at, name in enumerate(names) if redaction.is_secret(name)])
    return found


def _partial(function: Any, args: Any, kwargs: Any) -> str:
    given = args if type(args) is tuple or type(args) is list else ()
    named = kwargs if type(kwargs) is dict else {}
    return plain(function.func, (*function.args, *given), {**function.keywords, **named})


def _name_of(function: Any) -> str:
    if type(function) is MethodType or issubclass(type(function), type):
        from autotb.record import safe_repr

        return safe_repr.function_name(function)
    return static.text_of(static.slot(function, "__qualname__")) or static.name(type(function))


_PLAIN = {int, float, bool, type(None), complex}


def _brief(value: Any) -> str:
    kind = type(value)
    if type(kind) is not type:  # a metaclass of the user's answers when it is compared
        return f"<{static.name(kind)}>"
    if kind in _PLAIN:
        return repr(value) if kind is not int or -_BIG < value < _BIG else f"<int of {value.bit_length()} bits>"
    if kind is str or kind is bytes:
        return repr(value) if len(value) < 80 else repr(value[:77])[:-1] + "…" + repr(value[:0])[-1]
    return f"<{static.name(kind)}>"


_BIG = 10**20
