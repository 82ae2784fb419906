"""``unwrap``: values, reports, retries, JSON records; on futures of the standard library and on plain objects."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import re
import stat
import subprocess
import threading
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest

import autotb
from tests.futures import tasks


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def errors(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


def report_of(future, name, caplog, kind=Exception, **options):
    caplog.clear()
    with pytest.raises(kind) as caught:
        autotb.unwrap(future, name, **options)
    (record,) = errors(caplog)
    return caught.value, record.getMessage()


class Plain:
    """Anything with a Parsl-style result method."""

    def __init__(self, outcome):
        self.outcome = outcome

    def result(self):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.mark.behaviour("S1-1")
def test_a_value_is_returned_unchanged_and_nothing_is_logged(threads, caplog):
    value = object()

    assert autotb.unwrap(threads.submit(lambda: value), "good") is value
    assert errors(caplog) == []


@pytest.mark.behaviour("S1-2", "S1-3")
def test_the_original_exception_is_raised_after_the_report(threads, caplog):
    future = threads.submit(tasks.add, "a", 1)
    error, text = report_of(future, "broken", caplog, TypeError)

    assert error is future.exception()
    assert str(error) == 'can only concatenate str (not "int") to str'
    assert text.startswith("[broken] FAILED in worker:\n")


@pytest.mark.behaviour("S1-4")
@pytest.mark.parametrize(
    "kind",
    [
        ValueError,
        TimeoutError,
        OSError,
        CancelledError,
        StopIteration,
        KeyError,
    ],
)
def test_every_kind_of_exception_is_reported(kind, caplog):
    error = kind("text")
    raised, text = report_of(Plain(error), "it", caplog, kind)

    assert raised is error
    assert text.startswith("[it] FAILED in worker:")


@pytest.mark.behaviour("S1-4")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interruptions_pass_straight_through(kind, caplog):
    with pytest.raises(kind):
        autotb.unwrap(Plain(kind()), "it")
    assert caplog.records == []


@pytest.mark.behaviour("S1-5", "S1-8")
@pytest.mark.parametrize("name", ["run_3_[x]", "100% {done} %s", "日本語 \\n", "[bold]", "  tgt/hmc/1_" + "x" * 300])
def test_the_name_is_in_the_header_as_it_is(name, caplog):
    _, text = report_of(Plain(ValueError()), name, caplog)

    assert text.split("\n")[0] == f"[{name}] FAILED in worker:"


@pytest.mark.behaviour("S1-6")
def test_the_logger_is_autotbs(caplog):
    report_of(Plain(ValueError()), "it", caplog)

    assert errors(caplog)[0].name == "autotb.futures"


@pytest.mark.behaviour("S1-7")
def test_anything_with_a_result_method_will_do(caplog):
    assert autotb.unwrap(Plain(3)) == 3
    made = Future()
    made.set_exception(ValueError("set"))
    assert str(report_of(made, "it", caplog)[0]) == "set"


@pytest.mark.behaviour("S1-9", "S1-15")
def test_the_traceback_follows_and_leads_to_the_workers_line(processes, caplog):
    _, text = report_of(processes.submit(tasks.outer, 0), "deep", caplog)
    lines = text.split("\n")

    assert lines[1] == "Traceback (most recent call last):"
    found = re.findall(r'^  File "(.*)", line (\d+), in (\w+)$', text, re.M)
    assert [name for _, _, name in found][-2:] == ["outer", "inner"]
    assert found[-1][0] == tasks.__file__
    assert tasks.__loader__.get_source(tasks.__name__).split("\n")[int(found[-1][1]) - 1].strip() == "return 1 / value"
    assert "test_the_traceback_follows_and_leads_to_the_workers_line" in text  # where it was asked for


@pytest.mark.behaviour("S1-10", "S1-11")
@pytest.mark.parametrize("text", [True, False])
def test_what_the_error_brings_of_stdout_and_stderr(text, processes, caplog):
    """A tool that fails in a worker process; its output is text or bytes."""
    _, text = report_of(processes.submit(tasks.runs_a_tool, text), "it", caplog, subprocess.CalledProcessError)

    assert "\n---- WORKER STDOUT ----\nprinted\n" in text
    assert "\n---- WORKER STDERR ----\ncomplained\n" in text


@pytest.mark.behaviour("S1-12")
@pytest.mark.parametrize("value", [None, "", b""])
def test_no_section_without_a_text(value, caplog):
    error = subprocess.CalledProcessError(1, "tool", output=value, stderr=value)

    assert "\n---- WORKER" not in report_of(Plain(error), "it", caplog)[1]
    assert "\n---- WORKER" not in report_of(Plain(ValueError()), "it", caplog)[1]


class Ends(Exception):
    """Whoever asks it for anything is at an end."""

    def end(self, *_):
        raise SystemExit(3)

    __traceback__ = stdout = stderr = property(end)
    __dir__ = end


def test_an_error_that_answers_for_itself_is_raised_as_it_is(caplog):
    future, error = Future(), Ends("odd")
    future.set_exception(error)
    caught, text = report_of(future, "it", caplog)

    assert caught is error
    assert "Ends: odd" in text and "WORKER STD" not in text


@pytest.mark.behaviour("S1-13", "S1-14", "S1-24")
@pytest.mark.parametrize("task", ["add", "needs_module", "outer"])
def test_the_type_and_the_attributes(task, threads, caplog):
    error, text = report_of(threads.submit(getattr(tasks, task), 0), "it", caplog)

    assert f"\nException type: {type(error).__name__}\n" in text
    (line,) = re.findall(r"^Exception attributes: (.*)$", text, re.M)
    assert "'__cause__'" in line
    assert "'__context__'" in line


@pytest.mark.behaviour("S1-16")
@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("chained", "The above exception was the direct cause of the following exception:"),
        ("while_handling", "During handling of the above exception, another exception occurred:"),
    ],
)
def test_chains_are_told_inner_first(task, sentence, processes, caplog):
    _, text = report_of(processes.submit(getattr(tasks, task)), "it", caplog)

    inner, outer = text.index("ValueError: Inner error"), text.index("RuntimeError: Outer error")
    assert inner < text.index(sentence) < outer


@pytest.mark.behaviour("S1-17", "S1-18")
@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_local_variables_are_kept_in_the_record(request, pool, caplog, tmp_path):
    """A process brings them in its record; a thread's are read from the traceback."""
    report_of(request.getfixturevalue(pool).submit(tasks.outer, 0), "it", caplog, log_to=tmp_path / "it.json")
    frames = json.loads((tmp_path / "it.json").read_text())["error"]["hops"][-1]["frames"]

    assert frames[-1]["locals"]["note"] == "'of inner'"


@pytest.mark.behaviour("S1-26")
def test_an_error_in_a_library_shows_the_users_line(processes, caplog):
    _, text = report_of(processes.submit(tasks.writes, "path"), "it", caplog)

    assert "json.dumps({" in text
    assert "TypeError: Object of type object is not JSON serializable" in text


@pytest.mark.behaviour("S1-33", "S1-35", "S1-36", "S1-37")
@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_a_retry_submits_the_work_anew(pool, request, caplog, tmp_path):
    calls = tmp_path / "calls"
    future = request.getfixturevalue(pool).submit(tasks.fails_at_first, calls, 2)

    assert autotb.unwrap_with_retry(future, "net", wait=0.01) == "done"
    assert calls.read_text() == "xxx"
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "[net] Retry 1/3 after: call 1",
        "[net] Retry 2/3 after: call 2",
    ]
    assert errors(caplog) == []


@pytest.mark.behaviour("S1-33", "S1-36")
def test_the_last_attempts_error_is_reported_and_raised(threads, caplog, tmp_path):
    calls = tmp_path / "calls"
    error, _ = report_of(threads.submit(tasks.fails_at_first, calls, 9), "net", caplog, ConnectionError, max_retries=3, wait=0)

    assert str(error) == "call 3"
    assert calls.read_text() == "xxx"


@pytest.mark.behaviour("S1-34")
def test_other_errors_are_not_retried(threads, caplog, tmp_path):
    calls = tmp_path / "calls"
    report_of(threads.submit(tasks.fails_at_first, calls, 9, ValueError), "it", caplog, ValueError, max_retries=3)

    assert calls.read_text() == "x"


@pytest.mark.behaviour("S1-34")
@pytest.mark.parametrize("kind", [TimeoutError, FutureTimeoutError, ConnectionResetError])
def test_timeouts_and_lost_connections_are_retried(kind, threads, tmp_path):
    assert autotb.unwrap_with_retry(threads.submit(tasks.fails_at_first, tmp_path / "calls", 1, kind), wait=0) == "done"


def test_types_to_retry_on_are_the_callers(threads, tmp_path):
    future = threads.submit(tasks.fails_at_first, tmp_path / "calls", 1, ValueError)

    assert autotb.unwrap(future, max_retries=2, retry_on=ValueError, wait=0) == "done"


@pytest.mark.behaviour("S1-37")
def test_a_bare_future_cannot_be_retried_and_that_is_said_at_once(caplog):
    future = Future()
    threading.Timer(0.2, future.set_exception, [ConnectionError("lost")]).start()
    error, _ = report_of(future, "bare", caplog, ConnectionError, max_retries=3)

    assert str(error) == "lost"
    first = caplog.records[0]
    assert first.levelno == logging.WARNING
    assert "[bare] cannot be retried: autotb has not seen this future being made" in first.getMessage()


def test_a_task_that_raised_an_error_of_that_name_was_not_cancelled(threads, caplog):
    def asks_another():
        raise CancelledError

    _, text = report_of(threads.submit(asks_another), "it", caplog, CancelledError)

    assert "asks_another" in text
    assert "was cancelled" not in text


def test_a_pool_that_was_shut_down_cannot_retry(caplog, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(tasks.fails_at_first, tmp_path / "calls", 9)
    error, _ = report_of(future, "it", caplog, ConnectionError, max_retries=3, wait=0)

    assert str(error) == "call 1"
    assert any("its pool takes no more work" in record.getMessage() for record in caplog.records)


def test_a_wait_that_expires_is_raised_and_not_retried(threads, caplog):
    release = threading.Event()
    future = threads.submit(release.wait)
    _, text = report_of(future, "slow", caplog, FutureTimeoutError, timeout=0.05, max_retries=3)
    release.set()

    assert text == "[slow] no result within 0.05 s; the task was not cancelled"
    assert autotb.unwrap(future, "slow", timeout=60) is True


def test_a_cancelled_future_says_so(caplog):
    future = Future()
    future.cancel()
    _, text = report_of(future, "it", caplog, CancelledError)

    assert "The future was cancelled" in text


@pytest.mark.behaviour("S1-38")
def test_the_record_of_a_success(threads, tmp_path):
    path = tmp_path / "new folder" / "it.json"

    assert autotb.unwrap(threads.submit(tasks.add, 1, 2), "sum", log_to=path) == 3
    assert json.loads(path.read_text()) == {"name": "sum", "status": "success", "result": "3"}


@pytest.mark.behaviour("S1-39")
def test_the_record_of_a_failure(threads, tmp_path, caplog):
    path = tmp_path / "it.json"
    report_of(threads.submit(tasks.outer, 0), "it", caplog, log_to=path)
    record = json.loads(path.read_text())

    assert path.read_text().startswith('{\n  "name": "it",\n')
    assert (record["name"], record["status"]) == ("it", "failed")
    assert (record["error_type"], record["error_message"]) == ("ZeroDivisionError", "division by zero")
    assert record["traceback"][0] == "Traceback (most recent call last):\n"
    assert record["traceback"][-1] == "ZeroDivisionError: division by zero\n"
    assert record["schema"] == 1
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    assert os.listdir(tmp_path) == ["it.json"]


class Unspeakable:
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.behaviour("S1-40")
def test_a_record_that_cannot_be_written_hides_nothing(caplog, tmp_path):
    (tmp_path / "file").write_text("")
    impossible = tmp_path / "file" / "it.json"  # also for root, whom no mode stops

    assert autotb.unwrap(Plain(3), "it", log_to=impossible) == 3
    assert isinstance(autotb.unwrap(Plain(Unspeakable()), "it", log_to=tmp_path / "it.json"), Unspeakable)
    assert "its str() raised RuntimeError" in json.loads((tmp_path / "it.json").read_text())["result"]
    report_of(Plain(ValueError()), "it", caplog, ValueError, log_to=impossible)
    assert "could not be written" in caplog.text


def test_what_is_no_future_is_refused():
    with pytest.raises(TypeError, match="int is no future"):
        autotb.unwrap(3)


def test_what_must_be_awaited_is_refused_and_the_async_form_named():
    async def nothing():
        pass

    async def main():
        coroutine = nothing()
        with pytest.raises(TypeError, match="collect_async"):
            autotb.unwrap(coroutine)
        await coroutine
        with pytest.raises(TypeError, match="collect_async"):
            autotb.unwrap(asyncio.get_running_loop().create_future())

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"timeout": "1"}, TypeError),
        ({"timeout": -1}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"max_retries": 0}, ValueError),
        ({"max_retries": 1.5}, TypeError),
        ({"retry_on": [ValueError]}, TypeError),
        ({"retry_on": ("ValueError",)}, TypeError),
        ({"log_to": 3}, TypeError),
        ({"wait": None}, TypeError),
        ({"name": 3}, TypeError),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(options, kind):
    with pytest.raises(kind):
        autotb.unwrap(Plain(1), **options)


def test_multiprocessings_results_are_futures_too(caplog, tmp_path):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert autotb.unwrap(pool.apply_async(tasks.add, (1, 2)), timeout=60) == 3
        _, text = report_of(pool.map_async(tasks.inner, [1, 0]), "map", caplog, ZeroDivisionError, max_retries=2)
        assert "in inner" in text
        with pytest.raises(multiprocessing.TimeoutError):
            autotb.unwrap(pool.apply_async(tasks.sleep, (5,)), timeout=0.01)


def test_by_the_name_that_parsls_users_know(caplog):
    assert autotb.unwrap_parsl_future(Plain(1), "it") == 1


def test_the_opt_out_leaves_the_explicit_call_alone(run):
    ran = run(
        """
        import logging
        from concurrent.futures import ThreadPoolExecutor

        import autotb

        logging.basicConfig(format="%(message)s")

        def divide(value):
            return 1 / value

        with ThreadPoolExecutor(1) as pool:
            try:
                autotb.unwrap(pool.submit(divide, 0), "it")
            except ZeroDivisionError as error:
                print("caught", error)
        """,
        autotb="0",
    )

    assert ran.stdout == "caught division by zero\n"
    assert ran.stderr.startswith("[it] FAILED in worker:\nTraceback (most recent call last):\n")
    assert "in divide" in ran.stderr


def test_a_retry_whatever_engines_are_loaded(run):
    # Prefect's adapter counts tenacity, which makes our retries too, among that engine's own modules.
    ran = run(
        """
        from concurrent.futures import ThreadPoolExecutor

        import autotb
        import autotb.engines.prefect

        calls = []

        def fails_at_first():
            calls.append(1)
            if len(calls) < 4:
                raise ConnectionError(len(calls))
            return "done"

        with ThreadPoolExecutor(1) as pool:
            print(autotb.unwrap(pool.submit(fails_at_first), max_retries=4, wait=0))
        """
    )

    assert ran.stdout == "done\n", ran.stderr


@pytest.mark.parametrize("large", [b"x" * 2_000_000, [[b"x" * 2_000_000]], list(range(2_000))])
def test_large_arguments_are_not_held(large, processes, caplog):
    future = processes.submit(tasks.fails_with, large)
    error, _ = report_of(future, "it", caplog, ConnectionError, max_retries=2, wait=0)

    assert str(error) == "with it"
    assert "_autotb_call" not in vars(future)
    assert "its function and arguments were not kept" in caplog.text
