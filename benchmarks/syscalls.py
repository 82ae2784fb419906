"""``python -m benchmarks.syscalls``: system calls at start-up, where no .pyc may be written: on a network file system these are felt.

Flows in: a fresh environment with a copy of this checkout, and strace.  Flows out: for each script the calls with autotb and under
``AUTOTB=0``.  There is no limit: a number to compare with.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import startup

SCRIPTS = ("pass", "import threading", "import logging, concurrent.futures", "import asyncio")


def count(command: list[str], switch: str) -> int:
    """The calls of a process and its children."""
    env = {**os.environ, "AUTOTB": switch, "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.NamedTemporaryFile("r") as table:
        subprocess.run(["strace", "-c", "-f", "-o", table.name, *command], check=True, env=env, stdout=subprocess.DEVNULL)
        total = re.search(r"^\s*100\.00\s+\S+\s+\S*\s+(\d+).*total$", table.read(), re.M)
    assert total is not None
    return int(total[1])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="autotb-bench-") as folder:
        python, site = startup._environment(Path(folder))
        startup._compiled(site, python, False)
        for script in SCRIPTS:
            ours, off = (count([python, "-c", script], switch) for switch in ("1", "0"))
            sys.stdout.write(f"{script:40} {ours:5} with autotb, {off:5} under AUTOTB=0, +{ours - off}\n")


if __name__ == "__main__":
    main()
