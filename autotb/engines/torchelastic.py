"""torchrun (``torch.distributed.run``), with ``@record`` and without: several ranks of one job, watched by an agent.

A rank that fails under ``@record`` writes its error as JSON to a file that the agent named; the agent raises
``ChildFailedError``, whose message has every rank's traceback.  Times there are whole seconds: of two ranks that fail within
one, the agent takes the lower for the first, though it may only have lost its peer.  The record, with the time in full, is added
to the JSON; a rank without ``@record`` leaves it in a folder of ours (``instrument.launched``).  The first failure is the story,
told once: by the agent.  Source: https://docs.pytorch.org/docs/stable/elastic/errors.html
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from autotb import engine_facts, surface
from autotb.assumption import Attributes, Lost
from autotb.instrument import attempts, engine_frames, launched
from autotb.instrument import ranks as joined
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, capture, ownership, safe_repr, static

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from autotb.instrument.types import Function
    from autotb.instrument.workers import Ask
    from autotb.record.schema import Tree

MODULES = (
    "torch.distributed.elastic.agent.server.local_elastic_agent",
    "torch.distributed.elastic.multiprocessing.errors",
    "torch.distributed.elastic.multiprocessing.errors.error_handler",
    "torch.distributed.launcher.api",
)
NAME = "torchrun"
DISTRIBUTION = "torch"
CAPTURED = "torch.distributed.run, with @record or without: the first failure of several ranks, ranks that were killed, restarts"
TESTED = "2.0 to 2.13"

_ERRORS, _RANKS = "torch.distributed.elastic.multiprocessing.errors", "which rank failed first, and of what"
FAILURES = Attributes(_ERRORS, "ChildFailedError", "failures", costs=_RANKS)
FAILURE = Attributes(_ERRORS, "ProcessFailure", "message", "timestamp", "pid", "exitcode", costs=_RANKS)
AGENT = Attributes(
    "torch.distributed.elastic.agent.server.api",
    "SimpleElasticAgent",
    "_remaining_restarts",
    "_worker_group",
    costs=Lost.ATTEMPTS,
)
GROUP = Attributes("torch.distributed.elastic.agent.server.api", "WorkerGroup", "workers", costs=_RANKS)
WORKER = Attributes("torch.distributed.elastic.agent.server.api", "Worker", "id", "global_rank", costs=_RANKS)

_launcher: launched.Launcher | None = None  # while ranks run that this process tells of
_records: dict[int, Tree] = {}  # of those without ``@record``, by pid
_ranks: dict[int, object] = {}  # of the last attempt that failed, by pid
_said_early: list[int] = []  # the pids of those whose error was told while they went on
_attempts: list[str] = []  # what the attempts of the ranks failed of
_said = ""  # which attempt was the last, where there may be several

_PATIENCE = 5.0  # seconds that a rank which has raised may take to end
_CLOSED = -15  # the signal by which the agent ends the others


class _Rank:
    """A rank that failed: its error, rebuilt from what it left, or how its process ended; ``order`` says who was first."""

    def __init__(self, rank: object, facts: tuple[Any, ...] | None) -> None:
        """``facts`` are those of a ``ProcessFailure``."""
        self.rank = rank
        self.message, self.timestamp, self.pid, self.status = facts or ("", 0, None, None)
        extra = (self.message.get("extraInfo") or {}) if isinstance(self.message, dict) else {}
        self.tree: Any = extra.get("autotb") or _records.get(self.pid or 0)
        text = extra.get("py_callstack")
        self.error: BaseException | None = None
        if capture.is_tree(self.tree):
            self.error = _rebuilt(self.tree)
        elif isinstance(text, str):
            self.error = _Text(text)
        self.order = self._order()

    def _order(self) -> tuple[int, float]:
        if self.error is None:  # a time in whole seconds, at which the agent had noticed it
            return (2 if self.status == _CLOSED else 0), float(self.timestamp) + 1
        when = self.tree.get("time", float(self.timestamp)) if capture.is_tree(self.tree) else float(self.timestamp)
        return (1 if joined.LOST.search(str(self.error)) else 0), when

    def ended(self) -> str:
        """How a process without an error of its own came to its end."""
        from autotb.postmortem import death_report

        return death_report.ended_by(self.status)

    def line(self) -> str:
        """Its error, and where that was raised."""
        if self.error is None:
            return self.ended()
        return _told_at(self.error, self.tree)


def _open(exc: BaseException) -> engine_facts.Opened | None:
    """The failed ranks, the first one first."""
    errors = sys.modules.get(_ERRORS)
    if errors is None or not issubclass(type(exc), errors.ChildFailedError):
        return None
    (failures,) = FAILURES.read(exc) or ({},)
    ranks = _in_order(failures)
    if not any(rank.error or (rank.status or 0) < 0 for rank in ranks):  # they have told their errors themselves, or had none
        return engine_facts.Opened(is_message=True)
    if ranks[0].pid in _said_early:
        said = f"rank {ranks[0].rank}: {ranks[0].line()}, which is told above"
        return engine_facts.Opened(
            engine_frames.named(capture.type_name(type(exc)), said), broken=_others(ranks), is_message=True
        )
    is_message = ranks[0].error is None  # and no frames
    return engine_facts.Opened(roots=(_root(ranks[0], type(exc)),), broken=_others(ranks), is_message=is_message)


def _in_order(failures: dict[object, Any]) -> list[_Rank]:
    """With those that raised and were ended before they had come to their end: torch does not count them."""
    ranks = [_Rank(rank, FAILURE.read(failure)) for rank, failure in failures.items()]
    pids = {rank.pid for rank in ranks}
    if pids & _ranks.keys():
        ranks += [_Rank(rank, ("", 0, pid, None)) for pid, rank in _ranks.items() if pid in _records and pid not in pids]
    return sorted(ranks, key=lambda rank: rank.order)


def _root(first: _Rank, kind: type[BaseException]) -> BaseException:
    """The error of the rank that failed first; of one that died without an error, how that happened."""
    if first.error is not None:
        return first.error
    from autotb.postmortem import death_report

    error = engine_frames.named(capture.type_name(kind), f"rank {first.rank}: {first.ended()}")
    where, attempt = f"in rank {first.rank}", _said or None
    hop = death_report.hop("torchrun", where, first.pid, first.status, None, attempt=attempt)
    annotate.note_death(error, [hop], None)
    return error


def _others(ranks: list[_Rank]) -> tuple[str, ...]:
    """A line for those that failed later of one reason, most often of having lost the first."""
    first, *later = ranks
    if not later:
        return ()
    own = _line(first.error) if first.error is not None else first.ended()
    alike: dict[str, list[_Rank]] = {}
    for rank in later:
        alike.setdefault(re.sub(r"\d+", "", rank.line()), []).append(rank)
    told = [f"rank {first.rank} failed first"]
    for ranks in alike.values():
        text = ranks[0].line()
        if ranks[0].error is None:
            told.append(f"{_named(ranks)}: {text}")
        else:
            told.append(f"{_named(ranks)} failed after it: {'of the same' if _line(ranks[0].error) == own else text}")
    return tuple(told)


def _named(ranks: list[_Rank]) -> str:
    numbers = [str(rank.rank) for rank in ranks]
    more = f" and {len(numbers) - 8:,} more" if len(numbers) > 8 else ""
    return f"rank{'s' if len(numbers) > 1 else ''} {', '.join(numbers[:8])}{more}"


def _line(error: BaseException) -> str:
    error = (_open_text(error) or engine_facts.Opened()).headline or error
    return safe_repr.cut(f"{capture.type_name(type(error))}: {error}".splitlines()[0], 300)


def _told_at(error: BaseException, tree: Any) -> str:
    place = _place(tree) if capture.is_tree(tree) else ""
    return _line(error) + (f", at {place}" if place else "")


def _place(tree: Tree) -> str:
    frames = [frame for hop in tree.get("hops", ()) for frame in hop.get("frames", ()) if frame.get("kind") == ownership.USER]
    return "{path}:{line} in {name}".format_map(frames[-1]) if frames else ""


def _rebuilt(tree: Tree) -> BaseException:
    error = engine_frames.named(tree["type"], tree["message"])
    annotate.attach(error, tree)
    return error


class _Text(Exception):  # noqa: N818
    """The error of a rank without autotb: its traceback as text."""


def _open_text(exc: BaseException) -> engine_facts.Opened | None:
    return engine_facts.Opened(headline=engine_frames.headline_of(exc.args[0]), text=exc.args[0]) if type(exc) is _Text else None


engine_facts.register(own=("torch.distributed",), openers=(_open, _open_text))


# In a rank


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
    tb = static.traceback_of(exc)
    hop = build.hop("torchrun", f"in rank {os.environ.get('RANK', '?')}", call=engine_frames.last_call(tb))
    tree = build.record(exc, tb, hop)
    if not isinstance(tree, dict):
        return
    is_told = launched.is_told_here()
    tree["time"], tree["told"] = time.time(), is_told
    data["message"]["extraInfo"]["autotb"] = tree
    text = json.dumps(data)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if is_told:
        annotate.note(exc, told=True)


# In the agent


def _wrap_launch_agent(original: Function) -> Function:
    """Runs the agent: its ranks learn that it tells their errors."""

    @functools.wraps(original)
    def launch_agent(*args: object, **kwargs: object) -> Any:
        global _launcher, _said
        try:
            _said = ""
            for left in (_records, _ranks, _said_early, _attempts):
                left.clear()
            _launcher = None if _is_teed(args) else launched.Launcher("torchrun", "in rank {RANK}", is_sure=not _is_called())
        except Exception:
            _launcher = None  # then the ranks tell their errors themselves
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            _ended(error)
            raise
        else:
            _ended(None)
            return result
        finally:
            if _launcher is not None:
                _launcher.end()
                _launcher = None

    return launch_agent


def _is_teed(args: tuple[object, ...]) -> bool:
    """Whether what ranks write to their logs is shown here too: then they tell their errors themselves."""
    config = args[0]
    tee = getattr(getattr(config, "logs_specs", None), "_tee", None) or getattr(config, "tee", None)
    return bool(any(map(int, tee.values())) if isinstance(tee, dict) else tee and int(tee))


def _is_called() -> bool:
    """Whether a program of the user's starts the agent, which may catch its error."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if ownership.kind_of_frame(frame) == ownership.USER:
            return True
        frame = frame.f_back
    return False


def _ended(error: BaseException | None) -> None:
    """The agent's own end: what ranks have left to it that its error does not tell is told now."""
    try:
        if _launcher is None:
            return
        _records.update(_launcher.records())
        if error is not None and static.name(type(error)) == "ChildFailedError":
            _launcher.tells(rank.pid or 0 for rank in _in_order((FAILURES.read(error) or ({},))[0]))
        _tell(_launcher.untold())
    except Exception:
        pass  # then the agent's error alone is told


def _tell(trees: dict[int, Tree]) -> None:
    """Of those that have failed alike one is told, and the others are a line each."""
    kinds: dict[str, Tree] = {}
    for pid, tree in trees.items():
        assert _launcher is not None
        _launcher.tells((pid,))
        error, where = _rebuilt(tree), (tree.get("hops") or [{}])[0].get("where", "")
        alike = kinds.setdefault(re.sub(r"\d+", "", _told_at(error, tree)), tree)
        if alike is tree or not surface.events.told_in_a_line(f"{where}, pid {pid}: {_told_at(error, tree)}"):
            surface.events.launched_failed(error)


def _wrap_monitor(original: Function) -> Function:
    """Looks at the ranks; after a failure it starts all of them again, as long as it may.

    A rank that has raised may be long in ending, or for ever, for a thread of its own that goes on: it is told meanwhile.
    """

    @functools.wraps(original)
    def _monitor_workers(self: Any, *args: object, **kwargs: object) -> Any:
        result = original(self, *args, **kwargs)
        try:
            if result.is_failed():
                _attempt_failed(self, result)
            elif _launcher is not None:
                _records.update(_launcher.records())
                late = _launcher.untold(older=_PATIENCE)
                _said_early.extend(late)
                _tell(late)
        except Exception:
            pass  # an attempt that is followed by another is then told by torch alone
        return result

    return _monitor_workers


def _attempt_failed(agent: object, result: Any) -> None:
    """The last attempt's error is raised; those before are told here, where the ranks have left that to the agent."""
    global _said
    if _launcher is not None:
        _records.update(_launcher.records())
    remaining, group = AGENT.read(agent) or (0, None)
    _ranks.clear()
    _ranks.update(WORKER.read(worker) or (0, None) for worker in (GROUP.read(group) or ((),))[0])
    ranks = _in_order(result.failures)
    first = ranks[0]
    most = len(_attempts) + 1 + remaining
    _attempts.append(_line(first.error) if first.error is not None else first.ended())
    _said = attempts.said(len(_attempts), most, _attempts if len(_attempts) > 1 else []) if most > 1 else ""
    if _said and capture.is_tree(first.tree) and first.tree.get("hops"):
        first.tree["hops"][0]["attempt"] = _said
    if not remaining or not any(capture.is_tree(rank.tree) and rank.tree.get("told") for rank in ranks):
        return
    if _launcher is not None:
        _launcher.tells(rank.pid or 0 for rank in ranks)
    if _attempts[-1] in _attempts[:-1] or first.pid in _said_early:
        later = sum(rank.error is not None for rank in ranks[1:])
        more = f", and {later:,} more" if later else ""
        surface.events.told_in_a_line(f"{_said}: rank {first.rank}: {first.line()}{more}")
        return
    error = _root(first, RuntimeError)
    annotate.note(error, broken=list(_others(ranks)))
    surface.events.launched_failed(error)


def probe(given: dict[str, Any], timeout: float) -> Iterator[Ask]:
    """For ``doctor --engine``: each rank of a job is asked."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from autotb.instrument.workers import configured

    config = configured(given, "config", LaunchConfig, "torchrun") or LaunchConfig(
        *(1, 1, 1), run_id="autotb", rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0
    )
    config.rdzv_configs.setdefault("timeout", timeout)
    yield lambda expression: [(f"rank {rank}", answer) for rank, answer in elastic_launch(config, eval)(expression).items()]


OPTION = "torchrun"  # what ``--engine`` calls it
PATCHES = (
    Patch(
        "torch.distributed.elastic.multiprocessing.errors.error_handler",
        "ErrorHandler.record_exception",
        _wrap_record_exception,
        costs=Lost.RECORD,
    ),
    Patch("torch.distributed.launcher.api", "launch_agent", _wrap_launch_agent, costs=Lost.TWICE),
    Patch(
        "torch.distributed.elastic.agent.server.local_elastic_agent",
        "LocalElasticAgent._monitor_workers",
        _wrap_monitor,
        costs=Lost.ATTEMPTS,
    ),
)
ASSUMPTIONS = (FAILURES, FAILURE, AGENT, GROUP, WORKER)

#: What ``python -m autotb demo --engine torchrun`` runs: a user's script.
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
