"""Errors that Ray's own libraries return as values keep the worker's story: its Pool's, Ray Train's, and one that was pickled again."""

from __future__ import annotations

import re

import pytest

from autotb.engines.ray import returned
from tests import programs
from tests.engines import kit
from tests.programs import Ran, sections

PROGRAM = """
import os
import sys

import ray
import ray.train
import ray.tune
import ray.util.multiprocessing
import ray.util.scheduling_strategies
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer


def inverse(value):
    return 1 / value


@ray.remote
def task(value):
    return inverse(value)


def loop(config):
    inverse(config["value"])


def in_pool():
    with ray.util.multiprocessing.Pool(1) as pool:
        pool.map(inverse, [2, 0])


def pickled_again():
    try:
        ray.get(task.remote(0))
    except Exception as error:
        copy = ray.cloudpickle.loads(ray.cloudpickle.dumps(error))
    raise copy


def in_train():
    scaling = ray.train.ScalingConfig(num_workers=1)
    DataParallelTrainer(loop, train_loop_config={"value": 0}, scaling_config=scaling).fit()


def in_tune():
    tuner = ray.tune.Tuner(loop, param_space={"value": 0}, run_config=ray.tune.RunConfig(storage_path=os.getcwd(), verbose=0))
    raise tuner.fit()[0].error


class Model(ray.tune.Trainable):
    def setup(self, config):
        self.value = config["value"]

    def step(self):
        return {"loss": inverse(self.value)}


def in_tunes_class():
    run = ray.tune.RunConfig(storage_path=os.getcwd(), verbose=0)
    raise ray.tune.Tuner(Model, param_space={"value": 0}, run_config=run).fit()[0].error


def in_tune_run():
    ray.tune.run(loop, config={"value": ray.tune.grid_search([0, 0])}, storage_path=os.getcwd(), verbose=0)


def no_environment():
    ray.get(task.options(runtime_env={"conda": "none of this name"}).remote(1))


def nowhere():
    there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id="ab" * 28, soft=False)
    kept = task.options(scheduling_strategy=there).remote(1)
    ray.get(kept)


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    for case in (in_pool, pickled_again, in_train, in_tune, in_tunes_class, in_tune_run, no_environment, nowhere):
        sys.stderr.write(f"=== {case.__name__}\\n")
        sys.stderr.flush()
        try:
            case()
        except Exception as error:
            print(case.__name__, isinstance(error, ZeroDivisionError), isinstance(error, ray.train.TrainingFailedError))
            sys.excepthook(type(error), error, error.__traceback__)
"""

#: case: its frames, where it ran, the call, what the program catches
EXPECTED = {
    "in_tune": (
        ["in_tune", "loop", "inverse"],
        r"in a Ray actor, pid \d+, trial loop_\w+",
        "loop(config={'value': 0})",
        "True False",
    ),
    "in_tunes_class": (
        ["in_tunes_class", "step", "inverse"],
        r"in a Ray actor, pid \d+, trial Model_\w+",
        "Model.step()",
        "True False",
    ),
    "in_tune_run": (
        ["in_tune_run", "loop", "inverse"],
        r"in a Ray actor, pid \d+, trial loop_\w+",
        "loop(config={'value': 0})",
        "False False",
    ),
    "in_pool": (["in_pool", "inverse"], r"in a Ray pool's actor, pid \d+", "inverse(value=0)", "True False"),
    "pickled_again": (["pickled_again", "task", "inverse"], r"in a Ray worker, pid \d+", "task(value=0)", "True False"),
    "in_train": (
        ["in_train", "loop", "inverse"],
        r"in a Ray Train worker, pid \d+, (RANK=0|rank 0)",
        "loop(config={'value': 0})",
        "False True",
    ),
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return programs.run(tmp_path_factory.mktemp("returned"), PROGRAM, timeout=300)


@kit.newer
@pytest.mark.on_main()
@pytest.mark.parametrize("case", EXPECTED)
def test_the_workers_story_arrives(ours, case):
    frames, where, call, caught = EXPECTED[case]
    ran = Ran(1, "", sections(ours.stderr)[case], None)

    assert [head.partition(" in ")[2] for head in ran.heads if " in <module>" not in head] == frames, ran.stderr
    assert re.search(where, ran.stderr), ran.stderr
    assert call in ran.stderr
    assert ("\nraised as ray.train.WorkerGroupError\n" in ran.stderr) == (case == "in_train")
    assert "Error Snippet" not in ran.stderr
    assert "get_trial_name" not in ours.stderr  # Ray warns of its use in a class
    assert "ZeroDivisionError: division by zero" in ran.lines
    assert f"{case} {caught}" in ours.stdout


class Group(Exception):
    def __init__(self, failures):
        self.worker_failures = failures


class Returned(Exception):
    def __init__(self, error, text):
        self._base_exc, self._traceback_str = error, text


@kit.newer
@pytest.mark.on_main()
def test_on_the_terminal_the_workers_and_the_controllers_log_are_short(ours):
    lines = [re.sub(r"^(\x1b\[\d+m)?\(\w+ pid=\d+\)(\x1b\[0m)? ", "", line) for line in ours.lines]

    assert "Error in training function: ZeroDivisionError: division by zero" in lines
    assert "[FailurePolicy] RAISE" in lines
    assert "Error Snippet" not in ours.stderr


def test_ranks_are_told_in_their_order():
    first, second = ValueError("0"), ValueError("1")

    assert returned._open_group(Group({1: second, 0: first})).roots == (first, second)
    assert returned._open_group(Group({})) is None
    assert returned._open_group(ValueError()) is None


def test_without_a_record_the_text_is_read():
    error = ValueError("x")
    opened = returned._open_worker(Returned(error, "Traceback …"))

    assert (opened.headline, opened.text, opened.roots) == (error, "Traceback …", ())
    assert returned._open_worker(ValueError()) is None


def test_an_error_is_recorded_where_it_is_handled():
    wrap = returned._recording("in a worker", lambda: "rank 3")
    made = wrap(lambda self, error, text: None)
    try:
        raise KeyError("k")
    except KeyError as error:
        made(object(), error, "")
        record = error.__dict__["__autotb__"]
        other = ValueError()
        made(object(), other, "")

    assert (record["hops"][0]["where"], record["hops"][0]["label"]) == ("in a worker", "rank 3")
    assert "__autotb__" not in other.__dict__


@kit.newer
@pytest.mark.on_main()
def test_an_environment_that_cannot_be_made_is_told_without_the_agents_frames(ours):
    told = sections(ours.stderr)["no_environment"]

    assert "RuntimeEnvSetupError: Failed to set up runtime environment.\n" in told
    assert "engine frames hidden, AUTOTB_FRAMES=all]\nValueError: Could not find Conda executable" in told
    assert "runtime_env_agent.py" not in told


@kit.newer
@pytest.mark.on_main()
def test_tasks_that_were_not_run_have_their_call_and_place(ours):
    told = sections(ours.stderr)

    lines = PROGRAM.splitlines()
    line = 1 + next(at for at, text in enumerate(lines) if 'runtime_env={"conda"' in text)
    made = 1 + next(at for at, text in enumerate(lines) if "kept = task" in text)
    assert re.search(rf"submitted at \S*main\.py:{line} in no_environment\W+task\(1\)\W", told["no_environment"])
    assert re.search(rf"submitted at \S*main\.py:{made} in nowhere\W+task\(1\)\W", told["nowhere"])
    assert "ray.exceptions.TaskUnschedulableError: " in told["nowhere"]
