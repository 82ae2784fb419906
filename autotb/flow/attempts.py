"""Further attempts of a call that failed, and how long one may take: ``timeout``, ``retries``, ``retry_on`` and ``wait``.

Flows in: a step's :class:`Policy`, in a worker the calls of a chunk.  Flows out: the value of the first attempt that gives one,
or the error of the last, with what became of those before.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any

from autotb import engine_facts
from autotb.flow.packing import headline
from autotb.flow.snapshots import is_error

engine_facts.register(runs=((__name__, "_attempt"), (__name__, "_work")))  # where the user's frames begin

LONGEST_WAIT = 5.0  # seconds between two attempts, at most
_SLICE = 0.05  # seconds between two looks whether the run is over
_MOST_NAMED = 3  # kinds of earlier errors that are told


class _Unset:
    def __repr__(self) -> str:
        return "..."


UNSET: Any = _Unset()  # an option that was not given: None may be meant for the function


@dataclass(frozen=True)
class Policy:
    """How often a call is tried, on which errors, after how long; how long an attempt may take, and how many ``outputs``
    it gives, where there are several."""

    timeout: float | None = None
    retries: int = 0
    retry_on: tuple[type[Exception], ...] = (Exception,)
    wait: float = 0.1
    outputs: int | None = None

    @property
    def is_needed(self) -> bool:
        """Whether calls are to be made in another way than just so."""
        return self.timeout is not None or self.retries > 0 or self.outputs is not None

    def changed(self, **options: Any) -> Policy:
        """The same with other options.  Raises TypeError and ValueError for what cannot be meant."""
        given = {name: value for name, value in options.items() if value is not UNSET}
        return replace(self, **{name: _CHECKS[name](value) for name, value in given.items()}) if given else self


ONCE = Policy()


def _checked_timeout(timeout: Any) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout is a number of seconds, or None, not {timeout!r}")
    if not timeout > 0:
        raise ValueError(f"timeout is a number of seconds, more than 0, not {timeout!r}")
    return timeout


def _checked_retries(retries: Any) -> int:
    if isinstance(retries, bool) or not isinstance(retries, int):
        raise TypeError(f"retries is a number of further attempts, not {retries!r}")
    if retries < 0:
        raise ValueError(f"retries is a number of further attempts, 0 or more, not {retries!r}")
    return retries


def _checked_retry_on(retry_on: Any) -> tuple[type[Exception], ...]:
    every: tuple[Any, ...] = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for kind in every:
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            raise TypeError(f"retry_on is an exception type or a tuple of them, not {kind!r}")
        if not issubclass(kind, Exception):
            raise TypeError(f"retry_on takes types of Exception: {kind.__name__} ends the run, and is never retried")
    # On Python 3.10 that of concurrent.futures is a type of its own, and means the same.
    return (*every, concurrent.futures.TimeoutError) if TimeoutError in every else every


def _checked_wait(wait: Any) -> float:
    if isinstance(wait, bool) or not isinstance(wait, (int, float)):
        raise TypeError(f"wait is a number of seconds, not {wait!r}")
    if not wait >= 0:
        raise ValueError(f"wait is a number of seconds, 0 or more, not {wait!r}")
    return wait


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "timeout": _checked_timeout,
    "retries": _checked_retries,
    "retry_on": _checked_retry_on,
    "wait": _checked_wait,
}


class Attempts:
    """The calls of a chunk; ``retried`` counts those that took more than one attempt, ``timed_out`` those of which one took too
    long.  ``earlier`` are the errors of a call that has failed, but for the last."""

    def __init__(self, policy: Policy, function: Any, constants: dict[str, Any], is_over: Callable[[], bool]) -> None:
        self.policy, self.function, self.constants, self.is_over = policy, function, constants, is_over
        self.retried = self.timed_out = 0
        self.earlier: list[Exception] = []
        self._is_late = False
        self._hand: _Hand | None = None
        self._retrying: Any = None

    def call(self, args: tuple[Any, ...]) -> Any:
        """What the call gives.  Raises the error of its last attempt."""
        self.earlier, self._is_late = [], False
        value, error = self._attempt(args)
        if error is not None and self._is_worth_another((value, error)):
            value, error = self._repeated(args, error)
        self.timed_out += self._is_late
        if error is None:
            self.earlier = []
            return value if self.policy.outputs is None or is_error(value) else several(value, self.policy.outputs)
        try:
            raise error
        finally:
            del error  # the traceback's frames lead to this one

    def told(self, error: BaseException) -> str | None:
        """Which attempt it was, and what those before failed of; None where one was all that was wanted."""
        if not self.policy.retries:
            return None
        attempts, made = self.policy.retries + 1, len(self.earlier) + 1
        said = f"attempt {made} of {attempts}"
        if made < attempts and not isinstance(error, self.policy.retry_on):
            said += f" ({type(error).__name__} is not retried)"
        if made == 1:
            return said
        counts: dict[str, int] = {}
        for one in self.earlier:
            counts[headline(one)] = counts.get(headline(one), 0) + 1
        if [*counts] == [headline(error)]:
            return f"{said}, {'the one before' if made == 2 else f'the {made - 1} before'} failed alike"
        kinds = [one if times == 1 else f"{one} ({times} times)" for one, times in counts.items()]
        if len(kinds) > _MOST_NAMED:
            kinds[_MOST_NAMED:] = [f"{len(kinds) - _MOST_NAMED} other errors"]
        return f"{said}, before: {'; '.join(kinds)}"

    def end(self) -> tuple[int, int]:
        """The chunk is done.  Returns how many of its calls were retried, and how many timed out."""
        if self._hand is not None:
            self._hand.leave()
        return self.retried, self.timed_out

    def _attempt(self, args: tuple[Any, ...]) -> tuple[Any, Exception | None]:
        """Its value or its error."""
        try:
            if self.policy.timeout is None:
                return self.function(*args, **self.constants), None
            return self._in_time(args, self.policy.timeout), None
        except Exception as error:
            return None, error

    def _in_time(self, args: tuple[Any, ...], seconds: float) -> Any:
        if self._hand is None:
            self._hand = _Hand()
        try:
            return self._hand.call(self.function, args, self.constants, seconds)
        except _ExpiredError as expired:
            self._hand, self._is_late = None, True
            late = TimeoutError(f"no result within {seconds:g} s: the call was given up, which does not stop it")
            raise late.with_traceback(expired.where) from None

    def _is_worth_another(self, outcome: tuple[Any, Exception | None]) -> bool:
        return self.policy.retries > 0 and isinstance(outcome[1], self.policy.retry_on) and not self.is_over()

    def _repeated(self, args: tuple[Any, ...], first: Exception) -> tuple[Any, Exception | None]:
        """What came of further attempts."""
        import tenacity

        self.retried += 1
        if self._retrying is None:
            self._retrying = tenacity.Retrying(
                stop=tenacity.stop_after_attempt(self.policy.retries + 1),
                wait=tenacity.wait_exponential(multiplier=self.policy.wait, max=LONGEST_WAIT),
                retry=tenacity.retry_if_result(self._is_worth_another),
                retry_error_callback=lambda state: state.outcome.result() if state.outcome is not None else None,
                sleep=self._sleep,
            )
        newest: Exception | None = first
        is_first = True

        def attempt() -> tuple[Any, Exception | None]:
            nonlocal newest, is_first
            if is_first or newest is None or self.is_over():
                is_first = False
                return None, newest
            self._keep(newest)
            value, newest = self._attempt(args)
            return value, newest

        found: tuple[Any, Exception | None] = self._retrying(attempt)
        return found

    def _keep(self, error: Exception) -> None:
        """One that was like another is that one."""
        alike = [one for one in self.earlier if headline(one) == headline(error)]
        self.earlier.append(alike[0] if alike else error)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.is_over() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))


def several(value: Any, count: int, who: str = "the call") -> tuple[Any, ...]:
    """The values that ``who`` is to have given; they may come from a generator.  Raises TypeError and ValueError for others."""
    try:
        given = tuple(value)
    except TypeError:
        raise TypeError(f"{who} gave one {type(value).__name__} where outputs={count} says {count} values") from None
    if len(given) != count:
        raise ValueError(f"{who} gave {len(given)} value{'' if len(given) == 1 else 's'} where outputs={count} says {count}")
    return given


class _ExpiredError(Exception):
    """A call took too long; ``where`` it was by then."""

    def __init__(self, where: TracebackType | None) -> None:
        self.where = where


class _Hand:
    """A thread that makes calls for another one, which waits no longer than it wants to.  One that is left alone with a call ends
    with it, or with the process."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._given: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"{threading.current_thread().name}-call", daemon=True)
        self._thread.start()

    def call(self, function: Any, args: tuple[Any, ...], constants: dict[str, Any], seconds: float) -> Any:
        """What the call gives.  Raises what it raises, and :class:`_ExpiredError`."""
        self._asked.put((contextvars.copy_context(), function, args, constants))
        try:
            value, error = self._given.get(timeout=seconds)
        except queue.Empty:
            where = _traceback_of(sys._current_frames().get(self._thread.ident or 0))
            self.leave()
            raise _ExpiredError(where) from None
        if error is None:
            return value
        try:
            raise error
        finally:
            del error

    def leave(self) -> None:
        """No further call comes."""
        self._asked.put(None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            context, function, args, constants = asked
            try:
                self._given.put((context.run(function, *args, **constants), None))
            except BaseException as error:
                self._given.put((None, error))
            del asked, context, function, args, constants


def _traceback_of(frame: FrameType | None) -> TracebackType | None:
    """A traceback to where a thread is, from the user's function on."""
    found = None
    while frame is not None and frame.f_code is not _Hand._work.__code__:
        found = TracebackType(found, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return found


_OWN = {made.__code__ for made in (Attempts.call, Attempts._attempt, Attempts._in_time, _Hand.call, _Hand._work)}


def behind(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the first frames that are of this module."""
    while traceback is not None and traceback.tb_frame.f_code in _OWN:
        traceback = traceback.tb_next
    return traceback
