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
from typing import Any, NamedTuple

from autotb.record import build

FOLDER = "shards"
_SUFFIX, _TURN = ".shard", "."
OK, FAILED, SKIPPED, MISSING = range(4)  # the states of an element
STATE = 3  # the bits that are one of these; of the others: it was made in spite of errors among its inputs, or of such a result
LEFT_OUT, DERIVED = 4, 8

# mark, state, step, element, time in ns, length of the text, length of the pickle; then the checksum of that and of the contents
_HEADER, _SUM = struct.Struct("<4sBHQQIQ"), struct.Struct("<I")
_WHOLE = struct.Struct(_HEADER.format + _SUM.format[1:])
_HEAD = _WHOLE.size
_MARK, _BEFORE = b"aTb2", b"aTb1"  # in those of before the checksum is that of the contents alone
_TIMED = b"aTb3"  # in those of calls whose seconds are known: they stand before the text, and count as such
_MARKS, _PREFIX = (_TIMED, _MARK, _BEFORE), b"aTb"
_SECONDS = struct.Struct("<f")
_BLOCK = 1 << 20  # bytes that are written at once
_MOST_READ = 64  # shards that are open at once
_WINDOW = 1 << 16  # bytes that are read at once, at least: what was written together is mostly read together


class Place(NamedTuple):
    """Where a record stands: the shard's file name and the offset in bytes; ``state`` is that of the element, ``size`` how many
    bytes the record has, where that is told."""

    shard: str
    offset: int
    state: int
    size: int = 0


class ItemPlace(NamedTuple):
    """Where a part of a record stands that can be read by itself: its first byte in the shard."""

    shard: str
    offset: int
    size: int
    checksum: int


class Record(NamedTuple):
    """What stands there; ``seconds`` is how long the call took, where that is known."""

    state: int
    step: int
    at: int
    stamp: int
    text: bytes
    data: bytes
    seconds: float | None = None


class Found(NamedTuple):
    """A record in a shard, without its contents, and where it ends; None where what stands there is damaged."""

    offset: int
    end: int
    record: Record | None


class Shard:
    """The file that this process appends to."""

    def __init__(self, folder: str, token: str = "") -> None:
        _, dot, number = token.partition(_TURN)
        self.name = f"{build.host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{dot}{number}{_SUFFIX}"
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


def next_turn(token: str) -> str:
    """The token of the run that goes on in the folder of another."""
    run, _, number = token.partition(_TURN)
    return f"{run}{_TURN}{int(number or 1) + 1}"


def turn(shard: str) -> int:
    """How many runs had gone on in a folder when this shard was begun for one of them, itself included."""
    number = shard.removesuffix(_SUFFIX).rpartition(_TURN)[2]
    return int(number) if number.isascii() and number.isdigit() else 1


def _blocks(records: Iterable[Record]) -> Iterator[tuple[list[tuple[int, int]], bytes]]:
    """Records as bytes, joined up to some size; with each its state and its size."""
    sizes: list[tuple[int, int]] = []
    parts: list[bytes] = []
    total = 0
    for record in records:
        mark, text, data = _MARK, record.text, record.data
        if record.seconds is not None:
            mark, text = _TIMED, _SECONDS.pack(record.seconds) + text
        head = _HEADER.pack(mark, record.state, record.step, record.at, record.stamp, len(text), len(data))
        parts += head, _SUM.pack(zlib.crc32(data, zlib.crc32(text, zlib.crc32(head)))), text, data
        sizes.append((record.state, _HEAD + len(text) + len(data)))
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
    except OSError as error:
        file.truncate(offset)
        error.filename = file.name  # whose disk is full: the call that is told with it has not written it
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
            shard = Shard(folder, token)
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


class Reader:
    """The records of a run folder at their places; each shard is opened once.  Used as a context."""

    def __init__(self, folder: str) -> None:
        self.folder, self._shards, self._files = folder, dict[str, _Window](), contextlib.ExitStack()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def record(self, place: Place, only_text: bool = False) -> Record:
        """The record at a place.

        Raises DamagedError where it is torn or none, FileNotFoundError where its shard is gone.
        """
        shard = self._shards.get(place.shard) or self._opened(place.shard)
        found = _next(shard, place.offset, only_text)
        if found is None:
            path = os.path.join(self.folder, FOLDER, place.shard)
            raise DamagedError(f"{path} is torn, or no shard of autotb: there is no whole record at byte {place.offset}")
        return found[0]

    def text(self, place: Place) -> tuple[bytes, int]:
        """The text of the record at a place, and the byte at which its contents begin.  Raises as :meth:`record` does."""
        text = self.record(place, only_text=True).text
        head, begin = self._shards[place.shard].at(place.offset, _HEAD)
        return text, place.offset + _HEAD + int(_WHOLE.unpack_from(head, begin)[5])

    def part(self, place: ItemPlace) -> bytes:
        """A part of a record.  Raises as :meth:`record` does."""
        data = (self._shards.get(place.shard) or self._opened(place.shard)).part(place.offset, place.size)
        if len(data) != place.size or zlib.crc32(data) != place.checksum:
            raise DamagedError(f"the item at byte {place.offset} of {place.shard} is not what was written")
        return data

    def _opened(self, name: str) -> _Window:
        path = os.path.join(self.folder, FOLDER, name)
        if os.path.basename(name) != name or (os.path.exists(path) and not os.path.isfile(path)):
            raise ValueError(f"{path!a} is no shard of autotb")  # a pipe or a device would be read for ever
        if len(self._shards) >= _MOST_READ:
            self._shards.pop(next(iter(self._shards))).file.close()
        self._shards[name] = window = _Window(self._files.enter_context(open(path, "rb", buffering=0)))  # noqa: SIM115
        return window


class _Window:
    """A part of a shard: what is read from it next stands mostly behind what was read before."""

    def __init__(self, file: Any) -> None:
        self.file, self.start, self.data = file, 0, b""

    def at(self, offset: int, size: int) -> tuple[bytes, int]:
        """Some bytes, and where that offset is in them: so many are behind it, or as many as there are."""
        begin = offset - self.start
        if begin >= 0 and begin + size <= len(self.data):
            return self.data, begin
        data = self._read(offset, max(size, _WINDOW))
        if size <= _WINDOW:  # nobody keeps what is large
            self.start, self.data = offset, data
        return data, 0

    def part(self, offset: int, size: int) -> bytes:
        """These bytes, or as many of them as there are."""
        data, begin = self.at(offset, size) if size else (b"", 0)
        return data[begin : begin + size]

    def _read(self, offset: int, size: int) -> bytes:
        self.file.seek(offset)
        data: bytes = self.file.read(size)
        while len(data) < size and (more := self.file.read(size - len(data))):
            data += more
        return data


def read(folder: str, places: Iterable[Place], only_text: bool = False) -> Iterator[Record]:
    """The records at some places, see :class:`Reader`."""
    with Reader(folder) as reader:
        for place in places:
            yield reader.record(place, only_text)


def scan(folder: str, shard: str, start: int = 0) -> Iterator[Found]:
    """The records of a shard from a byte on, each checked, and what is damaged between whole ones; a torn one at its end is
    passed over."""
    with open(os.path.join(folder, FOLDER, shard), "rb", buffering=0) as file:
        offset, window = start, _Window(file)
        while True:
            found = _next(window, offset, only_text=False)
            if found is not None:
                yield Found(offset, found[1], found[0]._replace(text=b"", data=b""))
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
    offset, kept, window = start, b"", _Window(file)
    file.seek(start)
    block: bytes
    while block := file.read(_BLOCK):
        block, at = kept + block, -1
        while (at := block.find(_PREFIX, at + 1)) >= 0:
            if _next(window, offset + at, only_text=False) is not None:
                return offset + at
        kept = block[-2:]
        offset += len(block) - len(kept)
        file.seek(offset + len(kept))
    return None


def _next(window: _Window, offset: int, only_text: bool) -> tuple[Record, int] | None:
    """The record at a byte, and where it ends; None where there is no whole one."""
    data, begin = window.at(offset, _HEAD)
    if len(data) - begin < _HEAD:
        return None
    mark, state, step, at, stamp, text_size, data_size, checksum = _WHOLE.unpack_from(data, begin)
    if mark not in _MARKS:
        return None
    size = text_size + data_size
    if size > _BLOCK and offset + _HEAD + size > os.fstat(window.file.fileno()).st_size:
        return None
    head = data[begin : begin + _HEADER.size]
    start = offset + _HEAD
    if not only_text and size <= _WINDOW:
        window.at(start, size)  # both at once
    text = window.part(start, text_size)
    body = b"" if only_text else window.part(start + text_size, data_size)
    if len(text) + len(body) < (text_size if only_text else size):
        return None
    if not only_text and zlib.crc32(body, zlib.crc32(text, zlib.crc32(head) if mark != _BEFORE else 0)) != checksum:
        return None
    seconds = None
    if mark == _TIMED:
        if text_size < _SECONDS.size:
            return None
        (seconds,), text = _SECONDS.unpack_from(text), text[_SECONDS.size :]
    return Record(state, step, at, stamp, text, body, seconds), start + size


def names(folder: str) -> list[str]:
    """The shards of a run folder."""
    inside = os.path.join(folder, FOLDER)
    return sorted(name for name in os.listdir(inside) if name.endswith(_SUFFIX)) if os.path.isdir(inside) else []
