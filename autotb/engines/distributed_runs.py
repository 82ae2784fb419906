"""What Dask's workers, nannies and scheduler run beside all tasks: ``client.run``, ``client.run_on_scheduler``, plugins.

Flows in: the frame in which such a function has failed, where it ran; the answers of all workers, in the program, which raises
the first error among them.  Flows out: the call, of whom it was asked, and who else failed.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Protocol

from autotb.assumption import Frame, Lost
from autotb.engines import distributed_results
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch
from autotb.record import build, safe_repr, static
from autotb.record.capture import attached, message_of

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from autotb.instrument.types import Function
    from autotb.record.schema import Hop

    class Server(Protocol):
        """``distributed.Worker``, ``Nanny`` or ``Scheduler``; ``worker_address`` is a nanny's."""

        address: str
        worker_address: str


RUN = Frame("distributed.worker", "run", "server", "function", "args", "kwargs", optional=True, costs=Lost.CALL)
PLUGIN = Frame("distributed.worker", "Worker.plugin_add", "self", optional=True, costs=Lost.CALL)
ANSWERS = Frame("distributed.client", "Client._run", "responses", optional=True, costs="who else failed of a client's run")
_MOST = 3  # of the others that are named


def hop_of(tb: TracebackType | None, caller: FrameType | None) -> Hop | None:
    """Where a function was run that has failed, and its call; None where it is a task, or none of the user's doing."""
    call = engine_frames.frame_call(tb)
    if caller is None or static.name_of(caller) != RUN.module:
        return None
    if PLUGIN.matches(caller):
        (server,) = PLUGIN.read(caller) or (None,)
    elif RUN.matches(caller):
        server, function, args, kwargs = RUN.read(caller) or (None, None, (), {})
        call = call or build.call_text(function, tuple(args or ()), kwargs or {})
    else:
        return None
    where, label = _place(server)
    return build.hop("dask", where, call=call, label=label, twice=True)


def _place(server: Server) -> tuple[str, str | None]:
    """What a server of Dask's is, and its worker's address."""
    kinds = {static.name(kind) for kind in static.mro(type(server))}
    if "Scheduler" in kinds:
        return "in the Dask scheduler", None
    if "Nanny" in kinds:
        return "in a Dask nanny", f"nanny of worker {server.worker_address}"
    return "in a Dask worker", f"worker {server.address}"


def _wrap_run(original: Function) -> Function:
    """One error is raised, that of the worker which answered first; what a function returned may be what cannot be sent."""

    @functools.wraps(original)
    async def _run(self: Any, *args: object, **kwargs: object) -> Any:
        try:
            return await original(self, *args, **kwargs)
        except Exception as error:
            distributed_results.noted(error, {})
            _note_others(error)
            raise

    return _run


def _note_others(error: BaseException) -> None:
    try:
        hops = (attached(error) or {}).get("hops") or []
        answers = next(distributed_results.variables(error, ANSWERS), None)
        if hops and type(answers) is dict:
            hops[0]["label"] = ", ".join(filter(None, (hops[0].get("label"), _said(error, hops[0], answers))))
    except Exception:
        pass  # the others are in the workers' logs


def _said(error: BaseException, hop: Hop, answers: dict[str, Any]) -> str:
    """How many of the others failed too, alike or not."""
    own, others = _text(error), {}
    for address, answer in answers.items():
        if type(answer) is dict and answer.get("status") == "error" and not str(hop.get("label")).endswith(f" {address}"):
            others[address] = _text(answer.get("exception"))
    alike = [address for address, text in others.items() if text == own]
    told = [f"{address}: {text}" for address, text in others.items() if text != own]
    said = [f"failed alike on {_listed(alike)}"] if alike else []
    return ", ".join([*said, *(["otherwise on " + _listed(told)] if told else [])])


def _listed(texts: list[str]) -> str:
    more = [f"and {len(texts) - _MOST} more"] if len(texts) > _MOST else []
    return ", ".join([*texts[:_MOST], *more])


def _text(sent: object) -> str:
    """An error as one line."""
    error: Any = sent if static.is_exception(sent) else sys.modules["distributed.core"].clean_exception(sent, None)[1]
    return safe_repr.cut(f"{type(error).__name__}: {message_of(error)}".split("\n", 1)[0], 100)


PATCHES = (
    Patch("distributed.client", "Client._run", _wrap_run, costs="who else failed of a client's run"),
    Patch("distributed.client", "Client._run_on_scheduler", _wrap_run, optional=True, costs=Lost.UNSENT),
)
ASSUMPTIONS = (RUN, PLUGIN, ANSWERS)
