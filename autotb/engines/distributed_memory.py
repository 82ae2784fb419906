"""Dask's workers that their nannies end, because they have come too near to their memory limit.

Flows in: a nanny's look at its worker's memory.  Flows out: why it ended a worker, as the end of a sentence about that death.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Attributes, Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

LIMIT = Attributes(
    "distributed.worker_memory",
    "NannyMemoryManager",
    "_last_terminated_pid",
    "memory_limit",
    "memory_terminate_fraction",
    optional=True,
    costs=Lost.DEATH,
)
_MOST = 1_000
_ended: dict[int, str] = {}  # by the process of a worker


def _wrap_memory_monitor(original: Function) -> Function:
    """Runs in the nanny, every now and then."""

    @functools.wraps(original)
    def memory_monitor(self: Any, *args: object, **kwargs: object) -> Any:
        before = LIMIT.read(self)
        found = original(self, *args, **kwargs)
        if before is not None and before[0] != self._last_terminated_pid:
            try:
                _note(self._last_terminated_pid, *before[1:])
            except Exception:
                pass  # then its signal is all that is known
        return found

    return memory_monitor


def _note(pid: int, limit: float, share: float) -> None:
    from dask.utils import format_bytes

    if len(_ended) < _MOST:
        _ended[pid] = f", sent by its nanny: above {share * 100:.0f}% of its memory limit of {format_bytes(limit)}"


def why(pid: int) -> str:
    """What its nanny ended a worker for; empty where it did not."""
    return _ended.pop(pid, "")


PATCHES = (
    Patch(
        "distributed.worker_memory", "NannyMemoryManager.memory_monitor", _wrap_memory_monitor, optional=True, costs=Lost.DEATH
    ),
)
ASSUMPTIONS = (LIMIT,)
