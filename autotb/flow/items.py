"""A large list that one call gave and that a map goes over: kept so that each of its items is read by itself.

Flows in: the list, where it is written.  Flows out: a pickle of all, with a text that tells where in it the items are; later
:class:`Items`, an axis of a map that nobody loads as a whole.
"""

from __future__ import annotations

import gc
import io
import json
import pickle
import struct
import types
import zlib
from collections.abc import Sequence
from typing import Any

from autotb.flow import packing, snapshots
from autotb.flow.context import Array
from autotb.flow.result_log import ItemPlace, Reader
from autotb.flow.store import Column, Memory, load
from autotb.record import arrival

LARGE = 1 << 23  # bytes of a list's pickle: a smaller one costs the process that runs the flow little
_LARGE_ITEM = 1 << 12  # bytes of an item, on the average
_MOST_SEEN = 200_000  # objects that are looked at, whether two items share one
_KEY = "items"

# A pickle that says: joined(*items), where each item is a pickle of its own.
_BEGIN = b"\x80\x04c" + f"{__name__}\njoined".encode() + b"\n("
_ITEM, _SIZE, _END, _TUPLE_END = b"\x8e", struct.Struct("<Q"), b"tR.", b"tR\x85R."
_ATOMS = (str, bytes, int, float, complex, type(None), type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def joined(*items: bytes) -> list[Any]:
    """The list, of the pickles of its items."""
    return [pickle.loads(item) for item in items]


def split(value: Any, data: bytes) -> tuple[bytes, bytes]:
    """The pickle of a result, and the text beside it: as they are, or where it is a large list one by which its items are found.
    One whose items share an object, or among which is an error, stays as it is."""
    if type(value) is not list or len(data) < LARGE or len(value) < 2 or len(data) < _LARGE_ITEM * len(value):
        return data, b""
    try:
        if any(map(snapshots.is_error, value)) or not _are_apart(value):
            return data, b""
        return _split(value)
    except Exception:
        return data, b""  # it lies there as any other value does


def _split(value: list[Any]) -> tuple[bytes, bytes]:
    file, told = io.BytesIO(), []
    file.write(_BEGIN)
    for item in value:
        data = packing.dumps(item)
        file.write(_ITEM + _SIZE.pack(len(data)))
        told.append((file.tell(), len(data), zlib.crc32(data)))
        file.write(data)
    file.write(_END)
    return file.getvalue(), json.dumps({_KEY: told}, separators=(",", ":")).encode()


def _are_apart(values: list[Any]) -> bool:
    """Whether no two of them share an object: those that do are the same objects again only if they are pickled together."""
    owners: dict[int, int] = {}
    for number, value in enumerate(values):
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, _ATOMS) or (type(one) is tuple and not one):
                continue
            owner = owners.get(id(one))
            if owner is None:
                owners[id(one)] = number
                waiting += gc.get_referents(one)
            elif owner != number:
                return False
        if len(owners) > _MOST_SEEN:
            return False
    return True


def of(store: Memory, column: Column) -> Items | None:
    """What a single call gave, as an axis; None where it is to be read as a whole."""
    if column.values is not None or not store.folder:
        return None
    _, place = store.places(column, (0,))[0]
    try:
        with Reader(store.folder) as reader:
            text, start = reader.text(place)
        told = arrival.parsed(text)[_KEY] if text else None
        places = [ItemPlace(place.shard, start + offset, size, checksum) for offset, size, checksum in told or ()]
    except (OSError, TypeError, KeyError, ValueError):
        return None  # it says so when it is read
    return Items(store, column, places) if places else None


class Items:
    """An axis of a map that is a list which one call gave: its items lie in the run folder."""

    is_loaded, kinds, on_error = False, frozenset[type](), "skip"

    def __init__(self, store: Memory, column: Column, places: list[ItemPlace]) -> None:
        self.store, self.column, self._places, self.shape = store, column, places, (len(places),)

    def places(self, ats: Sequence[int]) -> list[tuple[int, ItemPlace]]:
        """Where the items at these places stand."""
        return [(at, self._places[at]) for at in ats]

    def take(self, ats: Sequence[int]) -> list[Any]:
        """These items, loaded now."""
        return [value for _, value in load(str(self.store.folder), self.column.name, self.places(ats))]

    def has_errors(self, _ats: Sequence[int]) -> bool:
        """Among them is none: else the list lies there as a whole."""
        return False

    def is_error(self, _at: int) -> bool:
        """None is one."""
        return False

    def element(self, _at: int) -> None:
        """Nothing is known of an item but its value."""

    def whole(self) -> tuple[Any, Any]:
        """All of them."""
        return self.take(range(len(self._places))), Array.of("", self.shape, [], None)
