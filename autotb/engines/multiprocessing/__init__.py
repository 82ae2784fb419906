"""multiprocessing: ``Process`` and ``Pool`` (fork, spawn, forkserver), and ``pool.ThreadPool``.

``Pool`` pickles exceptions inside ``ExceptionWithTraceback`` and keeps the worker's traceback as text; the record rides on that
wrapper's ``__reduce__``.  It waits for ever when what a worker sends cannot be unpickled, when a task raises KeyboardInterrupt
or SystemExit, and when the initializer fails; here these end with an error.  ``Process`` prints its error itself, in the child.
CPython 3.10 to 3.15.  Source: https://docs.python.org/3/library/multiprocessing.html
"""

from __future__ import annotations

import functools

from autotb import engine_facts
from autotb.assumption import Lost
from autotb.engines.multiprocessing import driver, internals, process, receiver, worker
from autotb.instrument import inherited_settings, submission
from autotb.instrument.patch import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULES = ("multiprocessing.pool", "multiprocessing.process", "multiprocessing.spawn")
NAME = "multiprocessing"
DISTRIBUTION = None
CAPTURED = "Pool (apply, map, starmap, imap, imap_unordered, the _async forms, initializers), ThreadPool, Process"


def declare(package: str, **more: Any) -> None:
    """Register the facts of ``multiprocessing``, or of another package of the same make (``multiprocess``)."""
    internals.contexts.append(f"{package}.context")
    engine_facts.register(
        asks=((f"{package}.pool", "get"), (f"{package}.pool", "next")),
        runs=((f"{package}.pool", "worker"),),
        crashes=("autotb.WorkerDied",),
        remote_texts=(f"{package}.pool.RemoteTraceback",),
        openers=(driver.opened,),
        **more,
    )


declare("multiprocessing", hints=((process.waits_for_a_lock, process.FORKED),))


def patches(package: str) -> tuple[Patch, ...]:
    """The patches of ``multiprocessing``, or of another package of the same make."""
    pools, processes = f"{package}.pool", f"{package}.process"
    # An engine on the standard library's pools that notes the place itself (joblib) makes one job a task: the search ends there.
    job_init = functools.partial(submission.on_self, through_engines=package != "multiprocessing")
    return (
        *inherited_settings.patches(f"{package}.spawn"),
        Patch(processes, "BaseProcess.start", process.wrap_start, costs=Lost.SITE),
        Patch(processes, "BaseProcess._bootstrap", process.wrap_bootstrap, costs=Lost.RECORD),
        Patch(pools, "ApplyResult.__init__", job_init, costs=Lost.SITE),
        Patch(pools, "IMapIterator.__init__", submission.on_self, costs=Lost.SITE),
        Patch(pools, "ApplyResult.get", driver.wrap_get, costs=Lost.SITE),
        Patch(pools, "IMapIterator.next", driver.wrap_get, alias="__next__", costs=Lost.SITE),
        Patch(pools, "worker", worker.wrap_worker, costs=Lost.WAITS),
        Patch(pools, "ExceptionWithTraceback.__init__", worker.wrap_boxed_init, costs=Lost.RECORD),
        Patch(pools, "ExceptionWithTraceback.__reduce__", driver.wrap_reduce, costs=Lost.FIT),
        Patch(pools, "rebuild_exc", driver.wrap_rebuild, costs=Lost.RECORD),
        Patch(pools, "Pool._setup_queues", driver.wrap_setup_queues, costs=Lost.WAITS),
        Patch(pools, "Pool._handle_results", receiver.wrap_handle_results, costs=Lost.WAITS),
        Patch(pools, "Pool._join_exited_workers", driver.wrap_join_exited, costs=Lost.WAITS),
        Patch(pools, "Pool._maintain_pool", driver.wrap_maintain, costs=Lost.WAITS),
        Patch(pools, "Pool._help_stuff_finish", driver.wrap_help_finish, costs=Lost.WAITS),
        Patch(pools, "Pool.join", driver.wrap_join, costs=Lost.WAITS),
        Patch(pools, "Pool.terminate", driver.wrap_terminate, costs=Lost.DEATH),
    )


PATCHES = patches("multiprocessing")
ASSUMPTIONS = internals.ALL

#: What ``python -m autotb demo --engine multiprocessing`` runs: a user's script.
DEMO = '''\
"""multiprocessing.Pool scores 300 items; one of them is bad."""

import time
from multiprocessing import Pool

from rich.progress import Progress

ITEMS = [{"id": n, "clicks": n % 7, "views": 500 - n} for n in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


def score(item):
    time.sleep(0.003)
    return item["id"], rate(item["clicks"], item["views"])


def main():
    scores = {}
    with Pool(2) as pool, Progress() as bar:
        for number, value in bar.track(pool.imap(score, ITEMS), total=300):
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
'''
