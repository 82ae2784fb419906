"""An exception as plain data: its frames with source and local variables, its causes, notes and members.

Flows in: a live exception, in a worker or in the driver, and what workers attached to it.  Flows out: a *tree*, a dict of
builtins only, that can be pickled, sent, stored and drawn without the exception.  See :data:`KEYS` for what it holds.
"""

from __future__ import annotations

import functools
import itertools
import linecache
import os
import sys
import traceback
from types import CodeType, TracebackType

from autotb import registry, summary

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

VERSION = 1
KEY = "__autotb__"  # where a worker's record hangs in an exception's __dict__

#: The keys of a tree.  A *hop* is one process or thread: where it was, what was called, and its frames, outermost first.
KEYS = {
    "v": "version of this form, 1",
    "type": "the exception's type as Python prints it",
    "message": "str(exception), cut at MAX_MESSAGE characters",
    "final": "the last lines as Python prints them, only where they are more than type and message",
    "notes": "the texts of add_note",
    "hops": "list of hops: where, engine, pid, host, thread, job, call, submitted, frames",
    "cause": "tree of the explicit cause, or None",
    "context": "tree of the implicit context, or None",
    "members": "trees of an exception group's members, or None",
    "text": "a worker's traceback as text, where nothing better arrived",
    "also": "trees of other errors that the same tasks failed of",
    "broken": "one line for each task that failed only because of this error",
    "lost": "what could not travel",
    "cut": "what was left out to keep the record small",
}

MAX_MESSAGE = 10_000  # characters
MAX_FRAMES = 60  # at each end of a hop, after repeated cycles are folded
MAX_LINE = 1_000  # characters of a source line that are kept
MAX_LOCALS = 30  # variables of a frame
MAX_CHAIN = 50  # exceptions in one tree
HAS_POSITIONS = sys.version_info >= (3, 11)

# An exception's class may answer attribute look-ups as it likes, or raise: these do not ask it.
fields_of = BaseException.__dict__["__dict__"].__get__
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppresses = BaseException.__dict__["__suppress_context__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_module_of = type.__dict__["__module__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__

Tree = dict[str, "Any"]
Hop = dict[str, "Any"]
_RawFrame = tuple["Any", int, int]  # frame, tb_lasti, tb_lineno


class Capture:
    """One run over an exception and everything it is chained to."""

    def __init__(self, *, context: int = 3, local_variables: bool = True) -> None:
        self.context = context
        self.local_variables = local_variables
        self.seen: set[int] = set()
        self.checked: set[str] = set()

    def tree(self, exc: BaseException, tb: TracebackType | None = None, place: Hop | None = None) -> Tree:
        """The tree of ``exc``; ``place`` describes the worker that its traceback belongs to."""
        self.seen.add(id(exc))
        opened = registry.open_wrapper(exc)
        record = attached(exc)
        told = record if record is not None and "type" in record else None
        headline = opened.headline if opened is not None and opened.headline is not None else exc
        tree = _headline(headline, told, wrapped=opened is not None)
        tree["hops"] = self._hops(tb or _traceback_of(exc), record, place)
        if opened is not None and opened.broken:
            tree["broken"] = list(opened.broken)
        if opened is not None and opened.roots:
            return self._passed_on(tree, opened.roots)
        self._chain(tree, exc, told, opened)
        return tree

    def _passed_on(self, tree: Tree, roots: tuple[BaseException, ...]) -> Tree:
        """A wrapper that only passes ``roots`` on: where it was asked for is the wrapper's, the rest of the story the root's."""
        inner, *others = [self.tree(root) for root in roots]
        for hop in inner["hops"][:1]:
            if not hop.get("where"):  # an older asking for the root itself
                hop["frames"] = [frame for frame in hop["frames"] if frame.get("kind") != registry.USER]
        asked = [{key: value for key, value in hop.items() if key != "submitted"} for hop in tree["hops"]]
        inner["hops"] = asked + inner["hops"]
        inner["broken"] = tree.get("broken", []) + inner.get("broken", [])
        inner["also"] = others + inner.get("also", [])
        return inner

    def _chain(self, tree: Tree, exc: BaseException, told: Tree | None, opened: Any) -> None:
        members = getattr(exc, "exceptions", None) if _is_group(exc) else None
        if told is not None:
            for key in ("cause", "context", "lost", "cut", "text", "also", "broken"):
                if told.get(key):
                    tree[key] = told[key] + tree.get(key, []) if key == "broken" else told[key]
            tree["members"] = told.get("members") if members is None or not _own_members(members) else self._members(members)
        elif members is not None:
            tree["members"] = self._members(members)
        if opened is not None and opened.text and told is None:
            tree["text"] = opened.text
        cause, context = _cause_of(exc), _context_of(exc)
        if registry.is_remote_text(cause):
            if told is None:
                tree.setdefault("text", _text_of(cause))
            cause = None
            hidden = told is not None and (
                told.get("suppress") or told.get("cause") is not None or told.get("context") is not None
            )
            if context is not None and (hidden or registry.is_remote_text(context)):
                context = None
        elif _suppresses(exc):
            context = None
        if told is not None and told.get("suppress"):
            tree["suppress"] = True
        if cause is not None:
            context = None
        self._add(tree, "cause", cause)
        self._add(tree, "context", context)
        if _suppresses(exc) and cause is None and told is None:
            tree["suppress"] = True

    def _add(self, tree: Tree, key: str, exc: BaseException | None) -> None:
        if exc is None or id(exc) in self.seen or tree.get(key):
            return
        if len(self.seen) < MAX_CHAIN:
            tree[key] = self.tree(exc)
        else:
            tree["cut"] = f"the chain goes on beyond {MAX_CHAIN} exceptions"

    def _members(self, members: Any) -> list[Tree]:
        return [
            self.tree(member) if id(member) not in self.seen else {**_headline(member, None), "hops": []} for member in members
        ]

    def _hops(self, tb: TracebackType | None, record: Tree | None, place: Hop | None) -> list[Hop]:
        hops = list(record.get("hops", ())) if record else []
        # Hops of this process have their frames in the traceback; so have those of engines that bring real tracebacks along
        # ("twice"): there the record's are better.
        here = [hop for hop in hops if hop.get("live") or hop.get("twice")]
        remote = [hop for hop in hops if not hop.get("live") and not hop.get("twice")]
        segments = _segments(_walk(tb))
        result: list[Hop] = []
        runs = sum(1 for is_run, _ in segments if is_run)
        surplus, waiting = max(0, len(here) - runs), max(0, runs - len(here))
        remote = [hop for hop in here[:surplus] if hop.get("twice")] + remote
        here = here[surplus:]
        for is_run, raw in segments:
            if not is_run or waiting:
                waiting -= is_run
                result.append({"frames": self.frames(raw)})
            else:
                hop = here.pop(0)
                if "call" not in hop and hop.get("live"):
                    hop = {**hop, "call": live_call(raw)}
                kept = {key: value for key, value in hop.items() if key not in ("live", "twice")}
                result.append({"frames": self.frames(raw), **kept})
        if place is not None:
            result = result or [{"frames": []}]
            result[0] = {**place, "frames": result[0]["frames"]}
        asked = record.get("asked") if record else None
        if asked and place is None and not any(frame.get("kind") == registry.USER for hop in result for frame in hop["frames"]):
            result.insert(0, {"frames": [self.place_frame(asked)]})
        submitted = record.get("submitted") if record else None
        if submitted and not hops and not any(hop.get("submitted") for hop in result):
            remote = [{"frames": [], "submitted": submitted}]
        return result + remote

    def place_frame(self, place: dict[str, Any]) -> dict[str, Any]:
        """A frame made of a remembered place: where the result was asked for, when no traceback tells it."""
        path, line = place["path"], place["line"]
        return {
            "path": path,
            "line": line,
            "name": place["name"],
            "module": "",
            "kind": registry.USER,
            "source": self._source(path, line, {}, None),
        }

    def frames(self, raw: list[_RawFrame]) -> list[dict[str, Any]]:
        """Frames as data, repeated cycles of a recursion folded into ``{"repeated": count, "cycle": length}``."""
        result: list[dict[str, Any]] = []
        for item in _fold([(frame.f_code, line, lasti, frame) for frame, lasti, line in raw]):
            if isinstance(item, dict):
                result.append(item)
            else:
                code, line, lasti, frame = item
                result.append(self._frame(code, line, lasti, frame))
        if len(result) > 2 * MAX_FRAMES:
            left_out = len(result) - 2 * MAX_FRAMES
            result = [*result[:MAX_FRAMES], {"omitted": left_out}, *result[-MAX_FRAMES:]]
        _adopt_scripts_of_engines(result)
        return result

    def _frame(self, code: CodeType, line: int, lasti: int, frame: Any) -> dict[str, Any]:
        module = frame.f_globals.get("__name__")
        module = module if isinstance(module, str) else ""
        kind = registry.kind_of(code.co_filename, module)
        result: dict[str, Any] = {
            "path": code.co_filename,
            "line": line,
            "name": code.co_name,
            "module": module,
            "kind": kind,
        }
        if HAS_POSITIONS:
            result["qualname"] = code.co_qualname  # type: ignore[attr-defined,unused-ignore]
            _add_position(result, code, lasti)
        if kind in (registry.ENGINE, registry.OWN):
            return result
        source = self._source(code.co_filename, line, frame.f_globals, result)
        if source is not None:
            result["source"] = source
            if changed(code):
                result["changed"] = True
        elif kind == registry.USER:
            result["code"] = code.co_code.hex()[:16] + f"-{len(code.co_code)}-{code.co_firstlineno}"
        if self.local_variables and kind == registry.USER and code.co_name != "<module>":
            result["locals"] = _locals(frame)
        return result

    def _source(self, path: str, line: int, globals_: dict[str, Any], frame: dict[str, Any] | None) -> list[Any] | None:
        """``[number of the first line, [lines]]`` around ``line``; None where no source can be had."""
        if path not in self.checked:
            self.checked.add(path)
            linecache.checkcache(path)
        lines = linecache.getlines(path, globals_)
        if not lines or line < 1 or line > len(lines):
            return None
        first = max(1, line - self.context)
        chosen = [text.rstrip("\r\n") for text in lines[first - 1 : line + self.context]]
        if frame is not None and "col" in frame:
            _to_characters(frame, chosen[line - first])
        for number, text in enumerate(chosen):
            if len(text) > MAX_LINE:
                at = frame if frame is not None and number == line - first else None
                chosen[number] = _window(text, at)
        return [first, chosen]


def attached(exc: BaseException) -> Tree | None:
    """The record that a worker hung on ``exc``, where there is one that we can read.

    A *light* record, the tuple ``(version, base, call)``, shares ``base`` with others from the same place; it is unfolded here.
    """
    record = fields_of(exc).get(KEY)
    if type(record) is tuple and len(record) == 3 and record[0] == VERSION:
        return _unfolded(exc, record[1], record[2])
    return record if type(record) is dict and record.get("v") == VERSION else None


def _unfolded(exc: BaseException, base: Hop, call: str | None) -> Tree:
    hop = {key: value for key, value in base.items() if key not in ("type", "cut")}
    if call is not None:
        hop["call"] = call
    tree: Tree = {"v": VERSION, "hops": [hop]}
    if "type" in base:
        tree |= {"type": base["type"], "message": message_of(exc), "cut": base["cut"]}
    return tree


def live_call(raw: list[_RawFrame]) -> str:
    """The call that the first user frame of a hop is, with its arguments, as far as the frame still holds them."""
    from autotb import settings

    for frame, _, _ in raw:
        if registry.kind_of_code(frame.f_code, frame.f_globals.get("__name__")) == registry.USER:
            return (summary.frame_call(frame) or "") if settings.switch("args") else ""
    return ""


def type_name(kind: type) -> str:
    """A type as Python's last line names it."""
    module, name = _module_of(kind), _qualname_of(kind)
    if module in ("builtins", "__main__", "__mp_main__") or not isinstance(module, str):
        return str(name)
    return f"{module}.{name}"


def message_of(exc: BaseException) -> str:
    """``str(exc)``, or Python's own substitute where that raises."""
    try:
        text = str(exc)
    except Exception:
        return "<exception str() failed>"
    return text if type(text) is str else str.__str__(text)


def _headline(exc: BaseException, told: Tree | None, wrapped: bool = False) -> Tree:
    tree: Tree = {"v": VERSION, "type": type_name(type(exc)), "message": summary.cut(message_of(exc), MAX_MESSAGE)}
    if told is not None and (
        wrapped or told.get("lost") or told["type"].rpartition(".")[2] != type_name(type(exc)).rpartition(".")[2]
    ):
        tree["type"], tree["message"] = told["type"], told["message"]
        if told.get("lost"):
            tree["lost"] = told["lost"]
    notes = fields_of(exc).get("__notes__") or (told or {}).get("notes") or []
    if isinstance(notes, (list, tuple)):
        tree["notes"] = [summary.cut(note if isinstance(note, str) else summary.brief(note), MAX_MESSAGE) for note in notes[:100]]
    final = told.get("final") if told else final_lines(exc)
    if final:
        tree["final"] = final
    return tree


def final_lines(exc: BaseException) -> list[str] | None:
    """Python's last lines for an exception that has more of them than type and message: a syntax error's carets, a suggestion."""
    if not isinstance(exc, (SyntaxError, NameError, AttributeError, ImportError)):
        return None
    try:
        shown = traceback.TracebackException(type(exc), exc, exc.__traceback__, limit=-1, compact=True)
        shown_notes = getattr(shown, "__notes__", None)
        if shown_notes:
            shown.__notes__ = None  # type: ignore[attr-defined,unused-ignore]
        lines = "".join(shown.format_exception_only()).rstrip("\n").split("\n")
    except Exception:
        return None
    if len(lines) == 1:
        lines[0] = lines[0].replace("__mp_main__.", "", 1) if lines[0].startswith("__mp_main__.") else lines[0]
        suggestion = _old_suggestion(exc)
        if suggestion and suggestion not in lines[0]:
            lines[0] += suggestion
        plain = f"{type_name(type(exc))}: {message_of(exc)}"
        return None if lines[0] in (plain, type_name(type(exc))) else lines
    return lines if isinstance(exc, SyntaxError) else None


def _old_suggestion(exc: BaseException) -> str:
    """``. Did you mean: 'x'?`` on Pythons before 3.12, where only the interpreter's own printer knows it."""
    if sys.version_info >= (3, 12) or not isinstance(exc, (NameError, AttributeError)):
        return ""
    import difflib

    name = getattr(exc, "name", None)
    names: list[str] = []
    if isinstance(exc, AttributeError):
        found = getattr(exc, "obj", None)
        names = [*getattr(type(found), "__dict__", {}), *summary._attributes(found)] if found is not None else []
        if type(found).__name__ == "module":
            names = list(vars(found))
    else:
        tb = _traceback_of(exc)
        while tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
        if tb is not None:
            names = [*tb.tb_frame.f_locals, *tb.tb_frame.f_globals, *vars(__import__("builtins"))]
    if not isinstance(name, str) or not names or name in names:
        return ""
    near = difflib.get_close_matches(name, [n for n in names if isinstance(n, str)], 1, 0.75)
    return f". Did you mean: '{near[0]}'?" if near else ""


def _is_group(exc: BaseException) -> bool:
    group = getattr(__import__("builtins"), "BaseExceptionGroup", None) or getattr(
        sys.modules.get("exceptiongroup"), "BaseExceptionGroup", None
    )
    return group is not None and isinstance(exc, group)


def _own_members(members: Any) -> bool:
    return any(_traceback_of(member) is not None or attached(member) for member in members)


def _text_of(cause: BaseException | None) -> str:
    for name in ("tb", "traceback"):
        text = getattr(cause, name, None)
        if isinstance(text, str):
            return text.strip().strip('"').strip("\n")
    return str(cause)


def _walk(tb: TracebackType | None) -> list[_RawFrame]:
    raw = []
    while tb is not None:
        raw.append((tb.tb_frame, tb.tb_lasti, tb.tb_lineno))
        tb = tb.tb_next
    return raw


def _segments(raw: list[_RawFrame]) -> list[tuple[bool, list[_RawFrame]]]:
    """Cut a traceback where an engine runs the user's function; drop what an older asking for the same exception left behind."""
    segments: list[tuple[bool, list[_RawFrame]]] = []
    current: list[_RawFrame] = []
    is_run = False
    asked = stale = False
    for item in raw:
        frame = item[0]
        where = (frame.f_globals.get("__name__"), frame.f_code.co_name)
        if where in registry.facts.runs:
            if current or is_run:
                segments.append((is_run, current))
            current, is_run, asked, stale = [item], True, False, False
            continue
        if where in registry.facts.asks:
            asked, stale = True, False
        elif asked and not stale:
            stale = registry.kind_of(frame.f_code.co_filename, where[0]) not in (registry.ENGINE, registry.OWN)
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


def _asks_again(raw: list[_RawFrame], item: _RawFrame) -> bool:
    for frame, _, _ in raw[raw.index(item) :]:
        where = (frame.f_globals.get("__name__"), frame.f_code.co_name)
        if where in registry.facts.runs:
            return False
        if where in registry.facts.asks:
            return True
    return False


def _fold(items: list[Any]) -> list[Any]:
    """Replace the later turns of a repeated cycle (up to 10 frames long) by a count."""
    if len(items) < 40:
        return items
    keys = [(item[0], item[1]) for item in items]
    result: list[Any] = []
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


def _adopt_scripts_of_engines(frames: list[dict[str, Any]]) -> None:
    """Code without a file or a module's name, run directly by an engine, is the engine's (Parsl executes a line of its own)."""
    for before, frame in itertools.pairwise(frames):
        if frame.get("path") == "<string>" and not frame["module"] and before.get("kind") == registry.ENGINE:
            frame["kind"] = registry.ENGINE
            frame.pop("locals", None)


def _add_position(result: dict[str, Any], code: CodeType, lasti: int) -> None:
    positions = code.co_positions()  # type: ignore[attr-defined,unused-ignore]
    for index, (line, end_line, col, end_col) in enumerate(positions):
        if index == lasti // 2:
            if line == result["line"] and None not in (end_line, col, end_col):
                result["end_line"], result["col"], result["end_col"] = end_line, col, end_col
            return


def _to_characters(frame: dict[str, Any], text: str) -> None:
    """Columns come as UTF-8 bytes; the reader's are characters."""
    if text.isascii():
        return
    data = text.encode("utf-8", "surrogatepass")
    for key in ("col", "end_col"):
        if key == "col" or frame.get("end_line") == frame["line"]:
            frame[key] = len(data[: frame[key]].decode("utf-8", "replace"))


def _window(text: str, frame: dict[str, Any] | None) -> str:
    """A very long line, cut around the failing expression, with the counts of what was cut."""
    start = max(0, frame["col"] - MAX_LINE // 2) if frame is not None and "col" in frame else 0
    end = min(len(text), start + MAX_LINE)
    before = f"({start:,} characters) …" if start else ""
    after = f"… ({len(text) - end:,} characters)" if end < len(text) else ""
    if frame is not None and "col" in frame:
        shift = len(before) - start
        frame["col"] += shift
        frame["end_col"] = min(frame["end_col"], end) + shift
    return before + text[start:end] + after


def _locals(frame: Any) -> dict[str, str]:
    try:
        values = frame.f_locals
        names = [name for name in values if not name.startswith(".")]
        shown = {name: summary.brief(values[name], name) for name in names[:MAX_LOCALS]}
    except Exception:
        return {}
    if len(names) > MAX_LOCALS:
        shown["…"] = f"{len(names) - MAX_LOCALS} more variables"
    return shown


_changed: dict[tuple[str, float], dict[tuple[str, int], bytes]] = {}
_MAX_CHANGED_SIZE = 2_000_000  # bytes of a source file that is compiled to be compared


def changed(code: CodeType) -> bool:
    """Whether the source file is no longer what ``code`` was compiled from.

    Only a file written after its module was imported can have changed, so nearly always one ``stat`` answers.
    """
    try:
        status = os.stat(code.co_filename)
        if status.st_mtime < _process_start() or status.st_size > _MAX_CHANGED_SIZE:
            return False
        key = (code.co_filename, status.st_mtime)
        if key not in _changed:
            _changed.clear()
            with open(code.co_filename, "rb") as file:
                _changed[key] = _codes(compile(file.read(), code.co_filename, "exec", dont_inherit=True, optimize=-1))
        return _changed[key].get((code.co_name, code.co_firstlineno)) != code.co_code
    except (OSError, SyntaxError, ValueError):
        return os.path.isabs(code.co_filename) and os.path.exists(code.co_filename)


def _codes(code: CodeType) -> dict[tuple[str, int], bytes]:
    found = {(code.co_name, code.co_firstlineno): code.co_code}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found.update(_codes(constant))
    return found


@functools.lru_cache(1)
def _process_start() -> float:
    """When this process began, in seconds since the epoch; 0 where the kernel does not tell."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        with open("/proc/stat", "rb") as file:
            booted = next(int(line.split()[1]) for line in file if line.startswith(b"btime"))
        return booted + ticks / os.sysconf("SC_CLK_TCK") - 1
    except (OSError, ValueError, StopIteration):
        return 0.0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process_start.cache_clear)
