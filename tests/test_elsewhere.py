"""A system like Windows: without fork, /proc and what else POSIX has, pools tell the same; only why a worker died is not known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import programs

ELSEWHERE = str(Path(__file__).parent / "elsewhere")

PROGRAM = """
import concurrent.futures
import multiprocessing as mp
import os
import sys


def score(item):
    return 1 / item


def killed(item):
    os.kill(os.getpid(), 9)


def executor(function):
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")) as pool:
        pool.submit(function, 0).result()


def threads(function):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(function, 0).result()


def pool(function):
    with mp.get_context("spawn").Pool(1) as pool:
        pool.map(function, [0])


def process(function):
    worker = mp.get_context("spawn").Process(target=function, args=(0,))
    worker.start()
    worker.join()
    sys.exit(worker.exitcode)


def loky(function):
    import joblib

    joblib.Parallel(2)(joblib.delayed(function)(item) for item in (0, 0))


def flow(function):
    import autotb

    with concurrent.futures.ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")) as pool:
        autotb.map(function, [0, 0], executor=pool)


if __name__ == "__main__":
    globals()[sys.argv[1]](globals()[sys.argv[2]])
"""


def ran(folder: Path, *case: str, autotb: str, **environment: str) -> programs.Ran:
    folder.mkdir()
    return programs.run(folder, PROGRAM, *case, autotb=autotb, **environment)


# What is killed in a thread is the program, and a Pool waits for ever for a worker that was, as without autotb.
CASES = [(way, "score") for way in ("threads", "executor", "pool", "process", "loky", "flow")]
CASES += [(way, "killed") for way in ("executor", "process", "loky", "flow")]


@pytest.mark.parametrize(("way", "task"), CASES, ids=map(":".join, CASES))
def test_pools_tell_the_same(tmp_path, way, task):
    here = ran(tmp_path / "here", way, task, autotb="1")
    there = ran(tmp_path / "there", way, task, autotb="1", PYTHONPATH=ELSEWHERE)
    bare = ran(tmp_path / "bare", way, task, autotb="0" if way != "flow" else "1", PYTHONPATH=ELSEWHERE)

    assert there.status == here.status == bare.status
    assert there.last == here.last == bare.last
    assert there.heads == here.heads, there.stderr
    assert ("main.py:9 in score" in there.heads) == (task == "score"), there.stderr
    places = r"submitted at \S+?(main.py:\d+)"
    assert re.findall(places, there.stderr)[:1] == re.findall(places, here.stderr)[:1]
    assert there.stderr.count("autotb:") == here.stderr.count("autotb:")
