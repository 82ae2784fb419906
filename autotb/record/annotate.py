"""Puts a record on an exception, and adds to it on the way: where the work was submitted, which worker died.

Flows in: an exception, and what is known of it.  Flows out: the same exception with its record; no code of its class is run.
"""

from __future__ import annotations

from autotb import surface
from autotb.record import build
from autotb.record.capture import KEY, VERSION, attached, fields_of, is_light

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

    from autotb.record.schema import Hop, Light, Place, Tree

_logs = False  # whether the logging hook was asked for
_shared: dict[object, Any] = {}


def _one(key: object, value: Any) -> Any:
    """The one object that stands for all values of this key."""
    if len(_shared) > build.MAX_PLACES:
        _shared.clear()
    return _shared.setdefault(key, value)


def share(exc: BaseException) -> None:
    """A light record has arrived: let all from the same place share one base."""
    try:
        light = dict.get(fields_of(exc), KEY)
        if type(light) is tuple:
            version, base, call = light
            key = (base["pid"], base["type"], tuple([(frame["path"], frame["line"]) for frame in base["frames"]]))
            dict.__setitem__(fields_of(exc), KEY, (version, _one(key, base), call))
    except Exception:
        pass  # a record of another version stays as it came


def attach_shared(exc: BaseException, engine: str, where: str) -> None:
    """The light record of a failure in a thread; its frames and arguments are in the traceback."""
    hop = build.hop(engine, where)
    base = _one((where, hop.get("thread")), {**hop, "live": True})
    attach(exc, _one(("of", id(base)), (VERSION, base, None)))


def attach(exc: BaseException, tree: Tree | Light) -> None:
    """Put a record on an exception without running any code of its class."""
    dict.__setitem__(fields_of(exc), KEY, tree)
    _a_record_is_here()


def _a_record_is_here() -> None:
    """The first one of this process: from now on log records of such exceptions are to be short."""
    global _logs
    if not _logs:
        _logs = True
        surface.events.shorten_logs()


def note_submitted(exc: BaseException, place: Place | None) -> None:
    """Note where the task was submitted that ``exc`` came from: on its outermost hop, which nobody has asked for before."""
    if place is None:
        return
    raw = dict.get(fields_of(exc), KEY)
    if is_light(raw):
        _note_on_light(exc, raw, place)
        return
    tree = attached(exc)
    if tree is not None and tree.get("hops"):
        tree["hops"][0].setdefault("submitted", place)
        _a_record_is_here()
    else:
        note(exc, submitted=place)


def _note_on_light(exc: BaseException, light: Light, place: Place) -> None:
    version, base, call = light
    if "submitted" not in base:
        base = _one((id(base), place["path"], place["line"]), {**base, "submitted": place})
        attach(exc, (version, base, call) if call is not None else _one(("of", id(base)), (version, base, call)))


def note(exc: BaseException, **what: Any) -> None:
    """Add to an exception's record, making one where it has none."""
    tree: Any = attached(exc) or {"v": VERSION, "hops": []}
    tree.update({key: value for key, value in what.items() if value is not None})
    attach(exc, tree)


def note_death(exc: BaseException, hops: list[Hop], place: Place | None) -> None:
    """Tell of workers that died (``postmortem.story.hop``), to one of those who ask; all of a pool get one exception."""
    if place is not None:
        hops = [{**hop, "submitted": place} for hop in hops]
    attach(exc, {"v": VERSION, "hops": hops})


def note_live(exc: BaseException, hop: Hop) -> None:
    """Note in which thread of this process an exception was raised; its frames stay where they are, in the traceback."""
    tree = attached(exc) or {"v": VERSION, "hops": []}
    attach(exc, {**tree, "hops": [{**hop, "live": True}, *tree["hops"]]})
