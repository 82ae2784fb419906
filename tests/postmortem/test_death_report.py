"""A death in words: each is said only where it is known."""

from __future__ import annotations

import re
import struct
import sys
import time
from types import SimpleNamespace

import pytest

from autotb import engine_facts, settings
from autotb.postmortem import death_report, oom, status_file, status_reader
from autotb.postmortem.status_file import FAILING, IDLE, RAISED, RUNNING, STARTING

FATAL = "Fatal Python error: Segmentation fault"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    engine_facts.changed()
    yield
    engine_facts.changed()


def left(state=RUNNING, text="work(1)", dump="", job=1, started=None, crashed=0, killed=-1, group=0):
    words = [0] * status_file.WORDS
    words[status_file.JOB], words[status_file.OOM], words[status_file.GROUP] = job, killed, group
    words[status_file.MARK], words[status_file.PID], words[status_file.STATE] = status_file.MARKED, 5, state
    words[status_file.STARTED] = time.time_ns() if started is None else started
    data = memoryview(struct.pack(f"{status_file.WORDS}q", *words) + text.encode()).tobytes()
    return status_reader.Remains(data.ljust(status_file.PAGE, b"\0") + dump.encode(), crashed)


def several(*tasks):
    """The text of threads' tasks: a call and its thread each."""
    return status_file.lines([(call, "", at, thread, 1_000_000_000) for at, (call, thread) in enumerate(tasks)])


@pytest.mark.parametrize(
    ("remains", "said"),
    [
        (None, "died"),
        (left(job=status_file.UNKNOWN), "received a task, and died before that began"),
        (left(started=time.time_ns() + 10**18), "started and then crashed, within 0.0 s"),  # clocks may be set back
        (left(text=several(("work(1)", 1), ("work(2)", 2))), "started and then crashed"),
        (left(started=1_000_000_000, dump=FATAL, crashed=3_500_000_000), "started and then crashed, after 2.5 s"),
        (left(FAILING, "AttributeError: no x"), "could not unpickle a task, and died of AttributeError: no x"),
        (left(STARTING), "died in its initializer, before its first task"),
        (left(RAISED, "app.NoModel"), "its initializer raised app.NoModel"),
        (left(IDLE), "died after a task, before another began"),
        (left(IDLE, started=0), "died before its first task began"),
    ],
)
def test_what_it_was_doing(remains, said):
    assert death_report.doing(remains) == said


def test_an_engine_that_looks_now_and_then_cannot_say_within_what_time():
    assert death_report.doing(left(), at_once=False) == "started and then crashed"


def test_a_worker_that_leaves_no_word_of_some_tasks_may_have_run_one():
    said = "died, and work(1), the last task that it told of, had ended"

    assert death_report.doing(left(IDLE), tells_all=False) == said
    assert death_report.doing(left(IDLE, started=0), tells_all=False) == "died"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0.0 s"), (119.94, "119.9 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h"), (9000, "2.5 h")]
)
def test_a_duration_is_as_exact_as_anybody_wants(seconds, said):
    assert death_report.duration(seconds) == said


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("exitcode", "said"),
    [
        (None, "gone, its exit status is not known"),
        (-9, "killed by signal 9 (SIGKILL)"),
        (-11, "killed by signal 11 (SIGSEGV)"),
        (-250, "killed by signal 250 (250)"),
        (0, "exit status 0"),
        (3, "exit status 3"),
    ],
)
def test_what_ended_it(exitcode, said):
    assert death_report.ended_by(exitcode) == said


@pytest.mark.parametrize(
    ("exitcode", "remains", "said"),
    [
        (-11, left(dump=FATAL + "\n\nCurrent thread"), f", {FATAL}"),
        (-11, left(dump="Stack (most recent call last):\n"), ""),
        (-11, None, ""),
        (3, left(), ""),
        (-9, left(), ", by whom is not known"),
        (None, None, ", by whom is not known"),
        (None, left(dump=FATAL), f", {FATAL}"),
    ],
)
def test_the_cause_is_said_where_something_tells_it(monkeypatch, exitcode, remains, said):
    monkeypatch.setattr(oom, "verdict", lambda kills: "by whom is not known")

    assert death_report.why(exitcode, remains) == said


@pytest.mark.parametrize(
    ("remains", "kills"),
    [(left(killed=3, group=7), 3), (left(killed=3, group=8), None), (left(killed=-1, group=7), None), (None, None)],
)
def test_only_kills_of_the_workers_own_group_are_compared(monkeypatch, remains, kills):
    asked = []
    monkeypatch.setattr(oom, "group", lambda: 7)
    monkeypatch.setattr(oom, "verdict", lambda before: asked.append(before) or "")
    death_report.why(-9, remains)

    assert asked == [kills]


DUMP = f"""{FATAL}

Current thread 0x00008f (most recent call first):
  File "/lib/ctypes/__init__.py", line 525 in string_at
"""


def test_the_hop_has_what_is_known_and_nothing_else():
    hop = death_report.hop("loky", "in a loky worker", 5, -11, left(started=1, dump=DUMP, crashed=1_000_000_001), label=None)

    assert (hop["pid"], hop["call"]) == (5, "work(1)")
    assert hop["died"] == [f"started and then crashed, after 1.0 s: killed by signal 11 (SIGSEGV), {FATAL}"]
    assert [(frame["name"], frame["line"]) for frame in hop["frames"]] == [("string_at", 525)]
    assert "label" not in hop


def test_lines_of_another_thread_than_that_which_crashed_are_said_to_be():
    dump = f"""{FATAL}

Thread 0x2 (most recent call first):
  File "{__file__}", line 9 in work

Current thread 0x1 (most recent call first):
  File "{struct.__file__}", line 3 in select
"""
    hop = death_report.hop("dask", "in a Dask worker", 5, -11, left(dump=dump, started=1, crashed=2))

    assert hop["died"][0].endswith(f"(SIGSEGV), {FATAL}, in another thread than the one shown")
    assert [frame["name"] for frame in hop["frames"]] == ["work"]


def test_of_several_tasks_it_is_the_one_whose_thread_crashed():
    tasks = several(("work(1)", 1), ("work(2)", 0x8F), ("work(3)", 3))
    known = death_report.hop("dask", "in a Dask worker", 5, -11, left(text=tasks, dump=DUMP, crashed=3_000_000_000))
    unknown = death_report.hop("dask", "in a Dask worker", 5, -9, left(text=tasks))

    assert (known["call"], known["died"][0].partition(":")[0]) == ("work(2)", "started and then crashed, after 2.0 s")
    assert (unknown["call"], unknown["died"][0].partition(":")[0]) == (
        "one of work(1), work(2), work(3)",
        "started and then crashed",
    )


def test_without_a_threads_number_it_is_the_one_of_that_function():
    """Ray's own faulthandler tells none."""
    tasks = several(("Server.load(1)", 1), ("Server.work(2)", 2))
    stack = f'{FATAL}\n\nStack (most recent call first):\n  File "{__file__}", line 3 in work\n'

    assert left(text=tasks, dump=stack).culprit.job == 1
    assert left(text=several(("work(1)", 1), ("work(2)", 2)), dump=stack).culprit is None
    assert left(text=tasks).culprit is None


def test_who_asks_for_a_task_is_told_what_came_of_that_one():
    remains = left(text=several(("work(1)", 1), ("work(2)", 0x8F)), dump=DUMP, crashed=3_000_000_000)
    hop = death_report.hop("dask", "in a Dask worker", 5, -11, remains)
    beside, crashed = death_report.to_who_asks(hop, remains, 0)

    assert (beside["call"], beside["died"], beside["frames"]) == (
        "work(1)",
        ["ran beside another task, of which its worker died as follows"],
        [],
    )
    assert crashed == hop
    assert death_report.to_who_asks(hop, remains, 1)[0]["died"] == [*hop["died"], "beside it ran work(1)"]
    assert death_report.to_who_asks(hop, remains, 7) == [hop]  # the worker left no word of that one
    idle = left(IDLE)
    ended = death_report.hop("dask", "in a Dask worker", 5, -9, idle)
    assert death_report.to_who_asks(ended, idle, 1)[0]["died"][0].startswith("had ended when its worker died: killed by signal 9")


def test_arguments_that_are_not_to_be_captured_are_not_told(monkeypatch):
    monkeypatch.setattr(settings, "switch", lambda name: name != "args")

    assert "call" not in death_report.hop("ray", "in a worker", 5, 3, left())
    assert death_report.hop("ray", "in a worker", 5, 3, left(), "known()")["call"] == "known()"


def test_a_worker_that_ran_no_task_has_no_call():
    assert "call" not in death_report.hop("dask", "in a worker", 5, 3, left(IDLE))


def test_the_log_of_a_worker_is_named_where_there_is_one(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "value", lambda name: str(tmp_path))
    (tmp_path / "worker-host-5.log").touch()

    assert death_report._log("host", 5) == str(tmp_path / "worker-host-5.log")
    assert death_report._log("host", 6) is None


def test_a_childs_file_is_taken_away_once_it_was_read(monkeypatch):
    done = []
    process = SimpleNamespace(pid=5, exitcode=3, join=lambda seconds: done.append(seconds))
    monkeypatch.setattr(status_reader, "of_child", lambda process: done.append("read"))
    monkeypatch.setattr(status_reader, "bury", lambda pid: done.append(pid))
    death_report.of_process("ray", "in a worker", process, patience=2)

    assert done == [2, "read", 5]


def test_the_last_lines_of_a_file(tmp_path):
    path = tmp_path / "worker.log"
    path.write_text("".join(f"line {number}\n" for number in range(1_000)))

    assert death_report.tail(str(path), 2) == [f"the last lines of {path}:", "  line 998", "  line 999"]
    assert death_report.tail(str(path), 2, leaving_out=re.compile("line 999"))[-1] == "  line 998"


@pytest.mark.parametrize("text", [None, "", "\n\n"])
def test_a_file_that_is_empty_or_gone_has_none(tmp_path, text):
    path = tmp_path / "worker.log"
    if text is not None:
        path.write_text(text)

    assert death_report.tail(str(path)) == []


def test_secrets_in_the_last_lines_are_masked(tmp_path):
    path = tmp_path / "worker.log"
    path.write_text("connecting to https://me:hunter2@host/\n")

    assert "hunter2" not in "".join(death_report.tail(str(path)))
