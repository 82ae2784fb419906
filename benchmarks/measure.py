"""How the benchmarks measure: instructions by callgrind, times by interleaved pairs with a confidence interval.

Flows in: callables or commands, with and without autotb.  Flows out: :class:`Row`, one line of the table.
"""

from __future__ import annotations

import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAIRS = 15


@dataclass(frozen=True)
class Row:
    """One budget: what was measured, the ratio (or other figure), its 95 % interval, the limit, and whether it holds."""

    what: str
    value: float
    low: float
    high: float
    limit: float
    unit: str = "×"
    detail: str = ""

    @property
    def ok(self) -> bool:
        """A budget is broken only where the whole interval lies above it."""
        return self.low <= self.limit

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "OVER"
        interval = f"[{self.low:.3f}, {self.high:.3f}]" if self.low != self.high else ""
        return f"{self.what:66} {self.value:8.3f} {self.unit:2} {interval:18} limit {self.limit:<6g} {verdict:4} {self.detail}"


def instructions(command: Sequence[str], environment: dict[str, str] | None = None) -> int:
    """Instructions that a command executes, counted by callgrind: repeatable, whatever else the machine does."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
        capture_output=True,
        text=True,
        timeout=600,
        env={
            **{name: value for name, value in os.environ.items() if name != "AUTOTB"},
            "PYTHONHASHSEED": "0",
            **(environment or {}),
        },
        check=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise RuntimeError(f"callgrind told no count:\n{done.stderr[-2000:]}")
    return int(found[1])


def exact(what: str, with_it: int, without: int, limit: float) -> Row:
    """A row of two counts."""
    ratio = with_it / without
    return Row(what, ratio, ratio, ratio, limit, detail=f"{with_it:,} / {without:,} instructions")


def pairs(
    what: str, with_it: Callable[[], float], without: Callable[[], float], limit: float, count: int = PAIRS, detail: str = ""
) -> Row:
    """Interleaved pairs of two timings, in random order within a pair; the median of their ratios and its 95 % interval."""
    ratios = []
    with_it(), without()
    for _ in range(count):
        if random.random() < 0.5:
            first = with_it()
            second = without()
        else:
            second = without()
            first = with_it()
        ratios.append(first / second)
    return row(what, ratios, limit, "×", detail)


def row(what: str, values: list[float], limit: float, unit: str = "×", detail: str = "") -> Row:
    """The median of measured values with the order statistics' 95 % interval."""
    values = sorted(values)
    n = len(values)
    half = 1.96 * math.sqrt(n) / 2
    low, high = values[max(0, math.floor(n / 2 - half))], values[min(n - 1, math.ceil(n / 2 + half))]
    return Row(what, statistics.median(values), low, high, limit, unit, detail)


def environment(autotb: str) -> dict[str, str]:
    """The environment of a program with autotb (``"1"``) or without; .pyc files are written, as they are for users."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}, "AUTOTB": autotb}


def python(code: str, *, autotb: str, args: Sequence[str] = ()) -> str:
    """Run code in a fresh interpreter, with autotb (``"1"``) or without (``"0"``); returns what it prints.

    It is a file, as users' programs are: of ``-c`` Python's own text of an error has no source, and costs half.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "measured.py"
        script.write_text(code, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(script), *args],
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
            env=environment(autotb),
        )
    if done.returncode != 0:
        raise RuntimeError(f"exit status {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout
