"""One flow on the executor that is named, twice: in memory, and kept in a run folder by the workers.  Prints what it came to."""

import contextlib
import importlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time

import autotb


class Unlucky(Exception):
    def __init__(self, number, note):
        super().__init__(f"{number} is unlucky")
        self.number, self.note = number, note


def load(number, scale=1):
    if number == 3:
        raise Unlucky(number, note="as ever")
    if number == 5:
        return 1 / (number - 5)
    return number * scale


def clean(value):
    return value + 1


def pair(left, right):
    return left * right


def flaky(number, folder):
    """Fails of another error each time, twice."""
    for attempt in range(3):
        try:
            open(os.path.join(folder, f"{number}-{attempt}"), "x").close()
        except FileExistsError:
            continue
        break
    if attempt == 0:
        raise ConnectionError(f"{number} is reset")
    if attempt == 1 or number == 2:
        raise KeyError(number)
    return number


def rests(number):
    time.sleep(60 * (number == 1))
    return number


def summarise(values):
    return sum(values)


def kind(value):
    return len(type(value).__name__)


def fails_later(total):
    raise KeyError(total)


def builtin(number):
    """Errors that have fields in C."""
    if number == 0:
        return b"\xff".decode()
    if number == 1:
        return "\u1234".encode("ascii")
    if number == 2:
        return compile("1 +", "<text>", "eval")
    if number == 3:
        raise StopIteration(7)
    return open("/not/there")


@contextlib.contextmanager
def executor_of(name):
    if name in ("threads", "processes"):
        yield name
    elif name == "pool":
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif name == "spawned":
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
    elif name == "loky":
        from joblib.externals.loky import get_reusable_executor

        pool = get_reusable_executor(max_workers=2)
        yield pool
        pool.shutdown(wait=True)
    elif name == "mpi":
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as pool:
            yield pool
    elif name == "ray":
        import ray

        ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
        yield name
        ray.shutdown()
    elif name == "dask":
        from distributed import Client, LocalCluster

        with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            yield client
    elif name == "parsl":
        import parsl
        from parsl.config import Config
        from parsl.executors import HighThroughputExecutor
        from parsl.providers import LocalProvider

        executor = HighThroughputExecutor(address="127.0.0.1", max_workers_per_node=2, provider=LocalProvider(init_blocks=1))
        with parsl.load(Config([executor], run_dir=tempfile.mkdtemp(), usage_tracking=0)) as kernel:
            yield kernel
        parsl.clear()


def flow_of(tasks, executor, **options):
    load, clean, pair, summarise = tasks.load, tasks.clean, tasks.pair, tasks.summarise
    flow = autotb.Flow(executor, error_handling="continue", progress=False, **options)
    raw = flow.map(load, range(8), scale=10)
    cleaned = flow.map(clean, raw)
    flow.call(summarise, cleaned)
    flow.call(autotb.step(summarise, name="rest", on_error="drop"), cleaned)
    flow.map(autotb.step(tasks.kind, on_error="pass"), cleaned)
    flow.map(
        autotb.step(summarise, name="rows", on_error="drop"),
        flow.map(
            autotb.step(load, name="grid"), flow.map(autotb.step(pair, name="corners"), [1, 3], [1, 2], product=True), over=()
        ),
        over=1,
    )
    grid = flow.map(pair, [0, 1], [5, 6, 7], product=True)
    flow.map(clean, grid, over=())
    flow.map(summarise, grid, over=0)
    flow.map(summarise, flow.map(load, grid, over=()), over=1)
    total = flow.call(summarise, flow.map(autotb.step(load, chunksize=2), [1, 2, 4]))
    flow.call(clean, flow.call(tasks.fails_later, total))
    flow.map(pair, raw, [1] * 8)
    flow.map(tasks.builtin, range(5))
    return flow


def tried(tasks, executor, folder):
    """Calls that are tried again, and one that takes too long."""
    flow = autotb.Flow(executor, error_handling="continue", progress=False)
    again = flow.map(tasks.flaky, range(3), folder=folder, retries=2, wait=0)
    once = flow.map(tasks.flaky, [7], folder=folder, retries=2, retry_on=KeyError)
    slow = flow.map(tasks.rests, range(2), timeout=0.5)
    results = flow.run()
    lines = [autotb.explain(root.exception).stack.hops[-1].attempt for root in results.get_root_causes()]
    earlier = [[type(one).__name__ for one in root.earlier] for root in results.get_root_causes()]
    counts = [[tally.retried, tally.timed_out] for tally in results.tallies.values()]
    kinds = [[type(one).__name__ for one in results[output]] for output in (again, once, slow)]
    frames = [frame.name for frame in autotb.explain(results[slow][1].exception).frames if frame.name != "<module>"]
    return {"lines": lines, "earlier": earlier, "counts": counts, "kinds": kinds, "frames": frames}


def made_again(tasks, executor, folder):
    """A run folder that is removed and made again, twice, while the workers live on; what each run comes to is read anew."""
    found = []
    for start, returned in ((0, False), (10, False), (20, True)):
        shutil.rmtree(folder, ignore_errors=True)
        options = {"error_handling": "continue", "progress": False, "run_folder": folder, "return_results": returned}
        flow = autotb.Flow(executor, **options)
        flow.call(tasks.summarise, flow.map(tasks.clean, flow.map(tasks.pair, range(start, start + 6), [2] * 6)))
        flow.run()
        kept = autotb.load(folder)
        found.append([told(kept[step]) for step in kept])
    return found


def indexed(folder):
    """Which elements the run folder has, and in which state."""
    with contextlib.closing(sqlite3.connect(os.path.join(folder, "index.sqlite"))) as index:
        return sorted(
            index.execute(
                "SELECT name, at, state FROM elements JOIN steps ON steps.id = elements.step ORDER BY name, at"
            ).fetchall()
        )


def told(value):
    if isinstance(value, autotb.ErrorSnapshot):
        error = value.exception
        trace = autotb.explain(error)
        frames = [frame.name for frame in trace.frames if frame.name != "<module>"]
        calls = [line.strip() for line in str(trace).split("\n") if line.strip().startswith("[" + value.function.__name__)]
        return ["failed", value.function.__name__, value.kwargs, type(error).__name__, str(error), vars_of(error), frames, calls]
    if isinstance(value, autotb.PropagatedErrorSnapshot):
        roots = [told(root) for root in value.get_root_causes()]
        info = {name: [one.kind, one.indices, one.count] for name, one in value.error_info.items()}
        return ["skipped", value.skipped_function.__name__, str(value.reason), info, value.error_indices, roots]
    return value if isinstance(value, (int, float)) else [told(one) for one in value]


def left_out(results):
    return {
        name: [
            [one.index, one.passed, one.count, [told(root) for root in one.get_root_causes()]] for one in results.left_out[name]
        ]
        for name in results
    }


def vars_of(error):
    if isinstance(error, StopIteration):
        return error.value
    return (
        {name: value for name, value in vars(error).items() if not name.startswith("_")}
        if type(error).__name__ == "Unlucky"
        else {}
    )


def main(name):
    out = {}
    # Parsl's workers know nothing of the script that submits: its tasks are to be found in a module.
    tasks = importlib.import_module("parity") if name == "parsl" else sys.modules["__main__"]
    with executor_of(name) as executor:
        results = flow_of(tasks, executor).run()
        out["left out"] = left_out(results)
        out["memory"] = {step: told(results[step]) for step in results}
        assert isinstance(results["load"][3].exception, tasks.Unlucky)  # the very class
        with tempfile.TemporaryDirectory() as folder:
            kept = os.path.join(folder, "run")
            results = flow_of(tasks, executor, run_folder=kept, return_results=False).run()
            out["folder"] = {step: told(results[step]) for step in results}
            out["index"] = indexed(kept)
            assert left_out(results) == left_out(autotb.load(kept)) == out["left out"]
            again = flow_of(tasks, "threads", run_folder=kept, resume=True).run()  # nothing is called but what was skipped
            out["resumed"] = {step: told(again[step]) for step in again}
        out["streamed"] = list(autotb.imap(tasks.pair, iter(range(30)), iter(range(30)), executor=executor, progress=False))
        with tempfile.TemporaryDirectory() as folder:
            out["tried"] = tried(tasks, executor, folder)
            out["made again"] = made_again(tasks, executor, os.path.join(folder, "again"))
        out["map"] = told(autotb.map(tasks.load, range(8), executor=executor, error_handling="continue", progress=False))
        try:
            autotb.map(tasks.load, range(8), executor=executor, progress=False)
        except Exception as error:
            out["raised"] = type(error).__name__ in ("Unlucky", "ZeroDivisionError")
    print(json.dumps(out))


if __name__ == "__main__":
    main(sys.argv[1])
