"""Ray Data: its wrapper of a user's error is opened, and the line is told that made the operation.

Ray runs several operations in one task (``ReadRange->Map(clean)->Filter(keep)``).
Source: https://docs.ray.io/en/latest/data/transforming-data.html
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Attributes, Text
from autotb.instrument import engine_frames, lazy
from autotb.instrument.patch import Patch
from autotb.record import callsite, static, wrappers
from autotb.record.capture import message_of

if TYPE_CHECKING:
    from types import TracebackType

    from autotb.instrument.types import Function
    from autotb.record.callsite import Site
    from autotb.record.schema import Hop

ATTEMPTS = Text(
    "ray.data._internal.util",
    r"after \d+/\d+ attempts",
    also=("ray.data._internal.planner.plan_udf_map_op",),
    words=("attempts (total backoff",),
    optional=True,
    costs="how many attempts Ray Data made",
)


def opened(exc: BaseException) -> engine_facts.Opened | None:
    """``UserCodeException``: what it adds to the error that it was raised from is how often Ray Data has tried."""
    found = wrappers.by_cause(exc)
    if found is not None:
        found.broken = tuple(line for line in map(str, message_of(exc).split("\n")) if ATTEMPTS.search(line))
    return found


_LOGICAL = "ray.data._internal.logical.interfaces"
PLAN = Attributes("ray.data.dataset", "Dataset", "_logical_plan", optional=True, costs=lazy.COSTS)
DAG = Attributes(f"{_LOGICAL}.logical_plan", "LogicalPlan", "_dag", optional=True, costs=lazy.COSTS)
OPERATOR = Attributes(f"{_LOGICAL}.logical_operator", "LogicalOperator", "_name", optional=True, costs=lazy.COSTS)
_READING = "ray.data._internal.planner.plan_read_op"  # whose ``do_read`` is on the stack where reading fails

_reads: dict[str, Site | None] = {}  # by the operation's name: where it was made; None where that was at several lines


def _wrap_read(original: Function) -> Function:
    """What is read fails in workers, often without a frame of the user's: Ray Data names the operation, ``ReadCSV``."""

    @functools.wraps(original)
    def read_datasource(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        try:
            site = callsite.here(3)
            name: Any = made
            for step in (PLAN, DAG, OPERATOR):
                (name,) = step.read(name) or (None,)
            if site is not None and type(name) is str:
                known = _reads.setdefault(name, site)
                if known is not None and not callsite.is_same(known, site):
                    _reads[name] = None
        except Exception:
            pass  # the line is not told
        return made

    return read_datasource


def note_made(hop: Hop) -> None:
    """Fill in the line that made the operation which failed."""
    lazy.note_made(hop)
    if "made" in hop or not _reads or not any(frame.get("module") == _READING for frame in hop.get("frames", ())):
        return
    place = engine_frames.place_of(_reads.get(str(hop.get("label", "")).partition("->")[0]))
    if place is not None:
        hop["made"] = place


def runs(tb: TracebackType | None) -> bool:
    """Whether what a worker was called to do is Ray Data's: its outermost frame that is not of Ray's core."""
    while tb is not None:
        module = static.name_of(tb.tb_frame)
        if not module.startswith(("ray._", "ray.util.tracing")):
            return module.startswith("ray.data.")
        tb = tb.tb_next
    return False


PATCHES = (
    Patch("ray.data.read_api", "read_datasource", _wrap_read, optional=True, costs=lazy.COSTS),
    Patch("ray.data.grouped_data", "GroupedData.aggregate", lazy.held, optional=True, costs=lazy.COSTS),
    *(
        Patch("ray.data.dataset", f"Dataset.{name}", lazy.operation, optional=True, costs=lazy.COSTS)
        for name in ("map", "map_batches", "flat_map", "filter", "add_column")
    ),
    Patch("ray.data.grouped_data", "GroupedData.map_groups", lazy.operation, optional=True, costs=lazy.COSTS),
)
ASSUMPTIONS = (ATTEMPTS, PLAN, DAG, OPERATOR)
