"""IPython and Jupyter: cells show a worker's error as autotb does."""

from __future__ import annotations

import sys

from tests import programs

WORKER_ERROR = """
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return 1 / x
"""


def test_ipython_cells(tmp_path):
    code = (
        WORKER_ERROR
        + "\nimport multiprocessing as mp\nif True:\n    with ProcessPoolExecutor(1, mp_context=mp.get_context('fork')) as pool:\n        pool.submit(work, 0).result()\n"
    )
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--no-banner",
        "--colors=NoColor",
        "--simple-prompt",
        "--InteractiveShell.history_length=0",
    ]
    ran = programs.start([*command, "-c", code], tmp_path, HOME=str(tmp_path), IPYTHONDIR=str(tmp_path / "ipython"))
    text = ran.stdout + ran.stderr

    assert "╭" in text
    assert "in a process-pool worker" in text
    assert "concurrent/futures" not in text
    assert text.count("ZeroDivisionError") == 1
