"""The public names with their types.  A file of its own, since start-up reads ``__init__.py`` and a type checker reads this."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Protocol, TypeVar, overload

from autotb.api import install as install
from autotb.api import uninstall as uninstall
from autotb.flow.context import ErrorContext as ErrorContext
from autotb.flow.context import ResourcesEval as ResourcesEval
from autotb.flow.flow import Flow as Flow
from autotb.flow.flow import Progress
from autotb.flow.loading import load as load
from autotb.flow.snapshots import ErrorInfo as ErrorInfo
from autotb.flow.snapshots import ErrorSnapshot as ErrorSnapshot
from autotb.flow.snapshots import ErrorStub as ErrorStub
from autotb.flow.snapshots import PropagatedErrorSnapshot as PropagatedErrorSnapshot
from autotb.flow.snapshots import Reason as Reason
from autotb.flow.steps import step as step
from autotb.futures.collect import Collected as Collected
from autotb.futures.collect import Failure as Failure
from autotb.futures.collect import collect as collect
from autotb.futures.collect import collect_async as collect_async
from autotb.hooks.excepthook import excepthook as excepthook
from autotb.postmortem.died import WorkerDied as WorkerDied
from autotb.render import explain as explain
from autotb.trace.model import Trace as Trace

__version__: str
__all__: list[str]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_Types = type[BaseException] | tuple[type[BaseException], ...]
_Path = str | os.PathLike[str]

class _Future(Protocol[_T_co]):
    """Futures of concurrent.futures, Parsl, Dask, loky, Pebble, executorlib…"""

    def result(self, timeout: float | None = ...) -> _T_co: ...

class _AsyncResult(Protocol[_T_co]):
    """Results of multiprocessing's pools, Celery, joblib…"""

    def get(self, timeout: float | None = ...) -> _T_co: ...

@overload
def unwrap(
    future: _Future[_T],
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> _T: ...
@overload
def unwrap(
    future: _AsyncResult[_T],
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> _T: ...
@overload
def unwrap(
    future: object,
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> Any: ...
@overload
def unwrap_with_retry(
    future: _Future[_T],
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> _T: ...
@overload
def unwrap_with_retry(
    future: _AsyncResult[_T],
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> _T: ...
@overload
def unwrap_with_retry(
    future: object,
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> Any: ...
@overload
def unwrap_parsl_future(
    future: _Future[_T],
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> _T: ...
@overload
def unwrap_parsl_future(
    future: _AsyncResult[_T],
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> _T: ...
@overload
def unwrap_parsl_future(
    future: object,
    name: str | None = ...,
    *,
    timeout: float | None = ...,
    max_retries: int = ...,
    retry_on: _Types = ...,
    log_to: _Path | None = ...,
    wait: float = ...,
) -> Any: ...
@overload
def map(
    fn: Callable[..., _T],
    *iterables: Iterable[Any],
    executor: Any = ...,
    error_handling: Literal["raise"] = ...,
    chunksize: int | None = ...,
    product: Literal[False] = ...,
    progress: Progress | bool | None = ...,
    **constants: Any,
) -> list[_T]: ...
@overload
def map(
    fn: Callable[..., _T],
    *iterables: Iterable[Any],
    executor: Any = ...,
    error_handling: str = ...,
    chunksize: int | None = ...,
    product: bool = ...,
    progress: Progress | bool | None = ...,
    **constants: Any,
) -> list[Any]: ...
@overload
def imap(
    fn: Callable[..., _T],
    *iterables: Iterable[Any],
    executor: Any = ...,
    error_handling: Literal["raise"] = ...,
    chunksize: int | None = ...,
    progress: Progress | bool | None = ...,
    **constants: Any,
) -> Iterator[_T]: ...
@overload
def imap(
    fn: Callable[..., _T],
    *iterables: Iterable[Any],
    executor: Any = ...,
    error_handling: str = ...,
    chunksize: int | None = ...,
    progress: Progress | bool | None = ...,
    **constants: Any,
) -> Iterator[Any]: ...
@overload
async def map_async(
    fn: Callable[..., _T],
    *iterables: Iterable[Any],
    executor: Any = ...,
    error_handling: Literal["raise"] = ...,
    chunksize: int | None = ...,
    product: Literal[False] = ...,
    progress: Progress | bool | None = ...,
    **constants: Any,
) -> list[_T]: ...
@overload
async def map_async(
    fn: Callable[..., _T],
    *iterables: Iterable[Any],
    executor: Any = ...,
    error_handling: str = ...,
    chunksize: int | None = ...,
    product: bool = ...,
    progress: Progress | bool | None = ...,
    **constants: Any,
) -> list[Any]: ...
