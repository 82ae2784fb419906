"""Puts a record on an exception, and adds to it on the way: where the work was submitted, which worker died.

Flows in: an exception, and what is known of it.  Flows out: the same exception with its record; no code of its class is run.
"""

from __future__ import annotations

from autotb import settings, surface
from autotb.record import build, made_frames, ownership, static
from autotb.record.capture import KEY, VERSION, attached, fields_of, is_light, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any

    from autotb.record.schema import Hop, Light, Place, Tree

_texts = False  # whether the hooks of logging and traceback were asked for
_shared: dict[object, Any] = {}
_frames: dict[int, tuple[Any, list[Any], TracebackType | None]] = {}  # made of light records that share one base


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
            key = (base["pid"], base["type"], base.get("attempt"), *[(frame["path"], frame["line"]) for frame in base["frames"]])
            dict.__setitem__(fields_of(exc), KEY, (version, _one(key, base), call))
    except Exception:
        pass  # a record of another version stays as it came


def arrived(exc: BaseException) -> None:
    """An exception has come from another process with its record: its traceback is made of the worker's frames.

    One that has a traceback was raised here, or an engine has brought it along.
    """
    share(exc)
    try:
        _everywhere(_give, exc, dict.get(fields_of(exc), KEY))
    except Exception:
        pass  # its record tells its story all the same


def arrive(exc: BaseException, tree: Tree | Light) -> None:
    """``attach`` of a record that an engine has carried by itself, on an exception that is made of it here."""
    attach(exc, tree)
    arrived(exc)


def raised(exc: BaseException) -> None:
    """The same of one that an engine has just raised, to which only the engine's own frames were added since it came."""
    last = static.innermost(static.traceback_of(exc))
    if last is None or ownership.kind_of_frame(last.tb_frame) not in (ownership.ENGINE, ownership.OWN):
        return
    record = dict.get(fields_of(exc), KEY)
    if not made_frames.is_made(last.tb_frame) and type(record) in (dict, tuple):
        last.tb_next = _traceback(record)


def handed_on(exc: BaseException, to: BaseException) -> None:
    """An engine has made an exception of Python's own anew, of its type and arguments: what else it had is put on that one."""
    record = dict.get(fields_of(exc), KEY)
    if record is not None:
        dict.__setitem__(fields_of(to), KEY, record)
    if static.traceback_of(to) is None and settings.switch("traceback"):
        static.set_traceback(to, static.traceback_of(exc))
        to.__context__, to.__cause__ = static.context_of(exc), static.cause_of(exc)
        to.__suppress_context__ = static.suppresses(exc)


def renew(exc: BaseException) -> None:
    """An engine has brought an exception's traceback along: see ``renewed``; so have its causes, and members of a group."""
    try:
        _everywhere(_renew, exc, dict.get(fields_of(exc), KEY))
    except Exception:
        pass  # its record tells its story all the same


def renewed(exc: BaseException, tb: TracebackType | None) -> TracebackType | None:
    """A traceback that tblib has made anew, with the record's frames in place of those: they have variables and the source.

    So it is from the first of tblib's on, where both end in the same line; else it stays as it came.  What the exception came out
    of, and the members of a group, have theirs in place.
    """
    try:
        record = dict.get(fields_of(exc), KEY)
        for other, told in _told_of(exc, record) if type(record) is dict else ():
            _everywhere(_renew, other, told)
        if record is not None:
            _a_record_is_here()
        return _renewed(tb, record)
    except Exception:
        return tb


def _renew(exc: BaseException, record: Any) -> None:
    static.set_traceback(exc, _renewed(static.traceback_of(exc), record))


def _renewed(tb: TracebackType | None, record: Any) -> TracebackType | None:
    before, at = None, tb
    while at is not None and not static.is_rebuilt(at.tb_frame.f_code):
        before, at = at, at.tb_next
    if at is None or type(record) not in (dict, tuple):
        return tb
    made = _traceback(record, twice=True)
    if made is None or _line(made) != _line(at):
        return tb
    if before is None:
        return made
    before.tb_next = made
    return tb


def _line(tb: TracebackType) -> tuple[int, str]:
    last: Any = static.innermost(tb)
    return last.tb_lineno, static.exact(last.tb_frame.f_code.co_name)


def _give(exc: BaseException, record: Any) -> None:
    if static.traceback_of(exc) is None:
        made = _traceback(record)
        if made is not None:
            static.set_traceback(exc, made)


def _everywhere(
    change: Callable[[BaseException, Any], None], exc: BaseException, record: Any, most: int = made_frames.MOST_EXCEPTIONS
) -> int:
    """Change an exception, and the members and causes that came with it; how many more there may be."""
    if not most or type(record) not in (dict, tuple):
        return most
    change(exc, record)
    _a_record_is_here()
    most -= 1
    for other, told in _told_of(exc, record) if type(record) is dict else ():
        most = _everywhere(change, other, told, most)
    return most


def _told_of(exc: BaseException, record: Any) -> Iterator[tuple[BaseException, Any]]:
    """The exceptions that came with one, and what its record tells of each."""
    members, told = static.members(exc) or (), record.get("members") or ()
    if len(members) == len(told):
        yield from zip(members, told, strict=True)
    for other, key in ((static.cause_of(exc), "cause"), (static.context_of(exc), "context")):
        if other is not None and record.get(key) and type_name(type(other)) == record[key].get("type"):
            yield other, record[key]


def _traceback(record: Any, *, twice: bool = False) -> TracebackType | None:
    """That of an exception's record; all of one base share its frames, and the entries of it but for the first."""
    if not is_light(record):
        return made_frames.chained(made_frames.steps(record.get("hops") or [], twice=twice, told=record))
    base = record[1]
    found = _frames.get(id(base))
    if found is None or found[0] is not base:
        if len(_frames) > build.MAX_PLACES:
            _frames.clear()
        steps = made_frames.steps([base], twice=twice, told=base)
        found = _frames[id(base)] = base, steps[:1], made_frames.chained(steps[1:])
    return made_frames.chained(found[1], found[2])


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
    """The first one of this process: from now on what logging and traceback tell of such exceptions is to be short."""
    global _texts
    if not _texts:
        _texts = True
        surface.events.shorten_texts()


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


def note_death(exc: BaseException, hops: list[Hop], place: Place | None, cause: Tree | None = None) -> None:
    """Tell of workers that died (``death_report.hop``), to one of those who ask; all of a pool get one exception.

    The first hop is of the task that was submitted at ``place``; ``cause`` is what a worker died of, where that is known.
    """
    if place is not None:
        hops = [{**hops[0], "submitted": place}, *hops[1:]]
    attach(exc, {"v": VERSION, "hops": hops} if cause is None else {"v": VERSION, "hops": hops, "cause": cause})


def note_live(exc: BaseException, hop: Hop) -> None:
    """Note in which thread of this process an exception was raised; its frames stay where they are, in the traceback."""
    tree = attached(exc) or {"v": VERSION, "hops": []}
    attach(exc, {**tree, "hops": [{**hop, "live": True}, *tree["hops"]]})
