"""Errors as values: ``map`` beside ``executor.map`` and pipefunc, the scan for errors, what a run folder costs, and two savings."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import pickle
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import autotb
from benchmarks.measure import Row, pairs, row

MANY, CHUNK = 100_000, 1_000


def successor(x: int) -> int:
    """As little as a call can do."""
    return x + 1


def both(x: int, y: int = 0) -> int:
    """As little as a call of two can do."""
    return x + y


def fails(x: int, weight: bytes = b"") -> int:
    """One in a hundred."""
    if x % 100 == 7:
        raise ValueError(x)
    return len(weight)


def total(values: list[int]) -> int:
    """A reduction."""
    return sum(values)


def rows() -> list[Row]:
    """The budgets of the error flow."""
    found = []
    with ProcessPoolExecutor(2) as pool:
        numbers = range(MANY)
        list(pool.map(successor, numbers, chunksize=CHUNK))

        def ours(mode: str = "raise") -> float:
            return timed(
                lambda: autotb.map(successor, numbers, executor=pool, chunksize=CHUNK, error_handling=mode, progress=False)
            )

        def theirs() -> float:
            return timed(lambda: list(pool.map(successor, numbers, chunksize=CHUNK)))

        def by_time() -> float:
            return timed(lambda: autotb.map(successor, numbers, executor=pool, progress=False))

        found.append(pairs("autotb.map beside executor.map, 100,000 trivial calls", ours, theirs, 1.1))
        found.append(pairs("the same, chunks by time beside the best size by hand", by_time, theirs, 1.1))
        found.append(_uneven(pool))
        found.append(_first_error(pool))
        found.append(pairs('the scan: "continue" beside "raise", the same map', lambda: ours("continue"), ours, 1.05))
        errors = autotb.map(fails, [7], error_handling="continue", progress=False)
        found.append(pairs("the scan where errors exist in the process", lambda: ours("continue"), ours, 1.05))
        del errors
    found += _beside_pipefunc()
    found += [_many_steps(kind, schedule) for kind in ("independent", "chain", "tree") for schedule in ("eager", "generation")]
    found += [
        _linear(),
        _resumed(False),
        _resumed(True),
        _iterated(),
        _steps(),
        _submissions(),
        _roots(),
        _parent("map"),
        _parent("call"),
    ]
    return found


def rests(seconds: float) -> float:
    """A call that takes so long; of none at all it fails."""
    if not seconds:
        raise ValueError(seconds)
    time.sleep(seconds)
    return seconds


def _uneven(pool: ProcessPoolExecutor) -> Row:
    times = [0.4] * 6 + [0.002] * 60
    return pairs(
        "uneven work: autotb.map beside executor.map one by one",
        lambda: timed(lambda: autotb.map(rests, times, executor=pool, progress=False)),
        lambda: timed(lambda: list(pool.map(rests, times))),
        1.1,
        3,
    )


def _first_error(pool: ProcessPoolExecutor) -> Row:
    times = [0.0] + [0.1] * 60

    def failing(call: Callable[[], object]) -> float:
        def tried() -> None:
            try:
                with contextlib.redirect_stderr(io.StringIO()):  # it says where the failed call is
                    call()
            except ValueError:
                pool.submit(rests, 0.001).result()  # the pool is free again

        return timed(tried)

    def theirs() -> None:
        futures = [pool.submit(rests, one) for one in times]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()

    return pairs(
        "from the first error to a free pool, 61 calls: autotb.map beside cancelled futures",
        lambda: failing(lambda: autotb.map(rests, times, executor=pool, progress=False)),
        lambda: failing(theirs),
        1.1,
        3,
    )


def _steps() -> Row:
    def per_step(count: int) -> float:
        def run() -> None:
            flow = autotb.Flow("threads", schedule="generation", progress=False)
            last: Any = 0
            for _ in range(count):
                last = flow.call(successor, last)
            flow.run()

        return timed(run) / count

    return pairs("a step of a chain of 4,000, beside one of 400", lambda: per_step(4_000), lambda: per_step(400), 1.3, 5)


def _many_steps(kind: str, schedule: str) -> Row:
    """10,000 single calls: built and run."""

    def seconds() -> float:
        gc.collect()
        begun = time.process_time()
        flow = autotb.Flow("threads", schedule=schedule, progress=False)
        level: list[Any] = [flow.call(successor, at) for at in range({"tree": 5_000, "chain": 1, "independent": 10_000}[kind])]
        if kind == "chain":
            for _ in range(9_999):
                level = [flow.call(successor, level[0])]
        while kind == "tree" and len(level) > 1:
            level = [flow.call(both, *level[at : at + 2]) for at in range(0, len(level), 2)]
        flow.run()
        return time.process_time() - begun

    return row(f"10,000 calls, a step each, {kind}, {schedule}: CPU", [seconds() for _ in range(5)], 1.0, "s")


def timed(call: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _beside_pipefunc() -> list[Row]:
    if importlib.util.find_spec("pipefunc") is None:
        return []
    from pipefunc import Pipeline, pipefunc

    inputs = {"x": list(range(1_000))}
    pipeline = Pipeline([pipefunc(output_name="y", mapspec="x[i] -> y[i]")(successor)])
    with ThreadPoolExecutor(2) as pool:

        def theirs() -> float:
            return timed(
                lambda: pipeline.map(inputs, executor=pool, parallel=True, storage="dict", show_progress=False, chunksizes=100)
            )

        def ours() -> float:
            def run() -> None:
                flow = autotb.Flow(pool, progress=False)
                flow.map(autotb.step(successor, chunksize=100), inputs["x"])
                flow.run()

            return timed(run)

        return [pairs("Flow beside pipefunc, 1,000 trivial calls in chunks of 100", ours, theirs, 1.0)]


def _linear() -> Row:
    def per_element(count: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            flow = autotb.Flow(
                "threads", error_handling="continue", run_folder=Path(folder) / "run", return_results=False, progress=False
            )
            flow.map(successor, flow.map(successor, range(count)))
            return timed(flow.run) / count

    return pairs(
        "an element of 100,000 kept in a folder, beside one of 10,000",
        lambda: per_element(MANY),
        lambda: per_element(MANY // 10),
        1.2,
        5,
    )


def _resumed(keeps: bool) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)

        def run(name: str, resume: bool) -> float:
            flow = autotb.Flow("threads", run_folder=path / name, resume=resume, return_results=keeps, progress=False)
            flow.map(successor, range(MANY))
            return timed(flow.run)

        count = iter(range(100))
        run("whole", False)
        return pairs(
            f"to resume a finished run of 100,000, {'its values in memory' if keeps else 'lazy results'}, beside the run",
            lambda: run("whole", True),
            lambda: run(str(next(count)), False),
            0.7 if keeps else 0.2,
            3,
        )


def _iterated() -> Row:
    """Of a million it is ten times this."""
    with tempfile.TemporaryDirectory() as folder:
        flow = autotb.Flow("threads", run_folder=folder, return_results=False, progress=False)
        values = flow.map(successor, range(MANY))
        lazy = flow.run()[values]

        def seconds() -> float:
            begun = time.process_time()
            assert sum(1 for _ in lazy) == MANY
            return time.process_time() - begun

        return row("100,000 lazy results read one after the other: CPU", [seconds() for _ in range(5)], 0.4, "s")


_PASSING = """
import resource, sys, tempfile
import autotb

COUNT, SIZE = 48, 8_000_000

def made(number):
    return bytes(SIZE)

def size(value):
    return len(value)

def size_of_all(values):
    return sum(map(len, values))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        flow = autotb.Flow("processes", run_folder=folder, return_results=False, progress=False)
        flow.map(size, flow.map(autotb.step(str, name="small"), range(COUNT)))
        flow.run()
    before = peak()
    with tempfile.TemporaryDirectory() as folder:
        flow = autotb.Flow("processes", run_folder=folder, return_results=False, progress=False)
        values = flow.map(made, range(COUNT))
        if sys.argv[1] == "map":
            sizes = flow.map(size, values)
            assert list(flow.run()[sizes]) == [SIZE] * COUNT
        else:
            total = flow.call(size_of_all, values)
            assert flow.run()[total] == SIZE * COUNT
    print((peak() - before) / (COUNT * SIZE))
"""


def _parent(end: str) -> Row:
    """By how much the process that runs the flow grows, beside what goes from a map to the next, or to a call as a whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "passing.py"
        path.write_text(_PASSING)
        command = [sys.executable, str(path), end]
        told = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout
    share = float(told)
    return Row(f"memory of the parent beside 384 MB that go from map to {end}", share, share, share, 0.05)


class _Counting(Executor):
    def __init__(self) -> None:
        self.count = 0

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.count += 1
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


def _submissions() -> Row:
    counting = _Counting()
    flow = autotb.Flow(counting, error_handling="continue", progress=False)
    flow.call(total, flow.map(autotb.step(successor, chunksize=1), flow.map(autotb.step(fails, chunksize=1), [7] * 1_000)))
    flow.run()
    share = (counting.count - 1_000) / 1_001
    return Row(
        "submissions for 1,001 calls that are skipped, a call",
        share,
        share,
        share,
        0.0,
        detail=f"{counting.count} for the 1,000 that fail",
    )


def _roots() -> Row:
    """Memory of a reduction's error as it is, beside one that holds its roots."""
    with tempfile.TemporaryDirectory() as folder:
        flow = autotb.Flow(
            "threads", error_handling="continue", run_folder=Path(folder) / "run", return_results=False, progress=False
        )
        flow.call(total, flow.map(fails, range(5_000), weight=bytes(10_000)))
        error = flow.run()["total"]
        data = pickle.dumps(error)
        lazy = _held(lambda: pickle.loads(data))
        eager = _held(error.get_root_causes)
    share = lazy / eager
    return Row(
        "memory of a reduction's error beside that of its 50 roots",
        share,
        share,
        share,
        0.05,
        detail=f"{lazy:,} / {eager:,} bytes",
    )


def _held(make: Callable[[], object]) -> int:
    tracemalloc.start()
    kept = make()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return size
