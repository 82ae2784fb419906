"""Ray Data: its wrapper of a user's error is opened, and the line is told that made the operation.

Ray runs several operations in one task (``ReadRange->Map(clean)->Filter(keep)``).
Source: https://docs.ray.io/en/latest/data/transforming-data.html
"""

from __future__ import annotations

from autotb import engine_facts
from autotb.assumption import Text
from autotb.instrument import lazy
from autotb.instrument.patch import Patch
from autotb.record import wrappers
from autotb.record.capture import message_of

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


PATCHES = (
    *(
        Patch("ray.data.dataset", f"Dataset.{name}", lazy.operation, optional=True, costs=lazy.COSTS)
        for name in ("map", "map_batches", "flat_map", "filter", "add_column")
    ),
    Patch("ray.data.grouped_data", "GroupedData.map_groups", lazy.operation, optional=True, costs=lazy.COSTS),
)
ASSUMPTIONS = (ATTEMPTS,)
