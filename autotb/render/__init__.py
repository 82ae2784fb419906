"""From a Trace to a screen, a pipe, a log: chooses the style, draws, and writes the story in one call.

Flows in: a :class:`Trace`.  Flows out: text on a stream.  ``panels`` is the only module that imports rich.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from autotb import settings
from autotb.imports import own
from autotb.render import github, plain, terminal
from autotb.trace import build, tracebacklimit
from autotb.trace.model import Trace, draw_with


def explain(exc: BaseException) -> Trace:
    """The story of an exception: its frames in every process, its causes, its root cause.

    Returns a :class:`autotb.Trace`; ``str()`` of it is the plain style, ``print()`` shows it, ``to_dict()`` gives plain builtins.
    """
    if not isinstance(exc, BaseException):
        raise TypeError(f"explain() takes an exception, not {type(exc).__name__}; a future's is future.exception()")
    return build.build(exc)


def as_text(trace: Trace, *, is_placed: bool = False, with_hints: bool = False) -> str:
    """The plain style, CPython's own grammar, without a newline at its end; ``is_placed`` as for ``plain.lines``."""
    with own:
        return "\n".join(plain.lines(tracebacklimit.limited(trace), with_hints=with_hints, is_placed=is_placed))


def draw(trace: Trace, stream: Any, style: str = "") -> str:
    """The story in the style that the settings and ``stream`` ask for, or in this one, ending with a newline."""
    with own:
        return _drawn(trace, stream, style)


def _drawn(trace: Trace, stream: Any, style: str) -> str:
    trace = tracebacklimit.limited(trace)
    in_force = settings.used("style", "frames", "context", "args", "locals")
    abilities = terminal.abilities(stream)
    style = style or in_force.style
    if style == "auto":
        style = "plain" if abilities.dumb or abilities.collected else "rich"
    if style == "json":
        import json

        return json.dumps(trace.to_dict()) + "\n"
    if style == "rich" and terminal.rich_is_there():
        try:
            from autotb.render import panels

            return panels.draw(trace, abilities, in_force)
        except (ImportError, MemoryError, OSError) as error:
            from autotb import runtime

            runtime.report("drawing with rich", error)
    return "\n".join(plain.lines(trace, in_force, with_hints=True)) + "\n"


def in_cell(trace: Trace, stream: Any, *, is_page: bool, with_locals: bool) -> list[str]:
    """The story's lines for a cell, of a notebook's page or in a terminal; without rich in the plain style."""
    with own:
        trace = tracebacklimit.limited(trace)
        in_force = settings.used("frames", "context", "args", "locals")
        if with_locals:
            in_force = in_force.but(locals="1")
        if not terminal.rich_is_there():
            return plain.lines(trace, in_force, with_hints=True)
        from autotb.render import cell, panels

        abilities = terminal.abilities(stream)
        if is_page:
            return cell.draw(trace, abilities.colour, in_force)
        return panels.draw(trace, abilities, in_force).rstrip("\n").split("\n")


def for_rich(trace: Trace, options: Any) -> Any:
    """The story for a console of rich's, as wide as that is."""
    from rich.text import Text

    from autotb.render import panels

    with own:
        in_force = settings.used("style", "frames", "context", "args", "locals")
        abilities = terminal.Abilities(colour=True, width=options.max_width, unicode=not options.ascii_only, exact=True)
        drawn = panels.draw(tracebacklimit.limited(trace), abilities, in_force)
    # A colour that is said to be the default one is black on white in a notebook, also where the page is dark.
    drawn = re.sub("\x1b\\[([0-9;]*)m", lambda found: f"\x1b[{_but_defaults(found[1])}m", drawn)
    yield Text.from_ansi(drawn.rstrip("\n"), no_wrap=True, overflow="ignore")


def _but_defaults(codes: str) -> str:
    return ";".join(code for code in codes.split(";") if code not in ("39", "49"))


def as_html(trace: Trace) -> str:
    """The story for a page: its frames fold."""
    from autotb.render import html

    return html.fragment(trace)


def show(trace: Trace, stream: Any = None, style: str = "") -> None:
    """Write the story to ``stream`` (stderr), the settings' warnings before it; ``style`` as for :func:`draw`."""
    _show(trace, sys.stderr if stream is None else stream, style)


def show_uncaught(trace: Trace, style: str = "") -> None:
    """The same for an error that nobody caught: where GitHub reads what is written, it is told of the line that raised it."""
    is_json = (style or settings.used("style").style) == "json"
    _show(trace, sys.stderr, style, "" if is_json else github.annotation(trace))


def _show(trace: Trace, stream: Any, style: str, before: str = "") -> None:
    text = draw(trace, stream, style)
    terminal.write(stream, "".join(_new_warnings()) + before + text)


class _Drawer:
    """How a story draws itself."""

    as_text = staticmethod(as_text)
    as_html = staticmethod(as_html)
    for_rich = staticmethod(for_rich)
    show = staticmethod(show)

    @staticmethod
    def restored(*fields: Any) -> Trace:
        """A story that was unpickled."""
        return Trace(*fields)


draw_with(_Drawer())


_warned: set[str] = set()


def _new_warnings() -> list[str]:
    fresh = [warning for warning in settings.current().warnings if warning not in _warned]
    _warned.update(fresh)
    return [f"autotb: {warning}\n" for warning in fresh]
