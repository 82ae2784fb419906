"""threading.Thread: an error in a thread is shown by ``threading.excepthook``, in the thread, with its own traceback.

Nearly every program imports threading, so ``import_hook`` sets the hook, and loads this adapter when a thread is started.
CPython 3.10 to 3.15.
Source: https://docs.python.org/3/library/threading.html#threading.excepthook
"""

from __future__ import annotations

import functools

from autotb import engine_facts, first_use
from autotb.assumption import Lost
from autotb.instrument.patch import Patch
from autotb.record import callsite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.instrument.types import Function

MODULES = ("threading",)
NAME = "threading.Thread"
DISTRIBUTION = None
CAPTURED = "errors in threads, with the line that started them"

engine_facts.register(
    runs=(("threading", "_bootstrap_inner"),),
)


def _wrap_start(original: Function) -> Function:
    """Remembers the line of ``start()``: the thread's own stack begins in the engine."""

    @functools.wraps(original)
    def start(self: Any) -> None:
        try:
            self._autotb_site = callsite.here(3)
        except Exception:
            pass  # a subclass that takes no attributes: its start is not shown
        return original(self)  # type: ignore[no-any-return]

    return start


def begins(module: str) -> None:
    """Autotb is switched on while threading is there already."""
    first_use.stop_waiting(module)


PATCHES = (Patch("threading", "Thread.start", _wrap_start, costs=Lost.SITE),)

#: What ``python -m autotb demo --engine threads`` runs: a user's script.
DEMO = '''\
"""A thread pool scores 300 items; one of them is bad."""

import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich.progress import Progress

ITEMS = [{"id": n, "clicks": n % 7, "views": 500 - n} for n in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


def score(item):
    time.sleep(0.003)
    return item["id"], rate(item["clicks"], item["views"])


def main():
    scores = {}
    with ThreadPoolExecutor(2) as pool, Progress() as bar:
        futures = [pool.submit(score, item) for item in ITEMS]
        for future in bar.track(as_completed(futures), total=300):
            number, value = future.result()
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
'''
