"""Hostile data: records as workers send them, JSON stories, workers' texts, and status files; made up, or real ones that were altered."""

from __future__ import annotations

import copy
from typing import Any

from tests.fuzz.chance import Chance


def record(chance: Chance, depth: int = 0) -> Any:
    tree: dict[str, Any] = {"v": 1, "type": chance.either(chance.text()), "message": chance.either(chance.text())}
    tree["hops"] = chance.either([chance.either(_hop(chance)) for _ in range(chance.one((0, 1, 1, 1, 2)))])
    for key in ("notes", "final", "broken", "lost"):
        if chance.is_so(0.15):
            tree[key] = chance.either([chance.either(chance.text()) for _ in range(chance.many(1, 3, heavy=500))])
    for key in ("cut", "text", "where", "culprit"):
        if chance.is_so(0.15):
            tree[key] = chance.either(chance.text() if key != "text" else text(chance))
    for key in ("skipped", "unlisted", "alike", "unnoted"):
        if chance.is_so(0.1):
            tree[key] = chance.either(chance.number())
    for key in ("suppress", "told"):
        if chance.is_so(0.05):
            tree[key] = chance.either(True)
    for key in ("submitted", "asked"):
        if chance.is_so(0.1):
            tree[key] = chance.either(_frame(chance))
    if depth < (6 if chance.heavy else 2):
        for key in ("cause", "context"):
            if chance.is_so(0.3):
                tree[key] = chance.either(record(chance, depth + 1))
        for key in ("members", "also"):
            if chance.is_so(0.1):
                tree[key] = chance.either([record(chance, depth + 2) for _ in range(chance.one((0, 1, 4)))])
    return _tangled(chance, tree) if depth == 0 and chance.is_so(0.006) else tree


def _tangled(chance: Chance, tree: dict[str, Any]) -> dict[str, Any]:
    """A circle, or members that are shared so that unfolding them never ends, or far too deep."""
    kind = int(chance.random.random() * 4)
    if kind == 0:
        tree["cause"] = tree["context"] = tree
    elif kind == 1:
        tree["members"] = [tree]
    elif chance.heavy and kind == 2:
        for _ in range(40):
            tree = {**tree, "members": [tree, tree]}
    else:
        for _ in range(chance.many(70, heavy=2_000)):
            tree = {"v": 1, "type": "Deep", "message": "", "hops": [], "cause": tree}
    return tree


def light(chance: Chance) -> Any:
    """A light record, a tuple."""
    return (1, chance.either({"type": "ValueError", "cut": "", **_hop(chance)}), chance.either(chance.text()))


def _hop(chance: Chance) -> Any:
    many = chance.many(0, 1, 1, 3, heavy=20_000)
    frame = [chance.either(_frame(chance)) for _ in range(min(many, 8))]
    hop: dict[str, Any] = {"frames": chance.either((frame * (1 + many // max(1, len(frame))))[:many])}
    for key in ("where", "engine", "host", "thread", "call", "label", "verb", "log", "inputs"):
        if chance.is_so(0.2):
            hop[key] = chance.either(chance.text())
    for key in ("pid", "job", "versions", "died", "submitted", "brought"):
        if chance.is_so(0.15):
            value: Any = chance.number() if key == "pid" else [chance.text()] if key == "died" else _frame(chance)
            hop[key] = chance.either(
                {chance.text(): chance.text()} if key in ("job", "versions") else [value] if key == "brought" else value
            )
    for key in ("live", "twice"):
        if chance.is_so(0.1):
            hop[key] = chance.either(True)
    return hop


def _frame(chance: Chance) -> Any:
    if chance.is_so(0.1):
        return {key: chance.either(chance.number()) for key in ("repeated", "cycle", "omitted")}
    frame: dict[str, Any] = {
        "path": chance.either(chance.path()),
        "line": chance.either(chance.number()),
        "name": chance.either(chance.text()),
    }
    if chance.is_so(0.8):
        frame["kind"] = chance.either(chance.one(("user", "library", "stdlib", "engine", "own")))
        frame["module"] = chance.either(chance.text())
    if chance.is_so(0.4):
        frame |= {key: chance.either(chance.number()) for key in ("col", "end_col", "end_line")}
    if chance.is_so(0.5):
        lines = [chance.either(chance.text()) for _ in range(chance.one((0, 1, 1, 4)))]
        frame["source"] = chance.either([chance.number(), lines])
    if chance.is_so(0.2):
        frame["locals"] = chance.either({chance.text(): chance.either(chance.text())})
    for key in ("changed", "qualname", "code"):
        if chance.is_so(0.05):
            frame[key] = chance.either(chance.one((True, chance.text())))
    return frame


def altered(chance: Chance, value: Any, share: float) -> Any:
    """A real tree with some of its parts exchanged, left out, doubled or moved."""
    if chance.is_so(share):
        return chance.plain()
    if type(value) is dict:
        kept = {key: altered(chance, each, share) for key, each in value.items() if not chance.is_so(share)}
        if chance.is_so(share):
            kept[chance.text()] = chance.plain()
        return kept
    if type(value) is list or type(value) is tuple:
        kept_items = [altered(chance, each, share) for each in value if not chance.is_so(share)]
        return kept_items * 3 if chance.is_so(share) else kept_items
    if type(value) is str and chance.is_so(share * 2):
        at = int(chance.random.random() * (len(value) + 1))
        return value[:at] + chance.text() + value[at:]
    return value


def story(chance: Chance, real: dict[str, Any]) -> Any:
    """What a JSON file of a story may hold."""
    return altered(chance, copy.deepcopy(real), chance.one((0.002, 0.02, 0.1)))


# Texts

_HEADS = (
    "Traceback (most recent call last):",
    "  + Exception Group Traceback (most recent call last):",
    "Traceback (innermost last):",
)
_JOINTS = (
    "\nThe above exception was the direct cause of the following exception:\n",
    "\nDuring handling of the above exception, another exception occurred:\n",
    "",
)


def text(chance: Chance) -> str:
    """A worker's traceback as text."""
    lines: list[str] = []
    for _ in range(chance.many(1, 1, 2, heavy=40)):
        lines += [chance.one(_HEADS) if chance.is_so(0.3) else _HEADS[0]]
        for _ in range(chance.many(1, 3, heavy=300)):
            lines += [f'  File "{chance.path()}", line {chance.number()}, in {chance.text()}', "    " + chance.text()]
            if chance.is_so(0.3):
                lines.append("    ~~^^")
            if chance.is_so(0.1):
                lines.append(f"  [Previous line repeated {chance.number()} more times]")
            if chance.is_so(0.05):
                lines.append("    | +-+---------------- 1 ----------------")
        lines.append(chance.one(("ValueError: ", "pkg.mod.Odd<locals>.E: ", "A.<locals>.B: ", "\x1b[31mE", "")) + chance.text())
        lines.append(chance.one(_JOINTS))
    said = "\n".join(lines)
    return mangled(chance, said) if chance.is_so(0.5) else said


def mangled(chance: Chance, said: str) -> str:
    """A text that was cut, doubled, indented, or stained."""
    for _ in range(chance.one((1, 2, 5))):
        at, other = sorted((int(chance.random.random() * (len(said) + 1)), int(chance.random.random() * (len(said) + 1))))
        kind = int(chance.random.random() * 6)
        if kind == 0:
            said = said[:at] + said[other:]
        elif kind == 1:
            said = said[:at] + chance.text() + said[at:]
        elif kind == 2 and len(said) < 20_000:
            said = said[:other] + said[at:]
        elif kind == 3:
            said = said.replace("\n", chance.one(("\r\n", "\n  | ", "\r", "\n\n", "\\n")))
        elif kind == 4:
            said = said[at:other]
        else:
            said = said.replace(" ", chance.one(("\t", "\u00a0", "  ", "")), 3)
    return said


def status_file(chance: Chance) -> bytes:
    """What a dead worker's status file may hold."""
    words = [chance.number() & ((1 << 63) - 1) for _ in range(16)]
    if chance.is_so(0.9):
        words[0] = 0x0000_6175_746F_7462
    if chance.is_so(0.5):
        words[2] = int(chance.random.random() * 5)
    page = b"".join(word.to_bytes(8, "little") for word in words)
    page += chance.text().encode("utf-8", "surrogatepass")[:1_023].ljust(1_024, b"\0") + bytes(128)
    page = page.ljust(4_096 if chance.is_so(0.95) else 100, b"\0")
    dump = ["Fatal Python error: Segmentation fault" + chance.text(), "", "Current thread 0x1 (most recent call first):"]
    dump += [
        f'  File "{chance.path()}", line {chance.number()} in {chance.text()}' for _ in range(chance.many(0, 2, heavy=3_000))
    ]
    said = "\n".join(dump)
    return page + (mangled(chance, said) if chance.is_so(0.5) else said).encode("utf-8", "surrogatepass")
