"""What adapters take for granted of an engine, beside the functions that they patch: the local variables of its frames, the
attributes of its objects, the words of its messages.

An adapter declares each as it declares its patches, with what is lost once it holds no more, and reads through the declaration
alone: ``doctor`` tries it on the installed version, and ``tests/engines/test_degrading.py`` breaks it.

    EXECUTE = Frame("pebble.common.process", "process_execute", "function", "args", costs="the call that failed")
    assumption.read(caller, EXECUTE)            # (score, (3,)); None where there is no such frame, or no such variables
    STATE = Attributes("engine.pool", "Pool", "_workers", costs="who died")
    STATE.read(pool)                            # ([…],); None where the pool has no such attribute
    DIED = Text("engine.pool", r"Worker-\\d+ died", words=("died unexpectedly",), costs="who died")

Flows in: an engine's frames, objects and messages, where something failed.  Flows out: what stands there.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match
    from types import CodeType, FrameType
    from typing import Any

_SNAPSHOTS = sys.version_info < (3, 13)  # f_locals is a dict that stays with the frame


class Lost:
    """What is lost where a patch or an assumption finds nothing, in the words of several adapters."""

    CALL = "the call that failed, with its arguments"
    RECORD = "the worker's story: its frames are read from the engine's text, where there is one"
    FIT = "the worker's story, and the types of exceptions that do not survive pickling"
    SITE = "the line that submitted the work"
    FRAMES = "variables and source in the worker's frames, for debuggers and others who read tracebacks"
    DEATH = "which task a dead worker ran, and how it ended"
    UNSENT = "which part of a call or a result could not be sent"
    UNRETRIEVED = "reports of failures that are never retrieved"
    TWICE = "the quiet: the engine prints its own copy of an error too"
    WAITS = "an end, with the error, to what the engine alone waits for without end"
    SETTINGS = "what the driver read of its pyproject.toml, in workers"
    SHOWN = "the drawing of errors there"
    WAITED = "what was waited for when a wait timed out"
    ATTEMPTS = "which attempt of a task that is run again failed"
    RETRY = "the call that unwrap_with_retry would make again"


class Assumption:
    """What all have: ``costs`` is lost where it does not hold.

    ``also`` names modules in which other versions have it, or which have it too, ``or_named`` is what others call it;
    ``optional`` says that some versions go without.
    """

    __slots__ = ("also", "costs", "module", "names", "optional", "or_named", "qualname")

    def __init__(
        self,
        module: str,
        qualname: str,
        *names: str,
        costs: str,
        also: tuple[str, ...] = (),
        or_named: str = "",
        optional: bool = False,
    ) -> None:
        self.module, self.qualname, self.names, self.also = module, qualname, names, also
        self.costs, self.optional, self.or_named = costs, optional, or_named

    def in_copy(self, package: str, copy: str) -> Assumption:
        """The same of another package of the same make, for ``doctor``."""
        module = copy + self.module.removeprefix(package)
        return type(self)(module, self.qualname, *self.names, costs=self.costs, optional=self.optional)


class Frame(Assumption):
    """A function of the engine's that calls ours, and those of its local variables that are read."""

    __slots__ = ("_lacks", "_named")

    def matches(self, frame: FrameType) -> bool:
        """Whether this is its frame, by its name: engines copy one another's modules."""
        named: tuple[str, ...] = getattr(self, "_named", ())
        if not named:
            named = self._named = self.qualname.rpartition(".")[2], self.or_named.rpartition(".")[2]
        return frame.f_code.co_name in named

    def read(self, frame: FrameType) -> tuple[Any, ...] | None:
        """Its variables, None for one that is not set; None altogether where it has no such variables.

        Before 3.13 looking leaves a snapshot of all of them on the frame, which would keep the user's objects alive: it is
        emptied.
        """
        if self._missing(frame.f_code):
            return None
        values = frame.f_locals
        found = tuple([values.get(name) for name in self.names])
        if _SNAPSHOTS:
            values.clear()
        return found

    def _missing(self, code: CodeType) -> list[str]:
        # A code object makes its tuples of names anew for whoever asks, and failures come by the thousand from one frame.
        known: tuple[CodeType | None, list[str]] = getattr(self, "_lacks", (None, []))
        if known[0] is not code:
            known = self._lacks = code, missing(code, self.names)
        return known[1]


def read(caller: FrameType | None, *frames: Frame, limit: int = 1) -> tuple[Any, ...] | None:
    """What is read of the nearest of ``limit`` callers that is one of these frames; None if none is."""
    for _ in range(limit):
        if caller is None:
            break
        for frame in frames:
            if frame.matches(caller):
                return frame.read(caller)
        caller = caller.f_back
    return None


def missing(code: Any, names: tuple[str, ...]) -> list[str]:
    """Which of the names are no variables of a code object's."""
    return [name for name in names if name not in code.co_varnames + code.co_cellvars + code.co_freevars]


class Attributes(Assumption):
    """Attributes of the objects of a class of the engine's, or, with no name of a class, of a module."""

    __slots__ = ()

    def read(self, value: Any) -> tuple[Any, ...] | None:
        """What they are of an object; None where it lacks one of them."""
        try:
            return tuple([getattr(value, name) for name in self.names])
        except AttributeError:
            return None


class Text(Assumption):
    """How a message of the engine's reads: ``pattern`` finds it, ``words`` stand in the source of the module that says it."""

    __slots__ = ("flags", "pattern")

    def __init__(
        self,
        module: str,
        pattern: str,
        flags: int = 0,
        *,
        words: tuple[str, ...],
        costs: str,
        also: tuple[str, ...] = (),
        optional: bool = False,
    ) -> None:
        super().__init__(module, "", *words, costs=costs, also=also, optional=optional)
        self.pattern, self.flags = pattern, flags

    def match(self, text: str) -> Match[str] | None:
        """The message that begins so."""
        import re

        return re.match(self.pattern, text, self.flags)

    def replaced(self, by: str, text: str) -> str:
        """A text with something else in its place."""
        import re

        return re.sub(self.pattern, by, text, flags=self.flags)

    def search(self, text: str) -> Match[str] | None:
        """The message that has it somewhere."""
        import re

        return re.search(self.pattern, text, self.flags)
