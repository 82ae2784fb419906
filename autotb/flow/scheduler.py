"""A run of a flow: which steps are ready, what is with the executor, what came of it; with and without an event loop.

Flows in: nodes, an executor, a store.  Flows out: the store, full; or the first error, in raise mode, and the executor's own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, BrokenExecutor, Future, wait
from dataclasses import dataclass
from typing import Any

from autotb.flow import chunks, execute, executors, packing
from autotb.flow.cache import Cache
from autotb.flow.context import RAISE, Leaving, hang
from autotb.flow.execute import Answer, Settling, Task
from autotb.flow.messages import Kept, Sink
from autotb.flow.result_log import FAILED, MISSING, SKIPPED
from autotb.flow.step_inputs import MOST_LOADED, Work, spans
from autotb.flow.steps import ELEMENT, Node
from autotb.flow.store import Folder, Memory
from autotb.render.logs import say

log = logging.getLogger("autotb.flow")

MOST_FLYING = 4_096  # chunks of a step that are with the executor at once; more where it has more workers
_PATIENCE = 5  # seconds in which the calls of a pool that broke are to have failed
_A_WORKERS = 4  # chunks that a worker gets of a map

Ready = Callable[[Node, list[Node], set[str]], bool]


def eager(node: Node, _nodes: list[Node], finished: set[str]) -> bool:
    """A step is ready as soon as the steps are done whose outputs it takes."""
    return node.predecessors <= finished


def generation(node: Node, nodes: list[Node], finished: set[str]) -> bool:
    """A step is ready once all steps are done that are fewer steps from the start."""
    return all(other.name in finished for other in nodes if other.generation < node.generation)


SCHEDULES: dict[str, Ready] = {"eager": eager, "generation": generation}


@dataclass
class Flight:
    """A chunk that is with the executor: the calls that wait for it, and how many of it each made."""

    work: Work
    task: Task
    calls: list[tuple[Settling, int]]


class Active:
    """A step that is being worked on: what of it is still to be submitted, and how much is."""

    def __init__(self, work: Work, flights: Iterator[Flight]) -> None:
        self.work, self.flights = work, flights
        self.flying, self.is_exhausted = 0, False


class Tally:
    """How far a step is."""

    def __init__(self, total: int) -> None:
        self.done = self.failed = self.skipped = 0
        self.total = total
        self.seconds = 0.0


class Running:
    """One run: pumps calls into the executor and takes what they came to.  See :func:`drive`, :func:`drive_async`."""

    def __init__(
        self,
        nodes: list[Node],
        executor: Any,
        mode: str,
        store: Memory,
        *,
        sizes: dict[str, int],
        schedule: str = "eager",
        cache: Cache | None = None,
        containers: bool = False,
        retry_failed: bool = False,
        owners: tuple[Any, ...] = (),
        tell: Callable[[dict[str, Tally]], object] | None = None,
    ) -> None:
        self.nodes, self.mode, self.store, self.containers, self.owners = nodes, mode, store, containers, owners
        self.is_ready = SCHEDULES[schedule]
        self.cache = cache if cache is not None else Cache(None)
        self.run_again = (SKIPPED, FAILED) if retry_failed or mode == RAISE else (SKIPPED,)
        store.expect([node.name for node in nodes])
        self.runner = executors.runner(executor)
        self.waiting, self.finished = list(nodes), set[str]()
        self.active: dict[str, Active] = {}
        self.flying: dict[Future[Any], Flight] = {}
        self.tallies = {node.name: Tally(sizes.get(node.name, 1)) for node in nodes}
        self._listener, self._is_told, self._is_warned = tell, True, False

    @property
    def is_done(self) -> bool:
        """Whether all steps are."""
        return not self.waiting and not self.active

    def pump(self) -> list[Future[Any]]:
        """Begin the steps that are ready, settle what is not to be called, and submit what is: the futures of that."""
        new: list[Future[Any]] = []
        before = -1
        while before != len(self.finished):
            before = len(self.finished)
            for node in [one for one in self.waiting if self.is_ready(one, self.nodes, self.finished)]:
                self._begin(node)
            for active in list(self.active.values()):
                new += self._submit(active)
                if active.is_exhausted and not active.flying:
                    self._finish(active.work)
        self._emit()
        return new

    def _begin(self, node: Node) -> None:
        work = Work(node, self.store, self.mode, self.containers)
        work.begin(self.run_again)
        tally = self.tallies[node.name] = Tally(work.size)
        self._count(tally, bytes(work.column.states))
        self.waiting.remove(node)
        self.active[node.name] = Active(work, self._flights(work))

    def _flights(self, work: Work) -> Iterator[Flight]:
        """The chunks of a step.  What is not to be called is settled on the way."""
        size = self._chunksize(work)
        for ats in spans(work.missing(), size):
            columns = work.plain_columns(ats)
            if columns is not None:
                settling = execute.settle_chunk(self, work, ats, columns)
                yield Flight(work, next(settling), [(settling, len(ats))])
                continue
            chunk: Flight | None = None
            for settling, task in self._called(work, ats):
                if chunk is not None and _is_alike(chunk.task, task) and not self._is_single(work):
                    chunk.task.add(task)
                    chunk.calls.append((settling, 1))
                    continue
                if chunk is not None:
                    yield chunk
                chunk = Flight(work, task, [(settling, 1)])
            if chunk is not None:
                yield chunk

    def _called(self, work: Work, ats: Iterable[int]) -> Iterator[tuple[Settling, Task]]:
        for at in ats:
            settling = execute.settle(self, work, at)
            task = _sent(settling, None)
            if task is not None:
                yield settling, task

    @staticmethod
    def _is_single(work: Work) -> bool:
        """Whether each call is sent by itself: an engine that is asked for resources is to give them to one call."""
        step = work.step
        return step.resources is not None and step.resources_scope == ELEMENT and step.chunksize is None

    def _chunksize(self, work: Work) -> int:
        if work.step.chunksize is not None:
            return work.step.chunksize
        size = max(1, -(-work.size // (_A_WORKERS * self.runner.workers)))
        return min(size, MOST_LOADED) if work.loads else size

    def _submit(self, active: Active) -> list[Future[Any]]:
        most = 2 * self.runner.workers if active.work.loads else max(MOST_FLYING, 2 * self.runner.workers)
        new = []
        while not active.is_exhausted and active.flying < most:
            flight = next(active.flights, None)
            if flight is None:
                active.is_exhausted = True
                break
            future = self._submitted(flight)
            active.flying += 1
            self.flying[future] = flight
            new.append(future)
        return new

    def _submitted(self, flight: Flight) -> Future[Any]:
        work, task = flight.work, flight.task
        function = packing.bare(work.function) if self.runner.by_value else work.function
        args: tuple[Any, ...] = (function, task.columns, task.kwargs, self.mode == RAISE, os.getpid())
        if isinstance(self.store, Folder):
            owned = not self.store.keeps and not work.step.cache and self.mode != RAISE
            args += (task.ats, Sink(self.store.folder, self.store.token, work.column.step, owned, work.node.place))
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
        self.active[flight.work.node.name].flying -= 1
        answer = self._answer(chunks.received(future.result(), len(flight.task.ats)))
        if len(flight.calls) == 1:
            _sent(flight.calls[0][0], answer)
            self._emit()
            return
        start = 0
        for settling, count in flight.calls:
            places = answer.places[start : start + count] if answer.places is not None else None
            _sent(settling, Answer(answer.results[start : start + count], places))
            start += count
        self._emit()

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
        tally = self.tallies[work.node.name]
        tally.seconds = time.monotonic() - work.begun
        self.store.finish(work.column, tally.seconds)
        if work.column.values is None and tally.failed:
            self._attach_newest(work)
        del self.active[work.node.name]
        self.finished.add(work.node.name)

    def _attach_newest(self, work: Work) -> None:
        """A worker has kept the snapshots: the last is hung where the user looks for it."""
        at = work.column.states.rfind(FAILED)
        hang(self.store.read(work.column, at, at + 1)[0], work.function, self.owners)

    def tell(self, work: Work, states: bytes) -> None:
        """Elements of a step are settled, in these states."""
        self._count(self.tallies[work.node.name], states)

    def _count(self, tally: Tally, states: bytes) -> None:
        tally.failed += states.count(FAILED)
        tally.skipped += states.count(SKIPPED)
        done = len(states) - states.count(MISSING)
        tally.done += done
        self._is_told = self._is_told and not done

    def _emit(self) -> None:
        if self._listener is not None and not self._is_told:
            self._listener(self.tallies)
        self._is_told = True

    def abandon(self, wait: bool) -> None:
        """Close after an error, which is what is to be told, whatever becomes of the rest."""
        try:
            self.close(wait)
        except Exception as error:
            say(log, logging.WARNING, "the run could not be closed in good order: %s: %s", type(error).__name__, error)

    def close(self, wait: bool = True) -> None:
        """Cancel what was not begun, and keep what there is."""
        for future in self.flying:
            self.runner.cancel(future)
        try:
            self.runner.close(wait)
        finally:
            self.store.close()


def _is_alike(one: Task, other: Task) -> bool:
    """Whether two calls can be sent in one chunk."""
    if one.kwargs is not other.kwargs:
        return False
    try:
        return one.resources is other.resources or bool(one.resources == other.resources)
    except Exception:
        return False  # they cannot be compared


def _sent(settling: Settling, answer: Answer | None) -> Task | None:
    """The call's next task; None where it is settled.  Raises the user's error, in raise mode."""
    try:
        return next(settling) if answer is None else settling.send(answer)
    except StopIteration:
        return None
    except Leaving as leaving:
        error = leaving.error
    raise error


def drive(running: Running) -> None:
    """Run it to its end in this thread."""
    arrived: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
    try:
        while not running.is_done:
            for future in running.pump():
                future.add_done_callback(arrived.put)
            if running.flying:
                running.complete(arrived.get())
    except BaseException as error:
        running.abandon(wait=isinstance(error, Exception))  # whoever interrupts does not want to wait
        raise
    running.close()


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
            if running.flying:
                running.complete(await arrived.get())
    except BaseException:
        running.abandon(wait=False)  # an event loop does not wait for threads
        raise
    running.close()
