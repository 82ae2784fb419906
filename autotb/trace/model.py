"""The story of an error, a :class:`Trace`: frozen data, which whoever draws it has given a way to be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotb.trace.data import Data
from autotb.trace.parts import Frame, Stack

if TYPE_CHECKING:
    from typing import Protocol

    class Drawer(Protocol):
        """What ``autotb.render`` gives: nothing here imports it."""

        def as_text(self, trace: Trace) -> str: ...
        def as_html(self, trace: Trace) -> str: ...
        def for_rich(self, trace: Trace, options: Any) -> Any: ...
        def show(self, trace: Trace) -> None: ...
        def restored(self, *fields: Any) -> Trace: ...


_drawer: Drawer | None = None


def draw_with(drawer: Drawer) -> None:
    """Have stories drawn by this one."""
    global _drawer
    _drawer = drawer


class Trace(Data):
    """The whole story of one error.  ``stack`` is the exception that the program sees."""

    stack: Stack
    host: str = ""
    pid: int | None = None
    heading: str = ""
    kept: str = ""  # the file that holds this story
    hints: tuple[str, ...] = ()  # what to do about it: at most two lines that begin with ``hint:``, and mostly none

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

    def to_dict(self) -> dict[str, Any]:
        """Plain builtins, for JSON; ``schema`` is the version of this form (``trace.schema.json`` in this package)."""
        from autotb.trace import serial

        head = {"schema": serial.SCHEMA, "host": self.host, "pid": self.pid}
        return {**head, "error": serial.stack_dict(self.stack), "hints": list(self.hints)}

    @classmethod
    def from_dict(cls, data: Any) -> Trace:
        """The story that :meth:`to_dict` gave.  Raises ValueError for anything else, and says what is wrong."""
        from autotb.trace import serial

        return cls(**serial.fields_of(data))

    def __str__(self) -> str:
        return _drawer.as_text(self) if _drawer is not None else self.stack.headline

    def _repr_html_(self) -> str | None:
        """As a cell's value it is the story, with frames that open."""
        return _drawer.as_html(self) if _drawer is not None else None

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """As a value in a terminal it is the story too."""
        printer.text(str(self))

    def __rich_console__(self, console: Any, options: Any) -> Any:
        return _drawer.for_rich(self, options) if _drawer is not None else (str(self),)

    def print(self) -> None:
        """Show the story on stderr, as an uncaught error would be."""
        if _drawer is not None:
            _drawer.show(self)

    def __reduce__(self) -> Any:
        """Where it is unpickled it can be drawn too."""
        if _drawer is None:
            return super().__reduce__()
        return _drawer.restored, tuple(getattr(self, name) for name in self._names)


def schema_file() -> Any:
    """The JSON Schema of :meth:`Trace.to_dict`, a path to read it from."""
    from importlib.resources import files

    return files("autotb.trace") / "trace.schema.json"
