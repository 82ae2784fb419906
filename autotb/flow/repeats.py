"""Chunks that an engine makes anew because a worker died: what was kept of their calls is not called again.

Flows in: the name of a chunk, and where its worker is about to write, a line in a file of the run folder that has that name.
Flows out, when a chunk of that name is begun once more: the records of its calls that are kept.  The file is gone a while after
the chunk has arrived, or when the run ends; where the engine makes nothing anew there is none.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Collection, Iterable

from autotb.flow import result_log
from autotb.flow.result_log import Place

_SUFFIX = ".begun"
LINGER = 10.0  # seconds
Begun = tuple[str, int]  # a shard, and the byte from which on a worker has written what it kept


def begin(folder: str, name: str) -> list[Begun]:
    """A chunk is begun: where workers wrote that have begun it before."""
    # Made, not only looked for: what another machine has made on a network file system is seen so.
    file = os.open(_path(folder, name), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        return _lines(os.read(file, 1 << 20))
    finally:
        os.close(file)


def note(folder: str, name: str, shard: str, offset: int) -> None:
    """Here a worker is about to write what it keeps of a chunk."""
    try:
        file = os.open(_path(folder, name), os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:  # the chunk has arrived meanwhile, from another worker
        return
    try:
        os.write(file, f"{offset} {shard}\n".encode())
    finally:
        os.close(file)


def before(folder: str, name: str) -> list[Begun]:
    """Where workers wrote of another chunk, which had some of the calls."""
    try:
        with open(_path(folder, name), "rb") as file:
            return _lines(file.read())
    except FileNotFoundError:
        return []


def kept(folder: str, begun: Iterable[Begun], step: int, ats: Collection[int]) -> dict[int, Place]:
    """The newest whole record of each of these elements that is in these shards."""
    found: dict[int, tuple[int, Place]] = {}
    wanted = set(ats)
    for shard, start in begun:
        if not os.path.isfile(os.path.join(folder, result_log.FOLDER, shard)):
            continue
        for one in result_log.scan(folder, shard, start):
            record = one.record
            if record is None or record.step != step or record.at not in wanted:
                continue
            if record.at not in found or found[record.at][0] <= record.stamp:
                found[record.at] = record.stamp, Place(shard, one.offset, record.state, one.end - one.offset)
    return {at: place for at, (_, place) in found.items()}


def forget(folder: str, name: str) -> None:
    """A chunk has arrived."""
    with contextlib.suppress(OSError):
        os.remove(_path(folder, name))


class Arrived:
    """Chunks that have arrived, each of which is forgotten a while later.

    Dask holds a result where it was made until it has heard that nobody wants it: does that worker die before, it is made anew.
    """

    def __init__(self) -> None:
        self._names: deque[tuple[float, str]] = deque()

    def add(self, folder: str, name: str) -> None:
        """This one has; those that have long ago are forgotten."""
        now = time.monotonic()
        self._names.append((now, name))
        while self._names[0][0] < now - LINGER:
            forget(folder, self._names.popleft()[1])


def forget_all(folder: str) -> None:
    """What a run has left that did not come to its end: nobody makes its chunks any more."""
    inside = os.path.join(folder, result_log.FOLDER)
    names = os.listdir(inside) if os.path.isdir(inside) else []
    for name in names:
        if name.endswith(_SUFFIX):
            forget(folder, name.removesuffix(_SUFFIX))


def _path(folder: str, name: str) -> str:
    return os.path.join(folder, result_log.FOLDER, name + _SUFFIX)


def _lines(data: bytes) -> list[Begun]:
    found = []
    for line in data.split(b"\n")[:-1]:
        offset, _, shard = line.decode(errors="replace").partition(" ")
        if offset.isdigit() and shard == os.path.basename(shard):
            found.append((shard, int(offset)))
    return found
