"""torchrun (``torch.distributed.run``) and ``@record``: several ranks of one job, started and watched by an agent.

A rank that fails under ``@record`` writes its error as JSON to a file that the agent named; the agent raises
``ChildFailedError``, whose message has every rank's traceback. Times there are whole seconds: of two ranks that fail within
one, the agent takes the lower for the first, though it may only have lost its peer. The record, with the time in full, is added
to the JSON; the first failure is the story. A rank on the agent's own terminal leaves the telling to it. Source:
https://docs.pytorch.org/docs/stable/elastic/errors.html
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Attributes, Lost
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch, noise_is_kept
from autotb.record import annotate, build, capture, safe_repr, static

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = (
    "torch.distributed.elastic.multiprocessing.errors",
    "torch.distributed.elastic.multiprocessing.errors.error_handler",
    "torch.distributed.launcher.api",
)
NAME = "torchrun"
DISTRIBUTION = "torch"
CAPTURED = "torch.distributed.run with @record: the first failure of several ranks"
TESTED = "2.0 to 2.13"

# Device and inode of the agent's stderr, for its ranks; set while it runs them.  No setting: those begin with ``AUTOTB_``.
TERMINAL = "_AUTOTB_AGENT_STDERR"

_ERRORS, _RANKS = "torch.distributed.elastic.multiprocessing.errors", "which rank failed first, and of what"
FAILURES = Attributes(_ERRORS, "ChildFailedError", "failures", costs=_RANKS)
FAILURE = Attributes(_ERRORS, "ProcessFailure", "message", "timestamp", costs=_RANKS)


def _open(exc: BaseException) -> engine_facts.Opened | None:
    """The failed ranks, the first one first."""
    errors = sys.modules.get("torch.distributed.elastic.multiprocessing.errors")
    if errors is None or not issubclass(type(exc), errors.ChildFailedError):
        return None
    (failures,) = FAILURES.read(exc) or ({},)
    found = sorted((_told(rank, failure) for rank, failure in failures.items()), key=lambda item: item[0])
    told = [(rank, error) for _, rank, _, error in found if error is not None]
    if not told:  # without ``@record`` the ranks have told their errors themselves
        return engine_facts.Opened(is_message=True)
    first, root = told[0]
    broken = [f"rank {first} failed first"] if len(found) > 1 else []
    broken += [_after(rank, failure, error, root) for _, rank, failure, error in found if error is not root]
    return engine_facts.Opened(roots=(root,), broken=tuple(broken))


def _after(rank: object, failure: Any, error: BaseException | None, root: BaseException) -> str:
    """One line on a rank that failed later, most often of having lost the first."""
    if error is None:
        return f"rank {rank}: {str(failure.message).splitlines()[0]}"
    text = _line(error)
    return f"rank {rank} failed after it: {'of the same' if text == _line(root) else text}"


def _line(error: BaseException) -> str:
    error = (_open_text(error) or engine_facts.Opened()).headline or error
    return safe_repr.cut(f"{capture.type_name(type(error))}: {error}".splitlines()[0], 300)


def _told(rank: object, failure: Any) -> tuple[float, Any, Any, BaseException | None]:
    """When a rank failed, and its error, rebuilt from its file."""
    message, timestamp = FAILURE.read(failure) or (None, None)
    if not isinstance(message, dict):
        return float("inf"), rank, failure, None
    extra = message.get("extraInfo") or {}
    when, tree = float(timestamp), extra.get("autotb")
    text = extra.get("py_callstack")
    error: BaseException | None = None
    if capture.is_tree(tree):
        when = tree.get("time", when)
        error = engine_frames.named(tree["type"], tree["message"])
        annotate.attach(error, tree)
    elif isinstance(text, str):
        error = _Text(text)
    return when, rank, failure, error


class _Text(Exception):  # noqa: N818
    """The error of a rank without autotb: its traceback as text."""


def _open_text(exc: BaseException) -> engine_facts.Opened | None:
    return engine_facts.Opened(headline=engine_frames.headline_of(exc.args[0]), text=exc.args[0]) if type(exc) is _Text else None


engine_facts.register(own=("torch.distributed",), openers=(_open, _open_text))


def _wrap_record_exception(original: Function) -> Function:
    """Runs in the rank, with the exception alive, and writes the file: the record is added to it."""

    @functools.wraps(original)
    def record_exception(self: Any, e: BaseException) -> None:
        original(self, e)
        try:
            path = self._get_error_file_path()
            if path:
                _add(path, e)
        except Exception:
            pass  # without a record the agent reads the text

    return record_exception


def _add(path: str, exc: BaseException) -> None:
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    rank = os.environ.get("RANK", "?")
    tree = build.record(exc, static.traceback_of(exc), build.hop("torchrun", f"in rank {rank}"))
    if not isinstance(tree, dict):
        return
    tree["time"] = time.time()
    data["message"]["extraInfo"]["autotb"] = tree
    text = json.dumps(data)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if _terminal() is not None and _terminal() == os.environ.get(TERMINAL) and not noise_is_kept():
        annotate.note(exc, told=True)


def _terminal() -> str | None:
    try:
        found = os.fstat(2)
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}"


def _wrap_launch_agent(original: Function) -> Function:
    """Runs the agent: its ranks learn which terminal it tells their errors on."""

    @functools.wraps(original)
    def launch_agent(*args: object, **kwargs: object) -> Any:
        here = _terminal()
        if here is not None:
            os.environ[TERMINAL] = here
        try:
            return original(*args, **kwargs)
        finally:
            os.environ.pop(TERMINAL, None)

    return launch_agent


PATCHES = (
    Patch(
        "torch.distributed.elastic.multiprocessing.errors.error_handler",
        "ErrorHandler.record_exception",
        _wrap_record_exception,
        costs=Lost.RECORD,
    ),
    Patch("torch.distributed.launcher.api", "launch_agent", _wrap_launch_agent, costs=Lost.TWICE),
)
ASSUMPTIONS = (FAILURES, FAILURE)

#: What ``python -m autotb demo --engine torchelastic`` runs: a user's script.
DEMO = '''\
"""Two ranks under torchrun train on gloo; one fails, and then the other loses it."""

import os

import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record


def rate(clicks, views):
    return clicks / views


@record
def main():
    dist.init_process_group("gloo")
    if dist.get_rank() == 1:
        rate(3, views=0)
    dist.barrier()


if __name__ == "__main__":
    if "RANK" in os.environ:
        main()
    else:
        from torch.distributed.run import main as torchrun

        torchrun(["--nproc-per-node=2", "--standalone", __file__])
'''
