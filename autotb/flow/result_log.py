"""Shards: the files of a run folder that hold its values and errors, one a process, written at the end only.

Flows in: a record (which element of which step, its state, a text, a pickle).  Flows out: where it stands; later the record.
Each has its length and its checksum, so that a torn tail is told from a record; the text can be read without unpickling.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
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
_BLOCK = 1 << 20  # bytes that are written at once
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

    def append(self, records: Iterable[Record]) -> list[Place]:
        """Write records, many at once.  Raises OSError (a full disk) after taking back what was written last."""
        places: list[Place] = []
        with self.lock, contextlib.ExitStack() as stack:
            file = self.file
            if file.closed:  # by another thread, since this one was given the shard: nobody will close it again
                file = stack.enter_context(open(self.path, "ab", buffering=0))
            for some, data in _blocks(records):
                offset = _append(file, data)
                for state, size in some:
                    places.append(Place(self.name, offset, state))
                    offset += size
        return places

    @property
    def is_gone(self) -> bool:
        """Whether its file was removed: what would be written there is lost."""
        with self.lock:
            return not self.file.closed and not os.fstat(self.file.fileno()).st_nlink

    def close(self) -> None:
        """Close the file; a further record opens it for itself."""
        with self.lock:
            self.file.close()


def _blocks(records: Iterable[Record]) -> Iterator[tuple[list[tuple[int, int]], bytes]]:
    """Records as bytes, joined up to some size; with each its state and its size."""
    sizes: list[tuple[int, int]] = []
    parts: list[bytes] = []
    total = 0
    for record in records:
        body = record.text + record.data if record.text else record.data
        head = _HEADER.pack(
            _MARK, record.state, record.step, record.at, record.stamp, len(record.text), len(record.data), zlib.crc32(body)
        )
        parts += head, body
        sizes.append((record.state, len(head) + len(body)))
        total += sizes[-1][1]
        if total > _BLOCK:
            yield sizes, b"".join(parts)
            sizes, parts, total = [], [], 0
    if parts:
        yield sizes, b"".join(parts)


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
_mine: dict[str, tuple[str, Shard]] = {}
_lock = threading.Lock()


def mine(folder: str, token: str) -> Shard:
    """This process's shard of the run with this token in a folder, begun at its first record.

    A folder that was removed and made again holds another run; and a file that was removed takes nothing that lasts.
    """
    with _lock:
        run, shard = _mine.get(folder, (token, None))
        if shard is not None and (run != token or shard.is_gone):
            _mine.pop(folder)
            shard.close()
            shard = None
        if shard is None:
            if len(_mine) >= _MOST_OPEN:
                _mine.pop(next(iter(_mine)))[1].close()
            shard = Shard(folder)
            _mine[folder] = token, shard
        return shard


def end(folder: str) -> None:
    """Close this process's shard; a further record begins another."""
    with _lock:
        _, shard = _mine.pop(folder, ("", None))
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
