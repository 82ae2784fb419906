"""``collect``: results, failures and what is logged; mixed futures, names, files, interruptions; the async form."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

import autotb
from tests import programs
from tests.futures import tasks

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def finished(value):
    future = Future()
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


def messages(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "autotb.collect"]


@pytest.mark.behaviour("S1-28", "S1-29", "S1-31")
def test_what_is_logged(threads, caplog):
    caplog.set_level(logging.INFO)
    futures = [threads.submit(tasks.inner, value) for value in (1, 0, 2)]
    autotb.collect(futures, ["one", "none", "two"])

    assert messages(caplog) == [
        ("INFO", "  [1/3] ✓ one"),
        ("ERROR", "  [2/3] ✗ FAILED: none"),
        ("ERROR", "    Error: division by zero"),
        ("INFO", "  [3/3] ✓ two"),
        ("ERROR", "⚠ FAILURE SUMMARY: 1 of 3 runs failed"),
        ("ERROR", "  • none: ZeroDivisionError: division by zero"),
    ]


@pytest.mark.behaviour("S1-31")
def test_no_summary_where_all_succeeded(caplog):
    caplog.set_level(logging.INFO)
    collected = autotb.collect([finished(1)])

    assert messages(caplog) == [("INFO", "  [1/1] ✓ 0")]
    assert (collected.results, collected.failures, collected.summary()) == ({0: 1}, [], "")
    assert str(collected) == "all 1 runs succeeded"
    collected.raise_for_failures()


@pytest.mark.behaviour("S1-30")
def test_failures_are_kept_with_who_they_were():
    error = ValueError("text")
    collected = autotb.collect({"a": finished(1), "b": finished(error), "c": finished(3)})
    (failure,) = collected.failures

    assert collected.results == {"a": 1, "c": 3}
    assert (failure.name, failure.index, failure.exception, failure.error) == ("b", 1, error, "ValueError: text")
    with pytest.raises(ValueError, match="^text$") as caught:
        collected.raise_for_failures()
    assert caught.value is error


def test_several_failures_are_raised_as_a_group():
    collected = autotb.collect([finished(ValueError(1)), finished(2), finished(KeyError(3))])

    with pytest.raises(ExceptionGroup, match="2 of 3 runs failed") as caught:
        collected.raise_for_failures()
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]


def test_results_are_in_the_order_of_the_input(threads, caplog):
    caplog.set_level(logging.INFO)
    gates = [Future() for _ in range(3)]
    timers = [threading.Timer(0.2 * at, gate.set_result, [at]) for at, gate in ((3, gates[0]), (2, gates[1]), (1, gates[2]))]
    for timer in timers:
        timer.start()
    collected = autotb.collect(iter(gates), iter("abc"))

    assert list(collected.results.items()) == [("a", 3), ("b", 2), ("c", 1)]
    assert [text for _, text in messages(caplog)] == ["  [1/3] ✓ c", "  [2/3] ✓ b", "  [3/3] ✓ a"]


def test_one_cause_is_one_story(threads):
    futures = [threads.submit(tasks.inner, 0) for _ in range(40)]
    collected = autotb.collect(futures, [f"run{at}" for at in range(40)])
    text = str(collected)

    assert text.startswith("40 of 40 runs failed\n\nrun0, run1, ")
    assert "run9 and 30 more:\nTraceback" in text
    assert text.count("Traceback (most recent call last):") == 1
    assert [len(failures) for _, failures in collected.stories()] == [40]


def failing(message, line=1):
    """A future that failed at this line of its own."""
    try:
        exec(compile("\n" * (line - 1) + f"raise ValueError({message!r})", "/rows.py", "exec"), {})
    except ValueError as error:
        return finished(error)


@pytest.mark.parametrize(
    ("many", "summary"),
    [
        ([failing("same") for _ in range(200)], "200 × ValueError: same, at /rows.py:1 in <module>"),
        ([failing(f"row {row}") for row in range(200)], "200 × ValueError, at /rows.py:1 in <module>"),
        ([failing(f"row {row}", row + 1) for row in range(200)], "and 183 more root causes, of 183 failures"),
    ],
)
def test_of_many_failures_the_log_and_the_text_are_sixty_lines_each(caplog, many, summary):
    caplog.set_level(logging.DEBUG)
    last = failing("another thing", 500)
    collected = autotb.collect([*many, last])
    told = messages(caplog)
    lines = [line for level, text in told if level == "ERROR" for line in text.split("\n")]

    assert len(lines) <= 60
    assert any(line.startswith("  • ") and line.endswith(summary) for line in lines)
    assert ("ERROR", "  further failures are told in the summary, and here at DEBUG") in told
    if "more root causes" not in summary:  # there was a place left for what is new
        assert ("ERROR", "    Error: another thing") in told
    assert sum("✗ FAILED" in text for _, text in told) == sum(text.startswith("    Error: ") for _, text in told) == 201
    text = str(collected)
    assert text.count("\n") < 60
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 190 more:\nTraceback" in text or summary.endswith("failures")
    assert sum(len(failures) for _, failures in collected.stories()) == 201


@pytest.mark.behaviour("S1-31")
def test_a_night_of_nineteen_failures_has_a_line_for_each(caplog):
    autotb.collect([failing("same") for _ in range(19)])
    told = [text for _, text in messages(caplog)]

    assert [text for text in told if text.startswith("  •")] == [f"  • {at}: ValueError: same" for at in range(19)]


class Plain:
    def result(self):
        return "plain"


def test_engines_may_be_mixed(threads):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        futures = [
            pool.apply_async(tasks.inner, (0,)),
            threads.submit(tasks.inner, 1),
            Plain(),
            pool.apply_async(tasks.add, (1, 2)),
        ]
        collected = autotb.collect(futures)

    assert collected.results == {1: 1.0, 2: "plain", 3: 3}
    assert [failure.error for failure in collected.failures] == ["ZeroDivisionError: division by zero"]


def test_a_tasks_own_exit_is_its_failure():
    collected = autotb.collect([finished(SystemExit(3)), finished(KeyboardInterrupt()), finished(1)])

    assert collected.results == {2: 1}
    assert [failure.error for failure in collected.failures] == ["SystemExit: 3", "KeyboardInterrupt"]


def test_a_cancelled_future_is_a_failure():
    future = Future()
    future.cancel()
    (failure,) = autotb.collect([future]).failures

    assert failure.error == "concurrent.futures._base.CancelledError"


def test_a_group_that_was_built_of_nothing():
    assert autotb.collect([]).results == {}
    assert autotb.collect({}, progress=True).total == 0


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (lambda one, two: ([one, two, one], None), "0 and 2 are the same future"),
        (lambda one, two: ([one, two], ["a"]), "2 futures, but 1 names"),
        (lambda one, two: ([one], ["a", "b"]), "1 futures, but 2 names"),
        (lambda one, two: ([one, two], ["a", "a"]), "a name is given twice"),
        (lambda one, two: ({"a": one, "b": one}, None), "'a' and 'b' are the same future"),
        (lambda one, two: ({"a": one}, ["a"]), "the mapping's keys are the names"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_wait(given, match):
    futures, names = given(Future(), Future())  # never done: waiting would hang

    with pytest.raises(ValueError, match=match):
        autotb.collect(futures, names)


@pytest.mark.parametrize("futures", [3, "text", [1, 2], finished(1)])
def test_what_is_no_future_is_refused(futures):
    with pytest.raises(TypeError):
        autotb.collect(futures)


def test_json_and_json_lines(tmp_path, threads):
    lines, whole = tmp_path / "new" / "lines.jsonl", tmp_path / "other" / "all.json"
    collected = autotb.collect([threads.submit(tasks.inner, value) for value in (1, 0)], ["good", "bad"], jsonl=lines)
    collected.to_json(whole)
    records = [json.loads(line) for line in lines.read_text().splitlines()]

    assert records[0] == {"name": "good", "status": "success", "result": "1.0"}
    assert (records[1]["name"], records[1]["status"], records[1]["error_type"]) == ("bad", "failed", "ZeroDivisionError")
    assert abs(records[1]["time"] - os.path.getmtime(lines)) < 60
    stored = json.loads(whole.read_text())
    assert (stored["schema"], stored["total"], stored["failed"], stored["results"]) == (1, 2, 1, {"good": "1.0"})
    assert stored["failures"] == records[1:]


def test_lines_that_cannot_be_written_lose_no_result(tmp_path, caplog):
    (tmp_path / "file").write_text("")

    assert autotb.collect([finished(1)], jsonl=tmp_path / "file" / "lines").results == {0: 1}
    assert "cannot be written" in caplog.text


INTERRUPTED = """
import signal
import sys
from concurrent.futures import Future

import autotb

done, never = Future(), Future()
done.set_result(1)
print("waiting", flush=True)
try:
    autotb.collect({"done": done, "never": never}, progress=sys.argv[1:] == ["bar"], jsonl="lines")
except KeyboardInterrupt as stop:
    print(stop.collected.results, stop.collected.total)
"""


@pytest.mark.parametrize("arguments", [[], ["bar"]])
def test_an_interruption_leaves_what_was_collected(tmp_path, arguments):
    (tmp_path / "main.py").write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, "main.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=programs.environment(),
    )
    try:
        assert process.stdout.readline() == "waiting\n"
        limit = time.monotonic() + programs.LIMIT
        while not ((tmp_path / "lines").exists() and (tmp_path / "lines").read_text()):
            assert time.monotonic() < limit
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()

    assert out == "{'done': 1} 2\n", err


def test_inside_an_event_loop(threads, caplog):
    async def work(value):
        await asyncio.sleep(0.01)
        return 1 / value

    async def main():
        cancelled = asyncio.ensure_future(asyncio.sleep(60))
        cancelled.cancel()
        mixed = {
            "coroutine": work(1),
            "bad": work(0),
            "thread": threads.submit(tasks.inner, 2),
            "plain": Plain(),
            "gone": cancelled,
        }
        return await autotb.collect_async(mixed)

    collected = asyncio.run(main())

    assert collected.results == {"coroutine": 1.0, "thread": 0.5, "plain": "plain"}
    assert [(failure.name, failure.error.partition(":")[0]) for failure in collected.failures] == [
        ("bad", "ZeroDivisionError"),
        ("gone", "asyncio.exceptions.CancelledError"),
    ]
    assert "⚠ FAILURE SUMMARY: 2 of 5 runs failed" in caplog.text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 makes another CancelledError on the way")
def test_cancelling_the_collecting_leaves_what_was_collected(tmp_path):
    async def main():
        quick, slow = asyncio.ensure_future(asyncio.sleep(0, 1)), asyncio.ensure_future(asyncio.sleep(600))
        lines = tmp_path / "lines"
        task = asyncio.ensure_future(autotb.collect_async([quick, slow], jsonl=lines))
        while not (lines.exists() and lines.read_text()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value, slow.cancelled()

    stop, cancelled = asyncio.run(main())
    assert stop.collected.results == {0: 1}
    assert str(stop.collected) == "1 runs succeeded, 1 not waited for"
    assert cancelled


def test_a_bar_on_a_terminal_only(run):
    code = """
    import sys
    from concurrent.futures import ThreadPoolExecutor

    import autotb

    with ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(int, text) for text in ("1", "x")]
        autotb.collect(futures, progress=True if sys.argv[1:] else None)
    """

    assert "collecting" not in run(code).stderr
    forced = run(code, "bar").stderr
    assert "collecting" in forced
    assert "2/2" in forced
    assert "1 failed" in forced
