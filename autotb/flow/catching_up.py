"""What a run folder's index lacks when its run is resumed, and what it names that is there no longer.

Flows in: the index, the shards.  Flows out: the index, which has each element's newest whole record.  Of a shard that is read
which the index has not, and the last record that it has: its bytes may have been promised and never have come.  Where something
is wrong, or that is wanted, all of it is read.  What a worker has kept that outlived its run does not take the place of what a
later run has kept, and what others were made of.
"""

from __future__ import annotations

import os
import warnings

from autotb.flow import result_log
from autotb.flow.index import Index
from autotb.flow.result_log import Place
from autotb.record import callsite

_MOST_NAMED = 10


def catch_up(index: Index, folder: str, checks_all: bool) -> None:
    """Read what is to be read.  Elements that were there and are damaged are missing from now on, which a warning tells."""
    known, there = index.shards(), result_log.names(folder)
    lost = [(step, at) for shard in sorted(known.keys() - set(there)) for step, at, _ in index.rows(shard)]
    index.forget(lost)
    last = index.lasts()
    for shard in there:
        whole = known.get(shard, 0)
        damaged: list[tuple[int, int]] = []
        if checks_all or not _is_sound(folder, shard, whole, last.get(shard)):
            damaged = _damaged(index, folder, shard)
            index.forget(damaged)
            lost += damaged
            whole = 0
        unread = _read(index, folder, shard, whole, known.get(shard, 0))
        if unread and not damaged:
            path = os.path.join(folder, result_log.FOLDER, shard)
            _warn(f"{path}: {unread:,} bytes are damaged: what was kept there is called again")
    index.commit()
    if lost:
        _tell(index, folder, lost)


def _is_sound(folder: str, shard: str, whole: int, last: int | None) -> bool:
    """Whether a shard is as long as it was, and the last record that is known of it is whole."""
    if os.path.getsize(os.path.join(folder, result_log.FOLDER, shard)) < whole:
        return False
    if last is None:
        return True
    try:
        next(result_log.read(folder, [Place(shard, last, 0)]))
    except ValueError:
        return False
    return True


def _damaged(index: Index, folder: str, shard: str) -> list[tuple[int, int]]:
    """The elements that the index has in a shard, and that are not there."""
    lost, rows = [], index.rows(shard)
    row = next(rows, None)
    for found in result_log.scan(folder, shard):
        while row is not None and row[2] < found.end:
            record = found.record
            if row[2] != found.offset or record is None or (record.step, record.at) != row[:2]:
                lost.append(row[:2])
            row = next(rows, None)
    return lost if row is None else [*lost, row[:2], *((step, at) for step, at, _ in rows)]


def _read(index: Index, folder: str, shard: str, start: int, known_to: int) -> int:
    """Take in the records of a shard from a byte on that are not in the index.  Returns how many bytes between them are none,
    behind those that an earlier run has read: what is damaged there was in the index, or is told already."""
    newest: dict[tuple[int, int], tuple[int, Place]] = {}
    damaged, end = 0, start
    known = index.rows(shard)
    row = next(known, None)
    for found in result_log.scan(folder, shard, start):
        end = found.end
        while row is not None and row[2] < found.offset:
            row = next(known, None)
        if found.record is None:
            damaged += max(0, found.end - max(found.offset, known_to))
            continue
        key = found.record.step, found.record.at
        if row == (*key, found.offset):
            continue
        if key not in newest or newest[key][0] <= found.record.stamp:
            newest[key] = found.record.stamp, Place(shard, found.offset, found.record.state)
    known.close()
    rows: dict[int, list[tuple[int, Place]]] = {}
    with result_log.Reader(folder) as reader:
        for (step, at), (stamp, place) in newest.items():
            before = index.place(step, at)
            if before is None or (result_log.turn(before.shard), _stamp(reader, before)) <= (result_log.turn(shard), stamp):
                rows.setdefault(step, []).append((at, place))
    for step, some in rows.items():
        index.add(step, some)
    index.set_whole(shard, end)
    return damaged


def _stamp(reader: result_log.Reader, place: Place) -> int:
    """When a record was written; 0 for one that is not whole."""
    try:
        return reader.record(place, only_text=True).stamp
    except (OSError, ValueError):
        return 0


def _tell(index: Index, folder: str, lost: list[tuple[int, int]]) -> None:
    names = dict(index.execute("SELECT id, name FROM steps"))
    told = [f"element {at} of step {names.get(step, step)!r}" for step, at in sorted(lost)]
    if len(told) > _MOST_NAMED:
        told[_MOST_NAMED:] = [f"{len(told) - _MOST_NAMED:,} more"]
    _warn(f"{folder}: damaged, or gone with its shard, and therefore called again: {', '.join(told)}")


def _warn(text: str) -> None:
    """At the user's line that runs the flow."""
    try:
        place = callsite.decode(callsite.here(1)) or {}
    except Exception:
        place = {}
    warnings.warn_explicit(text, RuntimeWarning, place.get("path", "<flow>"), place.get("line", 0))
