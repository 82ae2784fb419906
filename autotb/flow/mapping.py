"""``map`` and ``map_async``: one function over many inputs, in chunks, in order; its errors are raised, or are values.

Flows in: a function, iterables, an executor.  Flows out: a list of results (nested for a product).
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, as_completed
from typing import Any

from autotb.flow import chunks, executors
from autotb.flow.binding import bind
from autotb.flow.context import CONTINUE, RAISE, ErrorContext, check_mode, maybe_propagate_before_call, maybe_wrap_exception, scan
from autotb.flow.snapshots import ERRORS

Progress = Callable[[int, int, int, int], object]


def map(
    fn: Callable[..., Any],
    *iterables: Iterable[Any],
    executor: Any = "threads",
    error_handling: str = RAISE,
    chunksize: int | None = None,
    product: bool = False,
    progress: Progress | None = None,
    **constants: Any,
) -> list[Any]:
    """``[fn(*args, **constants) for args in zip(*iterables)]``, many at a time.

    With ``error_handling="continue"`` an exception of ``fn`` becomes an ``ErrorSnapshot`` in its place, and a call one of
    whose inputs is such an error is not made: a ``PropagatedErrorSnapshot`` stands for it.  With ``"raise"`` the first
    exception is raised, with its own type, and ``fn.error_snapshot`` is the call that failed.  ``product=True`` takes the
    outer product of the iterables; the result is nested, an axis for each.  ``progress`` is called with (done, failed,
    skipped, total).

    Raises ValueError for iterables of different lengths, an unknown mode or a bad ``chunksize``; TypeError for what is no
    executor; and whatever the executor raises for itself, in both modes.
    """
    run = _Run(fn, iterables, executor, error_handling, chunksize, product, progress, constants)
    try:
        for future in as_completed(run.submit()):
            run.complete(future)
    except BaseException as error:
        run.close(wait=isinstance(error, Exception))  # whoever interrupts does not want to wait
        raise
    run.close()
    return run.results()


async def map_async(
    fn: Callable[..., Any],
    *iterables: Iterable[Any],
    executor: Any = "threads",
    error_handling: str = RAISE,
    chunksize: int | None = None,
    product: bool = False,
    progress: Progress | None = None,
    **constants: Any,
) -> list[Any]:
    """The same, awaited: other tasks of the event loop run meanwhile."""
    run = _Run(fn, iterables, executor, error_handling, chunksize, product, progress, constants)
    try:
        futures = run.submit()
        waiting = {asyncio.wrap_future(future): future for future in futures}
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.exception()  # asked for below
                run.complete(waiting.pop(one))
    except BaseException:
        run.close(wait=False)  # an event loop does not wait for threads
        raise
    run.close()
    return run.results()


class _Run:
    """One map: its elements, what became of them so far, and the futures that will tell of the others."""

    def __init__(
        self,
        fn: Any,
        iterables: tuple[Iterable[Any], ...],
        executor: Any,
        mode: str,
        chunksize: int | None,
        product: bool,
        progress: Progress | None,
        constants: dict[str, Any],
    ) -> None:
        if not callable(fn):
            raise TypeError(f"map takes a function first, not {fn!r}")
        if chunksize is not None and (not isinstance(chunksize, int) or chunksize < 1):
            raise ValueError(f"chunksize is a number of calls, at least 1, not {chunksize!r}")
        self.fn, self.mode, self.constants, self.progress = fn, check_mode(mode), constants, progress
        self.shape, self.elements = _elements(iterables, product)
        self.values: list[Any] = [None] * len(self.elements)
        self.failed = self.skipped = self.done = 0
        self.spans: dict[Future[Any], list[int]] = {}
        self.runner = executors.runner(executor)
        self.chunksize = chunksize or max(1, -(-len(self.elements) // (4 * self.runner.workers)))

    def submit(self) -> list[Future[Any]]:
        """Settle the calls that are not made, and hand out the others in chunks."""
        todo = self._settle_propagated()
        for start in range(0, len(todo), self.chunksize):
            span = todo[start : start + self.chunksize]
            chunk = [self.elements[at] for at in span]
            future = self.runner.submit(chunks.run, self.fn, chunk, self.constants, self.mode == RAISE, os.getpid())
            self.spans[future] = span
        return list(self.spans)

    def _settle_propagated(self) -> list[int]:
        kinds = set(itertools.chain.from_iterable(set(_types(column)) for column in zip(*self.elements, strict=True)))
        if self.mode != CONTINUE or (kinds.isdisjoint(ERRORS) and set(_types(self.constants.values())).isdisjoint(ERRORS)):
            return list(range(len(self.elements)))
        todo = []
        for at, args in enumerate(self.elements):
            named = bind(self.fn, args, self.constants)
            error = maybe_propagate_before_call(ErrorContext(self.mode, scan(named, {})), self.fn, named)
            if error is None:
                todo.append(at)
            else:
                self.values[at] = error
                self.skipped += 1
        self._tell(self.skipped)
        return todo

    def complete(self, future: Future[Any]) -> None:
        """Take what a chunk came to.  Raises the executor's own errors, and in raise mode the user's."""
        span = self.spans.pop(future)
        results = chunks.received(future.result(), len(span))
        for at, value in zip(span, results, strict=False):
            if type(value) is chunks.Failed:
                self.failed += 1
                value = maybe_wrap_exception(self.mode, self.fn, self.elements[at], self.constants, value.exception)
            self.values[at] = value
        self._tell(len(span))

    def _tell(self, count: int) -> None:
        self.done += count
        if self.progress is not None and count:
            self.progress(self.done, self.failed, self.skipped, len(self.values))

    def results(self) -> list[Any]:
        """The values in the order of the inputs, nested to the shape of a product."""
        values = self.values
        for length in reversed(self.shape[1:]):
            values = [values[start : start + length] for start in range(0, len(values), length)] if length else []
        return values

    def close(self, wait: bool = True) -> None:
        """Cancel what was not begun."""
        for future in self.spans:
            future.cancel()
        self.runner.close(wait)


def _types(values: Iterable[Any]) -> Iterable[type]:
    return {type(value) for value in values}


def _elements(iterables: tuple[Iterable[Any], ...], product: bool) -> tuple[tuple[int, ...], list[tuple[Any, ...]]]:
    if not iterables:
        raise TypeError("map takes at least one iterable after the function")
    columns = [list(iterable) for iterable in iterables]
    if product:
        return tuple(len(column) for column in columns), list(itertools.product(*columns))
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise ValueError(f"the iterables have different lengths: {', '.join(str(len(column)) for column in columns)}")
    return (len(columns[0]),), list(zip(*columns, strict=True))
