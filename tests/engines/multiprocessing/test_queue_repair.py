"""Pipes and locks after a death: what is known of the message in their midst, and what is taken out or filled in."""

from __future__ import annotations

import os
import pickle
import struct
import threading
from types import SimpleNamespace

import pytest

from autotb.engines.multiprocessing import queue_repair
from autotb.engines.multiprocessing.queue_repair import _UNTOUCHED, Broken, Noted
from autotb.postmortem.status_file import (
    HEAD_AT,
    HEAD_BYTES,
    IDLE,
    INDEX,
    JOB,
    PAGE,
    READS,
    RUNNING,
    STATE,
    TAKEN,
    UNKNOWN,
    WORDS,
    WRITES,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "readv"), reason="there are no status files")


class Status:
    """A worker's status file, in memory."""

    def __init__(self):
        self.page = memoryview(bytearray(PAGE))
        self.words = self.page[: WORDS * 8].cast("q")

    @property
    def head(self):
        return bytes(self.page[HEAD_AT : HEAD_AT + HEAD_BYTES])


class End:
    """The end of a pipe that is read, as ``multiprocessing.connection.Connection``."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def fileno(self):
        return self.descriptor

    def poll(self, timeout=0):
        import select

        return bool(select.select([self.descriptor], [], [], timeout)[0])

    def _recv(self, size, read=os.read):
        data = b""
        while len(data) < size:
            chunk = read(self.descriptor, size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def _recv_bytes(self, maxsize=None):
        (size,) = struct.unpack("!i", self._recv(4))
        return self._recv(size)


@pytest.fixture
def pipe():
    reads, writes = os.pipe()
    yield End(reads), writes
    os.close(reads)
    os.close(writes)


@pytest.fixture
def reader(pipe):
    """The end of a worker's queue of tasks that notes what it does, and where it does so."""
    status = Status()
    queue_repair._note_reader(pipe[0], status)
    return pipe[0], status


def message(value):
    data = pickle.dumps(value)
    return struct.pack("!i", len(data)) + data


def rest_of(pipe):
    """What is left in it."""
    os.set_blocking(pipe.fileno(), False)
    try:
        return os.read(pipe.fileno(), 1 << 16)
    except BlockingIOError:
        return b""


def test_a_message_is_received_as_it_was_sent(pipe, reader):
    os.write(pipe[1], message((3, 4)))

    assert pickle.loads(reader[0]._recv_bytes()) == (3, 4)


def test_a_message_that_was_received_is_noted_as_a_task_that_is_not_known_yet(pipe, reader):
    sent = message("x" * 1_000)
    os.write(pipe[1], sent)
    reader[0]._recv_bytes()
    words = reader[1].words

    assert (words[JOB], words[STATE], words[TAKEN]) == (UNKNOWN, RUNNING, 0)
    assert reader[1].head == sent[:HEAD_BYTES]


def test_how_far_half_a_message_has_come_is_noted(pipe, reader, monkeypatch):
    sent = message("x" * 1_000)
    os.write(pipe[1], sent[:50])
    readv = os.readv

    def dies(descriptor, areas):
        if not pipe[0].poll(0):
            raise KeyboardInterrupt
        return readv(descriptor, areas)

    monkeypatch.setattr(os, "readv", dies)
    with pytest.raises(KeyboardInterrupt):
        reader[0]._recv_bytes()
    assert reader[1].words[TAKEN] == 50
    assert reader[1].head[:50] == sent[:50]


def left(head, taken):
    words = [0] * WORDS
    words[TAKEN] = taken
    return SimpleNamespace(head=head.ljust(HEAD_BYTES, b"\xee"), words=words, state=IDLE)


BODY = b"\x80\x04\x4b\x01\x2e"
SMALL = b"\0\0\0\x05"
LARGE = b"\0\x10\0\0"  # a megabyte


@pytest.mark.parametrize(
    ("head", "taken", "in_pipe", "rest"),
    [
        (b"", 0, SMALL + BODY, SMALL + BODY),  # it waited: the next message is whole
        (SMALL, 0, BODY + b"next", b"next"),
        (SMALL, 4, BODY + b"next", b"next"),
        (SMALL + BODY, 4, b"next", b"next"),
    ],
)
def test_the_rest_of_a_dead_workers_message_is_taken_out(pipe, head, taken, in_pipe, rest):
    os.write(pipe[1], in_pipe)
    remains = left(head, taken)
    queue_repair._drain(pipe[0], remains)

    assert rest_of(pipe[0]) == rest
    if head:
        assert (remains.state, remains.words[JOB]) == (RUNNING, UNKNOWN)
        assert remains.head[:9] == SMALL + BODY
    else:
        assert remains.state == IDLE


@pytest.mark.parametrize(("head", "taken"), [(LARGE + BODY, 4), (LARGE, 500), (b"\xff\xff\xff\xff", 4)])
def test_in_the_midst_of_a_large_message_nobody_knows(pipe, head, taken):
    with pytest.raises(Broken):
        queue_repair._drain(pipe[0], left(head, taken))


def test_a_lock_says_who_holds_it_as_long_as_he_does():
    words, lock = [0] * WORDS, threading.Lock()
    noted = Noted(lock, words, READS)
    with noted:
        assert words[READS] == 1
        assert lock.locked()
    assert words[READS] == 0
    assert not lock.locked()


def test_a_lock_that_was_not_had_is_not_said_to_be(monkeypatch):
    words, lock = [0] * WORDS, threading.Lock()
    noted = Noted(lock, words, WRITES)
    lock.acquire()

    assert noted.acquire(False) is False
    assert words[WRITES] == 0


def test_what_the_last_message_left_is_none_of_the_next_ones():
    status, lock = Status(), threading.Lock()
    head = status.page[HEAD_AT : HEAD_AT + HEAD_BYTES]
    head[:4], status.words[TAKEN] = SMALL, 4
    Noted(lock, status.words, READS, head).acquire()

    assert (bytes(head[:8]), status.words[TAKEN]) == (_UNTOUCHED, 0)


def test_a_lock_is_a_lock_in_every_other_respect():
    lock = threading.Lock()

    assert Noted(lock, [0] * WORDS, READS).locked() is False
    with pytest.raises(AttributeError):
        Noted.__new__(Noted).locked()


@pytest.fixture
def patience(monkeypatch):
    monkeypatch.setattr(queue_repair, "_PATIENCE", 0.02)


def holder(which, holds=1):
    words = [0] * WORDS
    words[which] = holds
    return SimpleNamespace(words=words)


@pytest.mark.parametrize(
    ("held", "living", "lost"),
    [
        (False, [], False),
        (True, [], True),
        (True, [holder(READS, 0)], True),
        (True, [holder(READS)], False),
        (True, [holder(WRITES)], True),
    ],
)
def test_a_lock_is_lost_where_nobody_living_holds_it(patience, held, living, lost):
    lock = threading.Lock()
    if held:
        lock.acquire()

    assert queue_repair.release(lock, READS, lambda: living) is lost
    assert lock.locked() is (held and not lost)


def pool(pipe, reads=False, writes=False):
    """A pool whose locks may be held."""
    made = SimpleNamespace(
        _inqueue=SimpleNamespace(_reader=pipe[0], _rlock=threading.Lock()),
        _outqueue=SimpleNamespace(_reader=pipe[0], _writer=SimpleNamespace(fileno=lambda: pipe[1]), _wlock=threading.Lock()),
    )
    if reads:
        made._inqueue._rlock.acquire()
    if writes:
        made._outqueue._wlock.acquire()
    return made


def test_who_died_while_he_read_a_task_leaves_lock_and_pipe_in_order(pipe, patience):
    os.write(pipe[1], BODY + b"next")
    made, remains = pool(pipe, reads=True), left(SMALL, 4)
    remains.words[READS] = 1
    queue_repair.settle(made, lambda: [remains], list, None)

    assert not made._inqueue._rlock.locked()
    assert rest_of(pipe[0]) == b"next"
    assert remains.words[READS] == 0


def test_who_died_without_the_lock_read_nothing(pipe, patience):
    os.write(pipe[1], b"next")
    made, remains = pool(pipe), left(SMALL, 4)
    queue_repair.settle(made, lambda: [remains], list, None)

    assert rest_of(pipe[0]) == b"next"


def test_half_a_result_is_filled_with_zeros(pipe, patience):
    made, waiting = pool(pipe, writes=True), SimpleNamespace(bytes=10, spoilt=0)
    queue_repair.settle_results(made, list, waiting)

    assert not made._outqueue._wlock.locked()
    assert rest_of(pipe[0]) == bytes(10)
    assert waiting.spoilt == 1


def test_between_two_results_nothing_is_filled_in(pipe, patience):
    made, waiting = pool(pipe, writes=True), SimpleNamespace(bytes=0, spoilt=0)
    queue_repair.settle_results(made, list, waiting)

    assert rest_of(pipe[0]) == b""
    assert waiting.spoilt == 0


def test_what_a_receiver_waits_for_is_the_message_and_not_its_length(pipe, monkeypatch):
    seen, read = [], os.read

    def noted(descriptor, count):
        seen.append(waiting.bytes)
        return read(descriptor, min(count, 30))

    monkeypatch.setattr(os, "read", noted)
    waiting = queue_repair.Waiting(pipe[0])
    size = len(pickle.dumps("x" * 45))
    os.write(pipe[1], message("x" * 45))
    assert pickle.loads(pipe[0]._recv_bytes()) == "x" * 45

    assert seen == [0, size, size - 30]
    assert waiting.bytes == 0


def head_of(task):
    words = [0] * WORDS
    words[JOB] = UNKNOWN
    return SimpleNamespace(words=words, head=message(task)[:HEAD_BYTES])


@pytest.mark.parametrize(
    ("task", "job"),
    [
        ((3, 4, len, (), {}), (3, 4)),
        ((3, None, len, (), {}), (3, 0)),
        ((300, 70_000, len, (), {}), (300, 70_000)),
        ((2**40, 1, len, ("x" * 1_000,), {}), (2**40, 1)),
        ("no task", None),
    ],
)
def test_the_job_is_read_from_the_beginning_of_the_message(task, job):
    assert queue_repair.job_of(head_of(task)) == job


def test_a_job_that_is_known_is_not_read():
    words = [0] * WORDS
    words[JOB], words[INDEX] = 5, 6

    assert queue_repair.job_of(SimpleNamespace(words=words, head=b"")) == (5, 6)


def test_a_beginning_that_ends_too_soon_names_none():
    found = head_of((3, 4, len, (), {}))
    found.head = found.head[:6]

    assert queue_repair.job_of(found) is None
