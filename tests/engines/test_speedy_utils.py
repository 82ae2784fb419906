"""speedy-utils: real multi_thread and multi_process on their backends."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
from speedy_utils import multi_process, multi_thread

import cases


def threads(task):
    return multi_thread(task, [1, 0], workers=2, progress=False, error_handler="raise")


def spawned(task):
    return multi_process(task, [1, 0], num_procs=2, progress=False, error_handler="raise", backend="spawn")


def forked(task):
    return multi_process(task, [1, 0], num_procs=2, progress=False, error_handler="raise", backend="fork")


def process_threads(task):
    return multi_process(task, [1, 0], num_threads=2, progress=False, error_handler="raise")


def sequential(task):
    return multi_process(task, [1, 0], progress=False, error_handler="raise")


def logged(task):
    return multi_process(task, [1, 0], num_procs=2, progress=False, backend="spawn")


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "speedy_utils": Engine(
        requires=("speedy-utils>=2.0",),
        heavy=True,
        oldest=("speedy-utils==2.0.5",),
        main=MAIN,
        cases=("threads:ok", "threads:score", "spawned:score", "process_threads:score"),
        draws=True,
        waits="threads",
    ),
}


@kit.on_main
class TestBackends(kit.Standard):
    MAIN = MAIN
    WAYS = {
        "threads": "in a thread-pool worker",
        "spawned": "in a worker process, pid",
        "forked": "in a worker process, pid",
        "process_threads": "in a thread-pool worker",
    }
    MORE = {"sequential:score": ["sequential", "score", "divide"]}
    OTHERS = ("threads:ok", "spawned:ok", "logged:score")
    OWN = ("/speedy_utils/", "SpeedyWorkerError:")
    CATCHES = {}
    NO_FRAMES = ("threads", "process_threads")  # its error is another one than the thread raised

    def test_each_error_is_told_once(self, program):
        assert program.story("threads:score").count("division by zero") == 1
        assert program.story("spawned:score").count("division by zero") == 1

    def test_errors_that_are_only_logged_are_left_to_speedy_utils(self, program):
        assert "logged score returned [1.0, None]" in program.ours.stdout
