"""What a worker left is read as it is: half made, of another process, of one that had the number before."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from autotb.postmortem import status_file, status_folder, status_reader
from autotb.postmortem.status_file import BEGUN, IDLE, MARK, MARKED, PAGE, PID, RAISED, RUNNING, UNKNOWN

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no folder of status files there")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = tmp_path / "autotb"
    made.mkdir(mode=0o700)
    return made


def page(text=b"", dump=b"", **words):
    """A status file's bytes; words by their names."""
    given = [0] * status_file.WORDS
    given[MARK], given[PID], given[BEGUN] = MARKED, os.getpid(), time.time_ns()
    for name, value in words.items():
        given[getattr(status_file, name)] = value
    data = b"".join(word.to_bytes(8, sys.byteorder, signed=True) for word in given)
    return (data + text).ljust(PAGE, b"\0") + dump


def remains(*args, written=0, **words):
    return status_reader.Remains(page(*args, **words), written)


@pytest.mark.parametrize("data", [b"", page()[: PAGE - 1], page(MARK=5), bytes(PAGE)], ids=["empty", "half", "other", "zeros"])
def test_what_is_no_status_file_yet_or_at_all(data):
    with pytest.raises(ValueError):
        status_reader.Remains(data)


@pytest.mark.parametrize(
    ("words", "running", "received"),
    [
        ({"STATE": IDLE}, False, False),
        ({"STATE": RUNNING, "JOB": 3}, True, False),
        ({"STATE": RUNNING, "JOB": UNKNOWN}, True, True),
        ({"STATE": IDLE, "JOB": UNKNOWN}, False, False),
    ],
)
def test_what_it_was_doing(words, running, received):
    found = remains(**words)

    assert (found.running, found.received) == (running, received)


def test_the_text_ends_where_it_says_and_hides_secrets():
    assert remains(b"work(1)\0of a longer text before").text == "work(1)"
    assert "hunter2" not in remains(b"get('https://me:hunter2@host/')\0").text


def test_how_long_a_task_ran_is_never_negative():
    now = time.time_ns()

    assert 59 < remains(STARTED=now - 60_000_000_000).seconds < 600
    assert remains(STARTED=now + 60_000_000_000).seconds == 0


def test_a_crash_has_its_time_and_nothing_else_has():
    started = 1_000_000_000
    crashed = remains(b"", b"Fatal Python error: Segmentation fault\n", STARTED=started, written=3_000_000_000)

    assert crashed.crashed_after == 2.0
    assert remains(b"", b"Stack (most recent call last):\n", STARTED=started, written=3_000_000_000).crashed_after is None
    assert remains(STARTED=started, written=3_000_000_000).crashed_after is None


def test_a_process_is_found_by_its_number(folder):
    (folder / status_folder.name(os.getpid())).write_bytes(page(b"work(1)"))

    assert status_reader.of(os.getpid()).text == "work(1)"
    assert status_reader.of(os.getpid() + 1) is None


def test_what_a_process_left_that_had_the_number_before_is_not_this_ones(folder):
    begun = time.time_ns()
    (folder / status_folder.name(5)).write_bytes(page(PID=5, BEGUN=begun))

    assert status_reader.of(5, begun) is not None
    assert status_reader.of(5, begun + 500_000_000) is not None  # clocks are set back a little
    assert status_reader.of(5, begun + 60_000_000_000) is None


def test_a_child_began_after_it_was_started(folder):
    class Process:
        pid = 5

    begun = time.time_ns()
    (folder / status_folder.name(5)).write_bytes(page(PID=5, BEGUN=begun))
    process = Process()
    process._autotb_begun = begun
    assert status_reader.of_child(process) is not None

    process._autotb_begun = begun + 60_000_000_000
    assert status_reader.of_child(process) is None


def test_all_that_lie_there(folder):
    for pid in (5, 6):
        (folder / status_folder.name(pid)).write_bytes(page(PID=pid, BEGUN=1))
    (folder / "a-file-of-somebodys").write_bytes(page())
    (folder / status_folder.name(7)).write_bytes(b"half")

    assert sorted(found.pid for found in status_reader.every()) == [5, 6]


def test_without_a_folder_nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert status_reader.of(5) is None
    assert status_reader.every() == []
    status_reader.bury(5)
    status_reader.bury_children()


def test_a_dead_processs_file_is_buried_with_the_last_ones_folder(folder):
    for pid in (5, 6):
        (folder / status_folder.name(pid)).write_bytes(page(PID=pid))
    status_reader.bury(5)
    assert [path.name for path in folder.iterdir()] == [status_folder.name(6)]

    status_reader.bury(6)
    assert not folder.exists()


def test_of_this_processs_children_none_stays(folder):
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait(60)
    (folder / status_folder.name(process.pid)).write_bytes(page(PID=process.pid, PARENT=os.getpid()))
    status_reader.bury_children()

    assert not folder.exists()


def test_who_is_dead_and_who_will_be(monkeypatch):
    answers = iter([False, False, True])
    monkeypatch.setattr(status_file, "has_ended", lambda pid: next(answers))
    assert not status_reader.is_dead(5)
    assert status_reader.is_dead(5, within=60)


@pytest.mark.parametrize(
    ("state", "dump", "told"),
    [
        (RAISED, b'{"v": 1, "type": "ValueError", "message": "no", "hops": []}', "ValueError"),
        (RAISED, b'{"v": 1, "type"', None),
        (RAISED, b"[1]", None),
        (RUNNING, b'{"type": "SystemExit"}', "SystemExit"),
        (RUNNING, b"Fatal Python error", None),
        (IDLE, b'{"type": "ValueError"}', None),
    ],
)
def test_what_an_initializer_raised_or_a_task_that_ended_its_worker_is_read_as_any_record_is(state, dump, told):
    record = remains(dump=dump, STATE=state).raised()

    assert (record and record["type"]) == told
