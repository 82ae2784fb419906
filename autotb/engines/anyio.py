"""AnyIO: task groups and threads on asyncio or trio; the exceptions themselves arrive, several as an ``ExceptionGroup``.

Nothing is carried; here are the frames that are AnyIO's own.  ``to_process`` runs its worker as ``__main__``, pickles the bare
exception there and leaves no place for a record: see docs/limits.  Source: https://anyio.readthedocs.io/en/stable/tasks.html
"""

from __future__ import annotations

from autotb import engine_facts
from autotb.instrument.patch import Patch

MODULES = ("anyio",)
NAME = "AnyIO"
DISTRIBUTION = "anyio"
CAPTURED = "task groups with every member of the group, to_thread; on asyncio and trio"
TESTED = "4.3 to 4.16"

engine_facts.register(own=("anyio", "sniffio"))

PATCHES: tuple[Patch, ...] = ()

#: What ``python -m autotb demo --engine anyio`` runs: a user's script.
DEMO = '''\
"""A task group runs eight calls in threads; one of them fails."""

import anyio

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


async def work():
    async with anyio.create_task_group() as tasks:
        for item in ITEMS:
            tasks.start_soon(anyio.to_thread.run_sync, score, item)


def main():
    anyio.run(work)


if __name__ == "__main__":
    main()
'''
