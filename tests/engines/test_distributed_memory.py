"""A worker that its nanny ends for its memory is told so."""

from __future__ import annotations

import re

PROGRAM = """
import dask
from distributed import Client, LocalCluster

dask.config.set({"distributed.scheduler.allowed-failures": 0})


def grow(step):
    held = []
    while True:
        held.append(bytearray(step))


def main():
    options = dict(n_workers=1, threads_per_worker=1, dashboard_address=None, memory_limit="300MB")
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        client.submit(grow, 1_000_000).result()


if __name__ == "__main__":
    main()
"""


def test_the_limit_and_its_remedy_are_told(shows):
    def check(ran):
        text = re.sub(r"[│\s]+", " ", ran.stderr)
        assert re.search(
            r"killed by signal \d+ \(SIG\w+\), sent by its nanny: above 95% of its memory limit of 286\.10 MiB", text
        )
        assert "hint: a worker process died without a Python exception: its engine ends workers that come near" in text
        assert "KilledWorker: Attempted to run task 'grow-" in ran.last

    shows(PROGRAM, check)
