"""How futures are asked, watched, named and submitted again: one :class:`Handle` for each kind.

Flows in: a future, ref or asynchronous result of any engine.  Flows out: its value or its error, as the engine gives it.  An
adapter whose futures are of a kind of their own registers a function that knows them; what has a ``result`` or ``get`` method
can be asked without one.  Nothing here is loaded before somebody holds a future and hands it to us.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.instrument import call_snapshot
from autotb.record import callsite, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from autotb.record.callsite import Site

_UNSEEN = "autotb has not seen this future being made, and nothing else knows its function and arguments"
_NOT_KEPT = (
    "its function and arguments were not kept: they are large, a hundred failed at the same place before, "
    "or the pool itself failed it"
)
CALL = "_autotb_call"  # (function, args, kwargs) of a failed future, so that it can be submitted again


class ResubmitError(Exception):
    """The work of a future cannot be submitted again; the message says why."""


class Handle:
    """Futures that have a ``result`` method, and nothing else that we know of."""

    def check(self, future: Any) -> None:
        """TypeError for a future that cannot be asked from here."""

    def result(self, future: Any, timeout: float | None) -> Any:
        """The value, or the error of the task.  ``timeout`` is in seconds."""
        return future.result() if timeout is None else future.result(timeout=timeout)

    def is_done(self, future: Any) -> bool:
        """Whether asking returns at once; True where only asking tells."""
        done = getattr(future, "done", None)
        return bool(done()) if callable(done) else True

    def is_expiry(self, future: Any, error: BaseException) -> bool:
        """Whether ``error`` says that the wait has ended, not that the task raised it."""
        return issubclass(type(error), _EXPIRED) and not self.is_done(future)

    def when_done(self, future: Any, callback: Callable[[Any], None]) -> bool:  # noqa: ARG002  for those who can
        """Have ``callback`` called with the future once it is done; False where the engine does not tell."""
        return False

    def label(self, future: Any) -> str:  # noqa: ARG002
        """What the engine calls the task; empty where it has no name."""
        return ""

    def resubmit_obstacle(self, future: Any) -> str:  # noqa: ARG002
        """Why the work cannot be submitted again; empty where, as far as can be seen now, it can."""
        return _UNSEEN

    def resubmit(self, future: Any) -> Any:
        """The future of the same work, submitted anew.  Raises ResubmitError."""
        raise ResubmitError(self.resubmit_obstacle(future))


_EXPIRED = (TimeoutError, concurrent.futures.TimeoutError)


class Standard(Handle):
    """``concurrent.futures.Future`` and its subclasses."""

    def result(self, future: Any, timeout: float | None) -> Any:
        return future.result(timeout)

    def is_expiry(self, future: Any, error: BaseException) -> bool:
        return issubclass(type(error), _EXPIRED) and error is not getattr(future, "_exception", None)

    def when_done(self, future: Any, callback: Callable[[Any], None]) -> bool:
        future.add_done_callback(callback)
        return True

    def resubmit_obstacle(self, future: Any) -> str:
        fields = _fields(future)
        site, call = fields.get("_autotb_site"), fields.get(CALL)
        if site is None:
            return _UNSEEN
        if not future.done() or future.cancelled() or future._exception is None:
            return ""
        if call is None:
            return _NOT_KEPT
        return call_snapshot.why_not_same(fields.get(call_snapshot.GIVEN, ()), *call) or (
            "its pool is gone" if _executor(site) is None else ""
        )

    def resubmit(self, future: Any) -> Any:
        fields = _fields(future)
        call, site = fields.get(CALL), fields.get("_autotb_site")
        why = self.resubmit_obstacle(future)
        if call is None or site is None or why:
            raise ResubmitError(why or _NOT_KEPT)
        executor = _executor(site)
        if executor is None:
            raise ResubmitError("its pool is gone")
        function, args, kwargs = call
        try:
            anew = executor.submit(function, *args, **kwargs)
        except RuntimeError as error:  # shut down, or broken
            raise ResubmitError(f"its pool takes no more work ({error})") from error
        anew._autotb_site = site  # where the user submitted it; this is only once more
        if call_snapshot.GIVEN in fields:
            anew._autotb_given = fields[call_snapshot.GIVEN]  # as the first attempt saw it
        return anew


def _executor(site: Site) -> Any:
    """The pool that a future is of, while it lives; None for a future whose engine does not tell."""
    batch = callsite.batch_of(site)
    return batch.pool.executor() if batch is not None else None


def _fields(future: Any) -> dict[str, Any]:
    fields = getattr(future, "__dict__", None)
    return fields if type(fields) is dict else {}  # ipyparallel's is a method


class Getting(Handle):
    """Asynchronous results with ``get`` and ``ready`` (multiprocessing's, ipyparallel's, Celery's)."""

    def __init__(self, why: str = "its engine keeps neither function nor arguments") -> None:
        self.why = why

    def result(self, future: Any, timeout: float | None) -> Any:
        return future.get(timeout=timeout)

    def is_done(self, future: Any) -> bool:
        ready = getattr(future, "ready", None)
        return bool(ready()) if callable(ready) else True

    def is_expiry(self, future: Any, error: BaseException) -> bool:
        return "Timeout" in static.name(type(error)) and not self.is_done(future)

    def resubmit_obstacle(self, future: Any) -> str:  # noqa: ARG002
        return self.why


_STANDARD, _PLAIN = Standard(), Handle()
_kinds: dict[type, Handle] = {}


def handle_of(future: Any) -> Handle:
    """The handle of a future.  TypeError for what is none, and for what must be awaited."""
    kind = type(future)
    found = _kinds.get(kind)
    if found is None:
        found = _find(future)
        if len(_kinds) < 1_000 and found is not _PLAIN:
            _kinds[kind] = found
    found.check(future)
    return found


def _find(future: Any) -> Handle:
    _load_adapter(type(future))
    for knows in engine_facts.facts.handles:
        found: Handle | None = knows(future)
        if found is not None:
            return found
    if isinstance(future, concurrent.futures.Future):
        return _STANDARD
    if _is_awaited(future):
        raise TypeError(
            f"{type(future).__name__} belongs to an event loop and is awaited there: await it, "
            "or use `await autotb.collect_async([...])`"
        )
    if callable(getattr(future, "result", None)):
        return _PLAIN
    if callable(getattr(future, "get", None)) and not isinstance(future, dict):
        return Getting()
    raise TypeError(f"{type(future).__name__} is no future: it has no result() method")


def _is_awaited(future: Any) -> bool:
    asyncio: Any = sys.modules.get("asyncio")
    return (asyncio is not None and asyncio.isfuture(future)) or inspect.isawaitable(future)


def _load_adapter(kind: type) -> None:
    """Under ``AUTOTB=0`` no adapter is loaded by itself; its facts are wanted all the same."""
    from autotb._triggers import TRIGGERS

    tops = {base.__module__.partition(".")[0] for base in kind.__mro__} - {"builtins", "concurrent"}
    for module, adapters in TRIGGERS.items():
        if module.partition(".")[0] in tops:
            for adapter in adapters:
                if adapter.startswith("autotb.engines."):
                    importlib.import_module(adapter)


def label_of(future: Any, handle: Handle, error: BaseException | None = None) -> str:
    """A name for a task that was given none: the engine's, or else that of the function that failed."""
    try:
        found = handle.label(future)
    except Exception:
        found = ""
    if found or error is None:
        return found or "task"
    hops = (attached(error) or {}).get("hops", ())
    call = next((hop["call"] for hop in hops if hop.get("call")), "")
    return call.partition("(")[0] or "task"
