"""The way up: an error that no program will catch goes from an engine to what shows it.

Flows in: events, from adapters and hooks.  Flows out: calls of :class:`Events`, which whoever stands above has given to
:func:`fill`: engines stand below what draws and may not import it.
"""

from __future__ import annotations

import _thread
import os
import sys

from autotb import runtime

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs more to import than all of this: the success path does without
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    class Events(Protocol):
        """What happens to an error that no program will catch.  Each returns whether that was done."""

        def thread_failed(self, args: Any) -> bool: ...
        def process_failed(self, exc: BaseException, process: Any) -> bool: ...
        def launched_failed(self, exc: BaseException) -> bool: ...
        def told_in_a_line(self, line: str) -> bool: ...
        def greenlet_failed(self, exc: BaseException, tb: Any, place: Mapping[str, object], name: str) -> bool: ...
        def never_retrieved(self, failures: Sequence[tuple[BaseException, Mapping[str, object] | None]]) -> bool: ...
        def never_retrieved_at_exit(self, over: dict[Any, int] | None = None) -> bool: ...
        def shorten_texts(self) -> bool: ...
        def asyncio_reports(self, context: dict[str, Any]) -> bool: ...
        def asyncio_has_reported(self) -> bool: ...


_load: Callable[[], Any] | None = None
_showing: dict[int, list[tuple[str, tuple[Any, ...]]]] = {}  # by thread: what came up while it was busy showing something


def fill(load: Callable[[], Any]) -> None:
    """Hand events to what ``load`` gives, when the first of them comes up."""
    global _load
    _load = load


class _Guarded:
    """Each event, shown; False where showing failed, so that the caller leaves the matter to the engine."""

    def __getattr__(self, event: str) -> Any:
        return lambda *args: _show(event, *args)


events: Events = _Guarded()  # type: ignore[assignment]  # by name


def _show(event: str, *args: Any) -> bool:
    """The garbage collector may bring up an error while another is being shown, or while the renderer is being imported for it:
    that one waits for its turn."""
    thread = _thread.get_ident()
    if thread in _showing:
        _showing[thread].append((event, args))
        return True
    waiting: list[tuple[str, tuple[Any, ...]]] = []
    _showing[thread] = waiting
    try:
        done = _shown(event, args)
        while waiting:
            _shown(*waiting.pop(0))
        return done
    finally:
        del _showing[thread]


def _shown(event: str, args: tuple[Any, ...]) -> bool:
    try:
        if _load is None:
            return False
        from autotb.imports import own

        with own:
            return bool(getattr(_load(), event)(*args))
    except Exception as error:
        if not any(_is_half_imported(name) for name in list(sys.modules) if name.startswith("autotb.")):
            runtime.report(event, error)
        return False


def _is_half_imported(name: str) -> bool:
    """Whether this thread is importing one of our modules at this moment, in which the garbage collector interrupted it."""
    return bool(getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_showing.clear)
