"""Pebble: real process and thread pools, timeouts and cancelled tasks."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import sys
import time
from pebble import ProcessPool, ThreadPool, concurrent

import cases
import tasks


def schedule(task):
    with ProcessPool(max_workers=2) as pool:
        return pool.schedule(task, args=(0,)).result()


def submit(task):
    with ProcessPool(max_workers=2) as pool:
        return pool.submit(task, 30, 0).result()


def map_(task):
    with ProcessPool(max_workers=2) as pool:
        return list(pool.map(task, [1, 0]).result())


def threads(task):
    with ThreadPool(max_workers=2) as pool:
        return pool.schedule(task, args=(0,)).result()


def thread_map(task):
    with ThreadPool(max_workers=2) as pool:
        return list(pool.map(task, [1, 0]).result())


@concurrent.process
def decorated(item):
    return tasks.score(item)


def decorator(task):
    return decorated(0).result()


@concurrent.thread
def threaded(item):
    return tasks.score(item)


def thread_decorator(task):
    return threaded(0).result()


def slow(item):
    time.sleep(600)


def timeout(task):
    with ProcessPool(max_workers=1) as pool:
        return pool.schedule(slow, args=(0,), timeout=0.3).result()


def cancelled(task):
    with ProcessPool(max_workers=1) as pool:
        found = pool.schedule(slow, args=(0,))
        found.cancel()
        return found.result()


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "pebble": Engine(
        requires=("pebble>=5.0.3",),
        oldest=("pebble==5.0.3",),
        also=("../postmortem/test_engines.py", "-k", "pebble"),
        main=MAIN,
        cases=("schedule:ok", "schedule:score", "map_:score", "threads:score"),
        waits="schedule",
        unsendable="from pebble import ProcessPool\ndef main():\n    with ProcessPool(1) as pool:\n"
        "        return pool.schedule(id, args=(LOCK,)).result()",
    ),
}


class TestPools(kit.Standard):
    MAIN = MAIN
    WAYS = {
        "schedule": "in a Pebble worker, pid",
        "submit": "in a Pebble worker, pid",
        "map_": "in a Pebble worker, pid",
        "threads": "in a Pebble worker thread",
        "thread_map": "in a Pebble worker thread",
    }
    MORE = {
        "decorator:score": ["decorator", "decorated", "score", "divide"],
        "thread_decorator:score": ["thread_decorator", "threaded", "score", "divide"],
    }
    HANGS = ("schedule:group",)
    OTHERS = ("timeout:score", "cancelled:score", "schedule:killed", "schedule:interrupted", "schedule:ok", "map_:ok")
    OWN = ("/pebble/",)

    def test_a_timeout_is_shown_where_it_was_asked_for(self, program):
        text = program.story("timeout:score")

        assert kit.names(text) == ["timeout"]
        assert kit.submitted(text) == ["timeout"]
        assert "TimeoutError" in text.rstrip().split("\n")[-1]
        assert kit.names(program.story("cancelled:score")) == ["cancelled"]
