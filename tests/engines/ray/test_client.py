"""Ray Client: an error has its call, the line that submitted it and its worker's frames as where the program has a worker of Ray's."""

from __future__ import annotations

import re

import pytest

from autotb.engines.ray import client
from tests import programs
from tests.engines import kit
from tests.programs import Ran, sections

CLIENT = """
import asyncio
import os
import sys
import threading

import ray


class NeedsTwo(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def divide(a, b):
    return a / b


@ray.remote(num_cpus=0, max_retries=0)
def task(x):
    if x == 2:
        raise NeedsTwo(1, 2)
    if x == 3:
        os.kill(os.getpid(), 9)
    if x == 4:
        threading.Event().wait()
    return divide(1, x)


@ray.remote(num_cpus=0)
class Counter:
    def rate(self, by):
        return divide(1, by)


def one_task():
    reference = task.remote(0)
    ray.get(reference)


def with_options():
    reference = task.options(name="other").remote(x=0)
    ray.get(reference)


def method():
    counter = Counter.remote()
    ray.get(counter.rate.remote(0))


def awaited():
    async def awaiting():
        return await task.remote(0)

    asyncio.run(awaiting())


def own():
    ray.get(task.remote(2))


def died():
    reference = task.remote(3)
    ray.get(reference)


def timed_out():
    done = task.remote(1)
    ray.get(done)
    ray.get([done, task.remote(4)], timeout=1)


ray.init(sys.argv[1], logging_level="ERROR")
ray.get(task.remote(1))
for case in (one_task, with_options, method, awaited, own, died, timed_out):
    sys.stderr.write(f"=== {case.__name__}\\n")
    sys.stderr.flush()
    try:
        case()
    except Exception as error:
        print(case.__name__, type(error).__name__, len(getattr(error, "args", ())))
        sys.excepthook(type(error), error, error.__traceback__)
"""
#: A cluster, and a server as ``ray start --head`` has one for each client.
PROGRAM = f"""
import socket
import subprocess
import sys

import ray

address = ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False).address_info["gcs_address"]
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    at = f"127.0.0.1:{{free.getsockname()[1]}}"
host, port = at.split(":")
served = [sys.executable, "-m", "ray.util.client.server", "--address", address, "--host", host, "--port", port]
server = subprocess.Popen([*served, "--mode", "specific-server"], stderr=subprocess.DEVNULL)
open("client.py", "w").write({CLIENT!r})
try:
    sys.exit(subprocess.run([sys.executable, "client.py", "ray://" + at]).returncode)
finally:
    server.terminate()
    server.wait()
"""
#: case: its frames, the call, whether the submitting line is another than the asking one
EXPECTED = {
    "one_task": (["one_task", "task", "divide"], "task(x=0)"),
    "with_options": (["with_options", "task", "divide"], "task(x=0)"),
    "method": (["method", "rate", "divide"], "Counter.rate(by=0)"),
    "awaited": (["awaited", "awaiting", "task", "divide"], "task(x=0)"),
    "own": (["own", "task"], "task(x=2)"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    return programs.run(folder, PROGRAM, timeout=300), programs.run(folder, PROGRAM, autotb="0", timeout=300)


def check(case, text):
    frames, call = EXPECTED[case]
    shown = [head.partition(" in ")[2] for head in Ran(1, "", text, None).heads]
    assert [head for head in shown if head not in ("<module>", "run", "run_until_complete")] == frames, text
    assert re.search(r"in a Ray (worker|actor), pid \d+", text), text
    assert call in text, text


@kit.newer
@pytest.mark.on_main()
@pytest.mark.parametrize("case", EXPECTED)
def test_a_failed_task_of_a_client_has_its_story(ran, case):
    ours, bare = ran

    check(case, sections(ours.stderr)[case])
    with pytest.raises(AssertionError):
        check(case, sections(bare.stderr)[case])


@kit.newer
@pytest.mark.on_main()
@pytest.mark.parametrize("case", ["one_task", "with_options", "died"])
def test_the_line_that_submitted_is_the_clients(ran, case):
    text = sections(ran[0].stderr)[case]

    assert re.search(rf"submitted at \S+client\.py:\d+ in {case}", text), text


@kit.newer
@pytest.mark.on_main()
def test_what_came_of_it_is_as_without(ran):
    ours, bare = ran

    assert [line for line in ours.stdout.splitlines() if not line.startswith("own ")] == [
        line for line in bare.stdout.splitlines() if not line.startswith("own ")
    ]
    assert "own RayTaskError(NeedsTwo) 1" in ours.stdout  # without: a TypeError of unpickling it
    assert (ours.status, bare.status) == (0, 0)
    assert "NeedsTwo: 1 and 2" in sections(ours.stderr)["own"]
    assert "Failed to deserialize" not in ours.stderr


@kit.newer
@pytest.mark.on_main()
def test_a_wait_that_times_out_says_for_what(ran):
    text = sections(ran[0].stderr)["timed_out"]

    assert "1 of 2 results is not ready:" in text, text
    assert re.search(r"^(running|not done): task\(4\), .*submitted at \S+client\.py:\d+ in timed_out$", text, re.M), text


def test_only_a_server_of_the_clients_serves():
    assert not client.serves()
