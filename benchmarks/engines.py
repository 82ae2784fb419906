"""What autotb costs a task that succeeds, engine by engine: ``python -m benchmarks --engines [NAME …]``.

Each engine's program runs rounds of empty tasks in a warm pool and prints the seconds of its fastest round per task.  The
programs with autotb and without are run in turn (joblib looks for results every 10 ms: its rounds are long); the row is the
median of the pairs' ratios (limit 1.03), or, for engines whose tasks stay in the process, the median difference in microseconds
(limit 0.6).  What is not installed is left out, by name.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Iterator

from benchmarks import measure

PAIRS = 7
RATIO, MICROSECONDS = 1.03, 0.6

LOOP = """
import os, sys, time
sys.path.insert(0, {folder!r})
os.chdir({folder!r})
if {within}:  # threads of one process: on one core, where their switching does not drown what a task costs
    os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})

def best(run, n, rounds=12):
    run(n)
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        run(n)
        times.append((time.perf_counter() - begun) / n)
    print("SECONDS", min(times), flush=True)

"""

#: name: (package, whether its tasks stay in the process, program).
PROGRAMS: dict[str, tuple[str, bool, str]] = {
    "joblib, loky": (
        "joblib",
        False,
        "from joblib import Parallel, delayed\n"
        "best(lambda n: Parallel(n_jobs=2, batch_size=1)(delayed(abs)(i) for i in range(n)), 5000, 6)",
    ),
    "joblib, threads": (
        "joblib",
        True,
        "from joblib import Parallel, delayed\n"
        "best(lambda n: Parallel(n_jobs=2, batch_size=1, backend='threading')(delayed(abs)(i) for i in range(n)), 10000)",
    ),
    "loky": (
        "loky",
        False,
        "from loky import get_reusable_executor\npool = get_reusable_executor(max_workers=1)\n"
        "best(lambda n: [pool.submit(abs, i).result() for i in range(n)], 300)\npool.shutdown()",
    ),
    "Dask, threads": (
        "dask",
        True,
        "import dask\nwork = dask.delayed(abs)\n"
        "best(lambda n: dask.compute(*[work(i, pure=False) for i in range(n)], scheduler='threads', num_workers=2), 300)",
    ),
    "Dask, cluster": (
        "distributed",
        False,
        "from distributed import Client, LocalCluster\n"
        "with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as c, Client(c) as client:\n"
        "    best(lambda n: client.gather(client.map(abs, range(n), pure=False)), 300)",
    ),
    "DataLoader": (
        "torch",
        False,
        "from torch.utils.data import DataLoader\n"
        "loader = DataLoader(list(range(300)), num_workers=1, batch_size=None, persistent_workers=True)\n"
        "best(lambda n: [item for item in loader], 300)",
    ),
    "multiprocess": (
        "multiprocess",
        False,
        "import multiprocess\nwith multiprocess.Pool(1) as pool:\n    best(lambda n: [pool.apply(abs, (i,)) for i in range(n)], 300)",
    ),
    "mpire": (
        "mpire",
        False,
        "from mpire import WorkerPool\nwith WorkerPool(n_jobs=1, keep_alive=True) as pool:\n"
        "    best(lambda n: pool.map(abs, range(n), chunk_size=1), 300)",
    ),
    "Pebble, processes": (
        "pebble",
        False,
        "from pebble import ProcessPool\nwith ProcessPool(max_workers=1) as pool:\n"
        "    best(lambda n: [pool.schedule(abs, args=(i,)).result() for i in range(n)], 200)",
    ),
    "Pebble, threads": (
        "pebble",
        True,
        "from pebble import ThreadPool\nwith ThreadPool(max_workers=1) as pool:\n"
        "    best(lambda n: [pool.schedule(abs, args=(i,)).result() for i in range(n)], 1000)",
    ),
    "speedy-utils, threads": (
        "speedy_utils",
        True,
        "from speedy_utils import multi_thread\n"
        "best(lambda n: multi_thread(abs, range(n), workers=2, progress=False, error_handler='raise'), 500)",
    ),
    "pipefunc": (
        "pipefunc",
        True,
        "from pipefunc import Pipeline, PipeFunc\n"
        "line = Pipeline([PipeFunc(lambda x: x, 'y', mapspec='x[i] -> y[i]')])\n"
        "best(lambda n: line.map({'x': list(range(n))}, parallel=False, storage='dict'), 200)",
    ),
    "executorlib": (
        "executorlib",
        False,
        "from executorlib import SingleNodeExecutor\n"
        "with SingleNodeExecutor(max_workers=1, block_allocation=True) as pool:\n"
        "    best(lambda n: [pool.submit(abs, i).result() for i in range(n)], 20, 6)",
    ),
    "Celery, eager": (
        "celery",
        True,
        "from celery import Celery\napp = Celery('x')\napp.conf.task_always_eager = True\ndef same(x):\n    return x\n"
        "task = app.task(same)\n"
        "best(lambda n: [task.delay(i).get() for i in range(n)], 300)",
    ),
    "datasets": (
        "datasets",
        False,
        "import datasets\ndatasets.disable_progress_bars()\ndatasets.disable_caching()\n"
        "rows = datasets.Dataset.from_dict({'x': list(range(2000))})\n"
        "best(lambda n: rows.map(lambda row: row), 2000, 6)",
    ),
    "PySpark": (
        "pyspark",
        False,
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.master('local[1]').config('spark.ui.enabled', 'false').getOrCreate()\n"
        "numbers = spark.sparkContext.parallelize(range(20000), 1)\n"
        "best(lambda n: numbers.map(abs).count(), 20000, 8)",
    ),
    "ipyparallel": (
        "ipyparallel",
        False,
        "import ipyparallel\nwith ipyparallel.Cluster(n=1, log_level=50) as client:\n    view = client[0]\n"
        "    best(lambda n: [view.apply_sync(abs, i) for i in range(n)], 60, 8)",
    ),
    "Hamilton": (
        "hamilton",
        True,
        "import types\nfrom hamilton import driver\nmade = types.ModuleType('made')\n"
        "def y(x: int) -> int:\n    return x\ny.__module__ = 'made'\nmade.y = y\nsys.modules['made'] = made\n"
        "run = driver.Builder().with_modules(made).build()\n"
        "best(lambda n: [run.execute(['y'], inputs={'x': i}) for i in range(n)], 100)",
    ),
    "gevent": (
        "gevent",
        True,
        "import gevent\nbest(lambda n: [gevent.spawn(abs, i).get() for i in range(n)], 2000)",
    ),
    "trio": (
        "trio",
        True,
        "import trio\nasync def child(): pass\nasync def work(n):\n    async with trio.open_nursery() as tasks:\n"
        "        for _ in range(n): tasks.start_soon(child)\nbest(lambda n: trio.run(work, n), 2000)",
    ),
    "AnyIO": (
        "anyio",
        True,
        "import anyio\nasync def child(): pass\nasync def work(n):\n    async with anyio.create_task_group() as tasks:\n"
        "        for _ in range(n): tasks.start_soon(child)\nbest(lambda n: anyio.run(work, n), 1000)",
    ),
    "Parsl, threads": (
        "parsl",
        False,
        "import parsl\nfrom parsl import Config, python_app\nfrom parsl.executors import ThreadPoolExecutor\n"
        "task = python_app(abs)\n"
        "with parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=1)], initialize_logging=False)):\n"
        "    best(lambda n: [task(i).result() for i in range(n)], 300)",
    ),
}


def rows(names: list[str], folder: str) -> Iterator[measure.Row]:
    """One row an engine; ``names`` limits them to those whose name contains one of these."""
    for name, (package, within, program) in PROGRAMS.items():
        if names and not any(part.lower() in name.lower() for part in names):
            continue
        if importlib.util.find_spec(package) is None:
            sys.stdout.write(f"{name}: {package} is not installed\n")
            continue
        try:
            yield _row(name, within, LOOP.format(folder=folder, within=within) + program)
        except RuntimeError as error:  # of one engine: the others are measured all the same
            sys.stdout.write(f"{name}: not measured: {str(error)[-300:]}\n")


def _row(name: str, within: bool, program: str) -> measure.Row:
    values, ratios = [], []
    for _ in range(PAIRS):
        order = ["0", "1"] if random.random() < 0.5 else ["1", "0"]
        found = {autotb: _seconds(program, autotb) for autotb in order}
        values.append((found["1"] - found["0"]) * 1e6)
        ratios.append(found["1"] / found["0"])
    detail = f"a task; ratio {sorted(ratios)[PAIRS // 2]:.3f}" if within else ""
    if within:
        return measure.row(f"{name}: added to a task", values, MICROSECONDS, "µs", detail)
    return measure.row(f"{name}: a task", ratios, RATIO, "×", detail)


def _seconds(program: str, autotb: str) -> float:
    for line in measure.python(program, autotb=autotb).splitlines():
        if line.startswith("SECONDS"):
            return float(line.split()[1])
    raise RuntimeError("the program told no time")
