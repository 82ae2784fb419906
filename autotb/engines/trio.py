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
NOISE: dict[str, str] = {}

engine_facts.register(own=("trio", "outcome", "sniffio"))

PATCHES: tuple[Patch, ...] = ()
