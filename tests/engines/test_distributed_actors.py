"""Calls of Dask actors' methods: their place, their actor, and the death of its worker."""

from __future__ import annotations

import re
import sys

import pytest

from tests.programs import sections

PROGRAM = """
import os
import sys

from distributed import Client, LocalCluster

import autotb


class Counter:
    def __init__(self):
        self.clicks = 0

    def add(self, item):
        self.clicks += item["clicks"]

    def leave(self, status):
        os._exit(status)


def main():
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, processes=sys.argv[1] == "processes") as cluster:
        with Client(cluster) as client:
            counter = client.submit(Counter, actor=True).result()
            print("=== method", file=sys.stderr, flush=True)
            called = counter.add({"views": 3})
            try:
                called.result()
            except KeyError as error:
                print(autotb.explain(error), file=sys.stderr, flush=True)
            print("=== death", file=sys.stderr, flush=True)
            if sys.argv[1] == "processes":
                counter.leave(3).result()


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_a_call_is_told_with_its_actor_its_place_and_its_workers_death(run, kind):
    ran = run(PROGRAM, kind, COLUMNS="300")
    found = sections(ran.stderr)
    line = {text.strip(): number for number, text in enumerate(PROGRAM.split("\n"), 1)}

    method = found["method"]
    place = (
        f"submitted at {ran.folder}/main.py:{line['called = counter.add({' + repr('views').replace(chr(39), chr(34)) + ': 3})']}"
    )
    assert re.search(rf"\[in a Dask worker, .*actor Counter-\S+, {re.escape(place)} in main\]", method), method
    name = "Counter.add" if sys.version_info >= (3, 11) else "add"  # code of 3.10 does not know its class
    assert f"[{name}(item={{'views': 3}})]" in method
    assert method.rstrip().endswith("\nKeyError: 'clicks'")
    if kind == "processes":
        death = re.sub(r"[│\s]+", " ", found["death"])
        assert re.search(
            r"in a Dask worker, pid \d+, actor Counter-\S+, method leave, submitted at \S+main.py:\d+ in main", death
        )
        assert "died, and Counter(), the last task that it told of, had ended: exit status 3" in death
        assert "never retrieved" not in death
        assert ran.last == "OSError: Unable to contact Actor's worker"
