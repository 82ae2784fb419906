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
NOISE: dict[str, str] = {}

engine_facts.register(own=("anyio", "sniffio"))

PATCHES: tuple[Patch, ...] = ()
