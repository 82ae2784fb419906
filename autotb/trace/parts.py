"""What a story is made of, as frozen data: Stacks (one an exception), their Hops (one a process or thread), Frames.

What the keys of a record are that have fields of the same names here is said in ``record.schema``.  A key that no field is of is
carried in ``more``, which nothing draws, into the JSON of a story.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from autotb.record import callsite, sources
from autotb.trace.data import Data

More = tuple[tuple[str, Any], ...]

HEADER = "Traceback (most recent call last):"


class Place(Data):
    """A line of a file: ``path:line in name``."""

    path: str
    line: int
    name: str

    def __str__(self) -> str:
        return sources.place(self.path, self.line, self.name)

    @property
    def is_cell(self) -> bool:
        """Whether it is in a cell of a notebook, which IPython calls so."""
        return sources.is_cell(self.path)


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
    more: More = ()

    def is_part_of(self, outer: Frame) -> bool:
        """Whether this is a comprehension, a frame of its own before Python 3.12, that stands at its caller's very line."""
        at_one_line = (outer.path, outer.line, outer.kind) == (self.path, self.line, self.kind)
        return self.name in callsite.COMPREHENSIONS and at_one_line

    @property
    def failing_line(self) -> str:
        return next((text for number, text in self.source if number == self.line), "")


class Gap(Data):
    """Frames that stand for no line of their own: ``repeated`` turns of the ``cycle`` frames before, or ``omitted`` ones."""

    repeated: int = 0
    cycle: int = 0
    omitted: int = 0


class Hop(Data):
    """What happened in one process or thread; ``where`` is empty for the one that shows the error."""

    frames: tuple[Frame | Gap, ...] = ()
    where: str = ""
    engine: str = ""
    pid: int | None = None
    host: str = ""
    thread: str = ""
    call: str = ""
    label: str = ""
    reads: str = ""
    attempt: str = ""
    submitted: Place | None = None
    made: Place | None = None
    verb: str = "submitted"
    job: tuple[tuple[str, str], ...] = ()
    died: tuple[str, ...] = ()
    command: str = ""
    files: tuple[tuple[str, str], ...] = ()
    stdout: str = ""
    stderr: str = ""
    inputs: str = ""
    log: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    more: More = ()


class Stack(Data):
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
    raised_as: str = ""
    lost: tuple[str, ...] = ()
    cut: str = ""
    skipped: int = 0
    unlisted: int = 0
    alike: int = 0
    unnoted: int = 0
    culprit: str = ""
    unsent: bool = False
    more: More = ()

    @property
    def reached_no_worker(self) -> bool:
        """Whether the task could not be sent: what failed is where it was submitted."""
        return (self.unsent or bool(self.culprit)) and not (self.hops and self.hops[-1].where)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All frames of all hops, the caller's first."""
        return tuple(frame for hop in self.hops for frame in hop.frames if isinstance(frame, Frame))

    @property
    def tells_of_a_death(self) -> bool:
        """Whether it says that a worker died, which is where the story ends: what it came out of is how the engine detected that.

        Not so where the worker died of that very error: then that is the cause, as any other.
        """
        died = [line for hop in self.hops for line in hop.died]
        of = (self.before.headline, f"raised {self.before.type}") if self.before else ()
        return bool(died) and not any(error in line for error in of for line in died)

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

    @property
    def line(self) -> str:
        """The headline where there is one line for it: its first; of a message that goes on with a whole traceback also the error
        that this ends with, which is what happened."""
        first, _, rest = self.headline.partition("\n")
        opening = first.find(HEADER)
        errors = [line for line in rest.splitlines() if line[:1].strip()] if opening >= 0 else ()
        return f"{first[:opening]}… {errors[-1]}" if errors else first


Part = TypeVar("Part", Frame, Hop, Stack)


def told(record: Any, forms: dict[str, str], of: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """What a record or a file holds under these keys, each as ``of`` its form makes it; what is empty is left to the story's own
    defaults."""
    return {key: of[form](record[key]) for key, form in forms.items() if record.get(key) not in (None, "")}


def made(kind: type[Part], values: dict[str, Any]) -> Part:
    """A part of a story; ``more`` takes what it has no field for."""
    own = kind._names
    more = tuple((key, value) for key, value in values.items() if key not in own)
    return kind(**{key: value for key, value in values.items() if key in own}, more=more)
