"""What ``logging`` and ``traceback`` show of Parsl's failures: the first as all others, a command once, no frames of Parsl's."""

from __future__ import annotations

import re

import pytest

from tests import programs

CODE = """
import logging
import sys
import traceback

import parsl
from parsl import Config, bash_app, python_app
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor

logging.basicConfig(stream=sys.stderr, format="=== logged %(message)s")


@bash_app
def convert(n):
    return f"exit {n}"


@python_app
def total(inputs=()):
    return sum(inputs)


@python_app(cache=True)
def score(x):
    raise ValueError(f"no data for {x}")


def attempt(name, make):
    try:
        make().result()
    except Exception as error:
        print(type(error).__name__)
        sys.stderr.write(f"=== {name}\\n{traceback.format_exc()}=== end\\n")


if __name__ == "__main__":
    made = HighThroughputExecutor(address="127.0.0.1", max_workers_per_node=1) if sys.argv[1] == "htex" else ThreadPoolExecutor()
    with parsl.load(Config(executors=[made], retries=1, initialize_logging=False)):
        logging.getLogger("parsl").setLevel(logging.ERROR)
        first = convert(3)
        attempt("command", lambda: first)
        attempt("skipped", lambda: total(inputs=[first]))
        attempt("score", lambda: score(4))
        attempt("again", lambda: score(4))
"""


@pytest.fixture(scope="module", params=["htex", "threads"])
def shown(request, tmp_path_factory):
    ran = programs.run(tmp_path_factory.mktemp(request.param), CODE.lstrip("\n"), request.param)
    assert ran.stdout.split() == ["BashExitFailure", "DependencyError", "ValueError", "ValueError"], ran.stderr
    parts = re.findall(r"^=== (logged Task \d+|\w+)[^\n]*\n(.*?)(?=^=== |\Z)", ran.stderr, re.M | re.S)
    return dict(parts)


def test_the_first_failures_record_in_the_log_says_where_it_ran(shown):
    told = shown["logged Task 0"]

    assert re.search(r"^  \[in a Parsl worker.*\]\n  \[convert\(n=3\)\]\n  \[the command was:\]\n  \[  exit 3\]\n", told, re.M), (
        told
    )


@pytest.mark.parametrize("name", ["logged Task 0", "command", "skipped"])
def test_a_command_has_none_of_parsls_frames_that_only_passed_its_failure_on(shown, name):
    told = shown[name]

    assert "engine frames hidden" in told and "handle_exec_update" not in told and "reraise" not in told, told
    assert told.count("the command was:") == 1
    if name != "logged Task 0":  # the frames of who asked, also of who asked for it before, are none of the worker's
        assert told.index("in attempt") < told.index("in a Parsl worker"), told


def test_a_memoised_call_of_one_that_failed_tells_its_attempts_once(shown):
    assert shown["score"].count(", attempt 2 of 2, all failed alike") == 1
    assert shown["again"].count(", attempt 2 of 2, all failed alike") == 1, shown["again"]
