"""Workers that die under Dask, Ray, Parsl, PyTorch, mpire and Pebble, which keep their own exceptions and get the story."""

from __future__ import annotations

import re

import pytest

from tests.engines import kit
from tests.postmortem.test_executor_deaths import KILLED, flat

PROGRAM = """
import sys

def work(x, how, seconds=0.05):
    import ctypes, os, time  # a Parsl worker lacks the globals of this script

    def crash(address):
        ctypes.string_at(address)

    time.sleep(seconds)
    if x != 3:
        return x
    if how == "kill":
        os.kill(os.getpid(), 9)
    elif how == "exit":
        os._exit(3)
    elif how == "leave":
        try:
            {}["model"]
        except KeyError:
            raise SystemExit(4)
    else:
        crash(0)

def dask(how):
    from dask.distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather(client.map(work, range(3, 6), how=how))

def dask_alone(how):
    from dask.distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(work, 3, how=how).result()

def dask_at_once(how):  # before the nanny knows the address of a worker that it has started anew
    from dask.distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(work, 3, how=how, seconds=0).result()

def ray(how):
    import ray
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    task = ray.remote(max_retries=1)(work)
    ray.get([task.remote(x, how) for x in range(6)])

class Worker:
    def work(self, x, how):
        return work(x, how)

def actor(how):
    import ray
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    worker = ray.remote(Worker).remote()
    ray.get([worker.work.remote(x, how) for x in range(2, 6)])

def workers_of_parsl(count):
    import parsl
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    executor = HighThroughputExecutor(
        max_workers_per_node=count, address="127.0.0.1", cpu_affinity="none", heartbeat_period=2, heartbeat_threshold=60
    )
    return parsl.load(Config(executors=[executor], strategy="none"))

def parsl(how):
    from parsl import python_app
    with workers_of_parsl(2):
        futures = [python_app(work)(x, how) for x in range(6)]
        for future in futures:
            future.result()

def bash(how):
    from parsl import bash_app
    with workers_of_parsl(1):
        bash_app(work)(3, how).result()

class Items:
    def __init__(self, how):
        self.how = how

    def __len__(self):
        return 6

    def __getitem__(self, x):
        return work(x, self.how)

def torch(how):
    from torch.utils.data import DataLoader
    for batch in DataLoader(Items(how), num_workers=1):
        pass

def batches(how):
    from torch.utils.data import DataLoader
    for batch in DataLoader(Items(how), num_workers=1, batch_size=2):
        pass

def mpire(how):
    from mpire import WorkerPool
    with WorkerPool(1) as pool:
        pool.map(work, [(3, how)])

def mpire_apply(how):
    from mpire import WorkerPool
    with WorkerPool(1) as pool:
        pool.apply_async(work, (3, how)).get()

def pebble(how):
    from pebble import ProcessPool
    with ProcessPool(2) as pool:
        futures = [pool.schedule(work, (x, how)) for x in range(6)]
        for future in futures:
            future.result()

def pebble_map(how):
    from functools import partial
    from pebble import ProcessPool
    with ProcessPool(2) as pool:
        print(list(pool.map(partial(work, how=how), range(6)).result()))

def pebble_function(how):
    from pebble import concurrent
    concurrent.process(work)(3, how).result()

def pebble_async(how):
    import asyncio
    from pebble import asynchronous
    async def main():
        await asynchronous.process(work)(3, how)
    asyncio.run(main())

if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
"""

#: engine: where its worker ran, the call, and whether its exit status is known
ENGINES = {
    "dask": ("in a Dask worker", "work(3, how='{}')", True),
    "dask_alone": ("in a Dask worker", "work(3, how='{}')", True),
    "dask_at_once": ("in a Dask worker", "work(3, how='{}', seconds=0)", True),
    "ray": ("in a Ray worker", "work(3, '{}')", False),
    "actor": ("in a Ray actor", "Worker.work(3, '{}')", False),
    "parsl": ("in a Parsl worker", "work(3, '{}')", True),
    "bash": ("in a Parsl worker", "work(3, '{}', seconds=0.05)", True),
    "torch": ("in a DataLoader worker process", "Items[3]", True),
    "batches": ("in a DataLoader worker process", "Items[i] for one i of 2, 3", True),
    "mpire": ("in an mpire worker", "work(3, '{}')", True),
    "mpire_apply": ("in an mpire worker", "work(3, '{}')", True),
    "pebble": ("in a Pebble worker", "work(3, '{}')", True),
    "pebble_map": ("in a Pebble worker", "work(3, how='{}')", True),
    "pebble_function": ("in a Pebble worker", "work(3, '{}')", True),
    "pebble_async": ("in a Pebble worker", "work(3, '{}')", True),
}
ON_MAIN = [pytest.param(name, marks=kit.on_main) if name in ("torch", "batches") else name for name in ENGINES]


@pytest.mark.behaviour("S1-44", "S1-53")
@pytest.mark.parametrize("engine", ON_MAIN)
@pytest.mark.on_main("ray", "parsl")
@pytest.mark.not_in_ci("actor", "bash", "dask_alone", "dask_at_once", "batches", "mpire_apply")
def test_a_killed_worker_is_told_with_its_task_and_its_signal(shows, engine):
    where, call, exit_is_known = ENGINES[engine]

    def check(ran):
        story = flat(ran.stderr)
        assert call.format("kill") in story
        assert re.search(where + r", pid \d+", story)
        assert re.search(KILLED if exit_is_known else r"started and then crashed: gone", story)
        assert ("stderr files (Parsl: in worker_logdir_root)" in story) == (engine in ("parsl", "bash"))
        assert ran.status == 1

    shows(PROGRAM, check, engine, "kill")


@pytest.mark.parametrize("engine", ON_MAIN)
@pytest.mark.on_main("ray")
@pytest.mark.not_in_ci("dask", "dask_at_once", "dask_alone", "actor", "bash", "parsl", "batches", "mpire_apply")
def test_a_segmentation_fault_has_its_python_lines(shows, engine):
    def check(ran):
        heads = " ".join(head.rpartition(" in ")[2] for head in ran.heads)
        assert "work crash string_at" in heads  # Dask's workers may fail on closing, later
        story = flat(ran.stderr)
        assert "Fatal Python error: Segmentation fault" in story
        assert re.search(r"started and then crashed(, after \d\.\d s)?: ", story)  # not when the engine noticed
        assert "hint: a worker process died without a Python exception: it ended as a crash in compiled code does" in story
        assert "out of memory" not in story
        assert ran.status == 1

    shows(PROGRAM, check, engine, "crash")


@pytest.mark.parametrize("engine", ["dask_alone", "parsl", "mpire", "pebble", "pebble_function"])
@pytest.mark.on_main("parsl")
@pytest.mark.not_in_ci("dask_alone")
def test_an_exit_status_is_told(shows, engine):
    def check(ran):
        assert re.search(r"started and then crashed: exit status 3", flat(ran.stderr))

    shows(PROGRAM, check, engine, "exit")


@pytest.mark.parametrize("engine", ["dask_alone", "ray", "actor", "parsl", pytest.param("batches", marks=kit.on_main)])
@pytest.mark.on_main("ray", "actor", "parsl")
@pytest.mark.not_in_ci("actor")
def test_what_a_task_raised_that_ended_its_worker_is_told(shows, engine):
    where, call, exit_is_known = ENGINES[engine]

    def check(ran):
        story = flat(ran.stderr)
        assert re.search(r"KeyError: 'model' During handling of the above exception.* SystemExit: 4 .* the direct cause", story)
        status = ": exit status 4" if exit_is_known else ""
        assert f"{call.format('leave')} started, and what it raised ended its worker{status}" in story
        assert "its exit status is not known" not in story
        assert re.search(where + r", pid \d+", story)
        assert "hint: a task ended its worker process: a SystemExit or a KeyboardInterrupt ends the worker" in story
        assert " in work" in ran.stderr
        assert ran.status == 1

    shows(PROGRAM, check, engine, "leave")


@pytest.mark.not_in_ci()
def test_dask_fails_tasks_that_never_ran_too(shows):
    """The scheduler counts against every task that was given to a worker that died."""

    def check(ran):
        story = flat(ran.stderr)
        assert "work(3, how='kill')" in story
        assert re.search(KILLED, story)
        if "not known to have started" in story:
            assert "the workers it was given to died, the last one as follows" in story

    shows(PROGRAM, check, "dask", "kill")


@pytest.mark.on_main()
def test_dask_tells_how_many_workers_a_task_has_cost(shows):
    def check(ran):
        assert re.search(r"3 workers before it died of the same task, pids \d+, \d+, \d+", flat(ran.stderr))

    shows(PROGRAM, check, "dask_alone", "kill")


@kit.on_main
@pytest.mark.not_in_ci("exit", "crash")
@pytest.mark.parametrize("how", ["kill", "exit", "crash"])
def test_the_way_in_which_torch_noticed_a_death_is_one_line(shows, how):
    """A pipe that broke, a signal in the midst of anything: engine frames only."""

    def check(ran):
        assert "reductions.py" not in ran.stderr
        assert ran.stderr.count("Traceback (most recent call last)") == 1
        assert re.search(r"DataLoader worker \(pid(\(s\))? \d+\)", ran.last)
        assert "Items[3]" in ran.stderr

    shows(PROGRAM, check, "torch", how)
