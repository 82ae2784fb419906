"""trio: nurseries and threads of one process; the exceptions themselves arrive, several as an ``ExceptionGroup``.

Nothing is carried; here are the frames that are trio's own.  Source: https://trio.readthedocs.io/en/stable/reference-core.html
"""

from __future__ import annotations

from autotb import engine_facts
from autotb.instrument.patch import Patch

MODULES = ("trio._core",)
NAME = "trio"
DISTRIBUTION = "trio"
CAPTURED = "nurseries with every member of the group, to_thread"
TESTED = "0.25 to 0.35"

engine_facts.register(own=("trio", "outcome", "sniffio"))

PATCHES: tuple[Patch, ...] = ()

#: What ``python -m autotb demo --engine trio`` runs: a user's script.
DEMO = '''\
"""A nursery runs eight tasks; one of them fails."""

import trio

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


async def child(item):
    await trio.sleep(0.01)
    score(item)


async def work():
    async with trio.open_nursery() as nursery:
        for item in ITEMS:
            nursery.start_soon(child, item)


def main():
    trio.run(work)


if __name__ == "__main__":
    main()
'''
