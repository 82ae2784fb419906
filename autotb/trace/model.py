"""The story of an error as frozen data: Trace, its Stacks (one an exception), their Hops (one a process or thread), Frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
SCHEMA = 1  # version of to_dict()'s form


@dataclass(frozen=True)
class Place:
    """A line of a file: ``path:line in name``."""

    path: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line or '?'} in {self.name}"  # code that was made by hand may have no lines


@dataclass(frozen=True)
class Frame(Place):
    """One call of the stack.

    ``source`` are ``(number, text)`` pairs around ``line``; ``span`` the failing expression's first and last column on that
    line, in characters, where known; ``end`` the line and the column where it ends, if that is another line; ``kind`` is
    ``user``, ``library``, ``stdlib``, ``engine`` or ``own`` (autotb's).
    """

    module: str = ""
    qualname: str = ""
    kind: str = "user"
    source: tuple[tuple[int, str], ...] = ()
    span: tuple[int, int] | None = None
    end: tuple[int, int] | None = None
    locals: tuple[tuple[str, str], ...] = ()
    changed: bool = False

    def is_part_of(self, outer: Frame) -> bool:
        """Whether this is a comprehension, a frame of its own before Python 3.12, that stands at its caller's very line."""
        at_one_line = (outer.path, outer.line, outer.kind) == (self.path, self.line, self.kind)
        return self.name in _COMPREHENSIONS and at_one_line

    @property
    def failing_line(self) -> str:
        return next((text for number, text in self.source if number == self.line), "")


@dataclass(frozen=True)
class Gap:
    """Frames that stand for no line of their own: ``repeated`` turns of the ``cycle`` frames before, or ``omitted`` ones."""

    repeated: int = 0
    cycle: int = 0
    omitted: int = 0


@dataclass(frozen=True)
class Hop:
    """What happened in one process or thread; ``where`` is empty for the one that shows the error."""

    frames: tuple[Frame | Gap, ...] = ()
    where: str = ""
    engine: str = ""
    pid: int | None = None
    host: str = ""
    thread: str = ""
    call: str = ""
    label: str = ""
    submitted: Place | None = None
    verb: str = "submitted"
    job: tuple[tuple[str, str], ...] = ()
    died: tuple[str, ...] = ()  # of a worker that died: what ended it, what it was doing, what it wrote last
    inputs: str = ""  # the file in which the call is kept
    log: str = ""  # the file in which the worker logged its tasks and its environment
    versions: tuple[tuple[str, str], ...] = ()  # of Python, and of the packages that the frames are of


@dataclass(frozen=True)
class Stack:
    """One exception: its type and message, its hops from the caller to where it was raised, and what it is chained to."""

    type: str
    message: str
    hops: tuple[Hop, ...] = ()
    final: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cause: Stack | None = None
    context: Stack | None = None
    members: tuple[Stack, ...] | None = None
    also: tuple[Stack, ...] = ()
    broken: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    cut: str = ""
    skipped: int = 0  # exceptions between this one and the one before, of which nothing is kept
    unlisted: int = 0  # members of which nothing is kept
    alike: int = 0  # of a member: others like it that were counted only
    unnoted: int = 0  # notes that were left out, after the first half of those that are kept
    culprit: str = ""  # what could not be pickled: ``config.callbacks[2].fh → _io.TextIOWrapper``

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All frames of all hops, the caller's first."""
        return tuple(frame for hop in self.hops for frame in hop.frames if isinstance(frame, Frame))

    @property
    def tells_of_a_death(self) -> bool:
        """Whether a worker died of what this exception tells."""
        return any(hop.died for hop in self.hops)

    @property
    def before(self) -> Stack | None:
        """The exception that this one came out of."""
        return self.cause or self.context

    @property
    def count(self) -> int:
        """How many members a group has, those that are not kept included."""
        return sum(1 + member.alike for member in self.members or ()) + self.unlisted

    @property
    def headline(self) -> str:
        """``Type: message``, as Python's last line has it."""
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True)
class Trace:
    """The whole story of one error.  ``stack`` is the exception that the program sees."""

    stack: Stack
    host: str = ""
    pid: int | None = None
    heading: str = field(default="")
    kept: str = ""  # the file that holds this story
    told_hints: tuple[str, ...] | None = None  # those of a story that was read from a file

    @property
    def root_cause(self) -> Stack:
        """The exception that everything began with: the end of the explicit causes; of a group with one member, that member's.

        A worker's death is the end of them: what it is raised from is how the engine noticed it.
        """
        stack = self.stack
        while True:
            if stack.tells_of_a_death:
                return stack
            if stack.cause is not None:
                stack = stack.cause
            elif stack.members is not None and len(stack.members) == 1:
                stack = stack.members[0]
            else:
                return stack

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames of the error that the program sees."""
        return self.stack.frames

    @property
    def hints(self) -> tuple[str, ...]:
        """What to do about it: at most two lines that begin with ``hint:``, and mostly none."""
        from autotb.trace import hints

        if self.told_hints is not None:
            return self.told_hints
        try:
            return hints.of(self)
        except Exception:
            return ()  # the story is told without them

    def to_dict(self) -> dict[str, Any]:
        """Plain builtins, for JSON; ``schema`` is the version of this form (``trace.schema.json`` in this package)."""
        return {
            "schema": SCHEMA,
            "host": self.host,
            "pid": self.pid,
            "error": _stack_dict(self.stack),
            "hints": list(self.hints),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Trace:
        """The story that :meth:`to_dict` gave.  Raises ValueError for anything else, and says what is wrong."""
        from autotb.trace import load

        return load.trace(data)

    def __str__(self) -> str:
        import importlib

        text: str = importlib.import_module("autotb.render").as_text(self)
        return text

    def print(self) -> None:
        """Show the story on stderr, as an uncaught error would be."""
        import importlib

        importlib.import_module("autotb.render").show(self)


def schema_file() -> Any:
    """The JSON Schema of :meth:`Trace.to_dict`, a path to read it from."""
    from importlib.resources import files

    return files("autotb.trace") / "trace.schema.json"


def _stack_dict(stack: Stack) -> dict[str, Any]:
    result: dict[str, Any] = {
        "type": stack.type,
        "message": stack.message,
        "notes": list(stack.notes),
        "hops": [_hop_dict(hop) for hop in stack.hops],
        "cause": _stack_dict(stack.cause) if stack.cause else None,
        "context": _stack_dict(stack.context) if stack.context else None,
        "members": [_stack_dict(member) for member in stack.members] if stack.members is not None else None,
    }
    if stack.also:
        result["also"] = [_stack_dict(other) for other in stack.also]
    for key in ("final", "broken", "lost", "cut", "skipped", "unlisted", "alike", "unnoted", "culprit"):
        if getattr(stack, key):
            value = getattr(stack, key)
            result[key] = list(value) if isinstance(value, tuple) else value
    return result


def _hop_dict(hop: Hop) -> dict[str, Any]:
    more: dict[str, Any] = {"died": list(hop.died)} if hop.died else {}
    more |= {"versions": dict(hop.versions)} if hop.versions else {}
    more |= {key: value for key, value in (("log", hop.log), ("inputs", hop.inputs)) if value}
    return {
        "where": hop.where,
        "engine": hop.engine,
        "pid": hop.pid,
        "host": hop.host,
        "thread": hop.thread,
        "job": dict(hop.job),
        "call": hop.call,
        "label": hop.label,
        "submitted": _place_dict(hop.submitted) if hop.submitted else None,
        "verb": hop.verb,
        "frames": [_frame_dict(frame) for frame in hop.frames],
        **more,
    }


def _place_dict(place: Place) -> dict[str, Any]:
    return {"path": place.path, "line": place.line, "name": place.name}


def _frame_dict(frame: Frame | Gap) -> dict[str, Any]:
    if isinstance(frame, Gap):
        return {"repeated": frame.repeated, "cycle": frame.cycle, "omitted": frame.omitted}
    return {
        **_place_dict(frame),
        "module": frame.module,
        "qualname": frame.qualname,
        "kind": frame.kind,
        "source": [[number, text] for number, text in frame.source],
        "span": list(frame.span) if frame.span else None,
        **({"end": list(frame.end)} if frame.end else {}),
        "locals": dict(frame.locals),
        "changed": frame.changed,
    }
