"""``python -m tests.fuzz.alone KIND (SEED NUMBER FOLDER)…``: what comes of a pool's failing tasks in a program of its own.

Flows in: cases of the pools.  Flows out: one line: whether each of them arrived, hangs, or has broken the pool.
"""

from __future__ import annotations

import os
import sys

from tests.fuzz import doors

if __name__ == "__main__":
    kind, *parts = sys.argv[1:]
    tasks = [(int(parts[at]), int(parts[at + 1]), parts[at + 2]) for at in range(0, len(parts), 3)]
    print(", ".join([doors.outcome(kind, task)[0] for task in tasks]), flush=True)
    doors.close()
    os._exit(0)
