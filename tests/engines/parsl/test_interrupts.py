"""A Ctrl-C to a program that waits for Parsl's tasks: each that runs is told with its worker."""

from __future__ import annotations

import os
import re
import signal

import pytest

from autotb.engines.parsl import interrupts
from tests.engines import kit
from tests.instrument.test_interrupted import interrupted

pytestmark = kit.newer

PROGRAM = """
import sys

import parsl
from parsl import Config, python_app
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider


@python_app
def slow(item):
    import os, time

    open(f"begun{item}", "w").close()
    end = time.monotonic() + 60
    while time.monotonic() < end and not os.path.exists("enough"):
        time.sleep(0.1)  # here


if __name__ == "__main__":
    if sys.argv[1] == "processes":
        executor = HighThroughputExecutor(
            max_workers_per_node=2, address="127.0.0.1", cpu_affinity="none", provider=LocalProvider(init_blocks=1, max_blocks=1)
        )
    else:
        executor = ThreadPoolExecutor(max_threads=2)
    parsl.load(Config(executors=[executor], initialize_logging=False))
    futures = [slow(item) for item in range(2)]
    futures[0].result()
"""
WAYS = {
    "processes": r"slow\((\d)\), task \1, for \d+\.\d s, pid \d+, submitted at \S*main\.py:\d+ in <listcomp>",
    "threads": r"slow\(item=(\d)\), at \S*main\.py:\d+ in slow, in thread ThreadPoolExecutor\S*",
}


@pytest.fixture(autouse=True)
def _no_worker_is_left(tmp_path):
    """Workers that Parsl has not ended go on until they miss its heartbeat."""
    yield
    for pid in filter(str.isdigit, os.listdir("/proc") if os.path.exists("/proc/self") else []):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if f"--logdir={tmp_path}".encode() in file.read():
                    os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass


@pytest.mark.on_main()
@pytest.mark.parametrize("way", WAYS)
def test_each_task_is_told(tmp_path, way):
    bare = interrupted(tmp_path / "bare", way, code=PROGRAM, autotb="0")
    ours = interrupted(tmp_path / "ours", way, code=PROGRAM)

    pattern = WAYS[way].replace("<listcomp>", r"(?:<listcomp>|<module>)")
    found = [match for line in ours.lines if (match := re.fullmatch(f"running: {pattern}", line))]
    assert sorted(match[1] for match in found) == ["0", "1"], ours.stderr
    assert ours.status == bare.status
    assert len(ours.lines) <= len(bare.lines)
    # Parsl's interchange is interrupted too.
    assert ours.stderr.count("Traceback") == 1, ours.stderr
    assert bare.stderr.count("Traceback") == (2 if way == "processes" else 1)


def test_without_a_kernel_nothing_is_told():
    assert interrupts.running(lambda *call: call) == {}
