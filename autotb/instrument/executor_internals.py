"""What is taken for granted of a module of the make of ``concurrent.futures.process``; loky is one, and so is joblib's copy.

Flows in: the adapters' modules.  Flows out: what stands in the frames of a worker, and of the thread that manages a pool.
"""

from __future__ import annotations

from autotb import assumption
from autotb.assumption import Attributes, Frame, Lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_every: list[Internals] = []
RUN = Frame("concurrent.futures.thread", "_WorkItem.run", "self", costs=Lost.CALL)
WORK = Attributes("concurrent.futures.thread", "_WorkItem", "fn", "args", "kwargs", costs=Lost.CALL, optional=True)
TASK = Attributes("concurrent.futures.thread", "_WorkItem", "task", costs=Lost.CALL, optional=True)  # since 3.14
QUEUES = Attributes("concurrent.futures.thread", "", "_threads_queues", costs=Lost.WAITED)
AS_COMPLETED = Frame("concurrent.futures._base", "as_completed", "pending", costs=Lost.WAITED)
CHAINED = Frame("asyncio.futures", "_chain_future", "destination", costs=Lost.WAITED)
OF_THREADS = (RUN, WORK, TASK, QUEUES, AS_COMPLETED, CHAINED)


class Internals:
    """Those of one module."""

    def __init__(self, module: str) -> None:
        thread = "_ExecutorManagerThread"
        self.worker = Frame(module, "_process_worker", "call_item", costs=Lost.CALL)
        self.item = Attributes(module, "_CallItem", "fn", "args", "kwargs", costs=Lost.CALL)
        self.sending = Frame(module, "_sendback_result", "result", costs=Lost.UNSENT)
        self.feeding = Frame(module, "_SafeQueue._on_queue_feeder_error", "work_item", costs=Lost.UNSENT)
        self.result = Frame(module, f"{thread}.process_result_item", "work_item", costs=Lost.RETRY)
        broken = "terminate_broken", "_terminate_broken"
        self.breaking = Frame(module, f"{thread}.{broken[0]}", "self", costs=Lost.DEATH, or_named=f"{thread}.{broken[1]}")
        self.manager = Attributes(module, thread, "pending_work_items", "processes", costs=Lost.DEATH)
        self.managers = Attributes(module, "", "_threads_wakeups", costs=Lost.WAITED)
        self.all = (self.worker, self.item, self.sending, self.feeding, self.result, self.breaking, self.manager, self.managers)
        _every.append(self)


def every() -> list[Internals]:
    """Those of all modules whose adapters are loaded."""
    return list(_every)


def read(caller: FrameType, which: str) -> tuple[Any, ...] | None:
    """What is read of the caller if it is this frame of any of the modules."""
    return assumption.read(caller, *[getattr(internals, which) for internals in _every])
