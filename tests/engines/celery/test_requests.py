"""A failed task of Celery is told by its name, its attempt, and the tasks that were not called because of it."""

from __future__ import annotations

import re

import pytest

from autotb.engines.celery import requests
from tests.engines import kit
from tests.engines.celery.program import both

CODE = """

@app.task(bind=True, autoretry_for=(ZeroDivisionError,), max_retries=2, default_retry_delay=0.05)
def again(self, clicks, views):
    return divide(clicks, views)


@app.task(bind=True, max_retries=1, default_retry_delay=0.05)
def once_more(self, item):
    try:
        return divide(item, self.request.retries)
    except ZeroDivisionError as error:
        self.retry(exc=error)
    finally:
        if self.request.retries:
            raise ConnectionError("reset")


@app.task
def killed(item):
    os.kill(os.getpid(), signal.SIGKILL)


def chained():
    chain(rate.s(3, 0), add.s(2), add.si(3, second=4))().get(timeout=100)


def chord_by_id():
    body = chord([rate.s(3, 1), rate.s(3, 0)])(total.s() | add.s(1))
    while app.AsyncResult(body.id).state != "FAILURE":
        time.sleep(0.02)
    app.AsyncResult(body.id).get(timeout=100)


def linked():
    rate.apply_async((3, 0), link=add.s(4)).get(timeout=100)


def autoretry():
    again.delay(3, 0).get(timeout=100)


def own_retry():
    once_more.delay(3).get(timeout=100)


def death():
    killed.delay("x").get(timeout=100)


def too_long():
    nap.apply_async((30,), time_limit=1).get(timeout=100)
"""
CASES = ["chained", "chord_by_id", "linked", "autoretry", "own_retry", "too_long", "death"]
pytestmark = kit.on_main
LABEL = r"in a Celery worker, pid \d+, main\.{}\[[\w-]{{36}}\]"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    return both(tmp_path_factory, CODE, CASES)


@pytest.fixture(scope="module")
def told(seen):
    return seen[0]


def lines(text: str) -> list[str]:
    """What stands below the frames."""
    return text.rstrip().rpartition("frames hidden, AUTOTB_FRAMES=all]\n")[2].split("\n")


def test_the_rest_of_a_chain_is_named(told):
    assert re.search(LABEL.format("rate") + r", submitted at .*main\.py:\d+ in chained\]", told["chained"])
    assert lines(told["chained"]) == [
        "ZeroDivisionError: division by zero",
        "skipped: main.add(3, second=4) ← main.add(…, 2) ← main.rate ✗",
    ]


def test_a_chords_error_is_that_of_the_task_that_failed(told):
    text = told["chord_by_id"]

    assert re.search(LABEL.format("rate") + r"\]\n  \[rate\(clicks=3, views=0\)\]", text)
    assert "[raised as celery.exceptions.ChordError]" in text
    assert "direct cause" not in text
    assert lines(text) == ["ZeroDivisionError: division by zero", "skipped: main.add(…, 1) ← main.total(…) ← main.rate ✗"]


def test_callbacks_are_named(told):
    assert lines(told["linked"])[-1] == "skipped: main.add(…, 4) ← main.rate ✗"


def test_attempts_are_counted_and_compared(told):
    assert re.search(LABEL.format("again") + ", attempt 3 of 3, all failed alike, submitted at", told["autoretry"])
    other = "attempt 2 of 2, others failed of ZeroDivisionError: division by zero"
    assert re.search(LABEL.format("once_more") + f", {other}, submitted at", told["own_retry"])


@pytest.mark.parametrize(("case", "call"), [("too_long", "nap(seconds=30)"), ("death", "killed(item='x')")])
def test_a_task_whose_worker_is_gone_is_named_without_a_process(told, case, call):
    name = "main." + call.partition("(")[0]

    assert re.search(rf"\[in a Celery worker, {name}\[[\w-]+\], submitted at .* in {case}\]", told[case])
    assert f"[{call}]" in told[case]


def test_no_story_is_longer_than_without_autotb(seen):
    ours, bare = seen
    for case in CASES:
        extra = 3  # worker, call, and what was skipped
        assert ours[case].count("\n") <= bare[case].count("\n") + extra, case
        assert "skipped" not in bare[case]


def test_a_long_chain_is_cut():
    signature = {"task": "train.add", "args": (1,), "kwargs": {}, "options": {}}

    line = requests._cut([requests.shown(signature)] * 30)

    assert len(line) == requests._MOST + 1
    assert line[1] == "… 10 more …"


def test_chains_and_chords_that_stand_in_a_chain_are_taken_apart():
    def task(name):
        return {"task": name, "args": (), "kwargs": {}, "options": {}, "immutable": True}

    chord = {"task": "celery.chord", "kwargs": {"header": [task("a"), task("b")], "body": task("body")}}
    whole = {"task": "celery.chain", "kwargs": {"tasks": [task("first"), chord]}}

    assert list(map(requests.shown, requests._after([task("last"), whole], None))) == [
        "last()",
        "body()",
        "a group of 2",
        "first()",
    ]
