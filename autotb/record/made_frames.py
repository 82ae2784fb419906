"""The traceback of an exception that came from another process, made of its record: as a thread's error brings its own.

Flows in: the hops of a record that has arrived.  Flows out: a ``types.TracebackType``, which rich, loguru, pdb, Sentry and all
others who read tracebacks take for any other.  Nothing of the user's runs, nothing is compiled: a frame is that of a generator
which is made and dropped before it begins, so that it has no caller, and its code is always the same ``yield``, by other names:
parameters are given to it, all other variables are those of its closure, which code that never began can have as well.

==============================================  ======================================================================
the record's frame                              the made one
==============================================  ======================================================================
``path``, ``name``, ``qualname``, ``first``     those of its code object
``line``, ``end_line``, ``col``, ``end_col``    the position of each instruction in it
``module``                                      ``__name__`` of its globals, in which ``__autotb_hop__`` says where it ran
``locals``                                      its variables: objects whose ``repr`` is the text; the last one says so
``args``                                        how many of them, the first ones, are its parameters
``source``                                      what ``__loader__`` and linecache give where this machine has no such file
``repeated``, ``cycle``                         the same frames so many times over
``omitted``                                     a frame whose name is their count
==============================================  ======================================================================

tblib, which others use for it, runs a module of its own for each frame and raises in it: three and a half times as long, seen by
debuggers and profilers, with the columns of that module, with the driver's stack as caller (``f_back``), without variables unless
they are given as objects, and without source of another machine.
"""

from __future__ import annotations

import linecache
import sys
from types import CellType, CodeType, FunctionType, TracebackType

from autotb import settings
from autotb.record import ownership, shipped_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from autotb.record.schema import Frame, Hop

    _Step = tuple[FrameType, int]  # a frame, and the line it is in
    _Span = tuple[int, int, int, int]  # line, end line, column, end column; columns in bytes, -1 where they are not known

MARK = "__autotb_hop__"
MOST = 1_000  # entries of a traceback: the first and the last of them
MOST_EXCEPTIONS = 100  # of one that arrives, its members and causes
_MAX_KEPT = 2_000  # code objects, files
_LAST_LINE = 200_000  # of a file whose source is that of a record: those before it that are not known are blank
_LONGEST = 1 << 20  # a column beyond it is none
_HAS_POSITIONS = sys.version_info >= (3, 11)
_IS_SILENT = sys.version_info >= (3, 12)
_SHOWN = (ownership.USER, ownership.LIBRARY, ownership.STDLIB)

_ModuleSpec: Any = type(sys.__spec__)
_codes: dict[tuple[Any, ...], CodeType] = {}
_sources: dict[str, Source] = {}


class Text:
    """A variable of a worker's frame: its value stayed there, this is its text."""

    __slots__ = ("_only_text",)

    def __init__(self, text: str) -> None:
        self._only_text = text

    def __repr__(self) -> str:
        return self._only_text


class Mark(Text):
    """Says of a frame where it ran; in its globals, where it is told from others by it, and beside its variables."""

    __slots__ = ("hop", "told")

    def __init__(self, hop: Hop, told: Any = None) -> None:
        self.hop, self.told = hop, told  # the record's own, to which the place of submission is added later
        pid = f", pid {hop['pid']}" if "pid" in hop else ""
        super().__init__(f"<{hop.get('where') or 'in another process'}{pid}: these values are texts>")


class Source:
    """What linecache asks for lines of a file that this machine lacks (PEP 302): the records', and blank ones between them."""

    def __init__(self) -> None:
        self.lines: dict[int, str] = {}
        self.added: dict[int, str] = {}  # by their first line: failures of one place bring the same
        self.is_asked = False

    def get_source(self, _name: str = "") -> str | None:
        """The file's text as far as it is known; None where none of it is."""
        self.is_asked = True
        if not self.lines:
            return None
        return "".join(f"{self.lines.get(number, '')}\n" for number in range(1, max(self.lines) + 1))

    def add(self, path: str, source: Any) -> None:
        """More lines of it, or newer ones."""
        first, lines = source
        text = "\n".join(lines)
        if self.added.get(first) == text:
            return
        new = {number: line for number, line in enumerate(lines, first) if 0 < number < _LAST_LINE and type(line) is str}
        if len(self.added) >= _MAX_KEPT or any(self.lines.get(number, line) != line for number, line in new.items()):
            self.added.clear()
        self.added[first] = text
        if new.items() <= self.lines.items():
            return
        is_new = self.is_asked or not self.lines
        self.lines.update(new)
        if self.is_asked:  # what linecache has of it are the lines of before
            self.is_asked = False
            linecache.cache.pop(path, None)
        if is_new:  # debugpy asks linecache by the path alone
            linecache.lazycache(path, {"__name__": path, "__loader__": self})


def is_made(frame: FrameType) -> bool:
    """Whether a frame is one of these, and its story the record's."""
    return dict.__contains__(frame.f_globals, MARK)


def steps(hops: list[Hop], *, twice: bool = False, told: Any = None) -> list[_Step]:
    """The worker's part of a traceback, hop by hop: the frames of the user and of libraries, and the one that raised.

    ``twice``: also of hops whose frames an engine brings along; ``told``: the record that the hops are of.
    """
    if not settings.switch("traceback") or sys.implementation.name != "cpython":
        return []
    remote = [hop for hop in hops if not hop.get("live") and (twice or not hop.get("twice"))]
    found: list[_Step] = []
    with _Dropping():
        for hop in remote:
            found += _of_hop(hop, Mark(hop, told), is_last=hop is remote[-1])
        if len(found) > MOST:
            left_out = _gap(len(found) - MOST, Mark(remote[-1]))
            found = [*found[: MOST // 2], left_out, *found[-MOST // 2 :]]
    return found


def chained(steps: list[_Step], below: TracebackType | None = None) -> TracebackType | None:
    """A traceback of these."""
    for frame, line in reversed(steps):
        below = TracebackType(below, frame, 0, line)
    return below


def without(tb: TracebackType) -> TracebackType:
    """A traceback up to these, for engines who make text of it to send along, beside the text that has come to them."""
    entries: list[TracebackType] = []
    at: TracebackType | None = tb
    while at is not None and not is_made(at.tb_frame):
        entries.append(at)
        at = at.tb_next
    if at is None or not entries:
        return tb
    result: TracebackType | None = None
    for entry in reversed(entries):
        result = TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result or tb


def _of_hop(hop: Hop, mark: Mark, *, is_last: bool) -> list[_Step]:
    namespaces: dict[tuple[str, str], dict[str, Any]] = {}
    frames = hop.get("frames") or []
    every: list[_Step | None] = []  # with those that are not shown, which a recursion may go through
    for frame in frames:
        if "path" in frame:
            shown = frame.get("kind") in _SHOWN or (is_last and frame is frames[-1] and any(every))
            every.append((_made(frame, mark, namespaces), frame["line"]) if shown else None)
        elif frame.get("repeated") and 0 < frame.get("cycle", 0) <= len(every):
            turns = min(frame["repeated"], MOST)
            every += every[-frame["cycle"] :] * turns
            every += [_gap((frame["repeated"] - turns) * frame["cycle"], mark)] if frame["repeated"] > turns else []
        elif frame.get("omitted"):
            every.append(_gap(frame["omitted"], mark))
    return [step for step in every if step is not None]


def _gap(count: int, mark: Mark) -> _Step:
    """Stands for frames that the record has not."""
    name = f"… {count:,} more {'frame' if count == 1 else 'frames'} …"
    return _made({"path": "<autotb>", "line": 1, "name": name, "module": ""}, mark, {}), 1


def _made(frame: Frame, mark: Mark, namespaces: dict[tuple[str, str], dict[str, Any]]) -> FrameType:
    path, module = _str(shipped_code.path_here(frame)), _str(frame.get("module", ""))
    namespace = namespaces.get((path, module))
    if namespace is None:
        source = _sources.get(path)
        if source is None:
            if len(_sources) >= _MAX_KEPT:
                _sources.clear()
            source = _sources[path] = Source()
        namespace = namespaces[path, module] = {
            "__name__": module,
            "__file__": path,
            "__loader__": source,
            "__spec__": _ModuleSpec(module or path, source, origin=path),  # without one linecache warns, from 3.15 on
            MARK: mark,
        }
    if "source" in frame:
        namespace["__loader__"].add(path, frame["source"])
    texts = frame.get("locals") or {}
    variables = _variables(texts)
    count = frame.get("args", 0) if len(variables) == len(texts) else 0
    if variables:
        variables[MARK] = mark
    code, values = _code(frame, path, tuple(variables), count), tuple(variables.values())
    return _unbegun(FunctionType(code, namespace, None, None, tuple(map(CellType, values[count:])))(*values[:count]))


def _variables(texts: dict[str, str]) -> dict[str, Any]:
    """Those by which tools are told what to do with a frame (``__tracebackhide__``) are what they were, or not there."""
    found: dict[str, Any] = {}
    for name, text in texts.items():
        if not name.startswith("__traceback"):
            found[name] = Text(_str(text))
        elif text == "True":
            found[name] = True
    return found


def _str(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _code(frame: Frame, path: str, names: tuple[str, ...], count: int) -> CodeType:
    """A code object with these variables, the first ones its parameters; each instruction is where the failing one was."""
    line = frame["line"]
    first = frame.get("first", line) if _HAS_POSITIONS else line  # before, it is what a frame that never began says is its line
    place = first, line, frame.get("end_line"), frame.get("col"), frame.get("end_col")
    key = (path, place, frame["name"], frame.get("qualname"), names, count)
    found = _codes.get(key)
    if found is None:
        if len(_codes) >= _MAX_KEPT:
            _codes.clear()
        named: dict[str, Any] = {"co_qualname": _str(frame.get("qualname") or frame["name"])} if _HAS_POSITIONS else {}
        parameters, others = names[:count], names[count:]
        instructions = _instructions(len(others))
        found = _codes[key] = _TEMPLATE.replace(
            co_argcount=len(parameters),
            co_nlocals=len(parameters),
            co_varnames=parameters,
            co_freevars=others,
            co_code=instructions,
            co_filename=path,
            co_name=_str(frame["name"]),
            co_firstlineno=first,
            co_linetable=_line_table(len(instructions), first, _span(frame)),
            **named,
        )
    return found


def _instructions(count: int) -> bytes:
    """The template's, for a closure of so many variables: the first of them copies these, from 3.11 on."""
    code = _TEMPLATE.co_code
    return bytes((code[0], count)) + code[2:] if _HAS_POSITIONS else code


# A generator that is dropped before it begins is closed. Up to 3.11 Python runs it for that, which debuggers, coverage and
# profilers see as a call; an asynchronous one with a finalizer is left to that. From 3.13 on Python warns of the latter.
if _IS_SILENT:

    def _template(variable: Any) -> Any:
        def template() -> Any:
            yield variable

        return template

    def _unbegun(generator: Any) -> FrameType:
        made: FrameType = generator.gi_frame
        return made

else:

    def _template(variable: Any) -> Any:
        async def template() -> Any:
            yield variable

        return template

    def _unbegun(generator: Any) -> FrameType:
        generator.__anext__()  # takes the finalizer
        made: FrameType = generator.ag_frame
        return made


class _Dropping:
    """While frames are made, up to 3.11, the thread's finalizer is one that does nothing."""

    if not _IS_SILENT:

        def __enter__(self) -> None:
            self.before = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(None, id)  # type: ignore[arg-type]

        def __exit__(self, *_: object) -> None:
            sys.set_asyncgen_hooks(*self.before)

    else:

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass


_TEMPLATE: CodeType = _template(None).__code__


def _span(frame: Frame) -> _Span:
    line = frame["line"]
    if not ("col" in frame and "end_col" in frame) or max(frame["col"], frame["end_col"]) > _LONGEST:
        return line, line, -1, -1
    end_line = max(line, frame.get("end_line", line))
    return line, end_line, _bytes(frame, line, frame["col"]), _bytes(frame, end_line, frame["end_col"])


def _bytes(frame: Frame, line: int, column: int) -> int:
    """A column as code objects have it: in bytes of UTF-8, where the record counts characters."""
    first, lines = frame.get("source") or (0, ())
    text = lines[line - first] if 0 <= line - first < len(lines) else ""
    return column if text.isascii() else len(text[:column].encode("utf-8", "replace"))


def _line_table(size: int, first: int, span: _Span) -> bytes:
    """All instructions in one place.

    Source: Objects/locations.md (Objects/lnotab_notes.txt in 3.10) of CPython.
    """
    if not _HAS_POSITIONS:
        return b"\xfe\x00" * (size // 254) + (bytes((size % 254, 0)) if size % 254 else b"")
    line, end_line, column, end_column = span
    units, table = size // 2, b""
    for at in range(0, units, 8):
        down = line - first if at == 0 else 0
        step = _varint(abs(down) << 1 | (down < 0))
        if column < 0 or end_column < 0:
            kind, place = 13, step  # a line and no columns
        else:
            kind, place = 14, step + b"".join(map(_varint, (end_line - line, column + 1, end_column + 1)))
        table += bytes((0x80 | kind << 3 | min(8, units - at) - 1,)) + place
    return table


def _varint(value: int) -> bytes:
    """Six bits at a time, the lowest first."""
    parts = bytearray()
    while value > 63:
        parts.append(0x40 | value & 63)
        value >>= 6
    parts.append(value)
    return bytes(parts)
