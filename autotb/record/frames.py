"""A traceback as plain data: its frames with positions, the source around them and the local variables, cut into hops.

Flows in: tracebacks.  Flows out: lists of dicts of builtins, for ``capture``.
"""

from __future__ import annotations

import itertools
import linecache
import os
import sys
from types import CodeType, TracebackType

from autotb import engine_facts, settings
from autotb.record import made_frames, ownership, safe_repr, schema, shipped_code, sources, static
from autotb.record.process_start import own_start

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from types import FrameType
    from typing import Any

    from autotb.record.schema import Frame, Hop, Place

    _Call = tuple[CodeType, int, int, Any]  # code, line, instruction, frame

MAX_FRAMES = 60  # at each end of a hop, after repeated cycles are folded
MAX_LINE = 1_000  # characters of a source line that are kept
MAX_UNFOLDED = 10_000  # frames of a recursion that are looked for in a traceback
MAX_SPAN = 30  # lines of a failing expression that are kept
MAX_LOCALS = 30  # variables of a frame
MAX_KNOWN = 500  # frames that are remembered
HAS_POSITIONS = sys.version_info >= (3, 11)
_FILE_LOADER = sys.modules["_frozen_importlib_external"].SourceFileLoader

RawFrame = tuple["Any", int, int]  # frame, tb_lasti, tb_lineno


def _status(path: str) -> tuple[int, float, int] | None:
    """What linecache knows a file's version by, and its number; None where there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime, status.st_ino


class _Known:
    """Frames that were read before, without variables: a place that fails often is described once."""

    def __init__(self) -> None:
        self.frames: dict[tuple[Any, ...], tuple[CodeType, object, Frame]] = {}

    def get(self, key: tuple[Any, ...], code: CodeType, state: object) -> Frame | None:
        """A copy of the frame, where the code is the same and its file's lines are."""
        found = self.frames.get(key)
        return found[2].copy() if found is not None and found[0] is code and found[1] == state else None

    def keep(self, key: tuple[Any, ...], code: CodeType, state: object, frame: Frame) -> None:
        """Remember a frame; the code is held so that no other takes its ``id``."""
        if len(self.frames) >= MAX_KNOWN:
            self.frames.clear()
        self.frames[key] = code, state, frame.copy()


_known = _Known()


class Frames:
    """Reads frames: ``context`` source lines on either side, local variables where they are wanted."""

    def __init__(self, context: int, local_variables: bool) -> None:
        self.context = context
        self.local_variables = local_variables
        self.checked: dict[str, object] = {}  # files whose cached source is known to be fresh, and what was seen of them

    def of_place(self, place: Place) -> Frame:
        """A frame made of a remembered place: where the result was asked for, when no traceback tells it."""
        path, line = place["path"], place["line"]
        frame: Frame = {"path": path, "line": line, "name": place["name"], "module": "", "kind": ownership.USER}
        source = self._source(path, line, {}, None)
        if source is not None:
            frame["source"] = source
        return frame

    def read(self, raw: list[RawFrame]) -> list[Frame]:
        """Frames as data, repeated cycles of a recursion folded into ``{"repeated": count, "cycle": length}``."""
        result: list[Frame] = []
        for item in _fold([(frame.f_code, line, lasti, frame) for frame, lasti, line in raw]):
            if not isinstance(item, tuple):
                result.append(item)
            else:
                code, line, lasti, frame = item
                result.append(self._frame(code, line, lasti, frame, is_last=frame is raw[-1][0]))
        if len(result) > 2 * MAX_FRAMES:
            left_out = len(result) - 2 * MAX_FRAMES
            result = [*result[:MAX_FRAMES], {"omitted": left_out}, *result[-MAX_FRAMES:]]
        _adopt_scripts_of_engines(result)
        return result

    def _frame(self, code: CodeType, line: int, lasti: int, frame: FrameType, *, is_last: bool) -> Frame:
        path, module = shipped_code.path_of(code, frame.f_globals), static.name_of(frame)
        module = module if module != ownership.REBUILT else ""
        kind = ownership.kind_of(path, module)
        has_source = is_last or kind not in (ownership.ENGINE, ownership.OWN)
        key = (id(code), line, lasti, kind, module, self.context if has_source else -1, id(frame.f_globals))
        result = _known.get(key, code, self._state(path))
        if result is None:
            result = {"path": path, "line": line or 0, "name": static.exact(code.co_name), "module": module, "kind": kind}
            self._describe(result, code, lasti, frame, has_source)
            _known.keep(key, code, self._state(path), result)
        if self.local_variables and kind == ownership.USER and code.co_name != "<module>":
            result["locals"] = _locals(frame)
            parameters = _parameters(code, result["locals"])
            if parameters:
                result["args"] = parameters
        return result

    def _state(self, path: str) -> object:
        """Changes when the lines of a file may have: on the disk, or in ``linecache``, where programs may put them."""
        if path not in self.checked:
            self.checked[path] = None
            try:
                status = _status(path)
                self.checked[path] = status
                cached: Any = linecache.cache.get(path)
                if cached is not None and (status is None or cached[:2] != status[:2]):
                    linecache.checkcache(path)
            except BaseException:  # a path with NUL in it, an entry of the program's own
                pass
        return self.checked[path], id(linecache.cache.get(path))

    def _describe(self, result: Frame, code: CodeType, lasti: int, frame: FrameType, has_source: bool) -> None:
        """What does not change from one failure of this line to the next."""
        is_rebuilt = static.is_rebuilt(code)
        if HAS_POSITIONS and not is_rebuilt:
            result["qualname"] = static.exact(code.co_qualname)  # type: ignore[attr-defined,unused-ignore]
            _add_position(result, code, lasti)
        if not has_source:
            return
        if code.co_firstlineno < result["line"] and not is_rebuilt:
            result["first"] = code.co_firstlineno
        loading = _loading(frame)
        source = self._source(result["path"], result["line"], loading, result)
        if source is not None:
            result["source"] = source
            if not is_rebuilt and _is_files_own(code, loading, result["module"]) and changed(code):
                result["changed"] = True
        elif result["kind"] == ownership.USER and not is_rebuilt:
            result["code"] = shipped_code.fingerprint(code)

    def _source(self, path: str, line: int, globals_: dict[str, Any], frame: Frame | None) -> list[Any] | None:
        """``[number of the first line, [lines]]`` around ``line``; None where no source can be had."""
        self._state(path)
        lines = sources.lines(path, globals_)
        if not lines or line < 1 or line > len(lines):
            return None
        first = max(1, line - self.context)
        last = max(line + self.context, min((frame or {}).get("end_line", line), line + MAX_SPAN))
        chosen = [static.text_of(text).rstrip("\r\n") for text in lines[first - 1 : last]]
        if frame is not None and "col" in frame:
            _to_characters(frame, chosen[line - first], dict(enumerate(chosen, first)).get(frame["end_line"]))
        for number, text in enumerate(chosen):
            if len(text) > MAX_LINE:
                at = frame if frame is not None and number == line - first else None
                chosen[number] = _window(text, at)
        return [first, chosen]


def live_call(raw: list[RawFrame]) -> str:
    """The call that the first user frame of a hop is, with its arguments, as far as the frame still holds them."""
    for frame, _, _ in raw:
        if ownership.kind_of_frame(frame) == ownership.USER:
            return (safe_repr.frame_call(frame) or "") if settings.switch("args") else ""
    return ""


def _where(frame: FrameType) -> tuple[str, str]:
    return static.name_of(frame), static.exact(frame.f_code.co_name)


def _loading(frame: FrameType) -> dict[str, Any]:
    """What linecache asks a frame's globals for: how the module was loaded.  What answers for itself is not asked."""
    spec = dict.get(frame.f_globals, "__spec__")
    told = static.attributes(spec) if spec is not None else {}
    loader = told.get("loader")
    loader = dict.get(frame.f_globals, "__loader__") if loader is None else loader
    return {
        "__name__": static.text_of(told.get("name")) or static.name_of(frame),
        "__loader__": loader if static.is_silent(loader, "get_source") else None,
        "__file__": dict.get(frame.f_globals, "__file__"),
    }


def walk(tb: TracebackType | None) -> list[RawFrame]:
    """The frames of a traceback but for those that are made of a record."""
    raw = []
    while tb is not None:
        if not made_frames.is_made(tb.tb_frame):
            raw.append((tb.tb_frame, tb.tb_lasti, tb.tb_lineno))
        tb = tb.tb_next
    if ownership.is_packed():
        ownership.adopt_program([frame for frame, _, _ in raw])
    return raw


def made(tb: TracebackType | None) -> list[tuple[Hop, list[RawFrame]]]:
    """Those alone, by where they ran: of an exception that has them and no record, as one that was given another's traceback."""
    found: list[tuple[Hop, list[RawFrame]]] = []
    mark: made_frames.Mark | None = None
    while tb is not None:
        if made_frames.is_made(tb.tb_frame):
            last, mark = mark, tb.tb_frame.f_globals[made_frames.MARK]
            if mark is not last:
                found.append((schema.without(mark.hop, "live", "twice"), []))
            found[-1][1].append((tb.tb_frame, tb.tb_lasti, tb.tb_lineno))
        tb = tb.tb_next
    return found


def told(tb: TracebackType | None) -> Any:
    """The record that the last frame of a traceback was made of; None where it was not made of one."""
    last = static.innermost(tb)
    return last.tb_frame.f_globals[made_frames.MARK].told if last is not None and made_frames.is_made(last.tb_frame) else None


def segments(raw: list[RawFrame]) -> list[tuple[bool, list[RawFrame]]]:
    """Cut a traceback where an engine runs the user's function; drop what an older asking for the same exception left behind.

    A future of a thread pool failed in ``score``; ``main`` asked for it in ``first``, caught its error, and asked in ``second``.
    Python has put the frames of both askings before those of the thread:

    ==========================  ======================  ==================================================================
    frame                       by the engines' facts   in which segment
    ==========================  ======================  ==================================================================
    ``main``                                            1, ``is_run`` false
    ``second``                                          1
    ``Future.result``           asks                    1
    ``Future.__get_result``     asks                    1
    ``main``                                            none: the older asking, as another one follows
    ``first``                                           none
    ``Future.result``           asks                    1, where it is hidden as the engine's
    ``Future.__get_result``     asks                    1
    ``_WorkItem.run``           runs                    2, ``is_run`` true
    ``score``                                           2
    ==========================  ======================  ==================================================================
    """
    segments: list[tuple[bool, list[RawFrame]]] = []
    current: list[RawFrame] = []
    is_run = False
    asked = stale = False
    for item in raw:
        frame = item[0]
        where = _where(frame)
        if where in engine_facts.facts.runs:
            if current or is_run:
                segments.append((is_run, current))
            current, is_run, asked, stale = [item], True, False, False
            continue
        if where in engine_facts.facts.asks:
            asked, stale = True, False
        elif asked and not stale:
            stale = ownership.kind_of_frame(frame) not in (ownership.ENGINE, ownership.OWN)
            if stale:
                # User frames under an asking: either an older asking follows (they are stale), or the engine re-raised a
                # traceback that it carried itself (they are the worker's).
                stale = _asks_again(raw, item)
                asked = stale
        if not stale:
            current.append(item)
    if current or is_run:
        segments.append((is_run, current))
    return segments


def begins(hop: Hop, tb: TracebackType | None) -> bool:
    """Whether a hop whose frames an engine brings along begins, in the traceback, with one that runs the user's function."""
    shown = hop.get("brought") or hop.get("frames", ())
    if not any((frame.get("module"), frame.get("name")) in engine_facts.facts.runs for frame in shown):
        return False
    told = _positions([hop]) or _positions([hop], of_users=False)[-1:]
    return not {_position(item) for _, raw in made(tb) for item in raw}.issuperset(told)


def without_tail(
    segments: list[tuple[bool, list[RawFrame]]], hops: list[Hop], below: list[Hop]
) -> list[tuple[bool, list[RawFrame]]]:
    """Drop the frames that an engine brought along from a worker, at the end of a traceback, where the record has them as well.

    Such an engine (Dask) leaves out frames of its own, so that nothing marks where the worker's begin.  Where none of them is the
    user's, as of a result that could not be pickled, all are compared.

    ==================================================  ====================================
    traceback                                           the record's hop
    ==================================================  ====================================
    ``main`` → ``Client.gather`` → ``load`` → ``parse``  ``load`` → ``parse``
    ==================================================  ====================================

    What remains is ``main`` → ``Client.gather``.  The worker may have had the error from processes further ``below``: their
    frames were made for it there (``made_frames``) and are brought along like any other.
    """
    told = _positions(below)
    if told and _users_of(segments)[-len(told) :] == told:
        segments = _cut(segments, told, of_users=True)
    users = _positions(hops)
    cut = _cut(segments, users or _positions(hops, of_users=False), of_users=bool(users))
    return cut if cut == segments else _without_libraries(cut, set(_positions(hops, of_users=False)))


def _without_libraries(
    segments: list[tuple[bool, list[RawFrame]]], told: set[tuple[str, int, str]]
) -> list[tuple[bool, list[RawFrame]]]:
    """Without a library's frames at the end that called the user's: Dask leaves compiled ones in (pandas' ``map_infer``)."""
    while segments:
        is_run, raw = segments[-1]
        item = raw[-1]
        if ownership.kind_of_frame(item[0]) in (ownership.USER, ownership.ENGINE, ownership.OWN) or _position(item) not in told:
            break
        segments = [*segments[:-1], *([(is_run, raw[:-1])] if raw[:-1] else [])]
    return segments


def _users_of(segments: list[tuple[bool, list[RawFrame]]]) -> list[tuple[str, int, str]]:
    return [_position(item) for _, raw in segments for item in raw if ownership.kind_of_frame(item[0]) == ownership.USER]


def _position(item: RawFrame) -> tuple[str, int, str]:
    frame, _, line = item
    return static.exact(frame.f_code.co_filename), line, static.exact(frame.f_code.co_name)


def _cut(
    segments: list[tuple[bool, list[RawFrame]]], told: list[tuple[str, int, str]], *, of_users: bool
) -> list[tuple[bool, list[RawFrame]]]:
    """Without the frames at the end that are told of, as far as these go."""
    uncut = segments
    while segments and told:
        is_run, raw = segments[-1]
        kept = list(raw)
        while kept and told:
            path, line, name = _position(kept[-1])
            if not of_users or ownership.kind_of_frame(kept[-1][0]) == ownership.USER:
                if path == shipped_code.NAME:  # the record may know the lost file
                    path = told[-1][0]
                if (path, line, name) != told[-1]:
                    return uncut  # the engine's frames from here on are told nowhere else
                told.pop()
                uncut = [*segments[:-1], (is_run, kept[:-1])]
            kept.pop()
        segments = [*segments[:-1], (is_run, kept)] if kept else segments[:-1]
    return [(is_run, raw) for is_run, raw in uncut if raw]


def _positions(hops: list[Hop], of_users: bool = True) -> list[tuple[str, int, str]]:
    """Path, line and function of the user's frames of these hops, or of all, folded recursions unfolded."""
    found: list[Frame] = []
    for hop in hops:
        for frame in hop.get("brought") or hop.get("frames", ()):
            if "path" in frame:
                found.append(frame)
            elif frame.get("repeated") and 0 < frame["cycle"] <= len(found) < MAX_UNFOLDED:
                found += found[-frame["cycle"] :] * min(frame["repeated"], MAX_UNFOLDED // frame["cycle"])
    return [
        (frame["path"], frame["line"], frame["name"]) for frame in found if not of_users or frame.get("kind") == ownership.USER
    ]


def _asks_again(raw: list[RawFrame], item: RawFrame) -> bool:
    for frame, _, _ in raw[raw.index(item) :]:
        where = _where(frame)
        if where in engine_facts.facts.runs:
            return False
        if where in engine_facts.facts.asks:
            return True
    return False


def _fold(items: list[_Call]) -> list[_Call | Frame]:
    """Replace the later turns of a repeated cycle (up to 10 frames long) by a count.

    ``main, even, odd, even, odd, … even, odd`` becomes ``main, even, odd, {"repeated": 499, "cycle": 2}``.
    """
    if len(items) < 40:
        return list(items)
    keys = [(item[0], item[1]) for item in items]
    result: list[_Call | Frame] = []
    at = 0
    while at < len(items):
        for cycle in range(1, 11):
            turns = 1
            while keys[at : at + cycle] == keys[at + turns * cycle : at + (turns + 1) * cycle] != []:
                turns += 1
            if turns > 3 and len(keys[at : at + cycle]) == cycle:
                result += items[at : at + cycle]
                result.append({"repeated": turns - 1, "cycle": cycle})
                at += turns * cycle
                break
        else:
            result.append(items[at])
            at += 1
    return result


def _adopt_scripts_of_engines(frames: list[Frame]) -> None:
    """Code without a file or a module's name, run directly by an engine, is the engine's (Parsl executes a line of its own)."""
    for before, frame in itertools.pairwise(frames):
        if frame.get("path") == "<string>" and not frame["module"] and before.get("kind") == ownership.ENGINE:
            frame["kind"] = ownership.ENGINE
            frame.pop("locals", None)


def _add_position(result: Frame, code: CodeType, lasti: int) -> None:
    positions = code.co_positions()  # type: ignore[attr-defined,unused-ignore]
    for index, (line, end_line, col, end_col) in enumerate(positions):
        if index == lasti // 2:
            if line == result["line"] and None not in (end_line, col, end_col):
                result["end_line"], result["col"], result["end_col"] = end_line, col, end_col
            return


def _to_characters(frame: Frame, text: str, end_text: str | None) -> None:
    """Columns come as UTF-8 bytes; the reader's are characters."""
    frame["col"] = _character(text, frame["col"])
    if end_text is not None:
        frame["end_col"] = _character(end_text, frame["end_col"])


def _character(text: str, column: int) -> int:
    return column if text.isascii() else len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "replace"))


def _window(text: str, frame: Frame | None) -> str:
    """A very long line, cut around the failing expression, with the counts of what was cut."""
    start = max(0, frame["col"] - MAX_LINE // 2) if frame is not None and "col" in frame else 0
    end = min(len(text), start + MAX_LINE)
    before = f"({start:,} characters) …" if start else ""
    after = f"… ({len(text) - end:,} characters)" if end < len(text) else ""
    if frame is not None and "col" in frame:
        shift = len(before) - start
        frame["col"] += shift
        if frame["end_line"] == frame["line"]:
            frame["end_col"] = min(frame["end_col"], end) + shift
    return before + text[start:end] + after


def _locals(frame: FrameType) -> dict[str, str]:
    try:
        if made_frames.is_made(frame):
            return {name: repr(value) for name, value in frame.f_locals.items() if type(value) is made_frames.Text}
        values = static.variables(frame)
        names = [name for name in values if type(name) is str and not name.startswith(".")]
        shown = {name: safe_repr.brief(values[name], name) for name in names[:MAX_LOCALS]}
    except Exception:
        return {}
    if len(names) > MAX_LOCALS:
        shown["…"] = f"{len(names) - MAX_LOCALS} more variables"
    return shown


def _parameters(code: CodeType, texts: dict[str, str]) -> int:
    """How many of a frame's variables, the first ones, are its parameters, where it still has all of them in their order."""
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    return count if count and [*texts][count - 1 : count] == [code.co_varnames[count - 1]] else 0


_changed: dict[tuple[str, float], set[tuple[str, int, bytes]]] = {}
_MAX_CHANGED_SIZE = 2_000_000  # bytes of a source file that is compiled to be compared


def changed(code: CodeType) -> bool:
    """Whether the source file is no longer what ``code`` was compiled from.

    Only a file written after its module was imported can have changed, so nearly always one ``stat`` answers.
    """
    try:
        status = os.stat(code.co_filename)
        if status.st_mtime < own_start() / 1e9 - 0.1 or status.st_size > _MAX_CHANGED_SIZE:
            return False
        key = (code.co_filename, status.st_mtime)
        known = _changed.get(key)
        if known is None:
            with open(code.co_filename, "rb") as file:
                whole = compile(file.read(), code.co_filename, "exec", dont_inherit=True, optimize=-1)
            known = set(map(shipped_code.identity, shipped_code.within(whole)))
            _changed.clear()  # other threads may do so at any time
            _changed[key] = known
        return shipped_code.identity(code) not in known
    except (OSError, SyntaxError, ValueError):
        return code.co_filename.endswith(".py") and os.path.isabs(code.co_filename) and os.path.exists(code.co_filename)


def _is_files_own(code: CodeType, loading: dict[str, Any], module: str) -> bool:
    """Whether Python itself compiled ``code`` from the file, all of it and nothing else.

    Notebooks (marimo), pytest and others compile what they make of a file, under its name, and may do so at any time.
    """
    loader = loading.get("__loader__")
    if type(loader) is _FILE_LOADER:
        path = static.attributes(loader).get("path")
    else:
        path = loading.get("__file__") if module == "__mp_main__" else None  # of a spawned worker
    return type(path) is str and os.path.abspath(path) == os.path.abspath(code.co_filename)
