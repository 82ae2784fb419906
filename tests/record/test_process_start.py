"""When this process began."""

import os
import subprocess
import sys
import time

import pytest

from autotb.record import process_start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process began")


def test_it_is_between_the_parents_order_and_now():
    before = time.time_ns()
    ran = subprocess.run(
        [sys.executable, "-c", "from autotb.record import process_start; print(process_start.own_start())"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert before - 2e8 < int(ran.stdout) < time.time_ns() + 2e8  # a clock tick is 10 ms, the kernel's clock and ours are two


def test_a_forked_child_has_its_own(tmp_path):
    mine = process_start.own_start()
    time.sleep(0.3)
    pid = os.fork()
    if pid == 0:
        os.write(os.open(tmp_path / "start", os.O_CREAT | os.O_WRONLY), str(process_start.own_start()).encode())
        os._exit(0)
    os.waitpid(pid, 0)

    assert int((tmp_path / "start").read_text()) - mine > 1e8
