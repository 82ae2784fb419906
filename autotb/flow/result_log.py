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
from typing import Any, NamedTuple

from autotb.record import build

FOLDER = "shards"
OK, FAILED, SKIPPED, MISSING = range(4)  # the states of an element
STATE = 3  # the bits that are one of these; of the others: it was made in spite of errors among its inputs, or of such a result
LEFT_OUT, DERIVED = 4, 8

# mark, state, step, element, time in ns, length of the text, length of the pickle; then the checksum of that and of the contents
_HEADER, _SUM = struct.Struct("<4sBHQQIQ"), struct.Struct("<I")
_HEAD = _HEADER.size + _SUM.size
_MARK, _BEFORE = b"aTb2", b"aTb1"  # in those of before the checksum is that of the contents alone
_BLOCK = 1 << 20  # bytes that are written at once
_MOST_READ = 64  # shards that are open at once


class Place(NamedTuple):
    """Where a record stands: the shard's file name and the offset in bytes; ``state`` is that of the element, ``size`` how many
    bytes the record has, where that is told."""

    shard: str
    offset: int
    state: int
    size: int = 0


@dataclass(frozen=True)
class Record:
    """What stands there."""

    state: int
    step: int
    at: int
    stamp: int
    text: bytes
    data: bytes


class Found(NamedTuple):
    """A record in a shard, without its contents, and where it ends; None where what stands there is damaged."""

    offset: int
    end: int
    record: Record | None


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
                    places.append(Place(self.name, offset, state, size))
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
        head = _HEADER.pack(_MARK, record.state, record.step, record.at, record.stamp, len(record.text), len(record.data))
        parts += head, _SUM.pack(zlib.crc32(body, zlib.crc32(head))), body
        sizes.append((record.state, _HEAD + len(body)))
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


class DamagedError(ValueError):
    """There is no whole record at a place."""


def read(folder: str, places: Iterable[Place], only_text: bool = False) -> Iterator[Record]:
    """The records at some places; each shard is opened once.

    Raises DamagedError where one is torn or none, FileNotFoundError where its shard is gone.
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
            found = _next(file, place.offset, only_text)
            if found is None:
                raise DamagedError(f"{path} is torn, or no shard of autotb: there is no whole record at byte {place.offset}")
            yield found[0]


def scan(folder: str, shard: str, start: int = 0) -> Iterator[Found]:
    """The records of a shard from a byte on, each checked, and what is damaged between whole ones; a torn one at its end is
    passed over."""
    with open(os.path.join(folder, FOLDER, shard), "rb") as file:
        offset = start
        while True:
            found = _next(file, offset, only_text=False)
            if found is not None:
                yield Found(offset, found[1], replace(found[0], text=b"", data=b""))
                offset = found[1]
                continue
            whole = _next_whole(file, offset + 1)
            if whole is None:
                return
            yield Found(offset, whole, None)
            offset = whole


def heads(folder: str, shard: str) -> list[tuple[int, Record]]:
    """The whole records of a shard with their offsets, without their contents."""
    return [(found.offset, found.record) for found in scan(folder, shard) if found.record is not None]


def _next_whole(file: Any, start: int) -> int | None:
    """Where the next whole record begins."""
    offset, kept = start, b""
    file.seek(start)
    while block := file.read(_BLOCK):
        block, at = kept + block, -1
        while (at := min(_where(block, _MARK, at + 1), _where(block, _BEFORE, at + 1))) < len(block):
            if _next(file, offset + at, only_text=False) is not None:
                return offset + at
        kept = block[-3:]
        offset += len(block) - len(kept)
        file.seek(offset + len(kept))
    return None


def _where(block: bytes, mark: bytes, start: int) -> int:
    at = block.find(mark, start)
    return len(block) if at < 0 else at


def _next(file: Any, offset: int, only_text: bool) -> tuple[Record, int] | None:
    """The record at a byte, and where it ends; None where there is no whole one."""
    file.seek(offset)
    head = file.read(_HEAD)
    if len(head) < _HEAD or not head.startswith((_MARK, _BEFORE)):
        return None
    mark, state, step, at, stamp, text_size, data_size = _HEADER.unpack_from(head)
    end = offset + _HEAD + text_size + data_size
    if text_size + data_size > _BLOCK and end > os.fstat(file.fileno()).st_size:
        return None
    body = file.read(text_size + (0 if only_text else data_size))
    if only_text:
        return (Record(state, step, at, stamp, body, b""), end) if len(body) == text_size else None
    begun = zlib.crc32(head[: _HEADER.size]) if mark == _MARK else 0
    if len(body) != text_size + data_size or zlib.crc32(body, begun) != _SUM.unpack_from(head, _HEADER.size)[0]:
        return None
    return Record(state, step, at, stamp, body[:text_size], body[text_size:] if text_size else body), end


def names(folder: str) -> list[str]:
    """The shards of a run folder."""
    inside = os.path.join(folder, FOLDER)
    return sorted(name for name in os.listdir(inside) if name.endswith(".shard")) if os.path.isdir(inside) else []
