"""``load``: the results of a run folder without the script that made it, also of a run that goes on or was killed.

Flows in: the folder.  Flows out: :class:`~autotb.flow.results.Results`, which read each value when it is asked for.
"""

from __future__ import annotations

import os
from contextlib import closing

from autotb.flow import left_out, run_report
from autotb.flow.index import opened
from autotb.flow.results import Results
from autotb.flow.store import Column


def load(folder: str | os.PathLike[str]) -> Results:
    """The results of the run in a folder, by the names of its steps: values, errors among them, and their root causes.

    They are read when they are asked for; what the run has not come to raises KeyError then. Its files are unpickled, which runs
    what they say: load only what you trust as you trust code.

    Raises FileNotFoundError where there is no run, ValueError for a folder that holds something else.
    """
    folder = os.path.abspath(folder)
    columns, tallies = {}, {}
    with closing(opened(folder)) as index:
        for step, name, shape, tally in run_report.steps(index):
            made = dict(left_out.read(folder, index, step, every=False))
            columns[name] = Column(name, shape, index.states(step, tally.total), None, step, made)
            tallies[name] = tally
    return Results(None, columns, tallies, folder, {})
