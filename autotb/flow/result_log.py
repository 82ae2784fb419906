"""Shards: the files of a run folder that hold its values and errors, one a process, written at the end only.

Flows in: a record (which element of which step, its state, a text, a pickle).  Flows out: where it stands; later the record.
Each has its length and its checksum, so that a torn tail is told from a record; the text can be read without unpickling.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from autotb.record import build

FOLDER = "shards"
OK, FAILED, SKIPPED, MISSING = range(4)  # the states of an element

# mark, state, step, element, time in ns, length of the text, length of the pickle, checksum of all after it
_HEADER = struct.Struct("<4sBHQQIQI")
_MARK = b"aTb1"
_MOST_READ = 64  # shards that are open at once


@dataclass(frozen=True)
class Place:
    """Where a record stands: the shard's file name and the offset in bytes; ``state`` is that of the element."""

    shard: str
    offset: int
    state: int


@dataclass(frozen=True)
class Record:
    """What stands there."""

    state: int
    step: int
    at: int
    stamp: int
    text: bytes
    data: bytes


class Shard:
    """The file that this process appends to."""

    def __init__(self, folder: str) -> None:
        self.name = f"{build.host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.shard"
        self.path = os.path.join(folder, FOLDER, self.name)
        self.file = open(self.path, "ab", buffering=0)  # noqa: SIM115  closed by close()
        self.lock = threading.Lock()
        self.stories = 0  # errors that were kept with theirs

    def append(self, state: int, step: int, at: int, text: bytes, data: bytes) -> Place:
        """Write a record.  Raises OSError (a full disk) after taking back what was written of it."""
        body = text + data
        head = _HEADER.pack(_MARK, state, step, at, time.time_ns(), len(text), len(data), zlib.crc32(body))
        with self.lock:
            if self.file.closed:  # by another thread, since this one was given the shard: nobody will close it again
                with open(self.path, "ab", buffering=0) as file:
                    return Place(self.name, _append(file, head + body), state)
            return Place(self.name, _append(self.file, head + body), state)

    def close(self) -> None:
        """Close the file; a further record opens it for itself."""
        with self.lock:
            self.file.close()


def _append(file: Any, data: bytes) -> int:
    offset: int = file.seek(0, os.SEEK_END)
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(offset)
        raise
    return offset


_MOST_OPEN = 8  # run folders of one process: a pool may live through many
_mine: dict[str, Shard] = {}
_lock = threading.Lock()


def mine(folder: str) -> Shard:
    """This process's shard of a run folder, begun at its first record."""
    with _lock:
        shard = _mine.get(folder)
        if shard is None:
            if len(_mine) >= _MOST_OPEN:
                _mine.pop(next(iter(_mine))).close()
            shard = _mine[folder] = Shard(folder)
        return shard


def end(folder: str) -> None:
    """Close this process's shard; a further record begins another."""
    with _lock:
        shard = _mine.pop(folder, None)
    if shard is not None:
        shard.close()


def _forget() -> None:
    global _lock
    _mine.clear()  # a forked process begins its own
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def read(folder: str, places: Iterable[Place], only_text: bool = False) -> Iterator[Record]:
    """The records at some places; each shard is opened once.

    Raises ValueError where one is torn or none, FileNotFoundError where its shard is gone.
    """
    with contextlib.ExitStack() as stack:
        files: dict[str, Any] = {}
        for place in places:
            path = os.path.join(folder, FOLDER, place.shard)
            if place.shard not in files:
                if len(files) >= _MOST_READ:
                    files.popitem()[1].close()
                if os.path.basename(place.shard) != place.shard or (os.path.exists(path) and not os.path.isfile(path)):
                    raise ValueError(f"{path!a} is no shard of autotb")  # a pipe or a device would be read for ever
                files[place.shard] = stack.enter_context(open(path, "rb"))
            file = files[place.shard]
            found = _next(file, only_text) if file.seek(place.offset) < os.fstat(file.fileno()).st_size else None
            if found is None:
                raise ValueError(f"{path} is torn, or no shard of autotb: there is no whole record at byte {place.offset}")
            yield found


def heads(folder: str, shard: str) -> list[tuple[int, Record]]:
    """The whole records of a shard with their offsets, without their contents; a torn one at its end is passed over."""
    found: list[tuple[int, Record]] = []
    with open(os.path.join(folder, FOLDER, shard), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = 0
        while (head := _head(file)) is not None:
            record, text_size, data_size, _ = head
            end = offset + _HEADER.size + text_size + data_size
            if end > size:
                break
            found.append((offset, record))
            file.seek(end)
            offset = end
        if found:
            file.seek(found[-1][0])
            if _next(file, only_text=False) is None:  # its bytes had been promised, and never came
                found.pop()
    return found


def _head(file: Any) -> tuple[Record, int, int, int] | None:
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(_MARK):
        return None
    _, state, step, at, stamp, text_size, data_size, checksum = _HEADER.unpack(head)
    return Record(state, step, at, stamp, b"", b""), text_size, data_size, checksum


def _next(file: Any, only_text: bool) -> Record | None:
    head = _head(file)
    if head is None:
        return None
    record, text_size, data_size, checksum = head
    if text_size + data_size > os.fstat(file.fileno()).st_size:
        return None
    text = file.read(text_size)
    if only_text:
        return replace(record, text=text) if len(text) == text_size else None
    data = file.read(data_size)
    if len(text) + len(data) != text_size + data_size or zlib.crc32(text + data) != checksum:
        return None
    return replace(record, text=text, data=data)


def names(folder: str) -> list[str]:
    """The shards of a run folder."""
    inside = os.path.join(folder, FOLDER)
    return sorted(name for name in os.listdir(inside) if name.endswith(".shard")) if os.path.isdir(inside) else []
