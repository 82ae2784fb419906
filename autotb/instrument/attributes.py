"""Every attribute that autotb puts on others' objects: one table, which a test holds against the code.

Nothing imports it while programs run; it is for whoever sees one and wonders.  Beside these there is ``__autotb__``, the record
in the ``__dict__`` of an exception that came from a worker (``record.capture.KEY``).
"""

from __future__ import annotations

from typing import NamedTuple


class Attribute(NamedTuple):
    """A name; the type of what it holds; the objects that bear it, and what for; the modules that write it, and that read it."""

    name: str
    type: str
    on: str
    written: tuple[str, ...]
    read: tuple[str, ...]


TABLE = (
    Attribute(
        "_autotb",
        "Tree | Light | None",
        "the box in which an engine pickles an exception: the record, until it is pickled",
        ("engines.multiprocessing.worker", "engines.parsl", "engines.torch", "instrument.exception_wrappers"),
        ("engines.joblib", "engines.parsl", "engines.torch", "instrument.engine_frames"),
    ),
    Attribute(
        "_autotb_actor",
        "tuple[str, str, str]",
        "the event of a Dask actor's future: the address of its worker, the actor's key, the method",
        ("engines.distributed_actors",),
        ("engines.distributed_actors",),
    ),
    Attribute(
        "_autotb_autopsy",
        "Autopsy",
        "a pool's manager thread: what is known of its dead workers",
        ("postmortem.executor_deaths",),
        ("postmortem.executor_deaths",),
    ),
    Attribute(
        "_autotb_begun",
        "int",
        "a Process: when it was started, in nanoseconds",
        ("engines.multiprocessing.process",),
        ("postmortem.status_reader",),
    ),
    Attribute(
        "_autotb_broken",
        "bool",
        "a multiprocessing.Pool: that it takes no more work",
        ("engines.multiprocessing.recovery",),
        ("engines.multiprocessing.recovery",),
    ),
    Attribute(
        "_autotb_call",
        "Call",
        "a failed future: its call, where it is small, to be submitted again",
        ("instrument.resubmit",),
        ("instrument.future_handles",),
    ),
    Attribute(
        "_autotb_dask",
        "distributed.Future",
        "the future of a step on Dask: the Dask future, released with it",
        ("flow.executors",),
        ("flow.executors",),
    ),
    Attribute(
        "_autotb_dead",
        "tuple[list[Hop], Tree | None]",
        "a future: the hops of the workers that took its task with them, and what they died of",
        ("postmortem.executor_deaths",),
        ("engines.futures", "postmortem.executor_deaths"),
    ),
    Attribute(
        "_autotb_given",
        "tuple[Any, ...] | None",
        "a future: the snapshot of what its call was given",
        ("engines.futures", "engines.loky", "instrument.future_handles"),
        ("instrument.call_snapshot",),
    ),
    Attribute(
        "_autotb_launched",
        "tuple[Any, ...] | None",
        "a Parsl future: the snapshot of what the first attempt ran with",
        ("engines.parsl.upstream",),
        ("engines.parsl.upstream",),
    ),
    Attribute(
        "_autotb_left",
        "dict[int, Remains]",
        "a multiprocessing.Pool: what its dead workers left, by process",
        ("engines.multiprocessing.recovery",),
        ("engines.multiprocessing.recovery",),
    ),
    Attribute(
        "_autotb_lines",
        "tuple[list[tuple[int, list[str]]], list[str]]",
        "what rich has read of an exception: the lines between its frames, and those below them",
        ("environments.rich",),
        ("environments.rich",),
    ),
    Attribute(
        "_autotb_pool",
        "delivery.Pool | weakref.ref[Pool]",
        "an executor: which of its failures the program knows; a Pool's queue of results: the pool",
        ("engines.multiprocessing.driver", "instrument.delivery"),
        ("engines.futures", "engines.multiprocessing.receiver", "engines.multiprocessing.recovery", "instrument.delivery"),
    ),
    Attribute(
        "_autotb_site",
        "Site | None",
        "a future, a task, a thread: where the work was submitted",
        (
            "engines.asyncio",
            "engines.celery.results",
            "engines.distributed_actors",
            "engines.futures",
            "engines.joblib",
            "engines.loky",
            "engines.parsl",
            "engines.parsl.upstream",
            "engines.pebble",
            "engines.threads",
            "instrument.future_handles",
            "instrument.submission",
        ),
        (
            "engines.celery",
            "engines.celery.results",
            "engines.distributed_actors",
            "engines.futures",
            "engines.multiprocessing.driver",
            "engines.multiprocessing.receiver",
            "engines.multiprocessing.recovery",
            "engines.multiprocessing.waits",
            "engines.parsl.interrupts",
            "engines.parsl.upstream",
            "engines.pebble",
            "engines.prefect",
            "hooks.events",
            "instrument.flood",
            "instrument.future_handles",
            "instrument.pool_tasks",
            "instrument.submission",
            "postmortem.executor_deaths",
        ),
    ),
    Attribute(
        "_autotb_started",
        "Place | None",
        "a Process: the place of its start()",
        ("engines.multiprocessing.process",),
        ("hooks.events",),
    ),
    Attribute(
        "_autotb_submitted",
        "tuple[tuple[Any, ...], dict[str, Any], Any]",
        "a Parsl future: the call as the program made it",
        ("engines.parsl",),
        ("engines.parsl.upstream",),
    ),
    Attribute(
        "_autotb_told_by_driver",
        "bool",
        "a Dask worker's process: that the driver tells its failures",
        ("engines.distributed",),
        ("engines.distributed_logs",),
    ),
    Attribute(
        "_autotb_task",
        "tuple[str, Any, Any]",
        "a result of Celery's: the task's name and, where they are small, its arguments",
        ("engines.celery.results",),
        ("engines.celery.results",),
    ),
    Attribute(
        "_autotb_uncertain",
        "set[int]",
        "a Pool's queue of results: processes that leave no word of what they do",
        ("engines.multiprocessing.receiver",),
        ("engines.multiprocessing.receiver", "engines.multiprocessing.recovery"),
    ),
    Attribute(
        "_autotb_waited",
        "Waited | Seen | Asked",
        "an error by which a wait ended: the future or the results that were asked; a Ctrl-C: what ran when a pool was left",
        ("engines.celery.results", "instrument.waiting", "instrument.interrupted"),
        ("engines.celery.results", "instrument.waiting", "instrument.interrupted"),
    ),
    Attribute(
        "_autotb_waiting",
        "Waiting",
        "a Pool's queue of results: what half a message was worth",
        ("engines.multiprocessing.recovery",),
        ("engines.multiprocessing.receiver", "engines.multiprocessing.recovery"),
    ),
    Attribute(
        "_autotb_watch",
        "Watch",
        "a failed future: what reports it where it is never retrieved",
        ("instrument.flood", "instrument.unretrieved"),
        ("engines.futures", "instrument.unretrieved"),
    ),
)
