"""rich's tracebacks (``rich.traceback.install``, ``Console.print_exception``, ``RichHandler``, typer) of a worker's error.

Theirs is the look.  The frames are those that a direct call would have had; between them stands where the worker ran, where the
work was submitted and what it was given, and below them how many frames of an engine are left out.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotb.instrument.types import Function

MODULES = ("rich.traceback",)
NAME = "rich, typer"
DISTRIBUTION = "rich"
TESTED = "15.0"
CAPTURED = "tracebacks of workers' errors in rich's own look"


def _wrap_extract(original: Function) -> Function:
    """Whatever rich shows of an exception is read here."""

    @functools.wraps(original)
    def extract(cls: Any, exc_type: Any, exc_value: Any, traceback: Any, **options: Any) -> Any:
        from autotb.record import chain

        if not chain.concerns(exc_value):
            return original(cls, exc_type, exc_value, traceback, **options)
        from autotb.render import retold

        trace, tales = retold.read(exc_value, traceback, lambda tb: original(cls, exc_type, exc_value, tb, **options))
        try:
            for stack, tale in zip(trace.stacks, tales):
                if tale is not None:
                    stack.exc_value = tale.message(stack.exc_value)
                    places = tale.places_among([(frame.name, frame.lineno) for frame in stack.frames])
                    stack._autotb_lines = places, tale.after
        except Exception:
            pass  # the frames are there
        return trace

    return extract


def _wrap_render(original: Function) -> Function:
    """The frames of one exception, within a panel."""

    @functools.wraps(original)
    def _render_stack(self: Any, stack: Any) -> Any:
        told = getattr(stack, "_autotb_lines", None)
        if told is None:
            return original(self, stack)
        try:
            from rich.console import Group

            places, after = told
            if 0 < getattr(self, "max_frames", 0) < len(stack.frames):  # it leaves out some in the middle
                places, after = [], [line for _, lines in places for line in lines] + after
            return Group(*_parts(lambda part: original(self, part), stack, places, after))
        except Exception:
            return original(self, stack)

    return _render_stack


def _parts(draw: Function, stack: Any, places: list[tuple[int, list[str]]], after: list[str]) -> Iterator[Any]:
    from rich.text import Text

    done = 0
    for at, lines in [*places, (len(stack.frames), after)]:
        if at > done:
            part = copy.copy(stack)
            part.frames = stack.frames[done:at]
            if done:
                yield ""
            yield draw(part)
        if lines:
            yield ""
            yield from (Text(line, style="dim" if lines is after else "yellow") for line in lines)
        done = at


PATCHES = (
    Patch("rich.traceback", "Traceback.extract", _wrap_extract, costs=Lost.SHOWN),
    Patch("rich.traceback", "Traceback._render_stack", _wrap_render, costs=Lost.SHOWN),
)
