"""Tasks that Ray could not run, and results that it has lost: where they were submitted, and the call.

Flows in: the errors that Ray makes in the driver instead of a result, which name no task.  Flows out: the same with a record.
Source: https://docs.ray.io/en/latest/ray-core/fault-tolerance.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotb import assumption
from autotb.assumption import Lost
from autotb.engines.ray import waiting
from autotb.instrument import engine_frames, exception_wrappers
from autotb.instrument.patch import Patch
from autotb.record import annotate
from autotb.record.capture import attached

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from autotb.assumption import Frame
    from autotb.record.schema import Hop

_NOT_RUN = ("RuntimeEnvSetupError", "TaskUnschedulableError", "ActorUnschedulableError")
_LOST = ("ObjectLostError", "NodeDiedError")


def patches(sites: Mapping[bytes, Any], calls: Mapping[bytes, Any], deserialize: Frame) -> tuple[Patch, ...]:
    """Of the tables of sites and calls, and of the frame in which Ray makes an error of what it has in place of a result."""

    def tell(error: BaseException, caller: FrameType, *, unsent: bool) -> None:
        (reference,) = assumption.read(caller, deserialize, limit=2) or (None,)
        if reference is None or attached(error) is not None:
            return
        task = reference.task_id()
        of_actor = sites.get(task.actor_id().binary()) if "create the actor" in str(error) else None
        place = engine_frames.place_of(of_actor or sites.get(task.binary()))
        call = waiting.call(task.binary(), calls) if of_actor is None else ""
        hop: Hop = {"frames": [], "task": task.hex()}  # a client may know where it was submitted
        if call:
            hop["call"] = call
        if place is not None:
            hop["submitted"] = place
        annotate.note(error, hops=[hop], unsent=unsent or None)

    def not_run(error: BaseException, caller: FrameType) -> None:
        """Made of a task that no worker has seen."""
        tell(error, caller, unsent=True)

    def lost(error: BaseException, caller: FrameType) -> None:
        """Made of a result that was there, or might have been."""
        tell(error, caller, unsent=False)

    return tuple(
        Patch("ray.exceptions", f"{name}.__init__", exception_wrappers.when_made(note), optional=True, costs=Lost.SITE)
        for names, note in ((_NOT_RUN, not_run), (_LOST, lost))
        for name in names
    )
