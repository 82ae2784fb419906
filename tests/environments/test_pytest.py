"""A failing test under pytest."""

from __future__ import annotations

import sys

from tests import programs

WORKER_ERROR = """
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return 1 / x
"""


def test_a_failing_test_under_pytest_tells_the_workers_story(tmp_path):
    (tmp_path / "test_it.py").write_text(
        WORKER_ERROR + "\n\ndef test_it():\n    with ProcessPoolExecutor(1) as pool:\n        pool.submit(work, 0).result()\n"
        "\n\ndef test_other():\n    assert {}\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "test_it.py"]

    ours, bare = programs.start(command, tmp_path), programs.start(command, tmp_path, autotb="0")

    assert ours.stdout.count("in a process-pool worker") == 1
    assert ours.stdout.count("------ autotb ------") == 1
    assert ours.status == bare.status == 1
    assert "autotb" not in bare.stdout.replace(str(tmp_path), "")
