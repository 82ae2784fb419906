"""A worker says what it does by stores into a file that outlives it; nothing else of the process's is touched."""

from __future__ import annotations

import faulthandler
import functools
import os
import subprocess
import sys

import pytest

from autotb.postmortem import status_file, status_folder
from autotb.postmortem.status_file import BEGUN, FAILING, IDLE, INDEX, JOB, MARK, MARKED, PARENT, PID, RUNNING, STARTED, STATE
from autotb.record import redaction

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no folder of status files there")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """This test's own folder of status files."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "autotb"


@pytest.fixture
def status(folder):
    made = status_folder.made(status_file.StatusFile)
    yield made
    made.watching = False
    os.close(made.descriptor)


def ended():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait(60)
    return process.pid


@pytest.fixture(scope="module")
def dead():
    return ended()


def test_it_says_whose_it_is(status):
    words = status.words

    assert (words[MARK], words[PID], words[PARENT], words[STATE]) == (MARKED, os.getpid(), os.getppid(), IDLE)
    assert words[BEGUN] > 0


def test_a_task_that_begins_and_ends(status):
    status.runs(3, 4, "work(1)")
    assert [status.words[word] for word in (STATE, JOB, INDEX)] == [RUNNING, 3, 4]
    assert status.words[STARTED] >= status.words[BEGUN]
    assert bytes(status.page[status_file.TEXT_AT :][:8]) == b"work(1)\0"

    status.idles()
    assert status.words[STATE] == IDLE


def test_a_long_text_is_cut_and_ends(status):
    status.says("é" * 2_000)
    text = bytes(status.page[status_file.TEXT_AT : status_file.HEAD_AT])

    assert len(text) == status_file.TEXT_BYTES
    assert text[-1] == 0


def test_a_task_that_cannot_be_unpickled_leaves_its_error_and_its_lines(status, folder):
    try:
        raise ValueError("no such class")
    except ValueError as error:
        status.fails(error)
    data = (folder / status.file).read_bytes()

    assert status.words[STATE] == FAILING
    assert b"ValueError: no such class\0" in data[: status_file.PAGE]
    assert data[status_file.PAGE :].startswith(b'Stack (most recent call last):\n  File "')


def test_the_file_of_a_process_that_had_this_number_before_is_replaced(folder):
    folder.mkdir(mode=0o700)
    (folder / status_folder.name(os.getpid())).write_bytes(b"old")
    made = status_folder.made(status_file.StatusFile)
    os.close(made.descriptor)

    assert made.words[MARK] == MARKED


def test_a_file_that_cannot_be_written_is_taken_away(folder, monkeypatch):
    def full(descriptor, data):
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        status_folder.made(status_file.StatusFile)
    assert list(folder.iterdir()) == []


def test_it_goes_with_its_process(status, folder):
    status.end()

    assert not folder.exists()


def test_a_child_that_was_forked_leaves_it_alone(status, folder):
    status.words[PID] = os.getpid() + 1
    status.end()

    assert len(list(folder.iterdir())) == 1


def test_faulthandler_of_the_programs_is_left_alone(status, monkeypatch):
    monkeypatch.setattr(faulthandler, "is_enabled", lambda: True)
    monkeypatch.setattr(faulthandler, "enable", lambda *args: 1 / 0)
    status.watch()

    assert not status.watching


@pytest.fixture
def watching(status, monkeypatch):
    """faulthandler writes to the status file; what it is told."""
    told = []
    monkeypatch.setattr(faulthandler, "is_enabled", lambda: False)
    monkeypatch.setattr(faulthandler, "enable", lambda file: told.append(file))
    monkeypatch.setattr(faulthandler, "disable", lambda: told.append("off"))
    status.watch()
    return status, told


def test_faulthandler_is_given_a_high_descriptor(watching):
    status, told = watching
    status.check()

    assert told == [status.descriptor]
    assert status.descriptor >= status_file._HIGH


@pytest.mark.parametrize("reused", [False, True])
def test_a_descriptor_that_somebody_has_closed_is_not_written_to(watching, tmp_path, reused):
    status, told = watching
    number = status.descriptor
    os.close(number)
    other = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    if reused:
        os.dup2(other, number)
    status.check()
    if not reused:
        os.dup2(other, number)  # for the end of the test
    os.close(other)

    assert told == [number, "off"]
    assert not status.watching


def left(folder, pid, *, parent=None, mark=MARKED, own=None, age=0):
    """What a process left."""
    folder.mkdir(mode=0o700, exist_ok=True)
    words = [0] * status_file.WORDS
    words[MARK], words[PID], words[PARENT] = mark, pid if own is None else own, os.getpid() if parent is None else parent
    path = folder / status_folder.name(pid)
    path.write_bytes(memoryview(bytearray(b"".join(word.to_bytes(8, sys.byteorder) for word in words))))
    if age:
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


@pytest.mark.parametrize(
    ("made", "stays"),
    [
        ({"parent": "lives"}, True),  # who may want to read it
        ({"parent": "dead"}, False),
        ({"parent": "lives", "age": 2 * status_file._OLD}, False),
        ({"mark": 0}, False),  # it was only being made
        ({"mark": 5}, True),  # no status file at all
        ({"own": 1, "parent": "dead"}, True),  # says that it is another process's
    ],
)
def test_what_nobody_will_read_is_swept_away(folder, dead, made, stays):
    parent = {"lives": os.getpid(), "dead": dead}.get(made.pop("parent", None))
    path = left(folder, dead, parent=parent, **made)
    status_folder.inside(status_file.sweep)

    assert path.exists() is stays


def test_the_files_of_one_parents_workers_go_in_any_case(folder, dead):
    path = left(folder, dead)
    status_folder.inside(lambda inside: status_file.sweep(inside, os.getpid()))

    assert not path.exists()


def test_a_living_process_keeps_its_file(folder, dead):
    path = left(folder, os.getpid(), parent=dead, age=2 * status_file._OLD)
    status_folder.inside(status_file.sweep)

    assert path.exists()


def test_who_lives_and_who_has_ended(dead):
    assert status_file.lives(os.getpid())
    assert not status_file.has_ended(os.getpid())
    assert not status_file.lives(dead)
    assert status_file.has_ended(dead)
    assert not status_file.has_ended(1)


def test_one_that_was_not_waited_for_has_ended_all_the_same():
    process = subprocess.Popen([sys.executable, "-S", "-c", ""], stdout=subprocess.PIPE)
    try:
        process.stdout.read()  # to its end
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert status_file.lives(process.pid)
        assert status_file.has_ended(process.pid)
    finally:
        process.wait(60)
        process.stdout.close()


def work(x, password=None, *more):
    pass


class Answers:
    def __repr__(self):
        raise AssertionError

    __str__ = __len__ = __repr__


class Meta(type):
    def __eq__(cls, other):
        raise AssertionError

    __hash__ = type.__hash__


class Compared(metaclass=Meta):
    pass


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ((work, (1,)), "work(1)"),
        ((work, (1, None, 2.5, "a", b"b")), f"work(1, {redaction.MASK}, 2.5, 'a', b'b')"),
        ((work, (1,), {"password": "x", "more": 1}), f"work(1, password={redaction.MASK}, more=1)"),
        ((work, ("x" * 100,)), "work('" + "x" * 77 + "…')"),
        ((work, (b"x" * 100,)), "work(b'" + "x" * 77 + "…')"),
        ((work, (10**30,)), "work(<int of 100 bits>)"),
        ((work, ([1], Answers(), Compared())), "work(<list>, " + redaction.MASK + ", <Compared>)"),
        ((work, iter([1])), "work(…)"),  # it is not used up
        ((functools.partial(work, 1, more=2), (3,)), f"work(1, {redaction.MASK}, more=2)"),
        ((len, ([],)), "len(<list>)"),
        ((Answers, ()), "Answers()"),
        ((Answers().__repr__, ()), "Answers.__repr__()"),
        ((Compared(), (1,)), "Compared(1)"),
    ],
)
def test_a_call_in_few_words(call, text):
    assert status_file.plain(*call) == text
