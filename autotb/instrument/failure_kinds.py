"""Failures that were never retrieved, counted by kind: one type, raised at one line, after the same causes.

Flows in: exceptions as their futures are dropped.  Flows out: a :class:`Kind` each, which counts them and keeps none of them.
The number of kinds is bounded; what comes after the last one is counted as a kind of its own.
"""

from __future__ import annotations

import os

from autotb.record import callsite, made_frames, ownership, shipped_code, static
from autotb.record.capture import KEY, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from types import TracebackType
    from typing import Any

    from autotb.record.schema import Frame, Tree

MOST = 1_000
MOST_TASKS = 5  # tasks of a kind that are named
_DEEPEST = 5  # causes that are looked at
_LONGEST = 300  # characters of an argument that is compared
_SCALARS = frozenset((str, bytes, int, float, complex, bool, type(None)))

_filename_of = OSError.__dict__["filename"].__get__
_filename2_of = OSError.__dict__["filename2"].__get__
_PLAIN_STR = (BaseException.__str__, KeyError.__str__)


class Kind:
    """One kind of failure.

    Attributes:
        type, path, line, name: what was raised, and where; no path where that is not known.
        first: the first one's message and place as one line, once that was made.
        is_same: whether all so far say the same, as far as their arguments tell.
        is_reported: whether one of them was reported.
        unreported: how many were not, since.
        tasks: what the engine calls the first few of those, as far as their records say.
    """

    __slots__ = ("args", "first", "is_reported", "is_same", "line", "name", "path", "tasks", "type", "unreported")

    def __init__(self, type: str, path: str | None, line: int, name: str, args: tuple[Any, ...] | None) -> None:
        self.type, self.path, self.line, self.name = type, path, line, name
        self.args, self.is_same = args, args is not None
        self.first, self.is_reported, self.unreported = "", False, 0
        self.tasks: list[str] = []

    def count(self, exc: BaseException) -> None:
        """One more, which is not reported by itself."""
        self.unreported += 1
        if len(self.tasks) < MOST_TASKS:
            self.tasks += _task(exc)
        if self.is_same:
            self.compare(exc)

    def compare(self, exc: BaseException) -> None:
        """Note whether this one says something else."""
        if said(exc) != self.args:
            self.is_same = False

    def __str__(self) -> str:
        if self.is_same and self.first:
            return self.first
        place = f", at {self.path}:{self.line} in {self.name}" if self.path else ""
        return self.type + place


def _task(exc: BaseException) -> list[str]:
    """What the engine calls the task that failed; nothing where its record does not say."""
    record = dict.get(static.fields_of(exc), KEY)
    hops = record.get("hops") if type(record) is dict else None
    label = hops[0].get("label") if type(hops) is list and hops and type(hops[0]) is dict else None
    return [label[:_LONGEST]] if type(label) is str and label else []


_kinds: dict[object, Kind] = {}
OTHERS = Kind("other errors", None, 0, "", None)


_of_bases: dict[int, tuple[Any, Kind]] = {}  # by what light records from another process share (``build.share``)


def of(exc: BaseException) -> Kind:
    """The kind of a failure."""
    record = dict.get(static.fields_of(exc), KEY)
    found = of_record(record)
    if found is None:
        key = _key(exc)
        found = _kinds.get(key)
        if found is None:
            if len(_kinds) >= MOST:
                return OTHERS
            found = _kinds[key] = Kind(key[0], key[1], key[2], key[3], said(exc))
        if type(record) is tuple and len(record) == 3 and "frames" in record[1]:
            if len(_of_bases) >= MOST:
                _of_bases.clear()
            _of_bases[id(record[1])] = record[1], found
    return found


def of_record(record: object) -> Kind | None:
    """The kind of a failure that came with a light record, of which others came before."""
    if type(record) is tuple and len(record) == 3:
        found = _of_bases.get(id(record[1]))
        if found is not None and found[0] is record[1]:
            return found[1]
    return None


def every() -> list[Kind]:
    """All kinds that there are."""
    return [*list(_kinds.values()), OTHERS]


def said(exc: BaseException) -> tuple[Any, ...] | None:
    """What an exception's message is made of, where that is plain to see; two that say the same have it equal."""
    args = static.args_of(exc)
    shown = type.__getattribute__(type(exc), "__str__")
    if shown not in _PLAIN_STR:
        if shown is not OSError.__str__:
            return None
        args = (*args, _filename_of(exc), _filename2_of(exc))
    for value in args:
        if type(value) not in _SCALARS or (type(value) in (str, bytes) and len(value) > _LONGEST):
            return None
    return args  # type: ignore[no-any-return]


def _key(exc: BaseException, depth: int = 0) -> tuple[Any, ...]:
    record = dict.get(static.fields_of(exc), KEY)
    frames = _frames_of(record)
    place = (_of_frames(frames) if frames else None) or _of_traceback(static.traceback_of(exc))
    cause = static.cause_of(exc)
    if cause is None and not static.suppresses(exc):
        cause = static.context_of(exc)
    if cause is None or ownership.is_remote_text(cause):
        below = _key_of_tree(record.get("cause") or record.get("context"), depth + 1) if type(record) is dict else None
    else:
        below = _key(cause, depth + 1) if depth < _DEEPEST else None
    return (type_name(type(exc)), *place, below)


def _key_of_tree(tree: Tree | None, depth: int) -> tuple[Any, ...] | None:
    """The same of a cause that came as a worker's record."""
    if type(tree) is not dict or depth > _DEEPEST:
        return None
    place = _of_frames(_frames_of(tree)) or (None, 0, "")
    return (str(tree.get("type")), *place, _key_of_tree(tree.get("cause") or tree.get("context"), depth + 1))


def _frames_of(record: Any) -> list[Frame] | None:
    """The frames that came with an exception: those of its innermost hop, none where they are in its traceback."""
    if type(record) is tuple and len(record) == 3:
        return record[1].get("frames")  # type: ignore[no-any-return]
    hops = record.get("hops") or () if type(record) is dict else ()
    return next((hop["frames"] for hop in reversed(hops) if hop.get("frames")), None)


def _of_frames(frames: list[Frame] | None) -> tuple[str, int, str] | None:
    places = [frame for frame in frames or () if "path" in frame]
    if not places:
        return None
    last = next((frame for frame in reversed(places) if frame.get("kind") == ownership.USER), places[-1])
    return shipped_code.path_here(last), last["line"], last["name"]


def _of_traceback(tb: TracebackType | None) -> tuple[str | None, int, str]:
    """The innermost frame of the user's; failing that, the innermost one."""
    last = found = tb
    while tb is not None and not made_frames.is_made(tb.tb_frame):
        if callsite.whose(tb.tb_frame) == callsite.USER:
            found = tb
            last = None
        elif last is not None:
            found = tb
        tb = tb.tb_next
    if found is None:
        return None, 0, ""
    code = found.tb_frame.f_code
    if last is not None and ownership.kind_of_frame(found.tb_frame) == ownership.ENGINE:  # an error of its own: that says nothing
        return None, found.tb_lineno, f"{code.co_filename} {code.co_name}"
    return code.co_filename, found.tb_lineno, code.co_name


def forget() -> None:
    """In a forked child: the parent tells what was counted."""
    _kinds.clear()
    _of_bases.clear()
    OTHERS.unreported = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
