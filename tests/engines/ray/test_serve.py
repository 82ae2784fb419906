"""Ray Serve: a request that fails is told with its replica and the line that made it, a constructor's own error in place of Serve's."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from autotb.engines.ray import serve
from tests import programs
from tests.engines import kit
from tests.programs import Ran, sections

PROGRAM = """
import os
import sys
import time
import urllib.error
import urllib.request

import ray
from ray import serve


def inverse(value):
    return 1 / value


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Back:
    def invert(self, value):
        return inverse(value)


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Front:
    def __init__(self, back):
        self.back = back

    async def own(self, value):
        return inverse(value)

    async def ask(self, value):
        answer = self.back.invert.remote(value)
        return await answer

    async def __call__(self, request):
        return inverse(int(request.query_params["n"]))


@serve.deployment(ray_actor_options={"num_cpus": 0}, max_constructor_retry_count=1)
class Broken:
    def __init__(self, value):
        self.value = inverse(value)


def by_handle(front):
    answer = front.own.remote(0)
    answer.result()


def composed(front):
    answer = front.ask.remote(0)
    answer.result()


def by_http(front):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/?n=0")
    except urllib.error.HTTPError as error:
        print("by_http", error.code)


def constructor(front):
    serve.run(Broken.bind(0), name="other", route_prefix=None)


if __name__ == "__main__":
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        PORT = free.getsockname()[1]
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    serve.start(http_options={"port": PORT})
    front = serve.run(Front.bind(Back.bind()), logging_config={"logs_dir": os.getcwd()})
    for case in (by_handle, composed, by_http, constructor):
        sys.stderr.write(f"=== {case.__name__}\\n")
        sys.stderr.flush()
        try:
            case(front)
        except Exception as error:
            print(case.__name__, isinstance(error, ZeroDivisionError), isinstance(error, RuntimeError))
            sys.excepthook(type(error), error, error.__traceback__)
    serve.shutdown()
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return programs.run(tmp_path_factory.mktemp("serve"), PROGRAM, timeout=300)


#: case: its frames, what the story says, what the program catches
EXPECTED = {
    "by_handle": (
        ["by_handle", "own", "inverse"],
        [
            r"in a Ray Serve replica, pid \d+, Front#\w+ of app default, submitted at \S+:\d+ in by_handle",
            r"Front\.own\(value=0\)",
        ],
        "True False",
    ),
    "composed": (
        ["composed", "ask", "invert", "inverse"],
        [
            r"Front#\w+ of app default, submitted at \S+:\d+ in composed Front\.ask\(value=0\)",
            r"Back#\w+ of app default, submitted at \S+:\d+ in ask Back\.invert\(value=0\)",
        ],
        "True False",
    ),
    "constructor": (
        ["constructor", "__init__", "inverse"],
        [
            r"in a Ray Serve replica, pid \d+, of Broken of app other",
            r"\nBroken failed to start \d+ times\nraised as RuntimeError\n",
        ],
        "False True",
    ),
}


@kit.newer
@kit.on_main
@pytest.mark.parametrize("case", EXPECTED)
def test_a_failed_request_is_told_with_its_replica_and_its_line(ours, case):
    frames, said, caught = EXPECTED[case]
    ran = Ran(1, "", sections(ours.stderr)[case], None)
    text = re.sub(r" *│?\n│ *", " ", ran.stderr)

    assert [head.partition(" in ")[2] for head in ran.heads if " in <module>" not in head] == frames, ran.stderr
    for pattern in said:
        assert re.search(pattern, text), ran.stderr
    assert "ZeroDivisionError: division by zero" in ran.lines
    assert "ray/serve" not in ran.stderr
    assert f"{case} {caught}" in ours.stdout


@kit.newer
@kit.on_main
def test_the_replicas_log_has_the_users_frames_alone(ours):
    logs = "".join(path.read_text() for path in ours.folder.glob("replica_default_Front_*.log"))

    assert "by_http 500" in ours.stdout
    _, _, request = logs.rpartition("Request failed.")
    assert "in __call__\n" in request
    assert "in inverse\n" in request
    assert "ray/serve" not in request
    assert request.count("ZeroDivisionError: division by zero") == 1


def test_an_error_is_made_of_a_texts_last_lines():
    head = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
    made = serve._error_of(head + "KeyError: 'x'")
    users = serve._error_of(head + "pkg.mod.Own: two\nlines")

    assert (type(made), made.args) == (KeyError, ("'x'",))
    assert (type(users).__module__, type(users).__name__, str(users)) == ("pkg.mod", "Own", "two\nlines")
    assert serve._error_of(head + "no error's line") is None


def test_a_status_without_a_traceback_says_nothing():
    failed = SimpleNamespace(deployment_statuses=[SimpleNamespace(name="D", message="The deployment is not healthy.")])

    assert serve._of_status("app", failed) is None
    assert serve.opened(ValueError()) is None
    assert serve.replica() is None
