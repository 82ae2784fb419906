"""mpire: a real WorkerPool on processes and threads."""

from __future__ import annotations

import sys

import pytest

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
from mpire import WorkerPool

import cases


def map_(task):
    with WorkerPool(n_jobs=2) as pool:
        return pool.map(task, [1, 0])


def spawned(task):
    with WorkerPool(n_jobs=2, start_method="spawn") as pool:
        return pool.map_unordered(task, [1, 0])


def imap(task):
    with WorkerPool(n_jobs=2) as pool:
        return list(pool.imap(task, [1, 0]))


def apply(task):
    with WorkerPool(n_jobs=2) as pool:
        return pool.apply(task, 0)


def later(task):
    with WorkerPool(n_jobs=2) as pool:
        found = pool.apply_async(task, 0)
        return found.get()


def threads(task):
    with WorkerPool(n_jobs=2, start_method="threading") as pool:
        return pool.map(task, [1, 0])


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "mpire": Engine(
        requires=("mpire>=2.9",),
        oldest=("mpire==2.9.0",),
        also=("../postmortem/test_engines.py", "-k", "mpire"),
        main=MAIN,
        cases=("map_:ok", "map_:score", "apply:score"),
        waits="map_",
    ),
}


@pytest.mark.on_main()
class TestPool(kit.Standard):
    MAIN = MAIN
    WAYS = {
        "apply": "in an mpire worker, pid",  # first, as it has one task: others' may be ended before they print their line
        "map_": "in an mpire worker, pid",
        "spawned": "in an mpire worker, pid",
        "threads": "in an mpire worker thread",
    }
    MORE = {"imap:score": ["imap", "score", "divide"], "later:score": ["later", "score", "divide"]}
    HANGS = tuple(f"{way}:locked" for way in WAYS) + ("map_:group",)
    OTHERS = ("map_:group", "map_:ok", "threads:ok", "apply:killed")  # mpire may hang when a worker is killed while another sends
    OWN = ("/mpire/", "Exception occurred in Worker")

    def test_a_group_arrives_as_itself(self, program):
        if sys.version_info >= (3, 11):
            assert "map_ group raised ExceptionGroup" in program.ours.stdout
        assert "apply killed raised RuntimeError" in program.ours.stdout
