"""Ctrl-C while tasks run, and arguments that cannot be sent: on every engine as without autotb, but shorter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests import programs
from tests.engines import kit
from tests.engines.declared import engines
from tests.engines.test_degrading import program
from tests.programs import Ran

#: Those whose program ends by itself when the terminal interrupts it.
WAITING = [name for name, engine in engines().items() if engine.waits]
UNSENDABLE = [name for name, engine in engines().items() if engine.unsendable]

pytestmark = kit.on_main


def interrupted(name: str, folder, autotb: str) -> Ran:
    """Run a program until a task has begun in a worker, then interrupt its process group as a terminal does."""
    made, _ = program(f"autotb.engines.{name}")
    engine = engines()[name]
    script = made.write(folder)
    with open(folder / "stderr", "w") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(script), *engine.first, f"!{engine.waits}:slow"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            env={**programs.environment(autotb), "BEGUN": str(folder / "begun")},
        )
        try:
            limit = time.monotonic() + programs.LIMIT
            while not (folder / "begun").exists():
                assert time.monotonic() < limit, "no task has begun"
                time.sleep(0.05)
            time.sleep(0.5)
            os.killpg(process.pid, signal.SIGINT)
            status = process.wait(programs.LIMIT)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    return Ran(status, "", (folder / "stderr").read_text(), folder)


@pytest.mark.parametrize("name", WAITING)
def test_a_ctrl_c_ends_the_program_as_it_would(name, tmp_path):
    (tmp_path / "ours").mkdir()
    (tmp_path / "bare").mkdir()
    ours, bare = interrupted(name, tmp_path / "ours", "1"), interrupted(name, tmp_path / "bare", "0")

    assert ours.status == bare.status, ours.stderr
    assert any("KeyboardInterrupt" in line for line in ours.lines), ours.stderr
    assert "autotb:" not in ours.stderr
    assert len(ours.lines) <= max(len(bare.lines), 60), ours.stderr


LOCK = """
import sys, threading

LOCK = threading.Lock()

{body}

if __name__ == "__main__":
    try:
        found = main()
    except Exception as error:
        print(type(error).__name__, flush=True)
        sys.excepthook(type(error), error, error.__traceback__)
    else:
        print("returned", flush=True)
"""


@pytest.mark.parametrize("name", UNSENDABLE)
def test_an_argument_that_cannot_be_sent(name, tmp_path):
    code = LOCK.format(body=engines()[name].unsendable)
    ours = programs.run(tmp_path / "ours", code)
    bare = programs.run(tmp_path / "bare", code, autotb="0")

    assert ours.stdout.splitlines()[-1] == bare.stdout.splitlines()[-1]
    if "returned" not in ours.stdout:
        assert "main" in kit.names("\n".join(ours.lines)) or any(head.endswith("in main") for head in ours.heads), ours.stderr
