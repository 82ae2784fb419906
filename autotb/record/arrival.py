"""What comes from elsewhere (a record on an exception, a file), taken in by its form and within limits.

Flows in: builtins that anybody may have made: of wrong types, in circles, without end.  Flows out: a tree of ``capture`` that has
its keys and types and is small enough to be drawn; what was left out is said in its ``cut``.  No code of any object's is run.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

MAX_DEPTH = 60  # exceptions in one another
MAX_EXCEPTIONS = 1_000  # all together, as in what ``capture`` makes
MAX_NODES = 20_000  # exceptions, processes, frames, source lines, variables: all together
MAX_CHARACTERS = 4_000_000  # all together
MAX_TEXT = 12_000  # characters of one text
MAX_LINE = 1_200  # characters of a source line, a name, a path
MAX_FRAMES = 120  # of a hop: the first and the last of them
MAX_WORKER_TEXT = 400_000  # characters of a worker's traceback: its last ones
MAX_FILE = 64 << 20  # bytes of a file that is read as JSON

_TEXTS = ("where", "engine", "host", "thread", "call", "label", "verb", "log", "inputs")


def tree(record: Any) -> dict[str, Any]:
    """The record, as one may rely on it."""
    return _Reader().tree(record, 0)


class _Reader:
    """One record; counts what it has taken."""

    def __init__(self) -> None:
        self.exceptions, self.nodes, self.characters = MAX_EXCEPTIONS, MAX_NODES, MAX_CHARACTERS

    def is_full(self) -> bool:
        return self.exceptions <= 0 or self.nodes <= 0 or self.characters <= 0

    def tree(self, record: Any, depth: int) -> dict[str, Any]:
        self.exceptions -= 1
        self.nodes -= 1
        result: dict[str, Any] = {"v": 1}
        for key in ("type", "where", "culprit", "cut"):
            if type(record.get(key)) is str and record[key]:
                result[key] = self.text(record[key], MAX_LINE)
        if "message" in record:
            result["message"] = self.text(record["message"])
        elif "type" in record:
            result["message"] = ""
        if type(record.get("text")) is str and record["text"]:
            result["text"] = self.text(record["text"], MAX_WORKER_TEXT)
        for key, most in (("final", 200), ("notes", 100), ("broken", 1_000), ("lost", 50)):
            if type(record.get(key)) in (list, tuple) and record[key]:
                result[key] = [self.text(each) for each in record[key][:most]]
        for key in ("skipped", "unlisted", "alike", "unnoted"):
            if number(record.get(key)) > 0:
                result[key] = number(record[key])
        for key in ("suppress", "told"):
            if record.get(key) is True:
                result[key] = True
        for key in ("submitted", "asked"):
            if type(record.get(key)) is dict:
                result[key] = self.place(record[key])
        hops = record.get("hops")
        result["hops"] = [self.hop(hop) for hop in hops[:50] if type(hop) is dict] if type(hops) in (list, tuple) else []
        self._others(result, record, depth)
        return result

    def _others(self, result: dict[str, Any], record: Any, depth: int) -> None:
        """The exceptions that it is chained to, or holds."""
        for key in ("cause", "context"):
            if type(record.get(key)) is dict:
                if depth < MAX_DEPTH and not self.is_full():
                    result[key] = self.tree(record[key], depth + 1)
                else:
                    _add_cut(result, "what it came out of")
        for key in ("members", "also"):
            if type(record.get(key)) in (list, tuple):
                kept: list[dict[str, Any]] = []
                result[key] = kept
                for other in record[key]:
                    if depth >= MAX_DEPTH or self.is_full():
                        result["unlisted"] = result.get("unlisted", 0) + len(record[key]) - len(kept)
                        break
                    if type(other) is dict:
                        kept.append(self.tree(other, depth + 1))

    def hop(self, hop: Any) -> dict[str, Any]:
        self.nodes -= 1
        result: dict[str, Any] = {key: self.text(hop[key]) for key in _TEXTS if type(hop.get(key)) is str}
        if type(hop.get("pid")) is int:
            result["pid"] = number(hop["pid"])
        for key in ("job", "versions"):
            if type(hop.get(key)) is dict:
                result[key] = self.pairs(hop[key])
        if type(hop.get("died")) in (list, tuple):
            result["died"] = [self.text(line) for line in hop["died"][:40]]
        if type(hop.get("submitted")) is dict:
            result["submitted"] = self.place(hop["submitted"])
        for key in ("live", "twice"):
            if hop.get(key) is True:
                result[key] = True
        for key in ("frames", "brought"):
            if type(hop.get(key)) in (list, tuple):
                result[key] = self.frames(hop[key])
        if not result.get("live"):  # whose frames are in the traceback
            result.setdefault("frames", [])
        return result

    def frames(self, frames: Any) -> list[dict[str, Any]]:
        half = MAX_FRAMES // 2
        if len(frames) > MAX_FRAMES + 1:
            left_out = len(frames) - 2 * half
            frames = [*frames[:half], {"omitted": left_out}, *frames[-half:]]
        return [self.frame(frame) for frame in frames if type(frame) is dict]

    def frame(self, frame: Any) -> dict[str, Any]:
        self.nodes -= 1
        if type(frame.get("path")) is not str:
            return {key: max(0, number(frame.get(key))) for key in ("repeated", "cycle", "omitted")}
        result: dict[str, Any] = {**self.place(frame), "module": "", "kind": "user"}
        for key in ("module", "kind", "qualname", "code"):
            if type(frame.get(key)) is str:
                result[key] = self.text(frame[key], MAX_LINE)
        if all(type(frame.get(key)) is int for key in ("col", "end_col", "end_line")):
            result |= {key: number(frame[key]) for key in ("col", "end_col", "end_line")}
        if type(frame.get("locals")) is dict:
            result["locals"] = self.pairs(frame["locals"])
        if frame.get("changed") is True:
            result["changed"] = True
        source = frame.get("source")
        if type(source) in (list, tuple) and len(source) == 2 and type(source[0]) is int and type(source[1]) in (list, tuple):
            lines = [self.text(line, MAX_LINE) for line in source[1][:60]]
            self.nodes -= len(lines)
            if lines and not self.is_full():
                result["source"] = [number(source[0]), lines]
        return result

    def place(self, place: Any) -> dict[str, Any]:
        return {
            "path": self.text(place.get("path"), MAX_LINE),
            "line": number(place.get("line")),
            "name": self.text(place.get("name"), MAX_LINE),
        }

    def pairs(self, pairs: Any) -> dict[str, str]:
        items = list(pairs.items())[:50]
        self.nodes -= len(items)
        return {self.text(key, MAX_LINE): self.text(value, MAX_LINE) for key, value in items}

    def text(self, value: Any, most: int = MAX_TEXT) -> str:
        if type(value) is not str:
            value = str(value) if type(value) in (int, float, bool) else ""
        if self.characters <= 0:
            return "…" if value else ""
        value = value[-most:] if most == MAX_WORKER_TEXT else shortened(value, most)
        self.characters -= len(value)
        return str(value)


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """A text, or its beginning and the count of what is left out."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def number(value: Any) -> int:
    """An int of a size that is one of lines, counts and processes; else 0."""
    return value if type(value) is int and -(1 << 53) < value < 1 << 53 else 0


def _add_cut(result: dict[str, Any], what: str) -> None:
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
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > MAX_FILE:
        raise ValueError(f"it is larger than {MAX_FILE >> 20} MB")
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(MAX_FILE + 1)


def parsed(text: str | bytes) -> Any:
    """What a JSON text says; ValueError for one that is none, or that is too deep."""
    import json

    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its objects are too deep in one another") from None
