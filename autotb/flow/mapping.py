"""``map``, ``imap`` and ``map_async``: a flow of one step, whose errors are raised, or are values.

Flows in: a function, iterables, an executor.  Flows out: a list of results (nested for a product), or they as they come.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from autotb.flow import executors, scheduler, streams, tallies
from autotb.flow.attempts import UNSET
from autotb.flow.context import RAISE, check_mode
from autotb.flow.flow import Progress, Types, check_progress, is_iterable, same_for_all
from autotb.flow.progress import listener
from autotb.flow.scheduler import Running
from autotb.flow.step_inputs import shape_of
from autotb.flow.steps import Node, Step, as_step, checked_chunksize, user_site
from autotb.flow.store import Memory, Passing, nested
from autotb.flow.streams import Stream
from autotb.render.logs import say

log = logging.getLogger("autotb.flow")


def map(
    fn: Callable[..., Any],
    /,
    *iterables: Iterable[Any],
    executor: Any = "threads",
    error_handling: str = RAISE,
    chunksize: int | None = None,
    product: bool = False,
    progress: Progress | bool | None = None,
    timeout: float | None = UNSET,
    retries: int = UNSET,
    retry_on: Types = UNSET,
    wait: float = UNSET,
    **constants: Any,
) -> list[Any]:
    """``[fn(*args, **constants) for args in zip(*iterables)]``, many at a time.

    Args:
        fn: the function; what :func:`step` made of one brings its options along.
        iterables: its positional arguments, all of one length.
        executor: where calls run: any ``concurrent.futures.Executor``, ``"threads"``, ``"processes"``, ``"ray"``, a Dask
            ``Client``, or Parsl's ``DataFlowKernel``.
        error_handling: ``"raise"``: the first exception is raised, with its own type, and ``fn.error_snapshot`` is the call that
            failed.  ``"continue"``: an exception of ``fn`` becomes an ``ErrorSnapshot`` in its place; a call one of whose inputs
            is such an error is not made, a ``PropagatedErrorSnapshot`` stands for it.
        chunksize: how many calls are sent at once.
        product: take the outer product of the iterables; the result is nested, an axis for each.
        progress: None for a bar on a terminal, False for none, or a function of (done, failed, skipped, total): ``done`` are all
            calls that are settled, those that failed or were skipped among them.
        timeout, retries, retry_on, wait: how long an attempt of a call may take, and how often it is made; see :func:`step`.  One
            that is a parameter of ``fn`` is given to ``fn``.
        constants: keyword arguments of all calls.

    Returns a list in the order of the inputs.

    Raises ValueError for iterables of different lengths, an unknown mode or a bad ``chunksize``; TypeError for what is no
    executor, and where ``fn`` cannot be called so; and whatever the executor raises for itself, in both modes.
    """
    options = {"timeout": timeout, "retries": retries, "retry_on": retry_on, "wait": wait}
    one, heard = _prepared(fn, iterables, executor, error_handling, chunksize, product, progress, options, constants)
    with heard:
        heard.begin(one.tallies)
        scheduler.drive(one)
    return _result(one)


async def map_async(
    fn: Callable[..., Any],
    /,
    *iterables: Iterable[Any],
    executor: Any = "threads",
    error_handling: str = RAISE,
    chunksize: int | None = None,
    product: bool = False,
    progress: Progress | bool | None = None,
    timeout: float | None = UNSET,
    retries: int = UNSET,
    retry_on: Types = UNSET,
    wait: float = UNSET,
    **constants: Any,
) -> list[Any]:
    """:func:`map`, awaited: other tasks of the event loop run meanwhile."""
    options = {"timeout": timeout, "retries": retries, "retry_on": retry_on, "wait": wait}
    one, heard = _prepared(fn, iterables, executor, error_handling, chunksize, product, progress, options, constants)
    with heard:
        heard.begin(one.tallies)
        await scheduler.drive_async(one)
    return _result(one)


def imap(
    fn: Callable[..., Any],
    /,
    *iterables: Iterable[Any],
    executor: Any = "threads",
    error_handling: str = RAISE,
    chunksize: int | None = None,
    progress: Progress | bool | None = None,
    timeout: float | None = UNSET,
    retries: int = UNSET,
    retry_on: Types = UNSET,
    wait: float = UNSET,
    **constants: Any,
) -> Iterator[Any]:
    """:func:`map`, whose results are handed over in order, as they are asked for: of inputs that may have no end, so much is read
    as keeps the workers busy, and no result is kept.

    Returns an iterator.  Where an error is raised, the results before it that are there come first.  Who leaves it before its
    end, or closes it, cancels what is not begun.

    Raises as :func:`map` does; what is wrong use at once.
    """
    options = {"timeout": timeout, "retries": retries, "retry_on": retry_on, "wait": wait}
    store = Passing()
    one, heard = _prepared(fn, iterables, executor, error_handling, chunksize, False, progress, options, constants, store)
    return _handed_over(one, heard)


def _handed_over(one: Running, heard: Any) -> Iterator[Any]:
    with heard:
        heard.begin(one.tallies)
        name = next(iter(one.tallies))
        yield from scheduler.iterate(one, name)
    _tell_left_out(one, name)


def _prepared(
    fn: Any,
    iterables: tuple[Iterable[Any], ...],
    executor: Any,
    mode: str,
    chunksize: int | None,
    product: bool,
    progress: Any,
    options: dict[str, Any],
    constants: dict[str, Any],
    store: Memory | None = None,
) -> tuple[Running, Any]:
    if not callable(fn) and not isinstance(fn, Step):
        raise TypeError(f"map takes a function first, not {fn!r}")
    if not iterables:
        raise TypeError(f"map takes at least one iterable after the function{same_for_all(constants)}")
    made = as_step(fn)
    if checked_chunksize(chunksize) is not None:
        made = dataclasses.replace(made, chunksize=chunksize)
    made, constants = made.tried(constants, **options)
    check_mode(mode)
    check_progress(progress)
    executors.check(executor)
    inputs = tuple([_input(made, iterable, product, store is not None) for iterable in iterables])
    made.check(len(inputs), constants)
    known: list[tuple[int, ...]] = [(len(values),) for values in inputs if not isinstance(values, Stream)]
    shape = shape_of(made.name, known, product) if known else None
    node = Node(made.name, made, True, inputs, constants, product, frozenset(), 1, user_site())
    heard = listener(progress, shows_table=False)
    shapes = {made.name: shape if len(known) == len(inputs) else None}
    return Running([node], executor, mode, store or Memory(), shapes=shapes, tell=heard.tell), heard


def _input(step: Step, values: Iterable[Any], product: bool, passes: bool) -> Any:
    if not is_iterable(values):
        raise TypeError(f"{step.name}: map takes iterables, not {values!r}; give constants by name")
    if product or step.takes_wholes or not (passes or streams.is_one(values)):
        return list(values)
    return Stream(values)


def _result(one: Running) -> list[Any]:
    column = next(iter(one.store.columns.values()))
    assert column.values is not None
    _tell_left_out(one, column.name)
    found: list[Any] = nested(column.values, column.shape)
    return found


def _tell_left_out(one: Running, name: str) -> None:
    count = one.tallies[name].left_out
    if count:
        say(log, logging.WARNING, "%s of the inputs of %s", tallies.left_out(count), name)
