"""Ray's workers that died: of whose task, what they were doing, and, of an actor that runs several at once, which ended them.

Flows in: errors as they are made of a result that never came, what the dead worker left on this machine.  Flows out: the death,
on each error of its tasks, however often they are asked for.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autotb import assumption
from autotb.assumption import Frame, Lost, Text
from autotb.engines.ray import memory, waiting
from autotb.instrument import engine_frames, task_events
from autotb.record import annotate, build, callsite, sources
from autotb.record.capture import attached

if TYPE_CHECKING:
    from types import FrameType

    from autotb.postmortem.status_reader import Remains
    from autotb.record.callsite import Site
    from autotb.record.schema import Hop

    Known = Mapping[bytes, Any]  # by a task's or an actor's id: where it was submitted, or its call

DESERIALIZE = Frame("ray._private.serialization", "SerializationContext._deserialize_object", "object_ref", costs=Lost.DEATH)
PID = Text("ray.exceptions", r"^\s*pid: (\d+)$", re.M, words=("pid: ",), costs="which actor's process died")
ENDED = re.compile(r"The actor is dead because (?!its worker process has died)([^.\n]+(?:\.\w[^.\n]*)*)\.")  # Ray's core says so
DIED = re.compile(r"The actor is dead because its worker process has died|^The worker died unexpectedly")
_MARKS = re.compile(r"^:(job_id|task_name|actor_name):")

_told: dict[int, Remains] = {}  # by process: what dead workers left, whose files are gone since somebody asked


def tell(error: BaseException, caller: FrameType, sites: Known, calls: Known) -> None:
    """The error of a result that a worker did not live to give."""
    task = _asked(error, caller)
    if task is None:
        return
    named = PID.search(str(error))
    number = task_events.number(task.binary())
    dead = _dead(number, int(named[1]) if named is not None else None)
    if not dead:  # a coroutine's worker, one of another machine, or one without autotb
        if not DIED.search(str(error)):
            return  # an actor was ended, or cannot be reached
        hop = _without_word(task, int(named[1]) if named is not None else None, calls)
        annotate.note_death(error, [hop], engine_frames.place_of(sites.get(task.binary())))
        return
    last = dead[-1]
    hops = _hops(error, task, dead, calls)
    _bury(dead)
    site = sites.get(task.binary()) or sites.get(task.actor_id().binary())
    if last.running and number not in _jobs(last):  # an actor's, which had this one still to do
        place = engine_frames.place_of(site)
        if place is not None:
            hops[0]["died"].append(f"asked for was another of its tasks, submitted at {sources.place(**place)}")
        site = _site_of(_jobs(last), sites)
    elif site is None:
        hops[0]["task"] = task.hex()  # a client may know
    annotate.note_death(error, hops, engine_frames.place_of(site), last.raised())


def _hops(error: BaseException, task: Any, dead: list[Remains], calls: Known) -> list[Hop]:
    from autotb.postmortem import death_report

    last, log = dead[-1], _log_of(dead[-1].pid)
    last.dump = last.dump or _dump(log)
    call = None if last.running else waiting.call(task.binary(), calls) or None  # a coroutine's worker leaves no word of it
    hop = death_report.hop("ray", _where(task), last.pid, None, last, call=call)
    ended = ENDED.search(str(error))
    if ended is not None:
        hop["died"] = [f"ended with its actor, because {ended[1]}"]
    if len(dead) > 1:
        hop["died"].append(f"before it died of the same task: pid {', '.join(str(left.pid) for left in dead[:-1])}")
    if log is not None and not hop["frames"]:
        hop["died"] += death_report.tail(log, 5, leaving_out=_MARKS)
    return [hop] if ended is not None else death_report.to_who_asks(hop, last, task_events.number(task.binary()))


def _without_word(task: Any, pid: int | None, calls: Known) -> Hop:
    """A death of which no more is known than what Ray says."""
    from autotb.postmortem import crash_dump, death_report

    hop: Any = {"engine": "ray", "where": _where(task), "frames": [], "died": ["died"]}
    log = _log_of(pid) if pid is not None else None
    if log is not None:  # it was on this machine
        dump = _dump(log)
        hop |= {"pid": pid, "host": build.host(), "frames": crash_dump.frames(dump)[0]}
        hop["died"] = [f"died: {dump.partition(chr(10))[0]}"] if dump.startswith("Fatal") else hop["died"]
        hop["died"] += [] if hop["frames"] else death_report.tail(log, 5, leaving_out=_MARKS)
    call = waiting.call(task.binary(), calls)
    result: Hop = hop | ({"call": call} if call else {})
    return result


def _where(task: Any) -> str:
    """A task that is none of an actor's has an actor's id all the same: of nobody, in this job."""
    return "in a Ray worker" if task.actor_id().binary().startswith(_NOBODY) else "in a Ray actor"


_NOBODY = b"\xff" * 12


def tell_of_memory(error: BaseException, caller: FrameType, sites: Known, calls: Known) -> None:
    """The same of one that Ray's monitor has killed."""
    task = _asked(error, caller)
    if task is None:
        return
    dead = _dead(task_events.number(task.binary()), None)
    hop = memory.hop(str(error), dead[-1] if dead else None, waiting.call(task.binary(), calls))
    if hop is None:
        return
    made = sites.get(task.actor_id().binary()) if str(hop.get("call")).endswith(".__init__") else None
    site = made or sites.get(task.binary())
    if site is None:
        hop["task"] = task.hex()  # a client may know
    annotate.note_death(error, [hop], engine_frames.place_of(site))


def _asked(error: BaseException, caller: FrameType) -> Any:
    """The task whose result was asked for, unless what is known is on the error."""
    (reference,) = assumption.read(caller, DESERIALIZE, limit=2) or (None,)
    return None if reference is None or "hops" in (attached(error) or {}) else reference.task_id()


def _jobs(left: Remains) -> list[int]:
    return [task.job for task in left.tasks]


def _site_of(jobs: list[int], sites: Known) -> Site | None:
    return next((site for key, site in list(sites.items()) if task_events.number(key) in jobs), None)


def _dead(number: int, pid: int | None) -> list[Remains]:
    """What is left, on this machine, of the workers that died of a task, or of the actor's process; the last one last."""
    from autotb.postmortem import status_file, status_reader

    if pid is not None:
        found = status_reader.of(pid, 0) or _told.get(pid)
        dead = [found] if found is not None and _is_dead(found, 5.0) else []  # Ray says so as soon as it is to be killed
    else:
        every = [*status_reader.every(), *_told.values()]
        dead = [left for left in every if left.running and number in _jobs(left) and _is_dead(left, 0.5)]
    return sorted(dead, key=lambda left: left.words[status_file.STARTED])


def _is_dead(left: Remains, patience: float) -> bool:
    from autotb.postmortem import status_reader

    return _told.get(left.pid) is left or status_reader.is_dead(left.pid, within=patience)


def _bury(dead: list[Remains]) -> None:
    from autotb.postmortem import status_reader

    for left in dead:
        status_reader.bury(left.pid)
        callsite.remember(_told, left.pid, left)


def _log_of(pid: int) -> str | None:
    """What a worker of this machine wrote on stderr."""
    import glob

    session = sys.modules["ray._private.worker"].global_worker.node.get_session_dir_path()
    return next(iter(glob.glob(os.path.join(session, "logs", f"worker-*-{pid}.err"))), None)


def _dump(log: str | None) -> str:
    """What faulthandler, which Ray switches on, wrote there."""
    if log is None:
        return ""
    with open(log, errors="replace") as file:
        text = file.read()[-20_000:]
    at = text.rfind("Fatal Python error:")
    at = at if at >= 0 else text.rfind("Stack (most recent call first):")
    return text[at:] if at >= 0 else ""


ASSUMPTIONS = (DESERIALIZE, PID)
