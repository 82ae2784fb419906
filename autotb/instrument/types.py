"""What we rely on of the objects of engines and of the standard library: Protocols with those attributes and methods alone.

Only mypy reads this: who imports it does so under ``TYPE_CHECKING``.  What one engine alone has stands in its adapter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from autotb.record.callsite import Site
    from autotb.record.schema import Hop, Tree

Function = Callable[..., Any]  # the user's, or one of an engine's that a patch stands before: called with what came
Call = tuple[Any, tuple[Any, ...], dict[str, Any]]  # function, args, kwargs


class Future(Protocol):
    """``concurrent.futures.Future``, and those that are made like it."""

    _autotb_call: Call
    _autotb_dead: tuple[list[Hop], Tree | None]
    _autotb_given: tuple[Any, ...] | None
    _autotb_site: Site | None
    _autotb_watch: Any
    _done_callbacks: list[Any]
    _exception: BaseException | None
    _state: str

    def done(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def result(self, timeout: float | None = None) -> Any: ...
    def exception(self, timeout: float | None = None) -> BaseException | None: ...
    def add_done_callback(self, fn: Function, /) -> object: ...


class Story(Protocol):
    """A ``Trace``, which stands above those who look for hints in it."""

    stack: Any
    root_cause: Any


class Process(Protocol):
    """``multiprocessing.Process``, and those of libraries that are made like it, once it was started."""

    name: str
    pid: int
    exitcode: int | None

    def is_alive(self) -> bool: ...
    def join(self, timeout: float | None = None) -> object: ...
    def kill(self) -> object: ...


class Thread(Protocol):
    """A thread of an engine's."""

    def is_alive(self) -> bool: ...
    def join(self, timeout: float | None = None) -> object: ...


class Queue(Protocol):
    """A queue of tasks or results."""

    def get(self) -> Any: ...
    def put(self, item: Any, /) -> object: ...


class Connection(Protocol):
    """The end of a pipe."""

    def fileno(self) -> int: ...
    def poll(self, timeout: float = ...) -> bool: ...
    def send(self, message: Any, /) -> object: ...


class Lock(Protocol):
    """A lock that processes share."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool: ...
    def release(self) -> object: ...
    def __enter__(self) -> object: ...
    def __exit__(self, *exc: object) -> object: ...
