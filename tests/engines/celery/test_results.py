"""Results of Celery: a wait that times out says what it waited for, a group how many of its tasks failed, and of what."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import pytest

from autotb.engines.celery import results
from tests.engines import kit
from tests.engines.celery.program import both

CODE = """

def piped():
    result = (add.s(3, -3) | rate.si(4, 0) | add.s(2)).apply_async()
    result.get(timeout=100)


def grouped():
    found = group([rate.s(1, 1), rate.s(2, 0), rate.s(3, 0), refused.s("x")])()
    while not found.ready():
        time.sleep(0.02)
    found.get(timeout=100)


def one_of_a_group():
    found = group([rate.s(1, 1), rate.s(2, 0)])()
    found.results[1].get(timeout=100)


def by_name():
    app.send_task("main.rate", (5, 0)).get(timeout=100)


def chain_timed_out():
    result = (add.s(1) | nap.si(30) | add.si(3))()
    while result.parent.state != "STARTED":
        time.sleep(0.02)
    try:
        result.get(timeout=0.1)
    finally:
        result.parent.revoke(terminate=True)


def revoked():
    result = nap.apply_async((seconds,), countdown=60)
    result.revoke()
    result.get(timeout=100)


def group_timed_out():
    first, found = add.delay(1), group([add.s(1), add.s(2)])
    first.get(timeout=100)
    worker_is_held = nap.delay(0.5)
    found().get(timeout=0)


seconds = 5
"""
CASES = ["piped", "grouped", "one_of_a_group", "by_name", "revoked", "chain_timed_out", "group_timed_out"]
pytestmark = kit.on_main


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    return both(tmp_path_factory, CODE, CASES)


@pytest.fixture(scope="module")
def told(seen):
    return seen[0]


def last(text: str, count: int) -> list[str]:
    return [re.sub(r"[\w-]{36}", "ID", re.sub(r"/\S*/", "", line)) for line in text.rstrip().split("\n")[-count:]]


@pytest.mark.parametrize("case", ["piped", "grouped", "one_of_a_group", "by_name"])
def test_the_line_that_submitted_is_told(told, case):
    assert re.search(rf"\], submitted at .*main\.py:\d+ in {case}\]$", told[case], re.M), told[case]
    assert kit.ZERO in told[case]


def test_a_groups_failures_are_counted_and_named(told):
    assert last(told["grouped"], 4) == [
        kit.ZERO,
        "of the 4 tasks of the group 3 failed, 1 succeeded",
        "failed alike: rate(clicks=3, views=0)",
        "failed of ConnectionError: no x: refused(item='x')",
    ]


def test_a_revoked_task_is_named(told):
    assert last(told["revoked"], 2) == ["celery.exceptions.TaskRevokedError: revoked", "cancelled: main.nap(5), task ID"]


def test_a_wait_says_what_runs_and_what_waits_for_it(told):
    *_, first, second, third = last(told["chain_timed_out"], 4)

    assert first == "2 of 3 results are not ready:"
    assert re.fullmatch(r"running: main\.nap\(30\), task ID, pid \d+, on celery@\S+, submitted at main\.py:\d+ in .*", second)
    assert re.fullmatch(r"not started: main\.add\(3\), task ID, submitted at main\.py:\d+ in chain_timed_out", third)


def test_a_wait_for_a_group_counts(told):
    assert "2 of 2 results are not ready:" in told["group_timed_out"]
    assert told["group_timed_out"].count("not done: main.add(") == 2


def test_without_autotb_none_of_it_is_told(seen):
    _, bare = seen
    for case in CASES:
        assert not re.search("submitted at|of the 4 tasks|cancelled: |not ready", bare[case])


def test_large_arguments_are_not_kept():
    assert results._kept("train.rate", (3,), {"views": 0}) == ("train.rate", (3,), {"views": 0})
    assert results._kept("train.rate", ([1, 2],), {}) == ("train.rate", None, None)
    assert results._kept("train.rate", ("x" * 1000,), {}) == ("train.rate", None, None)


def test_an_error_with_what_was_asked_pickles():
    error = ValueError("no")
    vars(error)[results.KEY] = results.Asked([], False)

    copy = subprocess.run(
        [sys.executable, "-c", "import pickle, sys; print(pickle.load(sys.stdin.buffer).args)"],
        input=pickle.dumps(error),
        capture_output=True,
        timeout=60,
        env={"AUTOTB": "0"},
    )

    assert copy.stdout.decode().strip() == "('no',)", copy.stderr
