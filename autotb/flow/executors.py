"""Where calls run: one small interface for the executors that people have.

Flows in: an executor of ``concurrent.futures`` (joblib's loky and mpi4py's among them), ``"threads"``, ``"processes"``,
``"ray"``, a Dask ``Client`` or Parsl's ``DataFlowKernel``.  Flows out: :class:`Runner`, whose ``submit`` gives a
``concurrent.futures.Future``."""

from __future__ import annotations

import os
import sys
import uuid
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from autotb.flow.chunks import Sealed
from autotb.flow.steps import name_of

_CLUSTER = 64  # workers for which a map over a cluster is cut in chunks, at least


class Runner:
    """Submits calls; ``workers`` is how many run at once, as far as that is known: with the first call it may become known.

    ``submit(function, args, resources)`` gives a future; ``resources`` is what the step asks for, in the engine's own terms, or
    None.  An engine that takes no such requests passes them over.  ``by_value`` tells whether the engine pickles functions that
    have no name in a module, as cloudpickle and dill do; ``carries_ends`` whether a SystemExit of a call comes back, which others
    take for the end of their worker; ``repeats(resources)`` whether it may make what it was given a second
    time, by itself, after the death of a worker; ``over`` is a file that is made once the run is over, where that has to be told
    to workers of an engine that cannot cancel.
    """

    def __init__(
        self,
        submit: Callable[[Any, tuple[Any, ...], Any], Future[Any]],
        workers: int,
        own: Executor | None = None,
        cancel: Callable[[Future[Any]], object] = Future.cancel,
        by_value: bool = True,
        queues: bool = False,
        repeats: Callable[[Any], bool] | None = None,
        carries_ends: bool = True,
        over: str = "",
    ) -> None:
        self.carries_ends, self.over = carries_ends, over
        self.by_value, self.queues, self.repeats = by_value, queues, repeats or _never
        self.submit, self.workers, self._own, self._cancel = submit, max(1, workers), own, cancel

    def cancel(self, future: Future[Any]) -> None:
        """Let it not begin, where the engine can do that."""
        try:
            self._cancel(future)
        except Exception:
            pass  # it may be beyond it

    def close(self, wait: bool = True) -> None:
        """End an executor that was made for this run; what was not begun is cancelled, what runs is waited for if ``wait``."""
        if self._own is not None:
            if not wait:
                _keep(self._own)
            self._own.shutdown(wait=wait, cancel_futures=True)


_left: list[tuple[Executor, Any]] = []  # pools of processes that are ending, and the threads that end them


def _keep(pool: Executor) -> None:
    """Hold a pool until it has ended.

    Its thread has the pool's lock while it waits for its processes, and a process that is forked meanwhile has it too, for ever:
    one that collects its copy of the pool takes that lock (``weakref_cb``, from Python 3.12 on).
    """
    _left[:] = [one for one in _left if one[1].is_alive()]
    thread = getattr(pool, "_executor_manager_thread", None)
    if thread is not None:
        _left.append((pool, thread))


def runner(executor: Any) -> Runner:
    """The runner of an executor.  Raises TypeError for what is none, and ImportError for ``"ray"`` where it is not installed."""
    check(executor)
    if executor == "threads":
        count = min(32, _cores() + 4)
        pool: Executor = ThreadPoolExecutor(count, thread_name_prefix="autotb-map")
        return Runner(_plain(pool), count, pool, by_value=False)
    if executor == "processes":
        pool = ProcessPoolExecutor(_cores())
        return Runner(_plain(pool), _cores(), pool, by_value=False)
    if executor == "ray":
        return _ray()
    if isinstance(executor, Executor):
        told = _workers_of(executor)
        by_value = "loky" in type(executor).__module__
        workers = told or _at_least(_cores())
        return Runner(
            _plain(executor),
            workers,
            by_value=by_value,
            queues=told is None,
            repeats=_may_repeat(executor),
            carries_ends="distributed" not in type(executor).__module__,  # `Client.get_executor` gives one
        )
    if _is(executor, "distributed.client", "Client"):
        workers = _at_least(sum(executor.nthreads().values()))
        return Runner(_dask(executor), workers, cancel=_cancel_theirs, queues=True, repeats=_always, carries_ends=False)
    workers = _at_least(_parsl_workers(executor))
    over = _parsl_over(executor)
    return Runner(
        _parsl(executor),
        workers,
        cancel=lambda _: _say_over(over),
        repeats=_parsl_repeats(executor),
        carries_ends=False,
        over=over,
    )


def check(executor: Any) -> None:
    """Raises TypeError for what :func:`runner` does not take."""
    if isinstance(executor, str) and executor in ("threads", "processes", "ray"):
        return
    if isinstance(executor, Executor) or _is(executor, "parsl.dataflow.dflow", "DataFlowKernel"):
        return
    if _is(executor, "distributed.client", "Client"):
        if executor.asynchronous:
            raise TypeError(
                "executor is an asynchronous Dask Client, which only its event loop can ask: give one without asynchronous=True"
            )
        return
    raise TypeError(
        f"executor is a concurrent.futures.Executor, 'threads', 'processes', 'ray', a Dask Client or Parsl's DataFlowKernel, "
        f"not {executor!r}"
    )


def _plain(pool: Executor) -> Callable[[Any, tuple[Any, ...], Any], Future[Any]]:
    def submit(function: Any, args: tuple[Any, ...], _resources: Any) -> Future[Any]:
        return pool.submit(function, *args)

    return submit


def _always(_resources: Any) -> bool:
    return True


def _never(_resources: Any) -> bool:
    return False


_ONCE = ("loky", "mpi4py")  # packages whose executors give up when a worker dies


def _may_repeat(executor: Executor) -> Callable[[Any], bool]:
    """Python's own executors and these make nothing twice; of others (Dask's, ipyparallel's) nobody knows."""
    is_own = isinstance(executor, (ThreadPoolExecutor, ProcessPoolExecutor))
    return _never if is_own or any(name in type(executor).__module__.split(".") for name in _ONCE) else _always


def _parsl_repeats(kernel: Any) -> Callable[[Any], bool]:
    return _always if getattr(getattr(kernel, "config", None), "retries", 1) else _never


def _ray_repeats(resources: Any) -> bool:
    """Where the step says so: the flow itself asks for no retries."""
    return isinstance(resources, Mapping) and bool(resources.get("max_retries") or resources.get("retry_exceptions"))


def _mapping(resources: Any, engine: str) -> dict[str, Any]:
    if not isinstance(resources, Mapping):
        raise TypeError(f"resources for {engine} are a mapping, in its own terms, not {resources!r}")
    return dict(resources)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _at_least(workers: int) -> int:
    """Of a cluster, which may have more workers later on than it has now."""
    return max(_CLUSTER, workers)


def _parsl_workers(kernel: Any) -> int:
    """How many workers Parsl's executors may have, as far as they say."""
    found = 0
    for executor in kernel.executors.values():
        try:
            provider = getattr(executor, "provider", None)
            nodes = provider.nodes_per_block * provider.max_blocks if provider is not None else 1
            each = getattr(executor, "max_threads", None) or executor.max_workers_per_node
            found += int(min(each, 1_000) * nodes)
        except Exception:
            found += _cores()  # it says nothing of that
    return found


def _workers_of(executor: Executor) -> int | None:
    count = getattr(executor, "_max_workers", None)
    return count if isinstance(count, int) and count > 0 else None


def _is(value: Any, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _ray() -> Runner:
    import ray

    remotes: dict[Any, Any] = {}
    refs: weakref.WeakKeyDictionary[Future[Any], Any] = weakref.WeakKeyDictionary()

    def begin() -> int:
        """How many workers there are.  Ray takes seconds to start: a run that is resumed may have no call to make."""
        if not ray.is_initialized():
            ray.init(log_to_driver=False, include_dashboard=False)
        return _at_least(int(ray.cluster_resources().get("CPU", 1)))

    def submit(function: Any, args: tuple[Any, ...], resources: Any) -> Future[Any]:
        if not remotes:
            made.workers = begin()
        if function not in remotes:
            remotes[function] = ray.remote(max_retries=0)(function)
        remote = remotes[function] if resources is None else remotes[function].options(**_mapping(resources, "Ray"))
        ref = remote.remote(*args)
        future: Future[Any] = ref.future()
        refs[future] = ref
        return future

    def cancel(future: Any) -> None:
        ray.cancel(refs[future])

    workers = begin() if ray.is_initialized() else _at_least(_cores())
    made = Runner(submit, workers, cancel=cancel, queues=True, repeats=_ray_repeats, carries_ends=False)
    return made


def _dask(client: Any) -> Callable[[Any, tuple[Any, ...], Any], Future[Any]]:
    def submit(function: Any, args: tuple[Any, ...], resources: Any) -> Future[Any]:
        made: Future[Any] = Future()
        made.set_running_or_notify_cancel()  # it is Dask's future that can be cancelled
        asked = {} if resources is None else {"resources": _mapping(resources, "Dask")}
        # Sealed: Dask would look into lists, and take a tuple that begins with a function for a task of its own.
        theirs = client.submit(Sealed(function, args), pure=False, key=f"{name_of(args[0])}-{uuid.uuid4().hex}", **asked)

        async def fetch() -> None:
            try:
                made.set_result(await client.gather(theirs, asynchronous=True))
            except BaseException as error:
                made.set_exception(error)
            theirs.release()  # the cluster need not keep it any longer

        made._autotb_dask = theirs  # type: ignore[attr-defined]  # released with it
        # In the client's loop: callbacks of Dask's futures wait for each other in one thread, and a result that got lost with its
        # worker, which Dask may wait for for ever, would keep the error of the worker's death from being seen.
        client.loop.add_callback(fetch)
        return made

    return submit


def _cancel_theirs(future: Any) -> None:
    future._autotb_dask.cancel()


def _parsl_over(kernel: Any) -> str:
    """The file that is to say that a run is over, in the folder of this run of Parsl's; none where all workers are threads of
    this process, which know."""
    kinds = {type(executor).__name__ for label, executor in kernel.executors.items() if label != "_parsl_internal"}
    folder = getattr(kernel, "run_dir", "")
    return (
        os.path.join(os.path.abspath(folder), f"autotb-over-{uuid.uuid4().hex}")
        if folder and kinds != {"ThreadPoolExecutor"}
        else ""
    )


def _say_over(file: str) -> None:
    if file:
        with open(file, "w"):
            pass


def _parsl(kernel: Any) -> Callable[[Any, tuple[Any, ...], Any], Future[Any]]:
    def submit(function: Any, args: tuple[Any, ...], resources: Any) -> Future[Any]:
        asked = {} if resources is None else {"parsl_resource_specification": _mapping(resources, "Parsl")}
        found: Future[Any] = kernel.submit(
            function, app_args=args, executors="all", cache=False, ignore_for_cache=None, app_kwargs=asked, join=False
        )
        return found

    return submit
