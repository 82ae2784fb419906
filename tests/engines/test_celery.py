"""Celery: a real worker on the filesystem broker, and eager tasks."""

from __future__ import annotations

import concurrent.futures
import logging
import traceback

import pytest

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import os
import subprocess
import sys

from celery import Celery, group

import cases
import tasks

HERE = os.path.dirname(os.path.abspath(__file__))
QUEUE = os.path.join(HERE, "queue")
os.makedirs(QUEUE, exist_ok=True)
os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
app = Celery("main", broker="filesystem://", backend="file://" + os.path.join(HERE, "results"))
app.conf.update(
    broker_transport_options={"data_folder_in": QUEUE, "data_folder_out": QUEUE, "control_folder": QUEUE},
    result_serializer=os.environ.get("SERIALIZER", "json"),
    accept_content=["json", "pickle"],
    worker_hijack_root_logger=False,
)


@app.task
def job(name, item):
    return getattr(tasks, name)(item)


def get(task):
    return job.delay(task.__name__, 0).get(timeout=60)


def grouped(task):
    return group([job.s(task.__name__, 1), job.s(task.__name__, 0)])().get(timeout=60)


def eager(task):
    return job.apply(args=(task.__name__, 0)).get()


def main():
    command = [sys.executable, "-m", "celery", "-A", "main", "worker", "-P", "prefork", "-c", "2", "-l", "CRITICAL"]
    log = open(os.path.join(HERE, "worker.log"), "w")
    environment = {**os.environ, **({"AUTOTB": os.environ["WORKERS_AUTOTB"]} if "WORKERS_AUTOTB" in os.environ else {})}
    worker = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=log, env=environment)
    try:
        job.delay("ok", 1).get(timeout=60)
        cases.run(globals())
    finally:
        worker.kill()  # to end well takes it five seconds
        worker.wait(30)


if __name__ == "__main__":
    sys.modules["main"] = sys.modules["__main__"]
    main()
"""

ENGINES = {
    "celery": Engine(
        requires=("celery>=5.2",),
        heavy=True,
        oldest=("celery==5.3.6", "setuptools<80"),
        environment={"C_FORCE_ROOT": "1"},
        main=MAIN,
        cases=("get:ok", "get:score"),
    ),
}


@kit.on_main
class TestWorker(kit.Standard):
    MAIN = MAIN
    WAYS = {"get": "in a Celery worker, pid"}
    BETWEEN = {"get": ["job"]}
    MORE = {"grouped:score": ["grouped", "job", "score", "divide"], "eager:score": ["eager", "job", "score", "divide"]}
    OTHERS = ("get:ok",)
    OWN = ("/celery/", "/billiard/")
    CATCHES = {}
    NO_CALL = ("get",)
    ENVIRONMENT = {"C_FORCE_ROOT": "1"}

    def test_the_tasks_arguments_are_told(self, program):
        assert "job(name='score', item=0)" in program.story("get:score")

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        ours = kit.Program(MAIN).run(tmp_path, "!get:says", **self.ENVIRONMENT)

        assert ours.status == 1
        assert ours.last == kit.ZERO


@kit.on_main
@pytest.mark.parametrize("task", ["score", "two", "locked", "chained"])
def test_results_that_are_pickled(tmp_path, task):
    ran = kit.Program(MAIN).run(tmp_path, f"get:{task}", C_FORCE_ROOT="1", SERIALIZER="pickle")

    text = ran.stderr.partition(f"=== get_{task}\n")[2]
    assert text.rstrip().split("\n")[-1].startswith(kit.STORIES[task].last)
    assert "in a Celery worker, pid" in text


@kit.on_main
def test_a_worker_without_autotb_is_told_from_the_stored_text(tmp_path):
    ran = kit.Program(MAIN).run(tmp_path, "get:chained", C_FORCE_ROOT="1", WORKERS_AUTOTB="0")

    text = ran.stderr.partition("=== get_chained\n")[2]
    assert kit.names(text)[-3:] == ["get", "job", "chained"]
    assert kit.submitted(text) == ["get"]


@kit.on_main
def test_a_driver_without_autotb_reads_what_a_worker_with_it_stored(tmp_path):
    ran = kit.Program(MAIN).run(tmp_path, "get:score", "get:two", "get:ok", autotb="0", C_FORCE_ROOT="1", WORKERS_AUTOTB="1")
    bare = kit.Program(MAIN).run(tmp_path / "bare", "get:score", "get:two", "get:ok", autotb="0", C_FORCE_ROOT="1")

    assert ran.stdout == bare.stdout
    assert "__autotb__" not in ran.stderr


def test_a_copy_of_a_traceback_is_told_once(pool_error):
    """billiard's, which Celery logs: what it copies of a worker's frames does not say that they are one's."""
    from billiard.einfo import Traceback

    copied = Traceback(pool_error.__traceback__)
    text = logging.Formatter().formatException((type(pool_error), pool_error, copied))
    assert text == logging.Formatter().formatException((type(pool_error), pool_error, pool_error.__traceback__))
    assert text.count("in inverse") == 1
    assert "".join(traceback.format_exception(type(pool_error), pool_error, copied)).count("in inverse") == 1


@pytest.fixture
def pool_error():
    pytest.importorskip("billiard")
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        return pool.submit(inverse, 0).exception()


def inverse(x):
    return 1 / x
