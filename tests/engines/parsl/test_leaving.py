"""A SystemExit of an app: told of a worker process that it ended, and on threads, where Parsl would wait for ever, raised."""

from __future__ import annotations

import pytest

from tests.engines import kit

pytestmark = kit.newer

PROGRAM = """
import sys

import parsl
from parsl import Config, python_app
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider


@python_app
def check(path, limit=3):
    import sys

    sys.exit(f"no data in {path}")


@python_app
def after(found):
    return found


if __name__ == "__main__":
    executor = ThreadPoolExecutor(max_threads=1)
    if sys.argv[1] == "processes":
        executor = HighThroughputExecutor(
            max_workers_per_node=1,
            address="127.0.0.1",
            cpu_affinity="none",
            heartbeat_period=1,
            provider=LocalProvider(init_blocks=1, max_blocks=1),
        )
    with parsl.load(Config(executors=[executor], initialize_logging=False, strategy="none")):
        asked = check("a.csv", limit=3)
        try:
            after(asked).result()
        except parsl.dataflow.errors.DependencyError as error:
            print("not run, of", type(error.dependent_exceptions_tids[0][0]).__name__, flush=True)
        asked.result()
"""


@pytest.mark.on_main()
def test_an_app_that_leaves_its_worker_process_is_told_with_its_call_and_what_it_raised(run):
    ran = run(PROGRAM, "processes")
    above, _, below = ran.stderr.partition("direct cause of the following exception")

    assert "not run, of WorkerLost" in ran.stdout
    assert '❱     sys.exit(f"no data in {path}")' in above, ran.stderr
    assert "SystemExit: no data in a.csv" in above
    assert "│ check('a.csv', limit=3) " in below, ran.stderr
    assert "│ started, and what it raised ended its worker: exit status 1 " in below
    assert ran.last.startswith("parsl.executors.high_throughput.errors.WorkerLost: ")


def test_an_app_that_leaves_a_thread_ends_the_program_that_asks_for_it(run):
    ran = run(PROGRAM, "threads")

    assert (ran.stdout, ran.stderr, ran.status) == ("not run, of SystemExit\n", "no data in a.csv\n", 1)
