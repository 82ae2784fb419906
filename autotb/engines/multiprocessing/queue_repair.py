"""The pipes and locks that the workers of one pool share: who dies in the middle of a message leaves them in disorder.

Flows in: a worker's queues, made to note in its status file how far each message has come; later, in the parent, what the
worker left.
Flows out: pipes that stand at the beginning of a message again, locks that nobody dead holds, and the task that was lost.
Source: ``multiprocessing/connection.py``; a message is its length in four bytes (or -1 and eight), and a pickle.
"""

from __future__ import annotations

import os
import struct
import time

from autotb.postmortem.status_file import (
    HEAD_AT,
    HEAD_BYTES,
    INDEX,
    JOB,
    READS,
    RUNNING,
    STATE,
    TAKEN,
    UNKNOWN,
    WRITES,
    StatusFile,
)
from autotb.postmortem.status_reader import Remains

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this
    from collections.abc import Callable
    from typing import Any

    from autotb.engines.multiprocessing.types import Pool, Reader, SimpleQueue
    from autotb.instrument.types import Function, Lock

_UNTOUCHED = b"\xee" * 8  # no length of a message, and no beginning of a pickle
_ATOMIC = 4096 - 4  # bytes of a message that goes through a pipe as a whole (PIPE_BUF)
_PATIENCE = 0.2  # seconds in which a lock that somebody living holds is seen to be held, or free


class Noted:
    """A lock whose holder says so in its status file."""

    def __init__(self, lock: Lock, words: memoryview[int], which: int, head: memoryview[int] | None = None) -> None:
        take, give = lock.__enter__, lock.__exit__
        self.lock = lock

        def acquire(*args: Any, **kwargs: Any) -> Any:
            got = lock.acquire(*args, **kwargs) if args or kwargs else take()
            if got:
                if head is not None:  # what the last message left there is none of this one
                    head[:8], words[TAKEN] = _UNTOUCHED, 0
                words[which] = 1
            return got

        def release(*_: object) -> None:
            words[which] = 0  # before: whoever says that he holds it, does
            give(None, None, None)

        self.acquire, self.release = acquire, release

    def __enter__(self) -> Any:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __getattr__(self, name: str) -> Any:
        if name == "lock":  # as in ``QueueProxy``
            raise AttributeError(name)
        return getattr(self.lock, name)


def note(inqueue: SimpleQueue, outqueue: SimpleQueue, status: StatusFile) -> None:
    """In a worker, before its first task: from now on its queues note what they do."""
    _note_reader(inqueue._reader, status)
    inqueue._rlock = Noted(inqueue._rlock, status.words, READS, status.page[HEAD_AT : HEAD_AT + HEAD_BYTES])
    if outqueue._wlock is not None:
        outqueue._wlock = Noted(outqueue._wlock, status.words, WRITES)
    for queue in (inqueue, outqueue):
        if hasattr(queue, "_make_methods"):  # joblib's, which have taken the methods of the old locks
            queue._make_methods()


def _note_reader(reader: Reader, status: StatusFile) -> None:
    words, part, receive = status.words, reader._recv, reader._recv_bytes
    head = status.page[HEAD_AT : HEAD_AT + HEAD_BYTES]

    def noted_read(descriptor: int, count: int) -> bytes:
        # The beginning is read into the status file itself: what was received can be seen even if nothing was done after it.
        got = words[TAKEN]
        area = head[got : got + count]
        if len(area) < count:
            rest = bytearray(min(count - len(area), 1 << 16))
            number = os.readv(descriptor, [area, rest])  # type: ignore[attr-defined,unused-ignore]
            chunk = bytes(area[:number]) + rest[: max(0, number - len(area))]
        else:
            number = os.readv(descriptor, [area])  # type: ignore[attr-defined,unused-ignore]
            chunk = bytes(area[:number])
        words[TAKEN] = got + number
        return chunk

    def _recv_bytes(*args: object) -> Any:
        head[:8] = _UNTOUCHED
        words[TAKEN] = 0
        data = receive(*args)
        words[JOB], words[STATE], words[TAKEN] = UNKNOWN, RUNNING, 0
        return data

    reader._recv = lambda size, read=noted_read: part(size, read)
    reader._recv_bytes = _recv_bytes


class Waiting:
    """How many bytes the parent still waits for, of the message that it is receiving; none between two messages."""

    def __init__(self, reader: Reader) -> None:
        self.bytes = 0
        self.spoilt = 0  # messages on their way of which a part is zeros
        read, part, receive = os.read, reader._recv, reader._recv_bytes
        inside = False  # whether the length is known, so that what is read is the message itself
        missing = 0  # bytes of the part that is being read; since 3.14 it is read in pieces of at most 64 KiB

        def noted_read(descriptor: int, count: int) -> bytes:
            nonlocal missing
            begun = inside or missing < 4  # a length of four bytes is written at once, and may be read in pieces all the same
            self.bytes = missing if begun else 0
            chunk = read(descriptor, count)
            missing -= len(chunk)
            self.bytes = missing
            return chunk

        def _recv(size: int, read: Function = noted_read) -> Any:
            nonlocal inside, missing
            missing = size
            data = part(size, read)
            inside = True
            return data

        def _recv_bytes(*args: object) -> Any:
            nonlocal inside
            inside = False
            return receive(*args)

        reader._recv, reader._recv_bytes = _recv, _recv_bytes


class Broken(Exception):  # noqa: N818
    """Nobody knows where the next message begins in the pipe of tasks."""


def settle(pool: Pool, dead: Callable[[], list[Remains]], living: Callable[[], list[Remains]], waiting: Waiting | None) -> None:
    """In the parent: put a pool's pipes and locks in order after a death.

    Who is dead is asked once a lock is known to be lost: its holder may have died while that was found out.

    Raises :class:`Broken` where that cannot be done.
    """
    lost = _lost(pool._inqueue._rlock, READS, living)
    if lost:
        for left in dead():
            if left.words[READS]:
                left.words[READS] = 0
                _drain(pool._inqueue._reader, left)
        pool._inqueue._rlock.release()
    settle_results(pool, living, waiting)


def settle_results(pool: Pool, living: Callable[[], list[Remains]], waiting: Waiting | None) -> None:
    """The half of it that concerns the pipe of results."""
    if pool._outqueue._wlock is not None and _lost(pool._outqueue._wlock, WRITES, living):
        if waiting is not None:
            _fill(pool._outqueue, waiting)
        pool._outqueue._wlock.release()


def _lost(lock: Lock, which: int, living: Callable[[], list[Remains]]) -> bool:
    """Whether nobody living holds a lock that is held."""
    end = time.monotonic() + _PATIENCE
    while True:
        if lock.acquire(False):
            lock.release()
            return False
        if any(left.words[which] for left in living()):
            return False
        if time.monotonic() > end:
            return True
        time.sleep(0.01)


def release(lock: Lock, which: int, living: Callable[[], list[Remains]]) -> bool:
    """Release a lock that a dead process holds; whether that was so."""
    lost = _lost(lock, which, living)
    if lost:
        lock.release()
    return lost


def _drain(reader: Reader, left: Remains) -> None:
    """Take the rest of a message out of the pipe of tasks: the next reader would take it for the beginning of one.

    A message of 5 bytes is ``00 00 00 05 | 80 04 4b 01 2e``, its length and a pickle.  What its reader had noted when it died:

    ==========================  =========  ==================================================================================
    ``head``                    ``TAKEN``  what is taken out
    ==========================  =========  ==================================================================================
    ``ee ee ee ee | ee ee …``   0          nothing: it waited, or had taken a message to its end
    ``00 00 00 05 | ee ee …``   0          all 5: the length was read, and the kernel's answer not yet counted
    ``00 00 00 05 | ee ee …``   4          all 5
    ``00 00 00 05 | 80 04 …``   4          none: a small message is written at once, so that all of it was read at once
    ``00 10 00 00 | 80 04 …``   4          not known: of a large one any part may have been read.  Raises :class:`Broken`
    ==========================  =========  ==================================================================================
    """
    head, taken = left.head, left.words[TAKEN]
    if taken == 0:
        if head[:4] == _UNTOUCHED[:4]:
            return  # it waited for a task, or had taken one entirely
        taken = 4
    (size,) = struct.unpack("!i", head[:4])
    small = 0 <= size <= _ATOMIC
    if small and head[4:8] != _UNTOUCHED[4:]:
        taken = 4 + size  # what is written at once is read at once
    elif not small and (taken != 4 or head[4:8] != _UNTOUCHED[4:]):
        raise Broken  # in the middle of many reads
    if size < 0:
        raise Broken
    left.head = head[: min(taken, HEAD_BYTES)] + _taken(reader, 4 + size - taken)
    left.words[JOB], left.state = UNKNOWN, RUNNING


def _taken(reader: Reader, count: int) -> bytes:
    head = b""
    while count > 0:
        chunk = os.read(reader.fileno(), min(count, 1 << 20))
        if not chunk:
            break
        count -= len(chunk)
        head += chunk[: max(0, HEAD_BYTES - len(head))]
    return head


def _fill(outqueue: SimpleQueue, waiting: Waiting) -> None:
    """Send the rest of half a result, as zeros: the receiver takes no other message before it has all of this one."""
    end = time.monotonic() + 5
    while outqueue._reader.poll(0) and time.monotonic() < end:
        time.sleep(0.005)  # what was sent before is being received
    time.sleep(0.02)
    count = waiting.bytes
    waiting.spoilt += count > 0
    zeros = bytes(1 << 16)
    while count > 0:
        count -= os.write(outqueue._writer.fileno(), zeros[: min(count, len(zeros))])


def job_of(left: Remains) -> tuple[int, int] | None:
    """Which job and which of its parts a worker had received, from the beginning of the message that it took last."""
    if left.words[JOB] != UNKNOWN:
        return left.words[JOB], left.words[INDEX]
    import pickletools

    numbers: list[int] = []
    start = 4 if left.head[:4] != b"\xff\xff\xff\xff" else 12
    try:
        for operation, value, _ in pickletools.genops(left.head[start:]):
            if isinstance(value, int) and operation.name.startswith(("BININT", "INT", "LONG")):
                numbers.append(value)
                if len(numbers) == 2:
                    return numbers[0], numbers[1]
            elif operation.name == "NONE":  # the second number of a task that has no parts
                numbers.append(0)
                if len(numbers) == 2:
                    return numbers[0], 0
    except Exception:
        pass  # cut in its middle
    return None
