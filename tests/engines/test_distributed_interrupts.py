"""A Ctrl-C while Dask's workers run: one story that says what each task was doing, and no page of a worker's."""

from __future__ import annotations

import re

import pytest

from autotb.engines import distributed_interrupts
from tests.engines import kit
from tests.instrument.test_interrupted import interrupted

pytestmark = kit.newer

PROGRAM = """
import os
import sys
import time


def slow(item):
    open(f"begun{item}", "w").close()
    end = time.monotonic() + 60
    while time.monotonic() < end and not os.path.exists("enough"):
        time.sleep(0.1)  # here


def gather(processes):
    from distributed import Client

    with Client(n_workers=1, threads_per_worker=2, processes=processes, dashboard_address=None) as client:
        client.gather(client.map(slow, range(2)))


def cluster():
    gather(True)


def inside():
    gather(False)


def compute(**options):
    import dask

    dask.compute(*[dask.delayed(slow)(item) for item in range(2)], **options)


def threads():
    compute(scheduler="threads", num_workers=2)


def processes():
    compute(scheduler="processes", num_workers=2, chunksize=1)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
"""
LINE = next(number for number, each in enumerate(PROGRAM.splitlines(), 1) if each.endswith("# here"))
TOLD = re.compile(r"^(running|interrupted): slow\((?:item=)?(\d)\), at \S*main\.py:(\d+) in slow, (.*)$", re.M)
MORE = {
    "cluster": r"for \d+\.\d s, pid \d+, submitted at \S*main\.py:\d+ in gather",
    "inside": r"in thread \S*Dask\S*, submitted at \S*main\.py:\d+ in gather",
    "threads": r"in thread ThreadPoolExecutor\S*",
    "processes": r"after \d+\.\d s, pid \d+",
}


@pytest.mark.parametrize("way", MORE)
def test_each_task_is_told_with_its_call_and_its_line(tmp_path, way):
    ran = interrupted(tmp_path, way, code=PROGRAM)

    told = TOLD.findall(ran.stderr)
    assert sorted(item for _, item, _, _ in told) == ["0", "1"], ran.stderr
    for state, _, line, more in told:
        assert state == ("interrupted" if way == "processes" else "running")
        assert LINE - 1 <= int(line) <= LINE
        assert re.fullmatch(MORE[way], more), more
    assert ran.stderr.count("KeyboardInterrupt\n") == 1  # Dask's own warnings may be beside it
    assert "AllExit" not in ran.stderr
    if way == "cluster":
        worker = r"^Process Dask Worker process \(from Nanny\), pid \d+: KeyboardInterrupt while it ran slow\(\d\), slow\(\d\)$"
        assert re.search(worker, ran.stderr, re.M), ran.stderr


def test_the_cluster_ends_as_without(tmp_path):
    bare = interrupted(tmp_path / "bare", "cluster", code=PROGRAM, autotb="0")
    ours = interrupted(tmp_path / "ours", "cluster", code=PROGRAM)

    assert ours.status == bare.status
    assert not TOLD.search(bare.stderr)
    assert len(ours.lines) < len(bare.lines)


def test_a_worker_that_left_no_word_tells_nothing():
    assert distributed_interrupts.ended(None, {}) is None
