"""What others show of an exception that came from a worker: programs with a look of their own, which read tracebacks and chains.

Theirs is the look; ours is what they look at: no engine's frames, the worker's own cause in place of the engine's text of the
same frames, and the lines that say where the worker ran, where the work was submitted and what it was given.

Flows in: an exception, and the traceback that it is shown with.  Flows out: that traceback without the engines' frames, and
lines with the places where they stand between its entries.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from autotb import settings
from autotb.imports import own
from autotb.record import chain, made_frames, ownership, sources, static
from autotb.record.capture import KEY, attached, fields_of, is_light
from autotb.render import clean
from autotb.trace import build, phrases, visible
from autotb.trace.parts import Frame, Hop

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from typing import TypeVar

    from autotb.record.schema import Tree
    from autotb.trace.model import Trace

    _Changing = Callable[[TracebackType | None], TracebackType | None]
    _Read = TypeVar("_Read")
    _Lines = TypeVar("_Lines")
    _Key = tuple[str, int]  # a function's name, and the line

NOTES = "__notes__"
_quiet = threading.local()  # .on: this thread shows an error in another way already
_reading = threading.local()  # .told: what is told of the exceptions that somebody reads in this thread, by their ids; .by_us


class Retold:
    """An exception as others are to show it.

    ``tb`` is its traceback, ``places`` the entries of it before which lines stand, ``after`` and ``members`` the lines below the
    last one.
    """

    def __init__(self, error: BaseException, tb: TracebackType | None) -> None:
        self.error, self._given = error, tb
        self._trace: Trace | None = None
        self.members: list[str] = []  # of a group, for those who do not show them
        light: Any = dict.get(fields_of(error), KEY)
        key = _key(light, tb) if is_light(light) and static.members(error) is None else None
        alike = _patterns.get(key) if key is not None else None
        if alike is not None:
            self.tb, self.places, self.after = alike.applied(tb, light[2])
            return
        self._make(tb)
        if key is not None:
            _remember(key, self, light)

    def _make(self, tb: TracebackType | None) -> None:
        if attached(self.error) is None:  # its traceback alone is shorter
            self.tb = without_engines(tb)
            count = sum(1 for _ in _entries(tb)) - sum(1 for _ in _entries(self.tb))
            self.places, self.after = [], list(filter(None, [phrases.hidden(count)]))
            return
        in_force = settings.used("frames", "args")
        stack = self.trace.stack
        is_bare = visible.is_bare(stack)
        hidden = visible.view(stack, in_force.frames, bare=is_bare)[1]
        self.tb = tb if is_bare or in_force.frames == "all" else without_engines(tb)
        if self.tb is tb and hidden:  # of a command there is no other: the last has the command above it
            self.tb = static.innermost(tb)
            hidden = visible.Hidden(hidden - 1, hidden.launchers)
        known = _commands_told(self.error)
        self.places = _places(self.trace, list(_entries(self.tb)), with_call=bool(in_force.args), known=known)
        alike, _ = phrases.fan_in(stack)
        told = [phrases.lost(stack), *phrases.counted(alike), phrases.hidden(hidden, hidden.launchers)]
        self.after = [clean.line(line) for line in told if line]

    @property
    def trace(self) -> Trace:
        """The whole story; of many that are alike it is made for those that ask for it."""
        if self._trace is None:
            self._trace = build.build(self.error, self._given)
        return self._trace

    def places_among(self, shown: list[tuple[str, int]]) -> list[tuple[int, list[str]]]:
        """The places among frames of which whoever shows them has left some out, each by its function's name and line."""
        return realigned(self.places, [(each.tb_frame.f_code.co_name, each.tb_lineno) for each in _entries(self.tb)], shown)

    @property
    def lines(self) -> list[str]:
        """All of them, for those who have one place for them."""
        return [line for _, lines in self.places for line in lines] + self.after + self.members

    def message(self, own: str) -> str:
        """What the exception says, where its own message is an engine's text of the error that the story ends in; else that."""
        if 'File "' not in own:
            return own
        stack = self.trace.stack
        if stack.message == own or stack.message not in own:
            return own
        if stack.members is not None and static.members(self.error) is None:
            return own  # whoever shows it has no members to show
        kind = type(self.error).__name__
        return clean.text(stack.message if stack.type.rpartition(".")[2] in kind else stack.headline)

    def shortened(self, text: str) -> str:
        """Text in which somebody shows the exception, with that message."""
        if 'File "' not in text:
            return text
        try:
            said = str(self.error)  # whoever shows it has asked for it as well
        except Exception:
            return text
        return text.replace(said, self.message(said)) if said else text


class _Pattern:
    """What is retold alike of all failures of one place whose records share their base: they differ in the call alone.

    ``held`` are the objects by whose ids it is known: the base, and the code of the traceback's entries.
    """

    def __init__(self, told: Retold, held: list[Any], call: str) -> None:
        self.held = held
        left = list(_entries(told.tb))
        entries = list(_entries(told._given))
        self.kept = [at for at, each in enumerate(entries) if any(each.tb_frame is one.tb_frame for one in left)]
        self.is_whole = len(left) == len(entries)
        self.places = [(at, [None if line == call else line for line in lines]) for at, lines in told.places]
        self.after = told.after

    def applied(self, tb: TracebackType | None, call: Any) -> tuple[TracebackType | None, list[tuple[int, list[str]]], list[str]]:
        """The same of another one."""
        if not self.is_whole:
            entries = list(_entries(tb))
            tb = _joined(entries[at] for at in reversed(self.kept))
        said = clean.line(call) if type(call) is str else ""
        return tb, [(at, [said if line is None else line for line in lines]) for at, lines in self.places], self.after


_patterns: dict[tuple[Any, ...], _Pattern] = {}
_MOST_PATTERNS = 200


def _key(light: Any, tb: TracebackType | None) -> tuple[Any, ...]:
    in_force = settings.used("frames", "args")
    places = [(id(each.tb_frame.f_code), each.tb_lineno) for each in _entries(tb)]
    return id(light[1]), type(light[2]) is str, in_force.frames, in_force.args, *places


def _remember(key: tuple[Any, ...], told: Retold, light: Any) -> None:
    """Where nothing but the call, in a line of its own, is this one's."""
    calls = [hop.call for hop in told.trace.stack.hops if hop.call]
    if calls != ([light[2]] if type(light[2]) is str else []):
        return
    call = clean.line(light[2]) if calls else ""
    if sum(lines.count(call) for _, lines in told.places) != bool(calls and settings.value("args")):
        return
    if len(_patterns) >= _MOST_PATTERNS:
        _patterns.clear()
    codes = [each.tb_frame.f_code for each in _entries(told._given)]
    _patterns[key] = _Pattern(told, [light[1], *codes], call)


def realigned(places: list[tuple[int, _Lines]], before: list[_Key], shown: list[_Key]) -> list[tuple[int, _Lines]]:
    """Places among what is left of the frames before which they stood."""
    kept: list[int] = []  # the numbers of those that are left
    at = len(before)
    for key in reversed(shown):
        at = next((number for number in range(at - 1, -1, -1) if before[number] == key), -1)
        kept.append(at)
    return [(sum(number < place for number in kept), lines) for place, lines in places]


def of(error: BaseException | None, tb: TracebackType | None, *, with_workers: bool = False) -> Retold | None:
    """How others are to show an exception with this traceback; None: as it is.

    ``with_workers``: it is shown with one that came from a worker.
    """
    if tb is None or error is None or not issubclass(type(error), BaseException) or is_silent():
        return None
    is_shown_so = attached(error) is not None or (with_workers and (static.members(error) is not None or _is_shortened(tb)))
    if not is_shown_so or not settings.switch("traceback"):
        return None
    known: Retold | None = getattr(_reading, "told", {}).get(id(error))
    if known is not None:
        return known  # it is not as it was while it is read
    with own:
        return Retold(error, static.in_place_of_copy(error, tb))


def _is_shortened(tb: TracebackType) -> bool:
    """Whether there are engines' frames to be left out."""
    return settings.value("frames") != "all" and any(map(is_engines, _entries(tb)))


def is_read(error: object) -> bool:
    """Whether somebody reads this exception just now, who shows the others of a chain by further calls."""
    return id(error) in getattr(_reading, "told", {})


def one_of_a_chain(
    error: BaseException, tb: TracebackType | None, reader: Callable[[TracebackType | None], _Read], *, members: bool = True
) -> _Read:
    """``read`` for those who show what an exception came out of by further calls, while they show the first."""
    return reader(tb) if is_read(error) else read(error, tb, reader, members=members)[0]


def is_read_by_us() -> bool:
    """Whether what ``traceback`` makes just now in this thread is shown by us to somebody."""
    return getattr(_reading, "by_us", False)


def being_read(error: object) -> Retold | None:
    """What is told of an exception that somebody reads just now."""
    known: Retold | None = getattr(_reading, "told", {}).get(id(error))
    return known


def message(error: object, own: str) -> str:
    """What an exception that somebody reads says; ``own`` where nothing is told of it."""
    tale = being_read(error)
    return own if tale is None else tale.message(own)


def shortened(parts: list[str], tales: list[Retold | None]) -> list[str]:
    """Text in parts in which somebody shows a chain, without engines' texts in its messages."""
    for tale in tales:
        parts = parts if tale is None else [tale.shortened(part) for part in parts]
    return parts


def completed(parts: list[str], tales: list[Retold | None]) -> list[str]:
    """The same, and below it what is told of the first, where that was to be shown with its notes and none were: Python 3.10 has
    none, unless the backport of exception groups shows them.
    """
    parts, first = shortened(parts, tales), tales[0] if tales else None
    if first is None or not first.lines or any(first.lines[0] in part for part in parts):
        return parts
    return parts + [f"{line}\n" for line in first.lines]


@contextlib.contextmanager
def _told_so(told: dict[int, Retold | None]) -> Iterator[None]:
    before, _reading.told = getattr(_reading, "told", {}), told
    try:
        yield
    finally:
        _reading.told = before


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """While somebody shows an error in another way."""
    before, _quiet.on = getattr(_quiet, "on", False), True
    try:
        yield
    finally:
        _quiet.on = before


def is_silent() -> bool:
    """Whether that is so in this thread."""
    return getattr(_quiet, "on", False)


def is_whole(error: BaseException) -> bool:
    """Whether the worker's frames are in the traceback, so that the engine's text of them says nothing more."""
    if not ownership.is_remote_text(static.cause_of(error)):
        return True
    last = static.innermost(static.traceback_of(error))
    if last is not None and made_frames.is_made(last.tb_frame):
        return True
    frames = [
        frame for hop in (attached(error) or {}).get("hops", ()) for frame in hop.get("frames") or () if not hop.get("live")
    ]
    return bool(frames) and all(frame.get("kind") in visible.HIDDEN for frame in frames)  # as of a call that does not fit


def workers_chain(error: BaseException) -> tuple[BaseException | None, BaseException | None, bool] | None:
    """In place of an engine's text as the cause: what the error came out of in the worker, as cause, context, and whether the
    latter is suppressed; None where the chain is its own."""
    record, own_context = attached(error), None
    if record is None or not is_whole(error):
        return None
    if not ownership.is_remote_text(static.cause_of(error)):
        if not _is_without_its_chain(error, record):
            return None
        own_context = static.context_of(error)  # what was being handled where it came out of the worker
    cause, context = _stand_in(record.get("cause")), _stand_in(record.get("context"))
    first = cause or context
    if own_context is not None and first is not None:
        chain.line(first)[-1].__context__ = own_context
    return cause, context, bool(record.get("suppress") or cause is not None)


def _is_without_its_chain(error: BaseException, record: Tree) -> bool:
    """Whether the engine has left behind what the error came out of in the worker, tells it in the error's message (Ray), or has
    lost the worker by it."""
    behind = record.get("cause") or (None if record.get("suppress") else record.get("context"))
    if not behind or static.cause_of(error) is not None or static.suppresses(error):
        return False
    if any(hop.get("died") for hop in record["hops"]):
        return True  # what ended the worker never came out of it
    last = static.innermost(static.traceback_of(error))
    if last is None or not made_frames.is_made(last.tb_frame):
        return False
    context = static.context_of(error)
    return context is None or (behind.get("type") or "").rpartition(".")[2] != type(context).__name__


def _stand_in(tree: Tree | None, most: int = chain.MOST) -> BaseException | None:
    """For the cause of an error in the worker, which stayed there: its type, message and frames."""
    if not tree or not most:
        return None
    module, _, name = (tree.get("type") or "Exception").rpartition(".")
    names = {"__module__": module or "builtins", "__qualname__": name}
    made: BaseException = type(name.rpartition(".")[2], (Exception,), names)(*filter(None, [tree.get("message")]))
    made.__traceback__ = made_frames.chained(made_frames.steps(tree.get("hops") or []))
    made.__cause__, made.__context__ = _stand_in(tree.get("cause"), most - 1), _stand_in(tree.get("context"), most - 1)
    made.__suppress_context__ = bool(tree.get("suppress") or made.__cause__ is not None)
    return made


def read(
    error: BaseException,
    tb: TracebackType | None,
    reader: Callable[[TracebackType | None], _Read],
    *,
    in_notes: bool = False,
    on_first: bool = False,
    members: bool = True,
    engines: bool = False,
) -> tuple[_Read, list[Retold | None]]:
    """What ``reader`` makes of the traceback that it is given while the exceptions are as others are to see them.

    With it what is told of each exception of the chain, in its order.  ``in_notes``: whoever reads has no other place for that;
    ``on_first``: the notes of others are not shown well, the first has all of them; ``members``: those of groups are shown, else
    they are told where the rest is; ``engines``: their frames are to stay.
    """
    if is_read(error):  # by one who shows the members of groups by further calls
        return reader(tb), [being_read(each) for each in chain.line(error)]
    with contextlib.ExitStack() as until_read:
        tales: list[Retold | None] = []
        try:
            if chain.concerns(error) and settings.switch("traceback"):
                tracebacks = [(each, tb if each is error else static.traceback_of(each)) for each in chain.every(error)]
                told = {id(each): of(each, its, with_workers=True) for each, its in tracebacks}
                tales = [told[id(each)] for each in chain.line(error)]
                notes = {} if members else _members_of(error, tales)
                notes = {**notes, **{key: tale.lines for key, tale in told.items() if tale is not None}} if in_notes else {}
                notes = _all_on_first(error, notes) if on_first else notes
                until_read.enter_context(for_a_while(error, notes=notes, engines=engines))
                until_read.enter_context(_told_so(told))
                tb = tb if tales[0] is None or engines else tales[0].tb
        except Exception:
            tales = []  # it is read as it is
        return reader(tb), tales


def _all_on_first(error: BaseException, notes: dict[int, list[str]]) -> dict[int, list[str]]:
    """The notes of a chain as those of the first; what it came out of is named by its type."""
    found: list[str] = []
    for each in chain.line(error):
        lines = notes.get(id(each)) or []
        found += lines if each is error else [f"{type(each).__name__}: {line}" for line in lines[:1]] + lines[1:]
    return {id(error): found}


def _members_of(error: BaseException, tales: list[Retold | None]) -> dict[int, list[str]]:
    """For each group of a chain that has members that came from a worker: all of them, as Python shows them."""
    found: dict[int, list[str]] = {}
    for each, tale in zip(chain.line(error), tales):
        if static.members(each) is not None and chain.concerns(each):
            found[id(each)] = _lines_of_members(each)
            if tale is not None:
                tale.members = found[id(each)]
    return found


def _lines_of_members(group: BaseException) -> list[str]:
    before, _reading.by_us = is_read_by_us(), True
    try:
        shown = traceback.TracebackException(type(group), group, None)
        shown.__cause__ = shown.__context__ = None  # whoever shows it shows them
        text = "".join(shown.format()).splitlines()
    finally:
        _reading.by_us = before
    first = next((at for at, line in enumerate(text) if line.lstrip().startswith("+-+")), len(text))
    return ["\n".join(text[first:])] if text[first:] else []


@contextlib.contextmanager
def for_a_while(
    error: BaseException,
    starting: _Changing = lambda tb: tb,
    notes: Mapping[int, list[str]] = MappingProxyType({}),
    *,
    engines: bool = False,
) -> Iterator[None]:
    """While others look, each exception that is shown is as a direct call would have raised it; afterwards it is as it was.

    ``starting`` takes from each traceback what the one who looks has put before it; ``engines``: their frames are to stay.
    """
    before: list[tuple[BaseException, list[Any], list[Any]]] = []
    try:
        for each in chain.every(error):
            values = [slot.__get__(each) for slot in _SLOTS]
            given = _as_direct(each, values, starting, engines=engines)
            before.append((each, values, given))
            _put(each, given)
        with _noted(chain.every(error), notes):
            yield
    finally:
        for each, values, given in reversed(before):
            if static.traceback_of(each) is given[0]:  # else it was raised anew meanwhile
                _put(each, values)


@contextlib.contextmanager
def _noted(errors: list[BaseException], notes: Mapping[int, list[str]]) -> Iterator[None]:
    """While others look, exceptions have these notes besides their own (``add_note``, which Python shows from 3.11 on)."""
    before: list[tuple[dict[str, Any], Any]] = []
    try:
        for each in errors:
            fields, lines = fields_of(each), notes.get(id(each))
            noted = dict.get(fields, NOTES)
            if lines and (noted is None or type(noted) is list):
                before.append((fields, noted))
                dict.__setitem__(fields, NOTES, [*(noted or ()), *lines])
        yield
    finally:
        for fields, noted in before:
            if noted is None:
                dict.pop(fields, NOTES, None)
            else:
                dict.__setitem__(fields, NOTES, noted)


def _as_direct(error: BaseException, values: list[Any], starting: _Changing, *, engines: bool) -> list[Any]:
    """What the slots of an exception are to hold."""
    if not is_whole(error):
        return values
    tb, *others = values
    tb = starting(tb)
    tb = tb if engines or settings.value("frames") == "all" else without_engines(tb)
    return [tb, *(workers_chain(error) or others)]


_SLOTS = [BaseException.__dict__[name] for name in ("__traceback__", "__cause__", "__context__", "__suppress_context__")]


def _put(error: BaseException, values: list[Any]) -> None:
    """In place, whatever the class of the program's says; a cause sets the last of them, which comes last."""
    for slot, value in zip(_SLOTS, values):
        slot.__set__(error, value)


def without_engines(tb: TracebackType | None) -> TracebackType | None:
    """A traceback without engines' frames, unless it has no others."""
    return _joined(each for each in reversed([*_entries(tb)]) if not is_engines(each)) or tb


def _joined(entries: Iterable[TracebackType]) -> TracebackType | None:
    """A traceback of entries of others, the last of them first."""
    result: TracebackType | None = None
    for each in entries:
        result = TracebackType(result, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return result


def is_engines(entry: TracebackType) -> bool:
    """Whether an entry of a traceback is an engine's, or ours."""
    return ownership.kind_of_frame(entry.tb_frame) in visible.HIDDEN


def _entries(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _commands_told(error: BaseException) -> set[Any]:
    """The shell commands, with what they wrote, that are told of what the error came out of, which is shown before it."""
    records = map(attached, chain.line(error)[1:])
    return {hop.get("command") for record in records if record is not None for hop in record.get("hops", ())}


def _places(trace: Trace, entries: list[TracebackType], *, with_call: bool, known: Container[Any]) -> list[tuple[int, list[str]]]:
    """For each hop that has something to say: the number of the entry before which it does, and the lines.

    ``known`` are the commands that are told already.  Frames that no hop knows, as of one who asked before, are the driver's:
    what is told of a worker none of whose frames is shown stands below them.
    """
    keys = [(each.tb_frame.f_code.co_name, each.tb_lineno, _file(each.tb_frame.f_code.co_filename)) for each in entries]
    found: list[tuple[int, list[str]]] = []
    at, is_below = 0, False
    hops = trace.stack.hops
    seen = max((number for number, hop in enumerate(hops) if _is_shown(hop)), default=0)
    for number, hop in enumerate(hops):
        first, at, is_found = _passed(hop, keys, at)
        is_below = number > seen and (is_below or not is_found)
        first = len(keys) if is_below else first
        where = ", ".join(phrases.where(hop, trace))
        beside = [] if hop.command and hop.command in known else phrases.beside(hop)
        told = [where, hop.call if with_call else "", *beside, *_crashed_at(hop)]
        lines = [clean.line(line) for line in told if line]
        if lines:
            found.append((first, lines))
    return found


def _is_shown(hop: Hop) -> bool:
    """Whether a traceback has frames of it that are shown."""
    return not hop.died and any(isinstance(frame, Frame) and frame.kind not in visible.HIDDEN for frame in hop.frames)


def _crashed_at(hop: Hop) -> list[str]:
    """Where a worker was when it crashed, innermost last: its frames are in no traceback."""
    frames = [frame for frame in hop.frames if hop.died and isinstance(frame, Frame) and frame.kind == ownership.USER]
    return [f"at {sources.place(frame.path, frame.line, frame.name)}" for frame in frames[-MOST_CRASHED:]]


MOST_CRASHED = 3  # frames


def _passed(hop: Hop, keys: list[tuple[str, int, str]], at: int) -> tuple[int, int, bool]:
    """The first entry from ``at`` on that is a frame of the hop's, and the one after the last; whether there is one."""
    first = at
    is_found = False
    for frame in hop.frames:
        if isinstance(frame, Frame):
            try:
                here = keys.index((frame.name, frame.line, _file(frame.path)), at)
            except ValueError:
                continue  # one that is hidden
            first, is_found, at = first if is_found else here, True, here + 1
    return first, at, is_found


def _file(path: str) -> str:
    return sources.called(path).replace("\\", "/").rpartition("/")[2]
