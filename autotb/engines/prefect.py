"""Prefect: flows and tasks, on threads or by a task runner that has an adapter of its own (Dask, Ray).

The exception itself arrives, through some twenty frames of Prefect's.  Its server keeps states, its log tells each failed run;
both stay as they are.  Source: https://docs.prefect.io/v3/concepts/task-runners
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotb import engine_facts
from autotb.assumption import Lost
from autotb.instrument import engine_frames, submission
from autotb.instrument.patch import Patch
from autotb.record import annotate, capture, static

if TYPE_CHECKING:
    from autotb.instrument.types import Future

MODULES = ("prefect.task_engine", "prefect.task_runners")
NAME = "Prefect"
DISTRIBUTION = "prefect"
CAPTURED = "tasks of a flow: called, submit, map; on threads"
TESTED = "3.0 to 3.7"

engine_facts.register(own=("prefect", "anyio", "sniffio", "tenacity"), runs=(("prefect.task_engine", "call_task_fn"),))


def _note(error: BaseException, future: Future) -> None:
    """A task's error is raised in the thread that asks; it has no worker, and is told as one hop of the program's own."""
    submitted = engine_frames.place_of(static.attributes(future).get("_autotb_site"))
    known = (capture.attached(error) or {}).get("hops", ())
    if submitted is not None and not any(hop.get("engine") == "prefect" for hop in known):
        annotate.note_live(error, {"engine": "prefect", "where": "in a Prefect task", "submitted": submitted})


PATCHES = (
    Patch("prefect.task_runners", "ThreadPoolTaskRunner.submit", submission.on_result, optional=True, costs=Lost.SITE),
    Patch(
        "prefect.futures",
        "PrefectConcurrentFuture.result",
        submission.when_raised(_note, Exception),
        optional=True,
        costs=Lost.SITE,
    ),
)

#: What ``python -m autotb demo --engine prefect`` runs: a user's script.
DEMO = '''\
"""A Prefect flow submits eight tasks; one of them fails."""

import os

os.environ.setdefault("PREFECT_HOME", os.path.join(os.path.dirname(os.path.abspath(__file__)), "prefect"))

from prefect import flow, task

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


@task
def score(item):
    return rate(item["clicks"], item["views"])


@flow
def work():
    return score.map(ITEMS).result()


if __name__ == "__main__":
    work()
'''
