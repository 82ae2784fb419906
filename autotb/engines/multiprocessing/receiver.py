"""The thread in the driver that receives a pool's results: past what is no result, and past what cannot be unpickled.

Flows in: messages of the queue of results.  Flows out: results for the pool's jobs; a job that nobody will end any more fails.
An error that a callback is given has the place of its submission.
"""

from __future__ import annotations

import collections
import functools

from autotb import settings
from autotb.engines.multiprocessing.messages import CASUALTY, INITIALIZER, NOBODYS, UNCERTAIN

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this: what only failures need is imported where they are handled
    from typing import Any

    from autotb.engines.multiprocessing.types import Job, SimpleQueue
    from autotb.instrument.types import Function


def wrap_handle_results(original: Function) -> Function:
    """What cannot be unpickled ends the thread that receives results, and every later ``get`` waits for ever."""

    @functools.wraps(original)
    def _handle_results(outqueue: SimpleQueue, get: Function, cache: dict[int, Job]) -> Any:
        if settings.switch("rescue"):
            get = _Receiver(outqueue, get, cache)
        return original(outqueue, get, cache)

    return _handle_results


def _place(job: Job | None, error: BaseException) -> None:
    """Note where a failed task was submitted: its ``error_callback`` is called before anybody asks for it."""
    if job is None or getattr(job, "_error_callback", None) is None:
        return
    try:
        from autotb.instrument import engine_frames
        from autotb.record import annotate

        annotate.note_submitted(error, engine_frames.place_of(job.__dict__.get("_autotb_site")))
    except Exception:
        pass  # it is told without


class _Receiver:
    """``get`` of the result queue, past messages that are not results."""

    def __init__(self, outqueue: SimpleQueue, get: Function, cache: dict[int, Job]) -> None:
        self.outqueue, self.get, self.cache = outqueue, get, cache
        self.failed = 0  # initializers in a row
        self.raised: collections.deque[int] = collections.deque(maxlen=1_000)  # workers that told what their initializer raised
        self.recent: collections.deque[Any] = collections.deque(maxlen=1_000)  # results that came, as job and index

    def __call__(self) -> Any:
        try:
            message = self.get()
        except (EOFError, OSError):
            raise
        except Exception as error:  # nobody knows whose result it was
            waiting = getattr(self.outqueue, "_autotb_waiting", None)
            if waiting is not None and waiting.spoilt:
                waiting.spoilt -= 1  # half a result, of a worker that died: its casualty is told next
            else:
                fail_all(self.cache, error)
            return NOBODYS
        if message is None:
            return message
        if message[0] == INITIALIZER:
            self.raised.append(message[1])
            self._initializer_failed(message[2][1])
        elif message[0] == UNCERTAIN:
            self.outqueue._autotb_uncertain = {*getattr(self.outqueue, "_autotb_uncertain", ()), message[1]}
        elif message[0] == CASUALTY:
            return self._casualty(message[1], message[2][1]) or NOBODYS
        else:
            self.failed = 0
            self.recent.append((message[0], message[1]))
            if message[2] and not message[2][0]:
                _place(self.cache.get(message[0]), message[2][1])
            return message
        return NOBODYS  # the thread looks anew whether there is anything left to wait for

    def _casualty(self, number: int, job: tuple[int, int] | None) -> Any:
        """The result of a task whose worker died, unless it had sent one."""
        from autotb.engines.multiprocessing import recovery

        error = recovery.told(number)
        if job is None and getattr(error, "pid", None) in self.raised:
            return None  # it ended of what it has told, and had no task
        if job is None:
            pool = self.outqueue._autotb_pool()
            if pool is not None and recovery.BROKEN in pool.__dict__:
                for unfinished in list(self.cache.values()):
                    if getattr(unfinished, "_length", 0) is None:  # an iterator that was not sent entirely, and will not be
                        unfinished._length = unfinished._index + 1
            fail_all(self.cache, error)
        elif job not in self.recent:
            _place(self.cache.get(job[0]), error)
            return (*job, (False, error))
        return None

    def _initializer_failed(self, error: BaseException) -> None:
        self.failed += 1
        reference = getattr(self.outqueue, "_autotb_pool", None)
        pool = reference() if reference is not None else None
        if self.failed >= getattr(pool, "_processes", 1):
            fail_all(self.cache, error)


def fail_all(cache: dict[int, Job], error: BaseException) -> None:
    """End every unfinished job of a pool with ``error``."""
    for job in list(cache.values()):
        for _ in range(max(1, getattr(job, "_number_left", 1), _missing(job))):
            if job._job in cache:
                job._set(getattr(job, "_index", 0), (False, error))


def _missing(job: Job) -> int:
    length, index = getattr(job, "_length", None), getattr(job, "_index", 0)
    return length - index if isinstance(length, int) and isinstance(index, int) else 0
