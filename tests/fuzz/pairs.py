"""Two programs side by side, one with autotb and one without: the same exceptions, the same status, and in a pipe the same text.

Flows in: a case's chance.  Flows out: the faults that were found, as lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

from tests import programs
from tests.fuzz import RAW
from tests.fuzz.chance import Chance

_ADDRESS = re.compile(rb"0x[0-9a-f]{6,16}|object refcount : \d+")
_CALLS = re.compile(r"^== calls (.*)\n", re.M)


class Pair:
    """The two children of a worker, which live on for all of its cases."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.files = [os.path.join(folder, f"stderr-{os.getpid()}-{number}") for number in (0, 1)]
        self.children = [self._started(switch) for switch in ("1", "0")]

    def _started(self, switch: str) -> Any:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=programs.REPOSITORY,
            env=programs.environment(switch, PYTHONHASHSEED="0"),
        )

    def ran(self, seed: int, number: int, style: str) -> list[tuple[int, bytes]]:
        """Status and stderr of both."""
        for child, file in zip(self.children, self.files):
            child.stdin.write(f"{seed} {number} {style} {self.folder} {file}\n".encode())
            child.stdin.flush()
        found = []
        for child, file in zip(self.children, self.files):
            status = int(child.stdout.readline())
            with open(file, "rb") as said:
                found.append((status, _ADDRESS.sub(b"0x", said.read(20_000_000))))
        return found

    def close(self) -> None:
        for child in self.children:
            child.stdin.close()
            child.wait(10)
        for file in self.files:
            if os.path.exists(file):
                os.unlink(file)


def faults_of(pair: Pair, chance: Chance, seed: int, number: int) -> list[str]:
    """What is wrong with one case."""
    style = chance.one(("auto", "auto", "rich", "plain", "json"))
    (status, ours), (bare_status, bare) = pair.ran(seed, number, style)
    found = [] if status == bare_status else [f"the status is {status}, not {bare_status}"]
    if style == "auto":
        if ours != bare:
            found.append(f"the text is another: {_first_difference(ours, bare)}")
    else:
        found += list(_styled(style, ours.decode("utf-8", "backslashreplace")))
    return [f"pair, {style}: {what}" for what in found]


def _first_difference(ours: bytes, bare: bytes) -> str:
    for one, other in zip(ours.split(b"\n"), bare.split(b"\n")):
        if one != other:
            return f"{one[:100]!r} for {other[:100]!r}"
    return f"{len(ours)} bytes for {len(bare)}"


def _styled(style: str, ours: str) -> Any:
    if "; Python goes on without it" in ours:
        yield "given up: " + next(line for line in ours.split("\n") if "; Python goes on without it" in line)[:160]
        return
    for number, said in enumerate(re.split(r"^== \d+\n", _CALLS.sub("", ours), flags=re.M)[1:-1]):
        raw = RAW.search(said)
        if raw:
            yield f"exception {number}: a raw {raw[0]!r}"
        if style != "json" and said.count("\n") > 303:
            yield f"exception {number}: {said.count(chr(10))} lines"
