"""PyPy 3.11, where the machine has one: the programs that everybody writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import autotb
from tests import programs

PYPY = os.environ.get("PYPY") or shutil.which("pypy3.11") or shutil.which("pypy3")

PROGRAM = """
import asyncio, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def ratio(clicks, views):
    return clicks / views

async def gathered():
    await asyncio.gather(asyncio.to_thread(ratio, 1, 0))

def threads():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ratio, 1, views=0).result()

def processes():
    with ProcessPoolExecutor(1) as pool:
        pool.submit(ratio, 1, views=0).result()

def pool():
    with multiprocessing.Pool(1) as pool:
        pool.apply(ratio, (1, 0))

def tasks():
    asyncio.run(gathered())

if __name__ == "__main__":
    globals()[sys.argv[1]]()
"""


def _is_new_enough() -> bool:
    code = "import sys; print(sys.version_info >= (3, 10))"
    return PYPY is not None and subprocess.run([PYPY, "-c", code], capture_output=True, timeout=60).stdout.strip() == b"True"


@pytest.mark.skipif(not _is_new_enough(), reason="there is no PyPy of Python 3.10 or later here: set PYPY to one")
@pytest.mark.parametrize("name", ["threads", "processes", "pool", "tasks"])
def test_on_pypy(name, tmp_path):
    script = tmp_path / "main.py"
    script.write_text(PROGRAM)
    env = {"PYTHONPATH": str(Path(autotb.__file__).parent.parent), "AUTOTB_STYLE": "plain"}
    ran = programs.start([str(PYPY), "-m", "autotb", "run", str(script), name], tmp_path, **env)
    bare = programs.start([str(PYPY), str(script), name], tmp_path, autotb="0")

    assert ran.status == bare.status == 1
    assert ran.last == bare.last == "ZeroDivisionError: division by zero"
    assert "return clicks / views" in ran.stderr
    assert "ratio(clicks=1, views=0)" in ran.stderr
    assert len(ran.lines) < len(bare.lines) + 8
