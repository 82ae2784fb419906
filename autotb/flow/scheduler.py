"""A run of a flow: which steps are ready, what is with the executor, what came of it; with and without an event loop.

Flows in: nodes, an executor, a store.  Flows out: the store, full; or the first error, in raise mode, and the executor's own.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import queue
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, BrokenExecutor, Future, wait
from typing import Any

from autotb.flow import chunks, executors, identity, packing, repeats
from autotb.flow.cache import Cache
from autotb.flow.context import RAISE, hang
from autotb.flow.execute import Answer
from autotb.flow.flights import Flight, Flights
from autotb.flow.messages import Kept, Sink, Terms
from autotb.flow.result_log import FAILED, MISSING, SKIPPED
from autotb.flow.schedules import SCHEDULES
from autotb.flow.step_inputs import Work
from autotb.flow.steps import Node, Output, Part
from autotb.flow.store import COMMIT, Folder, Memory
from autotb.flow.tallies import Tallies
from autotb.render.logs import say

log = logging.getLogger("autotb.flow")

_PATIENCE = 5  # seconds in which the calls of a pool that broke are to have failed


class Running:
    """One run: pumps calls into the executor and takes what they came to.  See :func:`drive`, :func:`drive_async`."""

    def __init__(
        self,
        nodes: list[Node],
        executor: Any,
        mode: str,
        store: Memory,
        *,
        shapes: Mapping[str, tuple[int, ...] | None],
        schedule: str = "eager",
        cache: Cache | None = None,
        containers: bool = False,
        retry_failed: bool = False,
        owners: tuple[Any, ...] = (),
        tell: Callable[[Tallies], object] | None = None,
    ) -> None:
        self.mode, self.store, self.containers, self.owners = mode, store, containers, owners
        self._schedule, self._waiting = SCHEDULES[schedule](nodes), len(nodes)
        self._mapped = {one.name for node in nodes if node.is_map for one in node.inputs if isinstance(one, Output)}
        self.cache = cache if cache is not None else Cache(None)
        self.run_again = (SKIPPED, FAILED) if retry_failed or mode == RAISE else (SKIPPED,)
        if isinstance(store, Folder):
            store.expect([identity.of(node, shapes[node.name]) for node in nodes])
        self.runner = executors.runner(executor)
        self._ready = list(self._schedule.first())
        self._touched: dict[str, None] = {}  # steps of which more may be submitted, or that may be done
        self.active: dict[str, Flights] = {}
        self.flying: dict[Future[Any], Flight] = {}
        self.tallies = Tallies({name: 1 if shape is None else math.prod(shape) for name, shape in shapes.items()})
        for node in nodes:
            self.tallies[node.name].is_part = type(node.step.function) is Part
        self.id, self._numbers = chunks.begin(), itertools.count()
        self._arrived = repeats.Arrived()
        self._listener, self._is_warned = tell, False

    @property
    def is_done(self) -> bool:
        """Whether all steps are."""
        return not self._waiting

    def pump(self) -> list[Future[Any]]:
        """Begin the steps that are ready, settle what is not to be called, and submit what is: the futures of that."""
        new: list[Future[Any]] = []
        slow: dict[str, None] = {}
        while self._ready or self._touched:
            ready, self._ready = self._ready, []
            for node in ready:
                self._begin(node)
            self.store.settle()
            touched, self._touched = self._touched, {}
            for name in touched:
                active = self.active[name]
                new += self._submit(active)
                if active.is_done:
                    self._finish(active.work)
                elif (active.is_slow and active.may_fly) or not active.flying:
                    slow[name] = None
        self._touched = slow
        self._emit()
        return new

    @property
    def has_more(self) -> bool:
        """Whether :meth:`pump` has left something to be submitted: reading it takes its time, and others were to have their
        turn."""
        return bool(self._touched)

    def _begin(self, node: Node) -> None:
        work = Work(node, self.store, self.mode, self.containers)
        work.begin(self.run_again)
        self.tallies.expect(node.name, work.size)
        self._count(node.name, bytes(work.column.states))
        self.tallies.tried(node.name, *self.store.tries.get(node.name, ()))
        self.tallies.begin(node.name)
        self.active[node.name] = Flights(self, work, self.runner.workers, self.runner.queues)
        self._touched[node.name] = None

    def _submit(self, active: Flights) -> list[Future[Any]]:
        new = []
        while active.may_fly:
            flight = active.next()
            self._read(active.work)
            if flight is None:
                break
            future = self._submitted(flight, active.pace.seconds)
            active.pace.workers = self.runner.workers
            active.flying += 1
            self.flying[future] = flight
            new.append(future)
            if active.is_slow:
                break
        return new

    def _read(self, work: Work) -> None:
        """So much of a stream is known by now."""
        if work.reader is not None:
            self.tallies.expect(work.node.name, max(work.reader.count, work.size), is_open=not work.reader.is_over)

    def _submitted(self, flight: Flight, seconds: float | None) -> Future[Any]:
        work, task = flight.work, flight.task
        function = packing.bare(work.function) if self.runner.by_value else work.function
        args: tuple[Any, ...] = (function, task.columns, task.kwargs, self.mode == RAISE, os.getpid())
        if isinstance(self.store, Folder):
            is_read = not self.store.keeps and not work.step.cache  # from the folder, by whom it concerns
            owned = is_read and self.mode != RAISE
            made = {at: work.column.made[at].kept for at in task.ats if at in work.column.made} if work.column.made else None
            if self.runner.repeats(task.resources):
                self.active[work.node.name].name(flight, f"{self.id}-{next(self._numbers)}")
            sink = Sink(
                self.store.folder,
                self.store.token,
                work.column.step,
                owned,
                work.node.place,
                is_read,
                made,
                flight.names,
                self.mode != RAISE,
                is_read and not work.node.is_map and work.node.name in self._mapped,
            )
            args += (task.ats, sink)
        else:
            args += (None, None)
        policy = work.step.policy if work.step.policy.is_needed else None
        args += (Terms(self.id, seconds, policy, sends_ends=not self.runner.carries_ends, over=self.runner.over),)
        try:
            return self.runner.submit(chunks.run, args, task.resources)
        except BrokenExecutor as error:
            self._raise_of_another(type(error))
            raise

    def _raise_of_another(self, kind: type[BaseException]) -> None:
        """A pool that broke refuses further work; the calls that were with it know more of what has happened."""
        done, _ = wait(self.flying, timeout=_PATIENCE, return_when=FIRST_EXCEPTION)
        for future in done:
            if isinstance(future.exception(), kind):
                future.result()

    def complete(self, future: Future[Any]) -> None:
        """Take what a chunk came to.  Raises the executor's own errors, and in raise mode the user's."""
        flight = self.flying.pop(future)
        active = self.active[flight.work.node.name]
        active.flying -= 1
        self._touched[flight.work.node.name] = None
        took = chunks.received(future.result(), len(flight.task.ats))
        if took.retried or took.timed_out:
            self._count_tries(flight.work.node.name, took.retried, took.timed_out)
        answer = self._answer(took.results)
        answer.seconds = took.each
        made = len(answer.results)
        if took.seconds is not None:
            active.pace.learn(made, took.seconds)
        flight.land(answer)
        if took.ended is not None:
            raise took.ended.exception
        active.drop(flight.task.ats[:made])
        if took.unread:
            active.unread(flight.task.ats[made], took.unread)
        if made < len(flight.task.ats):
            active.back(flight, made, bool(took.unread))
        if flight.names:
            self._forget(active, flight, made, took.unread or took.seconds is None)
        self._emit()

    def _forget(self, active: Flights, flight: Flight, made: int, is_partly: object) -> None:
        """A chunk has arrived that the engine might have made anew; of what comes back of it more may be kept already."""
        if made < len(flight.task.ats) and is_partly:
            active.keep_names(flight, made)
        else:
            self._arrived.add(str(self.store.folder), flight.names[0])  # others may have had more than this has

    def _answer(self, received: Any) -> Answer:
        if type(received) is not Kept:
            return Answer(received)
        if received.unseen and not self._is_warned:
            self._is_warned = True
            warnings.warn(
                f"workers do not see the run folder {self.store.folder}: they send their results back, to be kept from here",
                RuntimeWarning,
                stacklevel=4,
            )
        return Answer(received.results, received.places)

    def _finish(self, work: Work) -> None:
        node = work.node
        if work.reader is not None:
            work.reader.end()
        tally = self.tallies[node.name]
        tally.seconds = time.monotonic() - work.begun
        self.tallies.took(node.name, work.column.made.values())
        self.store.finish(work.column, tally.seconds)
        if work.column.values is None and tally.failed:
            self._attach_newest(work)
        del self.active[node.name]
        self._waiting -= 1
        self._ready += self._schedule.done(node)

    def _attach_newest(self, work: Work) -> None:
        """A worker has kept the snapshots: the last is hung where the user looks for it."""
        at = work.column.states.rfind(FAILED)
        hang(self.store.read(work.column, at, at + 1)[0], work.function, self.owners)

    def tell(self, work: Work, states: bytes) -> None:
        """Elements of a step are settled, in these states."""
        self._count(work.node.name, states)

    def _count(self, name: str, states: bytes) -> None:
        missing = states.count(MISSING)
        if missing < len(states):
            self.tallies.add(name, len(states) - missing, states.count(FAILED), states.count(SKIPPED))

    def _count_tries(self, name: str, retried: int, timed_out: int) -> None:
        self.tallies.tried(name, retried, timed_out)
        self.store.tried(name, retried, timed_out)

    def _emit(self) -> None:
        if self._listener is not None and self.tallies.changed:
            self._listener(self.tallies)
        self.tallies.changed.clear()

    def abandon(self, error: BaseException, wait: bool) -> None:
        """Close after an error, which is what is to be told, whatever becomes of the rest."""
        if isinstance(error, BrokenExecutor):
            # The pool fails the others by itself.  One that is cancelled meanwhile ended the thread that does that in Python
            # before 3.12.1, and the workers that live were never stopped.
            self.flying.clear()
        try:
            self.close(wait)
        except Exception as fault:
            say(log, logging.WARNING, "the run could not be closed in good order: %s: %s", type(fault).__name__, fault)

    def close(self, wait: bool = True) -> None:
        """Cancel what was not begun, and keep what there is."""
        chunks.end(self.id)
        for future in self.flying:
            self.runner.cancel(future)
        try:
            self.runner.close(wait)
        finally:
            self.store.close()


def drive(running: Running) -> None:
    """Run it to its end in this thread."""
    arrived: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
    try:
        while not running.is_done:
            for future in running.pump():
                future.add_done_callback(arrived.put)
            if running.flying and not (running.has_more and arrived.empty()):
                running.complete(_arrived(running, arrived))
    except BaseException as error:
        running.abandon(error, wait=isinstance(error, Exception))  # whoever interrupts does not want to wait
        raise
    running.close()


def iterate(running: Running, name: str) -> Iterator[Any]:
    """Run it as far as the results of one step are asked for, which come in order; with the last of them to its end."""
    arrived: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
    results = running.store.results(name)
    try:
        while not running.is_done:
            for future in running.pump():
                future.add_done_callback(arrived.put)
            while running.flying and not (running.has_more and arrived.empty()):
                running.complete(_arrived(running, arrived))
                if arrived.empty():
                    break
            yield from results.ready()
    except Exception as error:
        running.abandon(error, wait=True)
        yield from results.ready()  # those before the error are not lost
        raise
    except BaseException as error:
        running.abandon(error, wait=False)  # nobody asks for more, or wants to wait
        raise
    running.close()


def _arrived(running: Running, arrived: queue.SimpleQueue[Future[Any]]) -> Future[Any]:
    """What comes next.  What has come is in the folder by then, or half a second later: others may look at it."""
    while running.store.is_behind:
        try:
            return arrived.get(timeout=COMMIT)
        except queue.Empty:
            running.store.catch_up()
    return arrived.get()


async def _arrived_async(running: Running, arrived: asyncio.Queue[Future[Any]]) -> Future[Any]:
    while running.store.is_behind:
        try:
            return await asyncio.wait_for(arrived.get(), COMMIT)
        except asyncio.TimeoutError:
            running.store.catch_up()
    return await arrived.get()


async def drive_async(running: Running) -> None:
    """Run it to its end in the event loop, whose other tasks run meanwhile."""
    arrived: asyncio.Queue[Future[Any]] = asyncio.Queue()

    def watch(future: Future[Any]) -> None:
        def done(wrapped: asyncio.Future[Any]) -> None:
            if not wrapped.cancelled():
                wrapped.exception()  # it is asked for below
            arrived.put_nowait(future)

        asyncio.wrap_future(future).add_done_callback(done)

    try:
        while not running.is_done:
            for future in running.pump():
                watch(future)
            if running.has_more and arrived.empty():
                await asyncio.sleep(0)
            elif running.flying:
                running.complete(await _arrived_async(running, arrived))
    except BaseException as error:
        running.abandon(error, wait=False)  # an event loop does not wait for threads
        raise
    running.close()
