"""What we rely on of ``multiprocessing``'s own objects, and of those of packages of the same make.  Only mypy reads this."""

from __future__ import annotations

import weakref
from typing import Any, Protocol

from autotb.instrument.types import Connection, Function, Lock, Process, Queue, Thread
from autotb.postmortem.status_reader import Remains

Message = tuple[Any, Any, tuple[bool, Any]]  # of the queue of results: job, which part of it, whether it succeeded and with what
Task = tuple[Any, Any, Function, tuple[Any, ...], dict[str, Any]]  # of the queue of tasks: job, which part of it, and the call


class Reader(Connection, Protocol):
    """The end that is read, whose methods are replaced."""

    _recv: Function
    _recv_bytes: Function


class SimpleQueue(Queue, Protocol):
    """A pipe with a lock at each end; there is none where only one process writes."""

    _autotb_pool: weakref.ref[Pool]
    _autotb_uncertain: set[int]
    _autotb_waiting: Any
    _reader: Reader
    _writer: Connection
    _rlock: Lock
    _wlock: Lock | None


class Handler(Thread, Protocol):
    """A thread of the pool's."""

    _state: str


class Pool(Protocol):
    """``multiprocessing.Pool``."""

    _autotb_left: dict[int, Remains]
    _cache: dict[int, Job]
    _inqueue: SimpleQueue
    _outqueue: SimpleQueue
    _pool: list[Process]
    _processes: int
    _result_handler: Handler
    _state: str
    _task_handler: Handler
    _taskqueue: Queue
    _worker_handler: Handler

    def close(self) -> object: ...


class Job(Protocol):
    """What ``apply_async`` and its like return; the length of an iterator is known once all of it is sent."""

    _index: int
    _job: int
    _length: int | None

    def _set(self, i: int, obj: tuple[bool, Any], /) -> object: ...
