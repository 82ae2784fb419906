"""``python -m benchmarks.syscalls``: system calls at start-up, with .pyc files of autotb's and without: on a network file system
these are felt.

Flows in: a fresh environment with a copy of this checkout, and strace.  Flows out: for each script the calls with autotb beside
those under ``AUTOTB=0``; exit status 1 if they are more than the limit.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import startup

SCRIPTS = {
    "pass": 50,
    "import threading": 70,
    "import logging, concurrent.futures": 70,
    "import asyncio": 70,
    "from concurrent.futures import ThreadPoolExecutor": 180,
    "from concurrent.futures import ProcessPoolExecutor": 280,
    "import asyncio; asyncio.new_event_loop().close()": 210,
}


def count(command: list[str], switch: str) -> int:
    """The calls of a process and its children."""
    env = {**os.environ, "AUTOTB": switch, "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.NamedTemporaryFile("r") as table:
        subprocess.run(
            ["strace", "-c", "-f", "-o", table.name, *command], check=True, cwd="/", env=env, stdout=subprocess.DEVNULL
        )
        total = re.search(r"^\s*100\.00\s+\S+\s+\S*\s+(\d+).*total$", table.read(), re.M)
    assert total is not None
    return int(total[1])


def main() -> int:
    """Print the table."""
    broken = 0
    with tempfile.TemporaryDirectory(prefix="autotb-bench-") as folder:
        python, site = startup._environment(Path(folder))
        for compiled in (True, False):
            startup._compiled(site, python, compiled)
            for script, limit in SCRIPTS.items():
                ours, off = (count([python, "-c", script], switch) for switch in ("1", "0"))
                broken += ours - off > limit
                verdict = "ok" if ours - off <= limit else "OVER"
                what = script + ("" if compiled else ", no .pyc of autotb's")
                sys.stdout.write(f"{what:75} {ours:5} / {off:5}, +{ours - off:<4} limit +{limit:<4} {verdict}\n")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
