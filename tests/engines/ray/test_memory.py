"""A task that Ray's memory monitor killed is told with its call, its place and Ray's own words, and with no guess."""

from __future__ import annotations

import re

import pytest

from autotb.engines.ray import memory
from tests import programs
from tests.engines import kit
from tests.programs import sections

#: At one hundredth of the memory, which is in use on any machine, the monitor kills whatever task it sees.
PROGRAM = """
import os
import sys
import threading

os.environ.update(RAY_memory_usage_threshold="0.01", RAY_memory_monitor_refresh_ms="100", RAY_task_oom_retries="0")
import ray


@ray.remote(max_retries=0)
def load(path):
    threading.Event().wait()


@ray.remote(max_restarts=0)
class Cache:
    def fill(self, path):
        threading.Event().wait()


def task():
    reference = load.remote("a.csv")
    ray.get(reference)


def actor():
    cache = Cache.remote()
    ray.get(cache.fill.remote("a.csv"))


ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
for case in (task, actor):
    sys.stderr.write(f"=== {case.__name__}\\n")
    sys.stderr.flush()
    try:
        case()
    except Exception as error:
        print(case.__name__, type(error).__name__)
        sys.excepthook(type(error), error, error.__traceback__)
"""
TOLD = "Selected to kill: (Task: job ID=01, lease ID=02, task name={}, required resources={{CPU: 1}}, pid={}, actual memory used=0.05GB, worker ID=8b)"


@kit.newer
@pytest.mark.on_main()
def test_what_the_monitor_killed_is_told_without_a_guess(tmp_path):
    ran = programs.run(tmp_path, PROGRAM, timeout=200)
    told = sections(ran.stderr)

    assert ran.stdout == "task OutOfMemoryError\nactor OutOfMemoryError\n", ran.stderr
    for case, call in (("task", "load("), ("actor", "Cache.")):
        text = " ".join(told[case].replace("│", "").split())
        assert re.search(rf"in a Ray worker, pid \d+, submitted at \S+main\.py:\d+ in {case} {re.escape(call)}", text), text
        assert re.search(r"killed by the node's memory monitor, while it held \d[\d.]* GB", text), text
        assert "hint:" not in text
        assert "OOM kill reason" in text  # Ray's own words stay


def test_of_several_that_were_killed_the_tasks_own_is_told_or_none():
    one = memory.hop(TOLD.format("load", 7), None, "load('a.csv')")

    assert (one["pid"], one["call"]) == (7, "load('a.csv')")
    assert one["died"] == ["killed by the node's memory monitor, while it held 0.05 GB"]
    assert memory.hop(TOLD.format("load", 7), None, "")["call"] == "load"
    assert memory.hop(TOLD.format("load", 7) + TOLD.format("other", 8), None, "load()") is None
    assert memory.hop("The task was killed.", None, "load()") is None
