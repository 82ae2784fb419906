"""Where calls run: one small interface for the executors that people have.

Flows in: an executor of ``concurrent.futures`` (joblib's loky and mpi4py's among them), ``"threads"``, ``"processes"``,
``"ray"``, a Dask ``Client`` or Parsl's ``DataFlowKernel``.  Flows out: :class:`Runner`, whose ``submit`` gives a
``concurrent.futures.Future``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any


class Runner:
    """Submits calls; ``workers`` is how many run at once, as far as that is known."""

    def __init__(self, submit: Callable[..., Future[Any]], workers: int, own: Executor | None = None) -> None:
        self.submit, self.workers, self._own = submit, max(1, workers), own

    def close(self, wait: bool = True) -> None:
        """End an executor that was made for this run; what was not begun is cancelled, what runs is waited for if ``wait``."""
        if self._own is not None:
            self._own.shutdown(wait=wait, cancel_futures=True)


def runner(executor: Any) -> Runner:
    """The runner of an executor.  Raises TypeError for what is none, and ImportError for ``"ray"`` where it is not installed."""
    if executor == "threads":
        count = min(32, _cores() + 4)
        pool: Executor = ThreadPoolExecutor(count, thread_name_prefix="autotb-map")
        return Runner(pool.submit, count, pool)
    if executor == "processes":
        pool = ProcessPoolExecutor(_cores())
        return Runner(pool.submit, _cores(), pool)
    if executor == "ray":
        return _ray()
    if isinstance(executor, Executor):
        return Runner(executor.submit, _workers_of(executor))
    if _is(executor, "distributed.client", "Client"):
        return Runner(_dask(executor), sum(executor.nthreads().values()))
    if _is(executor, "parsl.dataflow.dflow", "DataFlowKernel"):
        return Runner(_parsl(executor), _cores())
    raise TypeError(
        f"executor is a concurrent.futures.Executor, 'threads', 'processes', 'ray', a Dask Client or Parsl's DataFlowKernel, "
        f"not {executor!r}"
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _workers_of(executor: Executor) -> int:
    count = getattr(executor, "_max_workers", None)
    return count if isinstance(count, int) else _cores()


def _is(value: Any, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _ray() -> Runner:
    import ray

    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)

    def submit(function: Any, *args: Any) -> Future[Any]:
        found: Future[Any] = ray.remote(max_retries=0)(function).remote(*args).future()
        return found

    return Runner(submit, int(ray.cluster_resources().get("CPU", 1)))


def _dask(client: Any) -> Callable[..., Future[Any]]:
    def submit(function: Any, *args: Any) -> Future[Any]:
        made: Future[Any] = Future()
        theirs = client.submit(function, *args, pure=False)

        def done(finished: Any) -> None:
            try:
                made.set_result(finished.result())
            except BaseException as error:
                made.set_exception(error)

        theirs.add_done_callback(done)
        made._autotb_dask = theirs  # type: ignore[attr-defined]  # released with it
        return made

    return submit


def _parsl(kernel: Any) -> Callable[..., Future[Any]]:
    def submit(function: Any, *args: Any) -> Future[Any]:
        found: Future[Any] = kernel.submit(
            function, app_args=args, executors="all", cache=False, ignore_for_cache=None, app_kwargs={}, join=False
        )
        return found

    return submit
