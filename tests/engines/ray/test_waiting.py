"""A ``ray.get`` that times out says what it waited for, a cancelled task which it was; both where it was submitted."""

from __future__ import annotations

import re

import pytest

from autotb.engines.ray import waiting
from tests import programs
from tests.engines import kit
from tests.programs import Ran, sections

PROGRAM = """
import os
import sys
import time

import ray


@ray.remote
def nap(seconds):
    if seconds == 60:
        open("begun", "w").close()
    time.sleep(seconds)


def timed_out():
    done = nap.remote(0)
    ray.get(done)
    running = nap.remote(60)
    while not os.path.exists("begun"):
        time.sleep(0.05)
    ray.get([done, running, nap.remote(seconds=5)], timeout=0.2)


def cancelled():
    reference = nap.remote(50)
    ray.cancel(reference)
    ray.get(reference)


@ray.remote(max_retries=2, retry_exceptions=True)
def divide(number):
    return 1 / number


def again():
    ray.get(divide.remote(0))


ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
for case in (again, timed_out, cancelled):
    sys.stderr.write(f"=== {case.__name__}\\n")
    sys.stderr.flush()
    try:
        case()
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
"""


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    return sections(programs.run(tmp_path_factory.mktemp("waiting"), PROGRAM, timeout=200).stderr)


@kit.newer
@pytest.mark.on_main()
def test_a_time_out_says_what_was_waited_for(stories):
    text = stories["timed_out"]

    assert "\n2 of 3 results are not ready:\n" in text
    assert re.search(r"^running: nap\(60\), for \d+\.\d s, pid \d+, submitted at \S+main.py:\d+ in timed_out$", text, re.M), text
    assert re.search(r"^not done: nap\(seconds=5\), submitted at \S+main.py:\d+ in timed_out$", text, re.M), text
    assert "GetTimeoutError" in Ran(1, "", text, None).last


@kit.newer
@pytest.mark.on_main()
def test_a_cancelled_task_is_named(stories):
    text = stories["cancelled"]

    assert re.search(r"^cancelled: nap\(50\), submitted at \S+main.py:\d+ in cancelled$", text, re.M), text
    assert "TaskCancelledError" in text


@kit.newer
@pytest.mark.on_main()
def test_attempts_are_counted(stories):
    assert "attempt 3 of 3, all failed alike" in " ".join(stories["again"].replace("│", "").split()), stories["again"]


def test_other_errors_are_let_be():
    assert waiting.lines(ValueError("x"), {}, {}) == ()
    assert waiting._call(b"unknown", {}) == ""
