"""A worker that outlives its run, as a cluster's does where the program is killed, while another run goes on with the folder.

Of what it keeps yet nothing takes the place of what that run has kept, and it makes no further call.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import autotb
from autotb.flow import result_log
from tests import programs
from tests.flow.calls import double

PROGRAM = """
    import os, pathlib, time
    from concurrent.futures import ProcessPoolExecutor
    import autotb

    turn = os.environ["TURN"]

    def note(what):
        with open("calls", "a") as file:
            file.write(f"{what} {turn} {os.getpid()}\\n")

    def first(x):
        note(f"first-{x}")
        if x == 2 and turn == "one":
            while not os.path.exists("go"):
                time.sleep(0.01)
            if "FAILS" in os.environ:
                raise ValueError("late")
        return turn

    def second(value):
        note("second")
        return f"of {value}"

    if __name__ == "__main__":
        with ProcessPoolExecutor(1) as pool:
            flow = autotb.Flow(
                pool, error_handling="continue", run_folder="run", resume=True, progress=False, return_results="OWNED" not in os.environ
            )
            ones = flow.map(autotb.step(first, chunksize=6), range(6))
            twos = flow.map(second, ones)
            results = flow.run()
        print(sorted({*map(str, results[ones])}), sorted({*map(str, results[twos])}))
    """


def until(is_so):
    limit = time.monotonic() + programs.LIMIT
    while not is_so():
        assert time.monotonic() < limit
        time.sleep(0.01)


def kept_by(pid, folder):
    """The elements that a process has kept."""
    shards = [name for name in result_log.names(folder) if f"-{pid}-" in name]
    return [record.at for shard in shards for _, record in result_log.heads(folder, shard)]


@pytest.mark.parametrize("variables", [{"FAILS": "1"}, {"OWNED": "1"}], ids=["fails", "owned"])
def test_what_a_worker_keeps_after_its_run_was_killed_does_not_change_the_next(tmp_path, variables):
    script, calls = tmp_path / "main.py", tmp_path / "calls"
    script.write_text(textwrap.dedent(PROGRAM))

    def made(turn, name):
        return [line.split() for line in calls.read_text().splitlines() if f" {turn} " in line and line.startswith(name)]

    def went_on(turn):
        return programs.start([sys.executable, str(script)], tmp_path, TURN=turn, **variables)

    killed = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path, env=programs.environment(TURN="one", **variables))
    until(lambda: calls.exists() and made("one", "first-2"))
    worker = int(made("one", "first-2")[0][2])
    killed.send_signal(signal.SIGKILL)
    killed.wait(60)
    try:
        done = went_on("two")
        assert "'of two'" in done.stdout, done.stderr
        (tmp_path / "go").touch()
        until(lambda: 2 in kept_by(worker, str(tmp_path / "run")))
        assert went_on("three").stdout == done.stdout
    finally:
        os.kill(worker, signal.SIGKILL)  # it waits for its pool for ever
    assert went_on("four").stdout == done.stdout
    assert [made("one", f"first-{x}") for x in (3, 4, 5)] == [[], [], []]
    assert made("three", "") + made("four", "") == []


def test_a_folder_whose_shards_are_gone_with_their_own_is_resumed(tmp_path):
    def ran():
        flow = autotb.Flow("threads", run_folder=tmp_path / "run", resume=True, progress=False)
        out = flow.map(double, range(3))
        return flow.run()[out]

    assert ran() == [0, 2, 4]
    shutil.rmtree(tmp_path / "run" / result_log.FOLDER)
    with pytest.warns(RuntimeWarning, match="gone with its shard") as told:
        assert ran() == [0, 2, 4]
    assert told[0].filename == __file__


THREADS = """
import os, signal, sys, threading, time
import autotb

going = threading.Event()

def call(x):
    with open("calls", "a") as file:
        file.write(f"{x}\\n")
    if x >= 2 and "STOPS" in os.environ:
        going.wait()  # until the run is over
    if x == 3 and "STOPS" in os.environ:
        raise ValueError(x)
    return x * 10

def stops():
    while len(open("calls").readlines()) < 4:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

if __name__ == "__main__":
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(2) as pool:
        options = {"run_folder": "run", "resume": True, "return_results": "OWNED" not in os.environ}
        flow = autotb.Flow(pool, error_handling="continue", progress=False, **options)
        tens = flow.map(autotb.step(call, chunksize=1), range(6))
        open("calls", "a").close()
        if "STOPS" in os.environ:
            threading.Thread(target=stops).start()
        try:
            results = flow.run()
        finally:
            going.set()
    print([str(one) for one in results[tens]])
"""


@pytest.mark.parametrize("owned", [{}, {"OWNED": "1"}], ids=["values are returned", "values are the workers'"])
def test_what_threads_come_to_while_the_program_ends_after_a_ctrl_c_is_kept(tmp_path, owned):
    (tmp_path / "main.py").write_text(THREADS)
    stopped = programs.start([sys.executable, "main.py"], tmp_path, STOPS="1", **owned)
    assert stopped.status == -signal.SIGINT, stopped.stderr
    assert sorted((tmp_path / "calls").read_text().split()) == ["0", "1", "2", "3"]

    again = programs.start([sys.executable, "main.py"], tmp_path, **owned)
    assert again.stdout.startswith("['0', '10', '20', '<ErrorSnapshot of call(x=3): ValueError: 3>', '40', '50']"), again.stderr
    assert sorted((tmp_path / "calls").read_text().split()) == ["0", "1", "2", "3", "4", "5"]
