"""What ends a run (a SystemExit of a call, a Ctrl-C) ends it on every executor alike, and what is kept is not called again."""

from __future__ import annotations

import signal

import pytest

from tests.flow.test_parity import ran

EXECUTORS = ["processes", "loky", "dask", "ray", "parsl_threads", "parsl"]
FLYING = 6  # calls that an executor of two workers may have begun by the time that it is told to stop, at most


@pytest.mark.behaviour("S2-6")
@pytest.mark.on_main(*EXECUTORS[1:])
@pytest.mark.parametrize("name", EXECUTORS)
def test_what_ends_a_run_ends_it_on_every_executor_alike(tmp_path, name):
    done = ran(tmp_path, name, "endings.py")
    told = done.stdout.splitlines()

    assert told[:4] == ["left with 3", "left with 3", "interrupted", "total 276"], done.stderr
    assert int(told[4].removeprefix("again ")) <= FLYING
    assert done.status == -signal.SIGINT
    assert sum(line.startswith("KeyboardInterrupt") for line in done.lines) == 1, done.stderr
    assert "autotb:" not in done.stderr
