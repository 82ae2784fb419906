"""A run folder as ``python -m autotb show`` tells it: nothing is unpickled, nothing is run.

Flows in: the index, and of the shards the texts beside the pickles.  Flows out: the table of the steps, and the root causes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from autotb.flow import result_log, table
from autotb.flow.failure_groups import Groups
from autotb.flow.index import Index, opened
from autotb.flow.result_log import FAILED, SKIPPED
from autotb.flow.scheduler import Tally
from autotb.record import arrival
from autotb.trace.model import Trace


def text(folder: str, draw: Any) -> str:
    """The table and the root causes of the run in a folder; ``draw`` makes text of a Trace.

    Raises OSError where the folder cannot be read, ValueError for one that holds something else or is torn.
    """
    with closing(opened(folder)) as index:
        tallies = _tallies(index)
        groups = Groups()
        for told in _failures(index, folder):
            if "trace" in told:
                groups.add(Trace.from_dict(told["trace"]))
            else:
                groups.add_line(told["error"])
    return table.text(tallies, groups.texts(draw))


def _tallies(index: Index) -> dict[str, Tally]:
    tallies = {}
    for step, name, shape, seconds in index.execute("SELECT id, name, shape, seconds FROM steps ORDER BY id"):
        counts = dict(index.execute("SELECT state, COUNT(*) FROM elements WHERE step = ? GROUP BY state", (step,)))
        tallies[name] = tally = Tally(math.prod(json.loads(shape)))
        tally.done, tally.failed, tally.skipped = sum(counts.values()), counts.get(FAILED, 0), counts.get(SKIPPED, 0)
        tally.seconds = seconds
    return tallies


def _failures(index: Index, folder: str) -> Iterator[dict[str, Any]]:
    """What is told of each call that failed, and of each request for resources that did, for whichever call it was made."""
    rows = index.execute(
        "SELECT shards.name, offset FROM elements JOIN shards ON shards.id = elements.shard WHERE state IN (?, ?) "
        "ORDER BY step, at",
        (FAILED, SKIPPED),
    )
    seen: set[str] = set()
    places = (result_log.Place(shard, offset, FAILED) for shard, offset in rows)
    for record in result_log.read(folder, places, only_text=True):
        told = arrival.parsed(record.text)
        if "error" in told and told["id"] not in seen:
            seen.add(told["id"])
            yield told
