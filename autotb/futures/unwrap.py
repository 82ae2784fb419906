"""``unwrap``: the result of one future, or its original error after the whole story was logged.

Flows in: a future of any engine.  Flows out: its value, or the very exception that its ``result()`` raises; one log record at
ERROR for a failure, a JSON file where one is asked for.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from autotb.futures import report
from autotb.instrument.future_handles import Handle, handle_of, label_of
from autotb.render import files
from autotb.render.logs import say
from autotb.trace import build

log = logging.getLogger("autotb.futures")

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds
Types = type[BaseException] | tuple[type[BaseException], ...]


def unwrap(
    future: Any,
    name: str | None = None,
    *,
    timeout: float | None = None,
    max_retries: int = 1,
    retry_on: Types = (TimeoutError, ConnectionError),
    log_to: str | os.PathLike[str] | None = None,
    wait: float = FIRST_WAIT,
) -> Any:
    """The result of a future of any engine, or its error, told in full.

    A failure is logged by the logger ``autotb.futures`` at ERROR, one record: who failed, the traceback through the worker, what
    the worker printed where the error brings it along, the error's type and attributes.  Then the original exception is raised,
    the same object that ``future.result()`` raises.  ``KeyboardInterrupt`` and ``SystemExit`` pass without a report.

    Args:
        future: a future, ref or asynchronous result of any engine, or any object with a ``result`` method.
        name: what to call the task in the report; by default what its engine calls it, or the name of its function.
        timeout: seconds to wait for each attempt.  A wait that expires is raised as the engine raises it, and never retried.
        max_retries: attempts, the first included.  For a further one the work is submitted anew, through its own engine.
        retry_on: exception types that are worth another attempt, of what the task raised (the root cause counts).
        log_to: a file for a JSON record of the outcome (``name``, ``status`` and ``result``, or ``error_type``,
            ``error_message``, ``traceback`` and the story as ``Trace.to_dict`` gives it), written whole or not at all.
        wait: seconds before the second attempt; doubled for each further one, up to 5.

    Raises:
        TypeError, ValueError: for arguments that cannot be meant; nothing was asked then.
    """
    handle = handle_of(future)
    _check(name, timeout, max_retries, retry_on, log_to, wait)
    asked = _Asked(future, handle, name, timeout, retry_on, log_to)
    value = asked.once() if max_retries == 1 else asked.repeatedly(max_retries, wait)
    if log_to is not None:
        asked.write_success(value)
    return value


def unwrap_with_retry(future: Any, name: str | None = None, *, max_retries: int = 3, **options: Any) -> Any:
    """:func:`unwrap` with three attempts at most."""
    return unwrap(future, name, max_retries=max_retries, **options)


def unwrap_parsl_future(future: Any, name: str | None = None, **options: Any) -> Any:
    """:func:`unwrap`, by the name that Parsl's users know."""
    return unwrap(future, name, **options)


class _Asked:
    """One call of ``unwrap``: the future of the moment, and how its failures are told."""

    def __init__(
        self, future: Any, handle: Handle, name: str | None, timeout: float | None, retry_on: Types, log_to: Any
    ) -> None:
        self.future, self.handle, self.name = future, handle, name
        self.timeout, self.retry_on, self.log_to = timeout, retry_on, log_to
        self.failed: BaseException | None = None  # the last attempt's error
        self.given_up = False

    def name_of(self, error: BaseException | None = None) -> str:
        return self.name if self.name is not None else label_of(self.future, self.handle, error)

    def once(self) -> Any:
        """The value, or the error reported and raised."""
        try:
            return self.handle.result(self.future, self.timeout)
        except Exception as error:
            self.tell(error)
            report.without_our_frames(error)
            raise

    def repeatedly(self, attempts: int, first_wait: float) -> Any:
        """The value of the first attempt that succeeds; the last one's error is reported and raised."""
        why = self._resubmit_obstacle()
        if why:
            say(log, logging.WARNING, "[%s] cannot be retried: %s; its one result is asked for", self.name_of(), why)
            return self.once()
        import tenacity

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_exponential(multiplier=first_wait, max=LONGEST_WAIT),
            retry=tenacity.retry_if_result(lambda outcome: self._is_worth_another(outcome[1])),
            before_sleep=lambda state: self._warn(_outcome(state)[1], state.attempt_number, attempts),
            retry_error_callback=_outcome,
        )
        value, error = retrying(self._attempt)
        if error is None:
            return value
        self.tell(error)
        try:
            raise report.without_our_frames(error)
        finally:
            error = None  # the traceback's frames lead to this one

    def _attempt(self) -> tuple[Any, BaseException | None]:
        """One attempt's value or error; from the second on the work is submitted anew before."""
        if self.failed is not None:
            try:
                self.future = self.handle.resubmit(self.future)
            except Exception as why:  # ResubmitError, or what the engine raises while it takes no more work
                self._give_up(self.failed, str(why))
                return None, self.failed
        try:
            return self.handle.result(self.future, self.timeout), None
        except Exception as error:
            self.failed = error
            return None, error

    def _is_worth_another(self, error: BaseException | None) -> bool:
        if error is None or self.given_up or self.handle.is_expiry(self.future, error):
            return False
        if not any(isinstance(found, _types(self.retry_on)) for found in roots(error)):
            return False
        why = self._resubmit_obstacle()  # now that it has failed, more of it is known
        if why:
            self._give_up(error, why)
        return not why

    def _resubmit_obstacle(self) -> str:
        try:
            return self.handle.resubmit_obstacle(self.future)
        except Exception as error:
            return f"whether it can be is not known ({type(error).__name__}: {error})"

    def _give_up(self, error: BaseException, why: str) -> None:
        say(log, logging.WARNING, "[%s] cannot be retried: %s", self.name_of(error), why)
        self.given_up = True

    def _warn(self, error: BaseException | None, attempt: int, attempts: int) -> None:
        if error is None:
            return
        try:
            said = report.message(build.root_of(error))
        except Exception:
            said = type(error).__name__  # a story that cannot be made does not keep the work from being tried again
        say(log, logging.WARNING, "[%s] Retry %d/%d after: %s", self.name_of(error), attempt, attempts, said)

    def tell(self, error: BaseException) -> None:
        """Log the failure and write its record; nothing that goes wrong here hides the error."""
        try:
            name, trace = self.name_of(error), report.story(error)
            if self.handle.is_expiry(self.future, error):
                say(log, logging.ERROR, "[%s] no result within %s s; the task was not cancelled", name, self.timeout)
            else:
                trace = files.keep(trace)
                say(log, logging.ERROR, "%s", report.text(name, error, trace, _is_cancelled(self.future)))
            self.write(report.failed(name, error, trace, time.time()))
        except Exception as ours:
            say(log, logging.WARNING, "the report on %r could not be made (%s: %s)", self.name, type(ours).__name__, ours)

    def write_success(self, value: Any) -> None:
        """Write the JSON record of a result, which is returned whatever happens here."""
        try:
            self.write(report.succeeded(self.name_of(), value))
        except Exception as ours:
            say(log, logging.WARNING, "the record of %r could not be made (%s: %s)", self.name, type(ours).__name__, ours)

    def write(self, record: dict[str, Any]) -> None:
        """Write the JSON record, where one is wanted; a file that cannot be written is a warning."""
        if self.log_to is None:
            return
        try:
            files.write_json(self.log_to, record)
        except Exception as error:
            say(
                log,
                logging.WARNING,
                "[%s] the record could not be written to %s (%s: %s)",
                record["name"],
                self.log_to,
                type(error).__name__,
                error,
            )


def _is_cancelled(future: Any) -> bool:
    try:
        return bool(future.cancelled())
    except Exception:
        return False  # a ref, or an asynchronous result: nobody says so


def _outcome(state: Any) -> Any:
    """What the last attempt gave, of tenacity's state."""
    return state.outcome.result()


def roots(error: BaseException) -> list[BaseException]:
    """The error and what engines wrapped in it: the exceptions that tell what the task raised."""
    from autotb.record import wrappers

    found, queue = [error], [error]
    while queue and len(found) < 50:
        one = queue.pop()
        opened = wrappers.opened(one)
        inner = [one.__cause__] if opened is None else [*opened.roots, opened.headline]
        for other in inner:
            if other is not None and not any(other is known for known in found):
                found.append(other)
                queue.append(other)
    return found


def _types(types: Types) -> Types:
    """On Python 3.10 ``concurrent.futures.TimeoutError`` is a type of its own, and means the same."""
    import concurrent.futures

    every = types if isinstance(types, tuple) else (types,)
    return (*every, concurrent.futures.TimeoutError) if TimeoutError in every else every


def _check(name: Any, timeout: Any, max_retries: Any, retry_on: Any, log_to: Any, wait: Any) -> None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name is a str or None, not {type(name).__name__}")
    for what, value in (("timeout", timeout), ("wait", wait)):
        if value is None and what == "timeout":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{what} is a number of seconds, not {type(value).__name__}")
        if not value >= 0:
            raise ValueError(f"{what} is a number of seconds, 0 or more, not {value}")
    if isinstance(max_retries, bool) or not isinstance(max_retries, int):
        raise TypeError(f"max_retries is a number of attempts, not {type(max_retries).__name__}")
    if max_retries < 1:
        raise ValueError(f"max_retries counts the first attempt: at least 1, not {max_retries}")
    every = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for kind in every:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"retry_on is an exception type or a tuple of them, not {kind!r}")
    if log_to is not None and not isinstance(log_to, (str, os.PathLike)):
        raise TypeError(f"log_to is a path, not {type(log_to).__name__}")
