"""Dask on this machine: ``compute()`` with the threaded, process and synchronous schedulers, for delayed, bag, array, dataframe.

All three run a task in ``dask.local.execute_task``, which hands what it raises to a function that packs it: into a pair with the
traceback (threads), into a pickle of both (processes; tblib, where it is installed, makes the traceback pickle).  An exception
that cannot be pickled would be replaced by the pickler's error: it is made fit to travel.  The record rides on the exception.
The cluster, ``distributed``, has an adapter of its own.  Source: https://docs.dask.org/en/stable/scheduling.html
"""

from __future__ import annotations

import functools
import sys

from autotb import assumption, engine_facts
from autotb.assumption import Attributes, Frame, Lost, Text
from autotb.engines import dask_bags, dask_calls, dask_operations
from autotb.instrument import lazy, submission
from autotb.instrument.patch import Patch
from autotb.record import static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any

    from autotb.instrument.types import Function

MODULES = (
    "dask.base",
    "dask.local",
    "dask.multiprocessing",
    "dask.delayed",
    "dask.bag.core",
    "dask.array.core",
    "dask.dataframe.dask_expr._collection",
    "xarray.core.parallel",
)
NAME = "Dask"
DISTRIBUTION = "dask"
CAPTURED = "delayed, bag, array, dataframe: compute() with the threaded, process and synchronous schedulers"
TESTED = "2023.5 to 2026.8"

REMOTE = Attributes(
    "dask.multiprocessing",
    "RemoteException",
    "exception",
    "traceback",
    costs="where tblib is missing: the worker's exception and frames",
)


def _open(exc: BaseException) -> engine_facts.Opened | None:
    """Without tblib the exception comes back inside a ``RemoteException``, with the worker's traceback as text."""
    module = sys.modules.get("dask.multiprocessing")
    if module is None or not issubclass(type(exc), module.RemoteException):
        return None
    from autotb.record.capture import attached

    inner, text = REMOTE.read(exc) or (None, None)
    return engine_facts.Opened(
        headline=inner if issubclass(type(inner), BaseException) else None,
        text=f"Traceback (most recent call last):\n{text}" if isinstance(text, str) and not attached(exc) else None,
    )


META = Text(
    "dask.dataframe.utils",
    r"Metadata inference failed(?P<where> in `.*`)?\.",
    words=("Metadata inference failed",),
    costs="one story for an error in Dask's trial of a function, in place of three",
)
DTYPE = Text(
    "dask.array.core",
    r"`dtype` inference failed(?P<where> in `.*`)?\.",
    words=("`dtype` inference failed",),
    costs="the user's frames of an error in Dask's trial of a function",
)
TRIAL = Frame("dask.array.core", "apply_infer_dtype", "exc_value", costs=DTYPE.costs)


def _open_trial(exc: BaseException) -> engine_facts.Opened | None:
    """A function failed on what Dask made up to learn what it returns: the error's own message is a copy of that traceback."""
    if type(exc) is not ValueError or not ("dask.array.core" in sys.modules or "dask.dataframe.utils" in sys.modules):
        return None
    text = next(map(static.text_of, static.args_of(exc)), "")
    found, keyword = META.match(text), "meta"
    root = static.cause_of(exc) if found is not None else None
    if found is None:
        found, keyword = DTYPE.match(text), "dtype"
        root = _tried(static.traceback_of(exc)) if found is not None else None
    if found is None or not static.is_exception(root):
        return None
    remedy = f"; {keyword}= tells Dask instead" if f"{keyword}=" in text or "keyword" in text or "kwarg" in text else ""
    said = f"{found[0].removesuffix('.')}: Dask calls it with made-up data to learn what it returns{remedy}"
    return engine_facts.Opened(roots=(root,), broken=(said,))


def _tried(tb: TracebackType | None) -> Any:
    """The error of the function, which only a frame of Dask's still holds."""
    found = None
    while tb is not None:
        (found,) = assumption.read(tb.tb_frame, TRIAL) or (found,)
        tb = tb.tb_next
    return found


WAITING = Frame("queue", "Queue.get", "self", costs=Lost.WAITED)  # Dask takes its own frames out of the traceback
_MOST = 100  # results that nobody took are looked at


def _interrupted(error: BaseException) -> dict[Any, Any]:
    """What a Ctrl-C has ended in processes of a pool: their outcomes came, and nobody took them."""
    from autotb.instrument import pool_tasks

    found: dict[Any, Any] = {}
    tb = static.traceback_of(error)
    while tb is not None:
        (queue,) = assumption.read(tb.tb_frame, WAITING) or (None,)
        for future in list(getattr(queue, "queue", ()))[:_MOST]:
            for raised in _raised(future):
                found.update(pool_tasks.interrupted(raised, None))
        tb = tb.tb_next
    return found


def _raised(future: Any) -> Iterator[KeyboardInterrupt]:
    """The interrupts among the outcomes of a batch, each a key, what came of it, and whether that is an error."""
    if static.name(type(future)) != "Future" or future.exception(0) is not None or type(future.result(0)) is not list:
        return
    for outcome in future.result(0):
        if type(outcome) is tuple and len(outcome) == 3 and outcome[2] is True and type(outcome[1]) is bytes:
            error = sys.modules["dask.multiprocessing"]._loads(outcome[1])[0]
            if type(error) is KeyboardInterrupt:
                yield error


def _keys(function: Any, args: Any) -> str:
    """The tasks, by their keys, of a batch that goes to a pool."""
    if static.module_of(function) != "dask.local" or not args or type(args[0]) is not list or not args[0]:
        return ""
    key, more = args[0][0][0], len(args[0]) - 1
    return f"task {key}" + (f" and {more:,} more" if more else "")


engine_facts.register(
    own=("dask", "distributed", "tblib", "toolz", "tlz", "cytoolz"),
    runs=(("dask.local", "execute_task"),),
    openers=(_open, _open_trial),
    running=(_interrupted,),
    names=(_keys,),
    shown={"fsspec.core.OpenFile": "path"},
)


def _wrap_execute_task(original: Function) -> Function:
    """Runs a task, in a thread or a process, and packs what it raises by the last argument: ours goes around that."""

    @functools.wraps(original)
    def execute_task(
        key: object, task_info: object, dumps: Function, loads: Function, get_id: Function, pack_exception: Function
    ) -> Any:
        pack = pack_exception
        name = pack.__name__ if hasattr(pack, "__name__") else ""
        if name in ("pack_exception", "default_pack_exception"):
            pack = functools.partial(_pack, pack, loads, key)
        return original(key, task_info, dumps, loads, get_id, pack)

    return execute_task


def _pack(original: Function, loads: Function, key: object, exc: BaseException, dumps: Function) -> Any:
    try:
        from autotb.instrument import executor_worker
        from autotb.record import annotate, build, pickling

        tb = static.traceback_of(exc)
        in_process = original.__module__ == "dask.multiprocessing"
        where = _WHERE.get(original.__module__, "in a Dask worker thread")
        ran = executor_worker.ran(exc) if in_process else None
        label = f"task {key}" if type(key) in (str, tuple) else None  # a tuple says which part of a collection it is
        hop = build.hop("dask", where, call=dask_calls.of(tb), label=label, ran=ran, twice=True)
        hop.update(dask_operations.of(tb))
        tree = build.record(exc, tb, hop)
        if in_process:
            return original(pickling.packed(exc, tree, dumps, loads), dumps)
        annotate.attach(exc, tree)
    except Exception:
        pass  # then as Dask does it
    try:
        return original(exc, dumps)  # which raises it, where there are no workers
    except BaseException as error:
        tb = static.traceback_of(error)
        BaseException.with_traceback(error, tb.tb_next if tb is not None else None)
        raise


_WHERE = {"dask.multiprocessing": "in a Dask worker", "dask.local": "in Dask's synchronous scheduler"}


def _wrap_remote_exception(original: Function) -> Function:
    """The exception that the program gets where tblib is missing; the record hangs on the one inside it."""

    @functools.wraps(original)
    def remote_exception(exc: BaseException, tb: TracebackType | None) -> Any:
        made = original(exc, tb)
        try:
            from autotb.record import annotate
            from autotb.record.capture import attached

            tree = attached(exc)
            if tree is not None and made is not exc:
                annotate.attach(made, tree)
        except Exception:
            pass  # the text is read
        return made

    return remote_exception


def _note_computed(error: BaseException, *_: object) -> None:
    """Every ``compute()`` runs its graph here: when it fails, the user's line that asked for it is up the stack."""
    from autotb.record.capture import attached

    hops = (attached(error) or {}).get("hops") or ()
    for hop in hops:
        lazy.note_made(hop)
        dask_operations.note_made(hop)
    if hops:
        submission.note_caller(error)


_OPERATIONS = {
    "dask.array.core": ("map_blocks",),
    "xarray.core.parallel": ("map_blocks",),
    "dask.dataframe.dask_expr._collection": (
        *("FrameBase.map_partitions", "DataFrame.apply", "DataFrame.map", "Series.apply", "Series.map"),
    ),
}
PATCHES = (
    Patch("dask.local", "execute_task", _wrap_execute_task, costs=Lost.RECORD),
    Patch(
        "dask.local",
        "get_async",
        submission.when_raised(_note_computed, Exception),
        also=("dask.threaded", "dask.multiprocessing"),
        costs=Lost.SITE,
    ),
    Patch("dask.multiprocessing", "remote_exception", _wrap_remote_exception, costs=Lost.RECORD),
    Patch("dask.delayed", "DelayedLeaf.__call__", dask_operations.wrap_delayed, costs=lazy.COSTS),
    *(
        Patch(module, name, lazy.operation, optional=True, costs=lazy.COSTS)
        for module, names in _OPERATIONS.items()
        for name in names
    ),
    *dask_operations.PATCHES,
    *dask_bags.PATCHES,
)
ASSUMPTIONS = (REMOTE, META, DTYPE, TRIAL, WAITING, *dask_operations.ASSUMPTIONS, *dask_bags.ASSUMPTIONS)


def probe(given: dict[str, Any], timeout: float) -> Iterator[Any]:
    """For ``doctor --engine``."""
    from distributed import Client

    from autotb.instrument.workers import configured

    client = configured(given, "client", Client, "Dask") or Client(n_workers=1, threads_per_worker=1, dashboard_address=None)
    client.wait_for_workers(1, timeout=timeout)

    def ask(expression: str) -> list[tuple[str, Any]]:
        return [(f"worker {address}", answer) for address, answer in client.run(eval, expression).items()]

    try:
        yield ask
    finally:
        client.close()
        if client.cluster is not None:
            client.cluster.close()


#: What ``python -m autotb demo --engine dask`` runs: a user's script.
DEMO = '''\
"""Dask computes a small graph on processes; one branch fails."""

import dask

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    branches = [dask.delayed(score)(item) for item in ITEMS]
    return dask.delayed(sum)(branches).compute(scheduler="processes", num_workers=2)


if __name__ == "__main__":
    main()
'''
