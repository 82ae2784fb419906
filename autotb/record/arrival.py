"""What comes from elsewhere (a record on an exception, a file), taken in by its form and within limits.

Flows in: builtins that anybody may have made: of wrong types, in circles, without end.  Flows out: a tree that has the keys of
``schema`` in their forms and is small enough to be drawn; what was left out is said in its ``cut``.  No object's code is run.
"""

from __future__ import annotations

import os
import stat

from autotb.record import schema

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

    from autotb.record.schema import Frame, Hop, Place, Tree

MAX_DEPTH = 60  # exceptions in one another
MAX_EXCEPTIONS = 1_000  # all together, as in what ``capture`` makes
MAX_NODES = 20_000  # exceptions, processes, frames, source lines, variables: all together
MAX_CHARACTERS = 4_000_000  # all together
MAX_TEXT = 12_000  # characters of one text
MAX_LINE = 1_200  # characters of a source line, a name, a path
MAX_FRAMES = 120  # of a hop: the first and the last of them
MAX_WORKER_TEXT = 400_000  # characters of a worker's traceback: its last ones
MAX_FILE = 64 << 20  # bytes of a file that is read as JSON


def tree(record: Any) -> Tree:
    """The record, as one may rely on it."""
    return _Reader().tree(record, 0)


_EXTENT = ("end_line", "col", "end_col")  # of a frame: all of them, or none
_GAP = ("repeated", "cycle", "omitted")  # of what stands in place of frames
_PLACE = ("path", "line", "name")


def _forms(shape: type, *apart: str) -> dict[str, str]:
    """What is read by its form alone."""
    return {key: form for key, form in schema.forms(shape).items() if key not in apart}


_TREE, _HOP = _forms(schema.Tree, "v", "message"), _forms(schema.Hop)
_FRAME = _forms(schema.Frame, *_PLACE, *_EXTENT, *_GAP)


class _Reader:
    """One record; counts what it has taken.

    What is taken in under a key is said by its form: there is a method for each.
    """

    def __init__(self) -> None:
        self.exceptions, self.nodes, self.characters = MAX_EXCEPTIONS, MAX_NODES, MAX_CHARACTERS

    def is_full(self) -> bool:
        return self.exceptions <= 0 or self.nodes <= 0 or self.characters <= 0

    def taken(self, record: Any, forms: dict[str, str]) -> Any:
        """What a dict holds under these keys, as far as it is of their forms and not empty."""
        result = {}
        for key, form in forms.items():
            if key in record and form in _TAKES:
                value = _TAKES[form](self, record[key], key)
                if value or (form == "Number" and value is not None):
                    result[key] = value
        return result

    # By form

    def _line(self, value: Any, _: str) -> str:
        return self.text(value, MAX_LINE) if type(value) is str else ""

    def _text(self, value: Any, _: str) -> str:
        return self.text(value) if type(value) is str else ""

    def _worker_text(self, value: Any, _: str) -> str:
        return self.text(value, MAX_WORKER_TEXT) if type(value) is str else ""

    def _texts(self, value: Any, key: str) -> list[str]:
        return [self.text(each) for each in value[: schema.MOST.get(key, 100)]] if type(value) in (list, tuple) else []

    def _count(self, value: Any, _: str) -> int:
        return max(0, number(value))

    def _number(self, value: Any, _: str) -> int | None:
        return number(value) if type(value) is int else None

    def _time(self, value: Any, _: str) -> float:
        return value if type(value) is float and 0 < value < 1e12 else 0.0

    def _flag(self, value: Any, _: str) -> bool:
        return value is True

    def _pairs(self, value: Any, _: str) -> dict[str, str]:
        items = list(value.items())[:50] if type(value) is dict else []
        self.nodes -= len(items)
        return {self.text(name, MAX_LINE): self.text(each, MAX_LINE) for name, each in items}

    def _source(self, value: Any, _: str) -> list[Any]:
        if (
            type(value) not in (list, tuple)
            or len(value) != 2
            or type(value[0]) is not int
            or type(value[1]) not in (list, tuple)
        ):
            return []
        lines = [self.text(line, MAX_LINE) for line in value[1][:60]]
        self.nodes -= len(lines)
        return [number(value[0]), lines] if lines and not self.is_full() else []

    def _place(self, value: Any, _: str) -> Place | None:
        return self.place(value) if type(value) is dict else None

    def _hops(self, value: Any, _: str) -> list[Hop]:
        return [self.hop(hop) for hop in value[:50] if type(hop) is dict] if type(value) in (list, tuple) else []

    def _frames(self, value: Any, _: str) -> list[Frame]:
        if type(value) not in (list, tuple):
            return []
        half = MAX_FRAMES // 2
        if len(value) > MAX_FRAMES + 1:
            value = [*value[:half], {"omitted": len(value) - 2 * half}, *value[-half:]]
        return [self.frame(frame) for frame in value if type(frame) is dict]

    # By what it is

    def tree(self, record: Any, depth: int) -> Tree:
        self.exceptions -= 1
        self.nodes -= 1
        result: Tree = self.taken(record, _TREE)
        result["v"] = 1
        if "message" in record:
            result["message"] = self.text(record["message"])
        elif "type" in record:
            result["message"] = ""
        result.setdefault("hops", [])
        self._others(result, record, depth)
        return result

    def _others(self, result: Any, record: Any, depth: int) -> None:
        """The exceptions that it is chained to, or holds."""
        for key, form in _TREE.items():
            if form == "Tree" and type(record.get(key)) is dict:
                if depth < MAX_DEPTH and not self.is_full():
                    result[key] = self.tree(record[key], depth + 1)
                else:
                    _add_cut(result, "what it came out of")
        for key, form in _TREE.items():
            if form == "Trees" and type(record.get(key)) in (list, tuple):
                kept: list[Tree] = []
                result[key] = kept
                for other in record[key]:
                    if depth >= MAX_DEPTH or self.is_full():
                        result["unlisted"] = result.get("unlisted", 0) + len(record[key]) - len(kept)
                        break
                    if type(other) is dict:
                        kept.append(self.tree(other, depth + 1))

    def hop(self, hop: Any) -> Hop:
        self.nodes -= 1
        result: Hop = self.taken(hop, _HOP)
        if not result.get("live"):  # whose frames are in the traceback
            result.setdefault("frames", [])
        return result

    def frame(self, frame: Any) -> Frame:
        self.nodes -= 1
        if type(frame.get("path")) is not str:
            gap: Any = {key: max(0, number(frame.get(key))) for key in _GAP}
            return gap  # type: ignore[no-any-return]
        result: Any = {**self.place(frame), "module": "", "kind": "user", **self.taken(frame, _FRAME)}
        if all(type(frame.get(key)) is int for key in _EXTENT):
            result |= {key: number(frame[key]) for key in _EXTENT}
        return result  # type: ignore[no-any-return]

    def place(self, place: Any) -> Place:
        return {
            "path": self.text(place.get("path"), MAX_LINE),
            "line": number(place.get("line")),
            "name": self.text(place.get("name"), MAX_LINE),
        }

    def text(self, value: Any, most: int = MAX_TEXT) -> str:
        if type(value) is not str:
            value = str(value) if type(value) in (int, float, bool) else ""
        if self.characters <= 0:
            return "…" if value else ""
        value = value[-most:] if most == MAX_WORKER_TEXT else shortened(value, most)
        self.characters -= len(value)
        return str(value)


_TAKES = {
    "Line": _Reader._line,
    "Text": _Reader._text,
    "WorkerText": _Reader._worker_text,
    "Texts": _Reader._texts,
    "Count": _Reader._count,
    "Number": _Reader._number,
    "Time": _Reader._time,
    "Flag": _Reader._flag,
    "Pairs": _Reader._pairs,
    "Source": _Reader._source,
    "Place": _Reader._place,
    "Hops": _Reader._hops,
    "Frames": _Reader._frames,
}  # the exceptions that one is chained to are read last, see _others


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """A text, or its beginning and the count of what is left out."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def number(value: Any) -> int:
    """An int of a size that is one of lines, counts and processes; else 0."""
    return value if type(value) is int and -(1 << 53) < value < 1 << 53 else 0


def _add_cut(result: Tree, what: str) -> None:
    result["cut"] = f"{result['cut']}, {what}" if result.get("cut") else what


def is_regular(path: str | os.PathLike[str], most: int) -> bool:
    """Whether a path is that of a file that can be read to its end, of at most so many bytes; a device or a pipe is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= most


def json_in(path: str | os.PathLike[str]) -> str:
    """The text of a file that is to hold JSON.  Raises OSError and ValueError."""
    if regular(path).st_size > MAX_FILE:
        raise ValueError(f"it is larger than {MAX_FILE >> 20} MB")
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(MAX_FILE + 1)


def regular(path: str | os.PathLike[str]) -> os.stat_result:
    """The state of a file that can be read to its end; ValueError for a device, a pipe or a folder.  Raises OSError."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    return status


def parsed(text: str | bytes) -> Any:
    """What a JSON text says; ValueError for one that is none, or that is too deep."""
    import json

    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its objects are too deep in one another") from None
