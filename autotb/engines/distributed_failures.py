"""Failed Dask tasks, and who asks for them: what nobody can ask for any more is told, with its place and its attempts.

The client learns of each failed task whether anybody asks for it or not; the scheduler, where it is in this process, of those of
which no client hears.

Flows in: errors as client and scheduler get them, futures that are asked, dropped, put into variables and queues.  Flows out:
what only the program knows, on each error; the errors that were never retrieved (``instrument.unretrieved``).
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from autotb import settings, surface
from autotb.assumption import Lost
from autotb.engines import (
    dask_operations,
    distributed_chains,
    distributed_deaths,
    distributed_logs,
    distributed_results,
)
from autotb.engines.distributed_tasks import sites
from autotb.instrument import attempts, engine_frames, lazy
from autotb.instrument.patch import Patch
from autotb.record import annotate, callsite, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from types import TracebackType

    from autotb.engines.distributed_chains import Client, Scheduler
    from autotb.instrument.types import Function
    from autotb.record.callsite import Site


_early: dict[tuple[str, Any], BaseException] = {}  # of futures that had failed before their submission returned
_retries: dict[str, int] = {}  # by the label of a task: how often it may be run again
_attempts = attempts.Attempts()  # the same, where the scheduler is in this process
_failed: dict[tuple[str, Any], Any] = {}  # by client and key: the watches of failed tasks that were not retrieved so far


def submitted(client: Client, key: object, retries: int) -> None:
    """A task's submission has returned, and where that was is known."""
    if retries:
        callsite.remember(_retries, f"task {key}", retries)
    if _early and (client.id, key) in _early:
        client.loop.add_callback(_note_late, client, key, _early.pop((client.id, key)))


def _wrap_task_erred(original: Function) -> Function:
    """The driver learns of a failed task, whether anybody asks for it or not."""

    @functools.wraps(original)
    def _handle_task_erred(
        self: Any, key: object = None, exception: BaseException | None = None, traceback: TracebackType | None = None
    ) -> None:
        was = getattr(self.futures.get(key), "status", "")
        original(self, key, exception, traceback)
        if was == "finished":
            return  # an actor's, whose worker died: the program has it
        try:
            # The frames that tblib makes hold this one: its locals must hold no more.
            _note_failed(self, key, exception, was == "error" and key in sites)
        except Exception:
            pass  # the error is the user's and goes on

    return _handle_task_erred


def _note_failed(client: Client, key: object, exception: BaseException | None, again: bool = False) -> None:
    """``again``, as the scheduler tells it of what is computed from it: somebody asked for it by now, or it is held."""
    state = client.futures.get(key)
    if state is not None and key not in sites:
        callsite.remember(_early, (client.id, key), state.exception)
        if key in sites and _early.pop((client.id, key), None) is None:
            return  # its submission has just returned, and saw that
    site = sites.get(key)
    if state is None:  # dropped, and the scheduler does not know it yet
        _failed_later(client, key, _unpacked(exception), site)
        return
    watch = _watch(state.exception, site) if not again else None
    root = _complete(state, key)
    if root in sites:
        distributed_chains.note_skipped(client, key, root, state.exception)
    _note_attempts(state.exception)
    if again and (held := _failed.get((client.id, key))) is not None:
        held.error = state.exception
    if watch is not None:
        _end(_failed.get((client.id, key)), None)  # it was dropped, and submitted again
        _hold(client.id, key, root, watch)


def _complete(state: Any, key: object) -> Any:
    """What only the program knows of a failed future's error; returns the key of the task whose error it is."""
    state.traceback = annotate.renewed(state.exception, state.traceback)
    for hop in (attached(state.exception) or {}).get("hops", ()):
        dask_operations.note_made(hop)
        lazy.note_made(hop)
    root = distributed_chains.root_of(key, state.exception)
    annotate.note_submitted(state.exception, engine_frames.place_of(sites.get(root, sites.get(key))))
    return root


def _note_late(client: Client, key: object, exception: BaseException) -> None:
    try:
        _note_failed(client, key, exception)
    except Exception:
        pass  # as above


def _failed_later(client: Client, key: object, error: BaseException, site: Site | None) -> None:
    """A task failed whose last future had been dropped; one that had none is another's, which that one's error is told by."""
    if site is None:
        return
    watch = _watch(error, site)
    if watch is None:
        _nobody_can_ask(error, site)
    elif (client.id, key) in _failed:
        _end(watch, None)  # the one that there is tells
    else:
        root = distributed_chains.root_of(key, error)
        if root != key and (client.id, root) in _told:
            _end(watch, None)
            return
        annotate.note_submitted(error, engine_frames.place_of(sites.get(root, site)))
        _hold(client.id, key, root, watch)
        if (client.id, key) not in _handed:
            distributed_chains.dropped(client, key, _is_dropped)


def _hold(client_id: str, key: object, root: object, watch: Any) -> None:
    """Until the future is asked or dropped."""
    _failed[client_id, key] = watch
    distributed_chains.follow(client_id, key, root)


def _taken(client_id: str, key: object) -> Any:
    """The watch, if the future was neither asked nor dropped so far."""
    distributed_chains.forget(client_id, key)
    return _failed.pop((client_id, key), None)


def _note_attempts(error: BaseException) -> None:
    """Which attempt failed; of a task that was not run for it, that of the task that did."""
    label = next((hop.get("label") for hop in (attached(error) or {}).get("hops", ())), None) or ""
    failed, retries = _attempts.failed.get(label, []), _retries.get(label, 0)
    number = len(failed) or retries + 1
    attempts.note(error, number, max(number, retries + 1), failed)


def _watch(error: BaseException, site: Site | None) -> Any:
    """Tells the error once it is dropped; None where it is not to be told."""
    if (
        not issubclass(type(error), Exception)
        or site is None
        or not settings.switch("unretrieved")
        or not distributed_logs.asking_is_seen()
    ):
        return None
    from autotb.instrument import failure_kinds, unretrieved

    return unretrieved.begin(error, site, failure_kinds.of(error))


def _nobody_can_ask(error: BaseException, site: Site | None) -> None:
    """Tell it now, unless the very same has reached the program; where it was submitted is not known for another program's."""
    if site is None:
        surface.events.never_retrieved([(error, None)])
    else:
        _watch(error, site)  # which is dropped at once


def _wrap_release_key(original: Function) -> Function:
    """The last future of a task was dropped, or its client is closed."""

    @functools.wraps(original)
    def _release_key(self: Any, key: object) -> None:
        original(self, key)
        if (self.id, key) in _failed and (self.id, key) not in _handed:
            try:
                distributed_chains.dropped(self, key, _is_dropped)
            except Exception:
                _is_dropped(self.id, key)  # its loop is closed

    return _release_key


def _is_dropped(client_id: str, key: object) -> None:
    root = distributed_chains.noted_root(client_id, key)
    if _taken(client_id, key) is not None:  # the watch tells
        callsite.remember(_told, (client_id, root), True)


_told: dict[tuple[str, Any], bool] = {}  # by client and key: tasks whose error was told, which dropped futures may yet fail of


_handed: dict[tuple[str, Any], bool] = {}  # by client and key: futures that a variable or a queue has, and gives again


def _wrap_hand(original: Function) -> Function:
    """A future is put into a variable or a queue: dropped here, it can be asked for still."""

    @functools.wraps(original)
    async def hand(self: Any, value: Any, *args: object, **kwargs: object) -> Any:
        try:
            if isinstance(value, sys.modules["distributed.client"].Future):
                callsite.remember(_handed, (self.client.id, value.key), True)
        except Exception:
            pass  # then it is told once it is dropped
        return await original(self, value, *args, **kwargs)

    return hand


def _wrap_take(original: Function) -> Function:
    """A future comes out of a variable or a queue, with its error where it has failed."""

    @functools.wraps(original)
    async def take(self: Any, *args: object, **kwargs: object) -> Any:
        found = await original(self, *args, **kwargs)
        try:
            for one in found if type(found) is list else [found]:
                state = self.client.futures.get(getattr(one, "key", None))
                if state is not None and state.status == "error":
                    _complete(state, one.key)
        except Exception:
            pass  # the place of submission is lost, nothing else
        return found

    return take


def _wrap_client_close(original: Function) -> Function:
    """The loop may end with the client: what waited to be told is told now."""

    @functools.wraps(original)
    async def _close(self: Any, *args: object, **kwargs: object) -> Any:
        others_may_ask = distributed_chains.has_others(self)
        try:
            return await original(self, *args, **kwargs)
        finally:
            _is_closed(self, others_may_ask)

    return _close


def _is_closed(client: Client, others_may_ask: bool) -> None:
    try:
        distributed_chains.closed(client.id)
        for client_id, key in [place for place in list(_failed) if place[0] == client.id]:
            if others_may_ask and (client_id, key) in _handed:
                _end(_taken(client_id, key), None)  # whether anybody will is not known here
            else:
                _is_dropped(client_id, key)
    except Exception:
        pass  # they are told as the program ends


def _wrap_scheduler_erred(original: Function) -> Function:
    """A failed task of which no client hears: its future was given to ``fire_and_forget``, a queue, a variable, a data set."""

    @functools.wraps(original)
    def handle_task_erred(self: Any, *args: object, **kwargs: object) -> None:
        unheard = None
        try:
            _note_attempt(self, kwargs["key"] if "key" in kwargs else args[0], kwargs.get("exception_text"))
            if distributed_logs.is_told_here():
                unheard = _unheard(self, kwargs["key"] if "key" in kwargs else args[0])
        except Exception:
            pass  # then it is in the worker's log alone
        original(self, *args, **kwargs)
        try:
            if unheard is not None and unheard.state in ("erred", "forgotten", "released"):
                _nobody_asks_yet(unheard.key, _unpacked(kwargs["exception"]))
        except Exception:
            pass  # as above

    return handle_task_erred


def _nobody_asks_yet(key: object, error: BaseException) -> None:
    """A future that a variable or a queue has may be asked for until its client is closed."""
    site = sites.get(key)
    holder = next((client_id for client_id, one in list(_handed) if one == key), None)
    watch = _watch(error, site) if holder is not None and site is not None else None
    if holder is None or watch is None:
        _nobody_can_ask(error, site)
    else:
        _hold(holder, key, distributed_chains.root_of(key, error), watch)


def _note_attempt(scheduler: Scheduler, key: object, text: object) -> None:
    """One of a task that is run again, or its last."""
    task, label = scheduler.tasks.get(key), f"task {key}"
    if task is not None and task.state == "processing" and (task.retries > 0 or label in _attempts.failed):
        _attempts.failed_of(label, str(text))


def _unheard(scheduler: Scheduler, key: object) -> Any:
    """The task, where it or what depends on it is wanted, and no program waits for any of them."""
    first = scheduler.tasks.get(key)
    if first is None or first.state != "processing" or first.retries > 0:
        return None
    tasks, seen, is_wanted = [first], {first.key}, False
    for task in tasks:  # it grows
        wants = [client.client_key for client in task.who_wants or ()]
        if any(client in scheduler.client_comms for client in wants):
            return None
        is_wanted = is_wanted or bool(wants)
        tasks += [other for other in task.dependents if other.key not in seen]
        seen.update(other.key for other in task.dependents)
    return first if is_wanted else None


def _unpacked(sent: Any) -> BaseException:
    """An error as a scheduler or a client got it."""
    found = getattr(sent, "data", sent)
    if hasattr(sent, "frames"):
        found = sys.modules["distributed.protocol"].deserialize(sent.header, sent.frames)
    error: BaseException = sys.modules["distributed.core"].clean_exception(found, None)[1]
    return error


def _wrap_ask(original: Function) -> Function:
    """``result()``, ``exception()``, ``gather()``, awaited or not, end here: an error that is asked for is not told."""

    @functools.wraps(original)
    async def ask(self: Any, *args: object, **kwargs: object) -> Any:
        try:
            found = await original(self, *args, **kwargs)
        except BaseException as error:
            distributed_results.noted(error, sites)
            await distributed_deaths.wait_for(error)
            if _failed:
                _note_asking(self, error)
            tb = static.traceback_of(error)
            if tb is not None and tb.tb_next is not None:
                BaseException.with_traceback(error, tb.tb_next)
            raise
        # Before 2024, ``result()`` raised what ``_result`` returned: a triple with the exception.
        inner = found[1] if type(found) is tuple and len(found) == 3 else found
        if static.is_exception(inner):
            await distributed_deaths.wait_for(inner)
        if _failed and original.__name__ != "_gather" and issubclass(type(inner), (BaseException, bytes)):
            _note_asking(self, inner)
        return found

    return ask


def _note_asking(asked: Any, error: BaseException) -> None:
    """An error reached the program, by a future or by a client's ``gather``; a wait that ended early asked for no task's."""
    try:
        if hasattr(asked, "client"):
            keys = [(asked.client.id, asked.key)] if asked.status == "error" else []
        else:
            keys = [key for key, watch in list(_failed.items()) if watch.error is error]
        for key in keys:
            others = distributed_chains.alike(*key)
            watch = _taken(*key)
            if watch is not None:
                for other in others:
                    _end(_taken(key[0], other), None)
                _end(watch, error if static.is_exception(error) else watch.error)
    except Exception:
        pass  # then it is told once more


def _end(watch: Any, error: BaseException | None) -> None:
    from autotb.instrument import unretrieved

    if watch is not None:
        unretrieved.end(watch, error)


PATCHES = (
    Patch("distributed.client", "Client._handle_task_erred", _wrap_task_erred, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Client._release_key", _wrap_release_key, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Client._close", _wrap_client_close, costs=Lost.UNRETRIEVED),
    Patch("distributed.scheduler", "Scheduler.handle_task_erred", _wrap_scheduler_erred, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Future._result", _wrap_ask, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Future._exception", _wrap_ask, costs=Lost.UNRETRIEVED),
    Patch("distributed.client", "Client._gather", _wrap_ask, costs=Lost.UNRETRIEVED),
    *(
        Patch(f"distributed.{module}", name, wrap, optional=True, costs=Lost.UNRETRIEVED)
        for module, name, wrap in (
            ("variable", "Variable._set", _wrap_hand),
            ("variable", "Variable._get", _wrap_take),
            ("queues", "Queue._put", _wrap_hand),
            ("queues", "Queue._get", _wrap_take),
        )
    ),
)
