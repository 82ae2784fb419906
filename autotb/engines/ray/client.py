"""Ray Client (``ray.init("ray://…")``): the program has no worker of Ray's, and a server at the cluster asks in its place.

The place of submission and the call are the program's to know, by the id that the server gives the task a moment later; an
error comes pickled once more, as a class that was made at run time, and loses its traceback.
Source: https://docs.ray.io/en/latest/cluster/running-applications/job-submission/ray-client.html

Flows in: what the client submits and gets.  Flows out: the adapter's tables of sites and calls, errors as they arrive elsewhere.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from autotb import first_use
from autotb.assumption import Lost
from autotb.instrument.patch import Patch
from autotb.record import annotate, callsite, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from autotb.instrument.types import Function
    from autotb.record.callsite import Site
    from autotb.record.schema import Tree

_TASK_BYTES = 24  # of the id of a result, which begins with its task's; an actor's id is shorter


class Kept:
    """A call that can be made again, as those of ``RemoteFunction`` are kept."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self._function_name = str(getattr(stub, "_method_name", None) or getattr(stub, "_name", ""))
        self.of_actor = hasattr(stub, "_method_name")

    def _remote(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._stub.remote(*args, **kwargs)


def _known(site: Site | None, kept: Any, sites: dict[bytes, Any], calls: dict[bytes, Any], ids: Future[bytes]) -> None:
    """The server has told the id of the first result of a task, or of an actor."""
    try:
        task = ids.result(0)[:_TASK_BYTES]
        callsite.remember(sites, task, site)
        if kept is not None and len(task) == _TASK_BYTES:
            callsite.remember(calls, task, kept)
    except Exception:
        pass  # it could not be submitted: whoever asks for it sees why


def _arrived(error: object, note_submitted: Callable[[Tree], None]) -> None:
    """As ``as_instanceof_cause`` makes it where the program has a worker of its own."""
    if not static.is_exception(error):
        return
    tree = attached(error)
    if tree is None and static.is_exception(cause := getattr(error, "cause", None)):
        tree = attached(cause)  # the class that was made at run time is pickled as its cause alone
    if tree is not None and "hops" in tree:
        note_submitted(tree)
        annotate.arrive(error, tree)


def serves() -> bool:
    """Whether this process asks in a client's place, who gets all errors by pickle."""
    spec: Any = getattr(sys.modules.get("__main__"), "__spec__", None)
    return str(getattr(spec, "name", "")).startswith("ray.util.client.server")


def patches(
    sites: dict[bytes, Any],
    calls: dict[bytes, Any],
    can_keep: Callable[[tuple[Any, ...], dict[str, Any]], bool],
    note_submitted: Callable[[Tree], None],
) -> tuple[Patch, ...]:
    """``note_submitted`` fills in what the tables know."""

    def wrap_call(original: Function) -> Function:
        """All that a client submits, functions, actors and their methods, with options or without."""

        @functools.wraps(original)
        def call_remote(self: object, instance: object, *args: Any, **kwargs: Any) -> Any:
            ids = original(self, instance, *args, **kwargs)
            try:
                kept: tuple[Any, ...] | None = (Kept(instance), (args, kwargs), {}) if can_keep(args, kwargs) else None
                ids[0].add_done_callback(functools.partial(_known, callsite.here(3), kept, sites, calls))
            except Exception:
                pass  # an object of another version: the place of submission is lost, nothing else
            return ids

        return call_remote

    def wrap_get(original: Function) -> Function:
        """Where ``ray.get`` raises what the server has sent."""

        @functools.wraps(original)
        def _get(self: object, ref: object, timeout: float) -> Any:
            try:
                return original(self, ref, timeout)
            except Exception as error:
                first_use.clean(error)
                try:
                    _arrived(error, note_submitted)
                    annotate.raised(error)
                except Exception:
                    pass  # the error is the user's and goes on
                raise

        return _get

    def wrap_completed(original: Function) -> Function:
        """What is awaited, and futures that are made of references, are told here."""

        @functools.wraps(original)
        def _on_completed(self: object, py_callback: Callable[[object], object]) -> Any:
            def told(result: object) -> object:
                try:
                    _arrived(result, note_submitted)
                except Exception:
                    pass  # the error is the user's and goes on
                return py_callback(result)

            return original(self, told)

        return _on_completed

    return (
        Patch("ray.util.client.worker", "Worker.call_remote", wrap_call, costs=Lost.SITE),
        Patch("ray.util.client.worker", "Worker._get", wrap_get, costs=Lost.SITE),
        Patch("ray.util.client.common", "ClientObjectRef._on_completed", wrap_completed, optional=True, costs=Lost.SITE),
    )
