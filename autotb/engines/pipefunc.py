"""pipefunc: ``Pipeline.map`` on a ``ProcessPoolExecutor`` of its own or of the user's.

The pool's adapter carries the error; here are pipefunc's own frames, its line of submission, and the banner that its worker
prints and its driver prints again.  With ``error_handling="continue"`` errors are values, pipefunc's ``ErrorSnapshot``, and
nothing of ours happens.  Source: https://pipefunc.readthedocs.io/en/latest/concepts/error-handling/
"""

from __future__ import annotations

import functools
import multiprocessing
from typing import TYPE_CHECKING

from autotb import engine_facts
from autotb.assumption import Lost
from autotb.instrument import submission
from autotb.instrument.patch import Patch, noise_is_kept

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("pipefunc._pipefunc_utils", "pipefunc.map._run")
NAME = "pipefunc"
DISTRIBUTION = "pipefunc"
CAPTURED = "Pipeline(...), map, map_async: parallel and sequential"
TESTED = "0.86 to 0.93"

engine_facts.register(own=("pipefunc",))


def _wrap_is_installed(original: Function) -> Function:
    """Asked before the banner "Error snapshot attached!" is printed: a worker leaves it to the driver, which prints it too."""

    @functools.wraps(original)
    def is_installed(package: str) -> bool:
        if package == "rich" and multiprocessing.parent_process() is not None and not noise_is_kept():
            return False
        return bool(original(package))

    return is_installed


PATCHES = (
    Patch("pipefunc._pipefunc_utils", "is_installed", _wrap_is_installed, optional=True, costs=Lost.TWICE),
    Patch("pipefunc.map._run", "_submit", submission.on_result, optional=True, costs=Lost.SITE),
)

#: What ``python -m autotb demo --engine pipefunc`` runs: a user's script.
DEMO = '''\
"""pipefunc maps a pipeline over eight inputs on processes; one of them is bad."""

from pipefunc import Pipeline, pipefunc


def rate(clicks, views):
    return clicks / views


@pipefunc(output_name="score", mapspec="views[i] -> score[i]")
def score(views):
    return rate(3, views)


@pipefunc(output_name="total")
def total(score):
    return sum(score)


def main():
    return Pipeline([score, total]).map({"views": [5 - n for n in range(8)]}, parallel=True)["total"].output


if __name__ == "__main__":
    main()
'''
