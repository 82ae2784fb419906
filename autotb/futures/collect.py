"""``collect``: the results of many futures and the failures among them, to the end, with a summary of their root causes.

Flows in: futures of any engines, mixed.  Flows out: a :class:`Collected`, log lines while it runs, a summary at ERROR, JSON lines
where they are wanted.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import time
from typing import Any

from autotb import settings
from autotb.futures import report
from autotb.futures.progress import Bar
from autotb.instrument import failure_kinds
from autotb.instrument.future_handles import Handle, handle_of
from autotb.record import safe_repr, static
from autotb.render import clean, files
from autotb.render.logs import say
from autotb.trace import build, failure_groups, phrases
from autotb.trace.model import Trace
from autotb.trace.parts import Stack

log = logging.getLogger("autotb.collect")

SCHEMA = 1  # version of to_json()'s form
POLL = 0.05  # seconds between looks at futures whose engines tell nobody when they are done
MOST_TOLD = 19  # failures that are told one by one as they arrive, and in the summary: sixty lines in all
_SAME_TOLD = 15  # of which may be of kinds that were told before


@dataclass(frozen=True)
class Failure:
    """One future that failed: its name, its place in the input, what it raised, the root cause as ``Type: message``, and when
    that was seen, in seconds since the epoch."""

    name: str
    index: int
    exception: BaseException
    error: str
    time: float = 0.0

    @property
    def trace(self) -> Any:
        """The story, an :class:`autotb.Trace`."""
        return build.build(self.exception)


@dataclass
class Collected:
    """What came of many futures.

    Attributes:
        results: ``{name or index: value}`` of those that succeeded, in the order of the input.
        failures: a list of :class:`Failure`, in the order of the input.
        total: how many futures there were.
    """

    results: dict[Any, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    total: int = 0

    def raise_for_failures(self) -> None:
        """Nothing if all succeeded; one failure is raised as itself, several as an ExceptionGroup of them."""
        if not self.failures:
            return
        errors = [failure.exception for failure in self.failures]
        if len(errors) == 1:
            raise errors[0]
        raise _group_type()(f"{len(errors)} of {self.total} runs failed", errors)

    def stories(self) -> list[tuple[Stack, list[Failure]]]:
        """The failures grouped by root cause: each story once, with the failures that it explains.

        One cause is what was raised at one line, with whatever values.
        """
        groups: dict[object, tuple[Stack, list[Failure]]] = {}
        for failure in self.failures:
            trace = failure.trace
            groups.setdefault(failure_groups.kind(trace), (trace.root_cause, []))[1].append(failure)
        return list(groups.values())

    def _groups(self) -> failure_groups.Groups:
        groups = failure_groups.Groups()
        for failure in self.failures:
            said = failure.error.partition("\n")[0]
            groups.add_error(failure.exception, said, partial(build.build, failure.exception), clean.line(failure.name))
        return groups

    def to_dict(self) -> dict[str, Any]:
        """Plain builtins: what failed and why; results by their string form.  ``schema`` is the version of this form."""
        return {
            "schema": SCHEMA,
            "total": self.total,
            "failed": len(self.failures),
            "results": {str(name): report.succeeded(str(name), value)["result"] for name, value in self.results.items()},
            "failures": [_record(failure) for failure in self.failures],
        }

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_dict` as JSON, whole or not at all; missing folders are made.  Raises OSError."""
        files.write_json(path, self.to_dict())

    def summary(self) -> str:
        """The summary that is logged; empty where nothing failed."""
        if not self.failures:
            return ""
        lines = [f"⚠ FAILURE SUMMARY: {len(self.failures)} of {self.total} runs failed"]
        if len(self.failures) <= MOST_TOLD:
            lines += [f"  • {failure.name}: {failure.error}" for failure in self.failures]
        else:
            groups = self._groups().sorted()
            lines += [f"  • {failure_groups.brief(group)}" for group in groups[: MOST_TOLD - 1]]
            if groups[MOST_TOLD - 1 :]:
                lines.append(f"  • {failure_groups.more(groups[MOST_TOLD - 1 :])}")
        return "\n".join(map(clean.text, lines))

    def __str__(self) -> str:
        left = self.total - len(self.results) - len(self.failures)
        waiting = f", {left} not waited for" if left else ""
        if not self.failures:
            return f"{'all ' if not left else ''}{len(self.results)} runs succeeded{waiting}"
        return "\n\n".join([f"{len(self.failures)} of {self.total} runs failed{waiting}", *self._groups().texts(str)])


def collect(
    futures: Iterable[Any] | Mapping[Any, Any],
    names: Iterable[str] | None = None,
    *,
    progress: bool | None = None,
    jsonl: str | os.PathLike[str] | None = None,
) -> Collected:
    """The results and failures of many futures, of one engine or of several; no failure ends it.

    Each completion is told by the logger ``autotb.collect``: ``  [i/n] ✓ name`` at INFO, or ``  [i/n] ✗ FAILED: name`` and the
    error at ERROR, where ``i`` counts completions; after the last one a summary at ERROR if something failed.  Of many failures
    the first fifteen are told so, then up to four of other kinds, further ones at DEBUG, and the summary groups them by root
    cause.  A Ctrl-C ends the waiting: the KeyboardInterrupt has what was collected so far as its ``collected``.

    Args:
        futures: futures, refs or asynchronous results, or a mapping from names to them.
        names: as many as there are futures; by default they are known by their index.
        progress: whether a bar is drawn on stderr; by default where that is a terminal.
        jsonl: a file to which one JSON object a completion is appended while it runs; missing folders are made.

    Raises:
        ValueError: the same future twice, the same name twice, or other than one name a future; before anything is waited for.
        TypeError: something is no future, or belongs to an event loop.
    """
    items, keys = _items(futures, names)
    run = _Run(items, keys, progress, jsonl)
    rest = _take_finished(run, items) if run.is_quiet else range(run.total)
    handles = {index: handle_of(items[index]) for index in rest}
    try:
        with run:
            _drain(run, items, handles)
    except KeyboardInterrupt as stop:
        stop.collected = run.collected()  # type: ignore[attr-defined]
        raise
    return run.finish()


async def collect_async(
    futures: Iterable[Any] | Mapping[Any, Any],
    names: Iterable[str] | None = None,
    *,
    progress: bool | None = None,
    jsonl: str | os.PathLike[str] | None = None,
) -> Collected:
    """:func:`collect` inside an event loop: takes asyncio futures, tasks, coroutines and other awaitables as well.

    Where it is cancelled the awaitables are cancelled too, and the CancelledError has what was collected so far as its
    ``collected`` (from Python 3.11 on; 3.10 makes another one on the way).
    """
    import asyncio

    items, keys = _items(futures, names)
    run = _Run(items, keys, progress, jsonl)
    waiting = {asyncio.ensure_future(_awaited(item)): index for index, item in enumerate(items)}
    try:
        with run:
            pending: set[Any] = set(waiting)
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=waiting.__getitem__):
                    run.add(waiting[task], *task.result())
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        for task in waiting:
            task.cancel()
        stop.collected = run.collected()  # type: ignore[union-attr]
        raise
    return run.finish()


async def _awaited(item: Any) -> tuple[bool, Any]:
    """``(True, value)`` or ``(False, error)``."""
    import asyncio
    import inspect

    try:
        if isinstance(item, Future):
            return True, await asyncio.shield(asyncio.wrap_future(item))
        if inspect.isawaitable(item):
            return True, await item
        return True, await asyncio.to_thread(handle_of(item).result, item, None)
    except asyncio.CancelledError as error:
        task: Any = asyncio.current_task()
        if getattr(task, "cancelling", lambda: 0)():  # this collecting is cancelled, not the item
            raise
        return False, error
    except Exception as error:
        return False, error


def _items(futures: Any, names: Any) -> tuple[list[Any], list[Any]]:
    """The futures and what each is called, checked."""
    if isinstance(futures, Mapping):
        if names is not None:
            raise ValueError("the mapping's keys are the names: leave names out")
        items, keys = list(futures.values()), list(futures)
    else:
        if isinstance(futures, (str, bytes)) or not hasattr(futures, "__iter__"):
            raise TypeError(
                f"collect() takes futures or a mapping of them, not {type(futures).__name__}; for one there is unwrap()"
            )
        items = list(futures)
        keys = list(range(len(items))) if names is None else list(names)
    if len(keys) != len(items):
        raise ValueError(f"{len(items)} futures, but {len(keys)} names: there must be one name a future")
    if len(set(map(id, items))) != len(items):
        raise ValueError(f"{_twice([id(item) for item in items], keys)} are the same future: give each future once")
    if names is not None and len(set(keys)) != len(keys):
        raise ValueError(f"a name is given twice ({_first_twice(keys)!r}): one result would hide the other")
    return items, keys


def _first_twice(values: list[Any]) -> Any:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def _twice(identities: list[int], keys: list[Any]) -> str:
    again = _first_twice(identities)
    return " and ".join(repr(key) for key, found in zip(keys, identities, strict=True) if found == again)


class _Run:
    """One collecting: counts, logs and keeps what arrives."""

    def __init__(self, items: list[Any], keys: list[Any], progress: bool | None, jsonl: Any) -> None:
        self.keys, self.total = keys, len(items)
        self.values: dict[int, Any] = {}
        self.failed: dict[int, Failure] = {}
        self.told: list[object] = []  # the kinds of the failures that are told
        self.tells_less = False
        self.says_success = log.isEnabledFor(logging.INFO)
        self.bar = Bar(self.total, progress)
        self.lines = _Lines(jsonl) if jsonl is not None else None
        self.is_quiet = not self.says_success and self.lines is None and not self.bar.is_shown

    def __enter__(self) -> None:
        self.bar.start()

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        if self.lines is not None:
            self.lines.close()

    def add(self, index: int, succeeded: bool, value: Any) -> None:
        """One future is done."""
        if succeeded:
            self.values[index] = value
        else:
            self._fail(index, value)
        if self.is_quiet:
            return
        count = len(self.values) + len(self.failed)
        self.bar.advance(len(self.failed))
        if succeeded and self.says_success:
            say(log, logging.INFO, "  [%d/%d] ✓ %s", count, self.total, clean.line(_text(self.keys[index])))
        if self.lines is not None:
            self.lines.add(lambda: report.succeeded(_text(self.keys[index]), value) if succeeded else _record(self.failed[index]))

    def _fail(self, index: int, error: BaseException) -> None:
        kind: object
        try:
            if settings.value("dir"):
                files.keep(build.build(error))
            brief = build.headlines(error)
            headline = brief.root_cause.headline + _beside(brief)
            said = report.message(brief.root_cause) + _beside(brief)
            kind = failure_kinds.of(error), brief.root_cause.type
        except Exception:  # the failure counts, whatever we can say of it
            said = headline = kind = static.name(type(error))
        self.failed[index] = Failure(_text(self.keys[index]), index, error, headline, time())
        count = len(self.values) + len(self.failed)
        level = self._level(kind)
        say(log, level, "  [%d/%d] ✗ FAILED: %s", count, self.total, clean.line(_text(self.keys[index])))
        say(log, level, "    Error: %s", clean.text(said))

    def _level(self, kind: object) -> int:
        """Where a failure is told: of many, the last few places are for those of another kind."""
        told = len(self.told)
        if told < _SAME_TOLD or (told < MOST_TOLD and kind not in self.told):
            self.told.append(kind)
            return logging.ERROR
        if not self.tells_less:
            self.tells_less = True
            say(log, logging.ERROR, "  further failures are told in the summary, and here at DEBUG")
        return logging.DEBUG

    def collected(self) -> Collected:
        """What is there by now, in the order of the input."""
        keys, values = self.keys, self.values
        if len(values) == self.total:
            results = dict(zip(keys, map(values.__getitem__, range(self.total)), strict=True))
        else:
            results = {keys[index]: values[index] for index in range(self.total) if index in values}
        return Collected(results, [self.failed[index] for index in sorted(self.failed)], self.total)

    def finish(self) -> Collected:
        """All is there: the summary is logged."""
        result = self.collected()
        for line in result.summary().split("\n") if result.failures else ():
            say(log, logging.ERROR, "%s", line)
        return result


class _Lines:
    """The JSON lines; a file that cannot be written is one warning, and the results go on."""

    def __init__(self, path: Any) -> None:
        self.file: Any = None
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self.file = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  closed by the run
        except (OSError, ValueError) as error:
            say(
                log,
                logging.WARNING,
                "the JSON lines cannot be written to %s (%s); the results are collected all the same",
                path,
                error,
            )

    def add(self, record: Callable[[], dict[str, Any]]) -> None:
        if self.file is None:
            return
        try:
            self.file.write(json.dumps(record(), ensure_ascii=False) + "\n")
            self.file.flush()
        except Exception as error:
            say(log, logging.WARNING, "the JSON lines end here: %s", error)
            self.close()

    def close(self) -> None:
        file, self.file = self.file, None
        if file is not None:
            try:
                file.close()
            except (OSError, ValueError) as error:
                say(log, logging.WARNING, "the JSON lines may lack their end: %s", error)


def _drain(run: _Run, items: list[Any], handles: dict[int, Handle]) -> None:
    """Ask every future that has a handle here, in the order of their completion."""
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    looked_at = [index for index, handle in handles.items() if not _watch(items[index], handle, index, done)]
    left = len(handles)
    while left:
        for index in _completions(done, items, handles, looked_at):
            _ask(run, index, items[index], handles[index])
            left -= 1


def _take_finished(run: _Run, items: list[Any]) -> list[int]:
    """The values of finished futures of the standard library, read where they lie; the indices of all others."""
    values, rest = run.values, []
    for index, item in enumerate(items):
        # An exact Future: a subclass may have a result() of its own.
        if type(item) is Future and item._state == "FINISHED" and item._exception is None:
            values[index] = item._result
        else:
            rest.append(index)
    return rest


def _watch(item: Any, handle: Handle, index: int, done: queue.SimpleQueue[int]) -> bool:
    try:
        return handle.when_done(item, lambda _: done.put(index))
    except Exception:
        return False  # of an engine that was shut down, say: asking it will tell


def _completions(
    done: queue.SimpleQueue[int], items: list[Any], handles: dict[int, Handle], looked_at: list[int]
) -> Iterator[int]:
    """At least one completion, or none after a while."""
    if not looked_at:
        yield done.get()
        return
    ready = [index for index in looked_at if _is_done(items[index], handles[index])]
    if ready:
        found = set(ready)
        looked_at[:] = [index for index in looked_at if index not in found]
        yield from ready
        return
    try:
        yield done.get(timeout=POLL)
    except queue.Empty:
        return


def _is_done(item: Any, handle: Handle) -> bool:
    try:
        return handle.is_done(item)
    except Exception:
        return True  # asking tells what is wrong


def _ask(run: _Run, index: int, item: Any, handle: Handle) -> None:
    try:
        value = handle.result(item, None)
    except Exception as error:
        run.add(index, False, error)
    except BaseException as error:
        if not _is_tasks_own(item, error):
            raise
        run.add(index, False, error)
    else:
        run.add(index, True, value)


def _is_tasks_own(item: Any, error: BaseException) -> bool:
    """Whether a KeyboardInterrupt or SystemExit is what the task raised, and not one of this thread."""
    return getattr(item, "_exception", None) is error


def _text(key: Any) -> str:
    """A name as text; the class's where its own code raises."""
    try:
        return str(key)
    except Exception:
        return safe_repr.brief(key)


def _record(failure: Failure) -> dict[str, Any]:
    return report.failed(failure.name, failure.exception, failure.trace, failure.time)


def _beside(brief: Trace) -> str:
    """That a task failed of other errors as well, which its story tells."""
    count = 1 + phrases.times(list(brief.stack.also))
    return f" (one of {count:,} errors that it failed of)" if count > 1 else ""


def _group_type() -> Any:
    """ExceptionGroup, or BaseExceptionGroup where a member is no Exception (which the class itself decides)."""
    if sys.version_info >= (3, 11):
        return BaseExceptionGroup  # noqa: F821  a builtin there
    from exceptiongroup import BaseExceptionGroup as Group

    return Group
