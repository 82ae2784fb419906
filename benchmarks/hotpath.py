"""The success path: what a task costs with autotb and without, in pools of threads and of processes, Ray and Parsl apart.

Both sides run in one interpreter: patches are put on and taken off between the timings, so that nothing else differs.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from benchmarks.measure import Row, pairs, python, row


def rows() -> list[Row]:
    """The hot-path budgets."""
    return [_result(), _threads(), _long_module(), _given(), _processes(), _memory(), _collect()]


def _switched(function: Any) -> tuple[Any, Any]:
    """The same timing with autotb's patches on and with them off."""
    import autotb

    def with_it() -> float:
        autotb.install()
        return float(function())

    def without() -> float:
        autotb.uninstall()
        return float(function())

    return with_it, without


def _result() -> Row:
    future: Future[int] = Future()
    future.set_result(1)
    loops = 200_000

    def timing() -> float:
        result = future.result
        start = time.perf_counter()
        for _ in range(loops):
            result()
        return (time.perf_counter() - start) / loops * 1e9

    with_it, without = _switched(timing)
    differences = []
    for _ in range(15):
        first = with_it()
        differences.append(first - without())
    return row("Future.result() on a finished future, added", differences, 50, "ns")


def _nothing(_: Any = None) -> None:
    return None


def _threads() -> Row:
    loops = 5_000

    def timing() -> float:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_nothing).result()
            start = time.perf_counter()
            for _ in range(loops):
                pool.submit(_nothing).result()
            return time.perf_counter() - start

    return pairs("submit → result of an empty task, threads", *_switched(timing), 1.08, count=25)


def _long_module() -> Row:
    """Submitted by code that is long, as a module's own is: to look that up must not cost by its length."""
    functions = "\n".join(f"def f{at}(a, b={at}): return [a, b, 'text{at}', ({at}, {at}.5)]" for at in range(60))
    loop = "start = clock()\nfor _ in range(5_000): pool.submit(task).result()\nspent.append(clock() - start)\n"
    code = compile(loop + functions, __file__, "exec")

    def timing() -> float:
        spent: list[float] = []
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_nothing).result()
            exec(code, {"pool": pool, "task": _nothing, "clock": time.perf_counter, "spent": spent})
        return spent[0]

    return pairs("submit → result of an empty task, threads, by a long module", *_switched(timing), 1.12, count=15)


_GIVEN = """
import json, time
from concurrent.futures import ThreadPoolExecutor
def nothing(given): pass
with ThreadPoolExecutor(1) as pool:
    pool.submit(nothing, {"a": 1}).result()
    start = time.process_time()
    for number in range(5_000): pool.submit(nothing, {"a": number}).result()
    print(json.dumps(time.process_time() - start))
"""


def _given() -> Row:
    """A task that is given what can change, in a program that does not import autotb."""

    def timing(autotb: str) -> float:
        return float(json.loads(python(_GIVEN, autotb=autotb)))

    return pairs("submit → result of a task given a dict, threads: CPU", lambda: timing("1"), lambda: timing("0"), 1.12, count=15)


def _processes() -> Row:
    loops = 2_000

    def timing() -> float:
        with ProcessPoolExecutor(1) as pool:
            pool.submit(_nothing).result()
            start = time.perf_counter()
            for _ in range(loops):
                pool.submit(_nothing).result()
            return time.perf_counter() - start

    return pairs("submit → result of an empty task, processes", *_switched(timing), 1.02, count=25)


def _memory() -> Row:
    count = 2_000

    def timing() -> float:
        with ThreadPoolExecutor(1) as pool:
            gate = pool.submit(time.sleep, 0.3)
            gc.collect()
            tracemalloc.start()
            held = [pool.submit(_nothing) for _ in range(count)]
            used = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            gate.result()
            held[-1].result()
            return used / count

    with_it, without = _switched(timing)
    return row("memory of an outstanding future, added", [with_it() - without() for _ in range(5)], 200, "B")


def _collect() -> Row:
    """``collect`` of finished futures beside the bare loop over ``result()``."""
    import autotb

    futures: list[Future[int]] = [Future() for _ in range(10_000)]
    for number, future in enumerate(futures):
        future.set_result(number)

    def with_it() -> float:
        start = time.perf_counter()
        autotb.collect(futures, progress=False)
        return time.perf_counter() - start

    def without() -> float:
        start = time.perf_counter()
        for future in futures:
            future.result()
        return time.perf_counter() - start

    return pairs("collect of 10,000 finished futures, to a loop over result()", with_it, without, 1.5)


_RAY = """
import json, os, resource, ray
ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
@ray.remote
def task(): return os.getpid()
@ray.remote
def used(): return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
ray.get([task.remote() for _ in range(200)])
def total(): return sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) + ray.get(used.remote())
before = total()
for _ in range(10): ray.get([task.remote() for _ in range(300)])
print(json.dumps(total() - before))
"""


def _parsl() -> Row:
    import resource
    import tempfile

    import parsl
    from parsl import Config, python_app
    from parsl.executors import ThreadPoolExecutor as ParslThreads

    @python_app
    def task() -> None:
        return None

    def timing() -> float:
        before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        for _ in range(4):
            for future in [task() for _ in range(500)]:
                future.result()
        return sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before

    with (
        tempfile.TemporaryDirectory() as folder,
        parsl.load(Config(executors=[ParslThreads(max_threads=1)], initialize_logging=False, run_dir=folder)),
    ):
        timing()
        return pairs("Parsl, threads: CPU time of a task", *_switched(timing), 1.03, count=25)


def _ray() -> Row:
    def timing(autotb: str) -> float:
        return float(json.loads(python(_RAY, autotb=autotb).splitlines()[-1]))

    return pairs("Ray: CPU time of a task, driver and worker", lambda: timing("1"), lambda: timing("0"), 1.03, count=7)


def engine_rows() -> list[Row]:
    """CPU time of a task on the engines that are heavy to start."""
    return [_ray(), _parsl()]


if __name__ == "__main__":
    found = rows() + (engine_rows() if "--engines" in sys.argv else [])
    sys.stdout.write("\n".join(map(str, found)) + "\n")
    sys.exit(any(not row.ok for row in found))
