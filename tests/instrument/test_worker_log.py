"""``AUTOTB_WORKER_LOG``: what workers write down about their tasks and their environment."""

from __future__ import annotations

import re

import pytest

from tests.postmortem.test_executor_deaths import flat

PROGRAM = """
import os
import sys

def good(x):
    return x

def bad(x):
    return 1 / x

def kill(x):
    import os
    os.kill(os.getpid(), 9)

def lacks(x):
    import no_such_module

def attempt(call):
    try:
        call()
    except Exception as error:
        print(type(error).__name__)

def processes():
    from concurrent.futures import ProcessPoolExecutor
    for function, x in ((good, 3), (bad, 0), (lacks, 1)):
        with ProcessPoolExecutor(1) as pool:
            attempt(pool.submit(function, x).result)
    with ProcessPoolExecutor(1) as pool:
        pool.submit(kill, 4).result()

def pool():
    import multiprocessing
    with multiprocessing.Pool(1) as pool:
        for function, x in ((good, 3), (bad, 0), (lacks, 1)):
            attempt(lambda: pool.apply(function, (x,)))
        pool.apply(kill, (4,))

def loky():
    from loky import get_reusable_executor
    for function, x in ((good, 3), (bad, 0), (lacks, 1)):
        attempt(get_reusable_executor(1).submit(function, x).result)
    get_reusable_executor(1).submit(kill, 4).result()

def parsl():
    import parsl
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    executor = HighThroughputExecutor(
        max_workers_per_node=1, address="127.0.0.1", cpu_affinity="none", heartbeat_period=2, heartbeat_threshold=60
    )
    with parsl.load(Config(executors=[executor], strategy="none")):
        for function, x in ((good, 3), (bad, 0), (lacks, 1)):
            attempt(parsl.python_app(function)(x).result)
        parsl.python_app(kill)(4).result()

def dask():
    import dask
    from dask.distributed import Client, LocalCluster
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        for function, x in ((good, 3), (bad, 0), (lacks, 1)):
            attempt(client.submit(function, x).result)
        client.submit(kill, 4).result()

def ray():
    import ray
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
    for function, x in ((good, 3), (bad, 0), (lacks, 1)):
        attempt(lambda: ray.get(ray.remote(max_retries=0)(function).remote(x)))
    ray.get(ray.remote(max_retries=0)(kill).remote(4))

def pebble():
    from pebble import ProcessPool
    with ProcessPool(1) as pool:
        for function, x in ((good, 3), (bad, 0), (lacks, 1)):
            attempt(pool.schedule(function, (x,)).result)
        pool.schedule(kill, (4,)).result()

def mpire():
    from mpire import WorkerPool
    for function, x in ((good, 3), (bad, 0), (lacks, 1)):
        with WorkerPool(1) as pool:
            attempt(lambda: pool.apply(function, (x,)))
    with WorkerPool(1) as pool:
        pool.apply(kill, (4,))

if __name__ == "__main__":
    globals()[sys.argv[1]]()
"""


@pytest.mark.behaviour("S1-43", "S1-44", "S1-45")
@pytest.mark.on_main("parsl", "ray")
@pytest.mark.parametrize("engine", ["processes", "pool", "loky", "parsl", "dask", "ray", "pebble", "mpire"])
def test_marks_and_environment(run, tmp_path, engine):
    folder = tmp_path / "logs"
    ran = run(PROGRAM, engine, AUTOTB_WORKER_LOG=str(folder), MY_TOKEN="hidden", MINE="seen", timeout=150)
    text = "".join(sorted(path.read_text() for path in folder.iterdir()))
    lines = [re.sub(r"^[-\d]+ [\d:.]+ ", "", line) for line in text.splitlines()]
    marks = [line for line in lines if line.startswith(("[WORKER START]", "[WORKER END]"))]
    assert sorted(marks) == [
        "[WORKER END] good(x=3)",
        "[WORKER START] bad(x=0)",
        "[WORKER START] good(x=3)",
        "[WORKER START] kill(x=4)",
        "[WORKER START] lacks(x=1)",
    ]
    assert marks.index("[WORKER START] good(x=3)") < marks.index("[WORKER END] good(x=3)")
    assert "[WORKER ENVIRONMENT] MINE=seen" in lines
    assert "[WORKER ENVIRONMENT] MY_TOKEN=***" in lines
    assert "hidden" not in text
    assert [word for word in ran.stdout.split() if word.endswith("Error")] == ["ZeroDivisionError", "ModuleNotFoundError"] or (
        engine == "ray" and ran.stdout.count("RayTaskError(") == 2
    ), ran.stdout
    story = flat(ran.stderr)
    end = "gone" if engine == "ray" else r"killed by signal 9 \(SIGKILL\)"  # its driver cannot know
    assert re.search(r"started and then crashed(, within \d+\.\d s)?: " + end, story)
    assert "the worker's log is" in story
    assert re.search(r"in an? \S+ worker, pid \d+", story)


@pytest.mark.parametrize("engine", ["processes", "pool", "loky", "pebble", "mpire"])
def test_without_arguments_the_names_remain(run, tmp_path, engine):
    run(PROGRAM, engine, AUTOTB_WORKER_LOG=str(tmp_path / "logs"), AUTOTB_ARGS="0", timeout=150)
    text = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert sorted(re.findall(r"\[WORKER (?:START|END)\].*", text)) == [
        "[WORKER END] good(…)",
        "[WORKER START] bad(…)",
        "[WORKER START] good(…)",
        "[WORKER START] kill(…)",
        "[WORKER START] lacks(…)",
    ]


def test_a_folder_that_cannot_be_written_is_one_line(run, tmp_path):
    (tmp_path / "file").write_text("")
    ran = run(PROGRAM.replace("pool.apply(kill, (4,))", "pass"), "pool", AUTOTB_WORKER_LOG=str(tmp_path / "file" / "logs"))
    assert ran.stdout.split() == ["ZeroDivisionError", "ModuleNotFoundError"]
    assert ran.stderr.count("autotb: the worker's log cannot be written") == 1


def test_nothing_is_logged_unasked(run, tmp_path):
    run(PROGRAM, "pool")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.py"]


def test_a_log_that_can_be_written_no_more_costs_no_result(run):
    """As on a full disk."""
    program = """
    import resource, sys
    from concurrent.futures import ProcessPoolExecutor

    def full(x):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return x

    if __name__ == "__main__":
        with ProcessPoolExecutor(1) as pool:
            print([pool.submit(full, x).result(30) for x in range(3)])
    """
    ran = run(program, AUTOTB_WORKER_LOG="logs", timeout=60)

    assert ran.stdout == run(program, autotb="0").stdout == "[0, 1, 2]\n", ran.stderr
