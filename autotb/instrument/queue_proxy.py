"""A worker's queue, of which one method does something besides.

Flows in: the engine's queue.  Flows out: an object that is it in every other respect.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this
    from typing import Any

    from autotb.instrument.types import Queue


class QueueProxy:
    """Subclasses replace ``get`` or ``put``; all else is asked of the queue itself."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def __getattr__(self, name: str) -> Any:
        if name == "queue":  # one that is being unpickled or copied has no attributes yet
            raise AttributeError(name)
        return getattr(self.queue, name)
