"""Where calls run: one interface for the executors that people have."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from autotb import Flow
from autotb.flow import executors
from autotb.flow.executors import Runner


class Bare(Executor):
    """Says nothing of its workers."""

    def submit(self, function, *args):
        future = Future()
        future.set_result(function(*args))
        return future


@pytest.mark.parametrize("given", ["gpu", None, 3, ["threads"], object()])
def test_what_is_no_executor_is_refused(given):
    with pytest.raises(TypeError, match="executor is a concurrent.futures.Executor, 'threads', "):
        executors.check(given)


def test_an_executor_is_submitted_to_as_it_is():
    assert executors.runner(Bare()).submit(max, (1, 2), {"GPU": 1}).result() == 2


def test_as_many_workers_as_the_executor_has():
    with ThreadPoolExecutor(3) as pool:
        assert executors.runner(pool).workers == 3


@pytest.mark.parametrize("says", [None, "many"])
def test_one_that_does_not_tell_may_have_many(says):
    pool = Bare()
    pool._max_workers = says
    runner = executors.runner(pool)

    assert (runner.workers, runner.queues) == (max(executors._CLUSTER, executors._cores()), True)


RAY = """
import os
import ray
from autotb import Flow

def invert(x):
    return 1 / x

def total(values):
    return sum(values)

def ran(**options):
    flow = Flow("ray", error_handling="continue", run_folder="run", progress=False, **options)
    whole = flow.call(total, flow.map(invert, [1, 0, 2]))
    print(flow.run()[whole].reason, ray.is_initialized(), flush=True)

ran()
ray.shutdown()
ran(resume=True)
"""


@pytest.mark.on_main("ray")
def test_ray_is_started_by_the_first_call(run):
    done = run(RAY, timeout=90)

    assert done.status == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["array_contains_errors True", "array_contains_errors False"]


def test_how_many_workers_an_engine_has_may_be_known_with_the_first_call():
    flow = Flow(Bare(), progress=False)
    flow.map(abs, range(9))
    running = flow._running(None)
    submit, running.runner.workers = running.runner.submit, 1

    def starts(*args):
        running.runner.workers = 5
        return submit(*args)

    running.runner.submit = starts
    assert len(running.pump()) == 5
    running.close()


def test_an_executor_of_the_users_stays_open():
    with ThreadPoolExecutor(1) as pool:
        executors.runner(pool).close()
        assert pool.submit(max, 1, 2).result() == 2


def test_one_that_was_made_for_the_run_is_ended():
    made = executors.runner("threads")
    made.close()

    with pytest.raises(RuntimeError, match="shutdown"):
        made.submit(max, (1, 2), None)


def test_what_cannot_be_cancelled_ends_nothing():
    Runner(None, 1, cancel=lambda _: 1 / 0).cancel(Future())


def test_what_was_not_begun_is_cancelled():
    future = Future()
    Runner(None, 1).cancel(future)

    assert future.cancelled()


def test_a_runner_has_a_worker_at_least():
    assert Runner(None, 0).workers == 1


@pytest.mark.parametrize("given", [3, "GPU", [("GPU", 1)]])
def test_resources_are_a_mapping_in_the_engines_terms(given):
    with pytest.raises(TypeError, match="resources for Dask are a mapping"):
        executors._mapping(given, "Dask")


@pytest.mark.parametrize(
    ("theirs", "workers"),
    [
        ([SimpleNamespace(provider=None, max_threads=4)], 4),
        ([SimpleNamespace(provider=SimpleNamespace(nodes_per_block=2, max_blocks=3), max_workers_per_node=5)], 30),
        ([SimpleNamespace(provider=None, max_threads=4), SimpleNamespace(provider=None, max_threads=2)], 6),
        ([SimpleNamespace(provider=None, max_workers_per_node=float("inf"))], 1_000),
    ],
)
def test_the_workers_that_parsl_may_have(theirs, workers):
    assert executors._parsl_workers(SimpleNamespace(executors=dict(enumerate(theirs)))) == workers


def test_a_parsl_executor_that_says_nothing_counts_as_this_machine():
    assert executors._parsl_workers(SimpleNamespace(executors={"a": object()})) == executors._cores()


@pytest.mark.parametrize(("module", "carries"), [("distributed.cfexecutor", False), ("theirs", True)])
def test_an_executor_on_dask_brings_no_exit_back(module, carries):
    assert executors.runner(type("Other", (Bare,), {"__module__": module})()).carries_ends is carries
