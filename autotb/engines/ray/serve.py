"""Ray Serve: which replica failed of which request, the line that called ``handle.remote``, and a constructor's own error.

A constructor fails far from ``serve.run``: the replica raises a RuntimeError of the traceback's text, which the controller keeps
as the deployment's status, and ``serve.run`` says that the deployments failed.
Source: https://docs.ray.io/en/latest/serve/model_composition.html

Flows in: requests as they are made, the exceptions of replicas and of ``serve.run``.  Flows out: hops, and what stands in place
of a wrapper.
"""

from __future__ import annotations

import builtins
import functools
import re
import sys
from typing import TYPE_CHECKING, Any

from autotb import assumption, engine_facts
from autotb.assumption import Attributes, Frame, Lost, Text
from autotb.instrument.patch import Patch
from autotb.record import callsite, static

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

    from autotb.instrument.types import Function

WHERE = "in a Ray Serve replica"
_REPLICA, _CLIENT = "ray.serve._private.replica", "ray.serve._private.client"
_CONSTRUCTOR = "the error of a deployment's constructor in place of Serve's text"
REQUEST = Frame(_REPLICA, "UserCallableWrapper.call_user_method", "request_metadata", costs=Lost.SITE, optional=True)
STREAM = Frame(_REPLICA, "UserCallableWrapper.call_user_generator", "request_metadata", costs=Lost.SITE, optional=True)
METADATA = Attributes("ray.serve.handle", "DeploymentResponse", "_request_metadata", costs=Lost.SITE, optional=True)
ID = Attributes("ray.serve._private.common", "RequestMetadata", "internal_request_id", costs=Lost.SITE, optional=True)
STATUS = Frame(
    _CLIENT, "ServeControllerClient._wait_for_application_running", "name", "status", costs=_CONSTRUCTOR, optional=True
)
FAILED = Text(
    "ray.serve._private.deployment_state",
    r"failed to start (?P<times>\d+ times)",
    words=("The deployment failed to start ",),
    costs="how often a deployment was tried",
    optional=True,
)
RETURNED = Frame(_REPLICA, "Replica.initialize", "self", costs=_CONSTRUCTOR, optional=True)
_TEXT = "Traceback (most recent call last):\n"


def request(tb: TracebackType | None) -> str | None:
    """Of a request that failed in this replica: its id, by which the process that made it knows the line."""
    for frame in _frames(tb, _REPLICA):
        (metadata,) = assumption.read(frame, REQUEST, STREAM) or (None,)
        (made,) = ID.read(metadata) or (None,)
        if type(made) is str:
            return _key(made).hex()
    return None


def replica() -> str | None:
    """``Model#x7k2 of app default``, in a replica."""
    try:
        context = sys.modules["ray.serve"].get_replica_context()
        return f"{context.deployment}#{context.replica_tag} of app {context.app_name}"
    except Exception:
        return None  # this process is none


def _key(request_id: str) -> bytes:
    return request_id.encode()


def _frames(tb: TracebackType | None, module: str) -> Iterator[FrameType]:
    while tb is not None:
        if static.name_of(tb.tb_frame) == module:
            yield tb.tb_frame
        tb = tb.tb_next


def remembering(sites: dict[bytes, Any]) -> Function:
    """Wraps ``handle.remote``: the line that called it is kept in ``sites`` by the request's id."""

    def wrap(original: Function) -> Function:
        """A request is made far from the user's line, in the thread of Serve's router."""

        @functools.wraps(original)
        def remote(self: Any, *args: object, **kwargs: object) -> Any:
            response = original(self, *args, **kwargs)
            try:
                (metadata,) = METADATA.read(response) or (None,)
                (made,) = ID.read(metadata) or (None,)
                if type(made) is str:
                    callsite.remember(sites, _key(made), callsite.here(2))
            except Exception:
                pass  # the line is not told
            return response

        return remote

    return wrap


def opened(exc: BaseException) -> engine_facts.Opened | None:
    """A RuntimeError of Serve's that stands for the error of a constructor."""
    if type(exc) is not RuntimeError or "ray.serve" not in sys.modules:
        return None
    tb = static.traceback_of(exc)
    context = static.context_of(exc)
    if context is not None and any(RETURNED.matches(frame) for frame in _frames(tb, _REPLICA)):
        return engine_facts.Opened(roots=(context,))
    for frame in _frames(tb, _CLIENT):
        app, status = assumption.read(frame, STATUS) or (None, None)
        if status is not None:
            return _of_status(str(app), status)
    return None


def _of_status(app: str, status: Any) -> engine_facts.Opened | None:
    """What the controller knows of an application that failed: of a deployment the text of its last replica's error."""
    for deployment in status.deployment_statuses:
        text = str(deployment.message)
        at = text.rfind(f"Error: {_TEXT}")
        if at < 0:
            continue
        worker = text[at + len("Error: ") :].rstrip()
        headline = _error_of(worker)
        pid = re.search(r"\(pid=(\d+)", text)
        if headline is not None:
            times = FAILED.search(text)
            return engine_facts.Opened(
                headline=headline,
                text=worker,
                where=f"{WHERE}{f', pid {pid[1]}' if pid else ''}, of {deployment.name} of app {app}",
                broken=(f"{deployment.name} failed to start {times['times']}",) if times else (),
            )
    return None


_LAST = re.compile(r"(?P<module>(?:\w+\.)*)(?P<name>\w+)(?:: (?P<message>.*))?", re.S)


def _error_of(text: str) -> BaseException | None:
    """One of the type and the message that a traceback's text ends with."""
    lines = text.split("\n")
    last = max((number for number, line in enumerate(lines) if line.startswith("  ")), default=-1)
    match = _LAST.fullmatch("\n".join(lines[last + 1 :]))
    if match is None:
        return None
    kind: Any = getattr(builtins, match["name"], None) if not match["module"] else None
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = type(match["name"], (Exception,), {"__module__": match["module"].rstrip(".") or "__main__"})
    made: BaseException = kind.__new__(kind)  # its own ``__init__`` may want other arguments
    made.args = (match["message"],) if match["message"] else ()
    return made


def patches(sites: dict[bytes, Any]) -> tuple[Patch, ...]:
    """Those of Serve, which keep the lines of requests in ``sites``."""
    return (Patch("ray.serve.handle", "DeploymentHandle.remote", remembering(sites), optional=True, costs=Lost.SITE),)


ASSUMPTIONS = (REQUEST, STREAM, METADATA, ID, STATUS, FAILED, RETURNED)
