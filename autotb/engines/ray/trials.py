"""Trials of Ray Tune: the error of a run in which some failed (``tune.run``) is told as theirs.

Flows in: ``TuneError("Trials did not complete", trials)``; Tune wrote each trial's error to a file when it failed.  Flows out:
those errors, with the workers' records, as the roots.
Source: https://docs.ray.io/en/latest/tune/api/doc/ray.tune.run.html
"""

from __future__ import annotations

import functools
import os
from typing import Any

from autotb import engine_facts
from autotb.assumption import Attributes
from autotb.record import static

ERROR = "ray.tune.error.TuneError"
TRIAL = Attributes(
    "ray.tune.experiment.trial",
    "Trial",
    "pickled_error_file",
    costs="the trials' errors in place of their names, of a run by `tune.run`",
    optional=True,
)
MOST = 100  # trials whose errors are read


def opened(exc: BaseException) -> engine_facts.Opened | None:
    """The errors of the trials, those that are of one kind being one story."""
    trials = exc.args[1] if len(exc.args) == 2 and type(exc.args[1]) is list else []
    found = [_error_of(trial) for trial in trials[:MOST]]
    roots = tuple(error for error in found if static.is_exception(error))
    rest = len(trials) - len(roots)
    if not roots:
        return None
    return engine_facts.Opened(roots=roots, broken=(f"{rest:,} more of the trials did not complete",) if rest else ())


def _error_of(trial: Any) -> Any:
    try:
        (path,) = TRIAL.read(trial) or (None,)
        return _read(path, os.stat(path).st_mtime_ns) if path else None
    except Exception:
        return None  # it is elsewhere, or cannot be read: Tune's own message has the trial's name


@functools.lru_cache(maxsize=MOST)
def _read(path: str, changed: int) -> Any:  # noqa: ARG001  part of the cache's key: another attempt writes the same file anew
    from ray import cloudpickle

    with open(path, "rb") as file:
        return cloudpickle.load(file)


WRAPPERS = {ERROR: opened}
ASSUMPTIONS = (TRIAL,)
