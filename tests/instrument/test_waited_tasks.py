"""Tasks that were waited for, in words."""

from __future__ import annotations

from autotb.instrument.waited_tasks import DONE, RUNNING, WAITING, Task, told

PLACE = {"path": "main.py", "line": 3, "name": "main"}


def test_a_line_has_what_is_known():
    assert told([Task(RUNNING, "score(1)", "for 3.0 s, pid 7", PLACE)]) == (
        "running: score(1), for 3.0 s, pid 7, submitted at main.py:3 in main",
    )
    assert told([Task(WAITING)]) == ("not started: a task",)
    assert told([]) == ()


def test_those_that_run_are_first_and_the_rest_is_counted():
    tasks = [*(Task(WAITING, f"score({number})") for number in range(1_500)), Task(DONE), Task(RUNNING, "score(9)")]

    assert told(tasks) == (
        *("running: score(9)", "not started: score(0)", "not started: score(1)"),
        "and 1,499 more: 1,498 not started, 1 done by now",
    )
