"""``python -m benchmarks.million [COUNT] [NAME …]``: a map of 1,000,000 trivial calls in every tool, each in a process of its own.

Flows in: how many calls, which tools.  Flows out: a table: seconds, memory of the process that asks at its highest, and where
results are kept the folder's size on disk and its files.  Tools that take hours are given fewer calls, which the table says.  They take
turns on the machine, and nothing is a budget here: it takes some minutes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANY = 1_000_000
WORKERS = 2
LIMIT = 1_800  # seconds of one tool


def successor(x: int) -> int:
    """As little as a call can do."""
    return x + 1


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and the seconds that it takes."""
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


def of_pool(count: int, _folder: str) -> tuple[Any, float]:
    """What there is without any tool, with the best chunks by hand."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as pool:
        return timed(lambda: list(pool.map(successor, range(count), chunksize=max(1, count // (4 * WORKERS)))))


def of_map(count: int, _folder: str) -> tuple[Any, float]:
    """A list in memory."""
    import autotb

    return timed(lambda: autotb.map(successor, range(count), executor="processes", progress=False))


def _flow(count: int, folder: str, *, is_returned: bool) -> tuple[Any, float]:
    import autotb

    flow = autotb.Flow("processes", run_folder=folder, resume=True, return_results=is_returned, progress=False)
    made = flow.map(successor, range(count))
    return timed(lambda: flow.run()[made])


def of_folder(count: int, folder: str) -> tuple[Any, float]:
    """Results stay in the folder."""
    return _flow(count, folder, is_returned=False)


def of_both(count: int, folder: str) -> tuple[Any, float]:
    """Results are kept and returned."""
    return _flow(count, folder, is_returned=True)


def of_joblib(count: int, _folder: str) -> tuple[Any, float]:
    """A list in memory."""
    import joblib

    return timed(lambda: joblib.Parallel(n_jobs=WORKERS)(joblib.delayed(successor)(x) for x in range(count)))


def of_memory(count: int, folder: str) -> tuple[Any, float]:
    """joblib's cache: a folder for each result."""
    import joblib

    kept = joblib.Memory(folder, verbose=0).cache(successor)
    return timed(lambda: joblib.Parallel(n_jobs=WORKERS)(joblib.delayed(kept)(x) for x in range(count)))


def _with_dask(call: Callable[[Any], Any]) -> tuple[Any, float]:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=None)
    client = Client(cluster)  # both end with this process
    client.submit(successor, 0).result()
    return timed(lambda: call(client))


def of_bag(count: int, _folder: str) -> tuple[Any, float]:
    """A bag, in so many parts as executor.map has chunks."""
    import dask.bag

    return _with_dask(lambda _: dask.bag.from_sequence(range(count), npartitions=4 * WORKERS).map(successor).compute())


def of_client(count: int, _folder: str) -> tuple[Any, float]:
    """A task for each call."""
    return _with_dask(lambda client: client.gather(client.map(successor, range(count))))


def _pipefunc(count: int, **options: Any) -> tuple[Any, float]:
    from concurrent.futures import ProcessPoolExecutor

    from pipefunc import PipeFunc, Pipeline

    pipeline = Pipeline([PipeFunc(successor, output_name="y", mapspec="x[i] -> y[i]")])
    with ProcessPoolExecutor(WORKERS) as pool:
        return timed(lambda: pipeline.map({"x": list(range(count))}, executor=pool, show_progress=False, **options)["y"].output)


def of_pipefunc(count: int, _folder: str) -> tuple[Any, float]:
    """In memory."""
    return _pipefunc(count, storage="dict")


def of_pipefuncs_folder(count: int, folder: str) -> tuple[Any, float]:
    """A file for each result."""
    return _pipefunc(count, run_folder=folder, storage="file_array")


#: Name, the tool's package, what is measured, the share of the calls that it is given.
TOOLS: dict[str, tuple[str, Callable[[int, str], tuple[Any, float]], float]] = {
    "executor.map": ("concurrent.futures", of_pool, 1),
    "autotb.map": ("autotb", of_map, 1),
    "joblib.Parallel": ("joblib", of_joblib, 1),
    "dask.bag": ("distributed", of_bag, 1),
    "pipefunc, in memory": ("pipefunc", of_pipefunc, 1),
    "Dask's client.map": ("distributed", of_client, 0.02),
    "autotb.Flow, kept in a folder": ("autotb", of_folder, 1),
    "the same, resumed": ("autotb", of_folder, 1),
    "autotb.Flow, kept and returned": ("autotb", of_both, 1),
    "joblib.Memory": ("joblib", of_memory, 0.01),
    "pipefunc, file_array": ("pipefunc", of_pipefuncs_folder, 0.02),
}


def child(name: str, count: int, folder: str) -> None:
    """Measure one tool, in this process."""
    found, seconds = TOOLS[name][1](count, folder)
    assert len(found) == count
    assert found[count - 1] == count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    sys.stdout.write(json.dumps([seconds, peak]) + "\n")
    sys.stdout.flush()
    os._exit(0)  # engines take their time


def _on_disk(path: Path) -> int:
    found = path.stat()
    return getattr(found, "st_blocks", -(-found.st_size // 4_096) * 8) * 512


def row(name: str, many: int, folder: Path) -> str:
    """One line of the table."""
    package, _, share = TOOLS[name]
    if importlib.util.find_spec(package) is None:
        return f"{name:32} {package} is not installed"
    count = max(1, int(many * share))
    command = [sys.executable, "-m", "benchmarks.million", "--child", name, str(count), str(folder)]
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            return f"{name:32} {count:9,} more than {LIMIT:,} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with workers that would wait for more work
            process.wait()
        told.seek(0)
        lines = told.read().splitlines()
    if process.returncode or not lines:
        return f"{name:32} {count:9,} failed with status {process.returncode}"
    seconds, peak = json.loads(lines[-1])
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    kept = f"{sum(map(_on_disk, files)) / 1e6:8.1f} MB {len(files):7,} files" if files else ""
    return f"{name:32} {count:9,} {seconds:8.2f} s {1e6 * seconds / count:8.2f} µs {peak / 1e6:7.0f} MB  {kept}".rstrip()


def main() -> int:
    """The command."""
    given = sys.argv[1:]
    many = int(given.pop(0).replace("_", "").replace(",", "")) if given and given[0][:1].isdigit() else MANY
    sys.stdout.write(f"{'':32} {'calls':>9} {'time':>10} {'a call':>11} {'memory':>10}  {'folder':>11}\n")
    with tempfile.TemporaryDirectory(prefix="autotb-million-", ignore_cleanup_errors=True) as folder:
        last = ""
        for name in given or TOOLS:
            last = last if name.endswith("resumed") else name.replace(" ", "-").replace(",", "")
            sys.stdout.write(row(name, many, Path(folder) / last) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    sys.exit(main())
