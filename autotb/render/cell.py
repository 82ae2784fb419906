"""A story in a notebook's cell: laid out as IPython's tracebacks are, without a box, as wide as the page.

Flows in: a :class:`Trace`.  Flows out: lines with escape sequences, which the page makes HTML of.  The page's background is light
or dark, and nobody tells which: no colour can be read on both (on Jupyter's ``#fdd`` and on its dark red one has not 4.5:1), so
the text has the page's own colour, and what matters is bold or underlined.
"""

from __future__ import annotations

from rich.style import Style
from rich.text import Span, Text

from autotb.render import carets, clean, panels
from autotb.render.terminal import Abilities
from autotb.settings import Settings
from autotb.trace import bounds, phrases
from autotb.trace import visible as show
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Hop, Place, Stack

WIDTH = 75  # of IPython's first line
NUMBERS = 7  # columns of IPython's line numbers
_ENDLESS = 100_000  # cells: the page folds what is longer than it
_BOLD = Style(bold=True)


def draw(trace: Trace, colour: bool, in_force: Settings) -> list[str]:
    """The lines."""
    abilities = Abilities(colour=colour, width=_ENDLESS)
    return bounds.kept(trace, lambda shorter, within: _Drawing(shorter, abilities, in_force, within).story())


class _Drawing(panels.Drawing):
    """The same rows in IPython's layout."""

    MARGIN = "    "

    def panel(self, stack: Stack, title: str, noticed: Stack | None, of_engine: int) -> list[str]:
        kind = clean.line(stack.type)
        if title == panels.TITLE:
            title = f"{kind}{title:>{max(len(title) + 2, WIDTH - len(kind))}}"
        return super().panel(stack, title, noticed, of_engine)

    def boxed(self, rows: list[Text], title: str, notice: str) -> list[str]:
        return self.ansi([Text(title), *rows, *([Text(f"[{notice}]")] if notice else []), Text("")])

    def where(self, hop: Hop, inside: int) -> list[Text]:  # noqa: ARG002
        return [
            Text(clean.line(part), _BOLD if hop.where and not at else "")
            for at, part in enumerate(phrases.where(hop, self.trace))
        ]

    def place(self, place: Place, before: str = "", style: Style | None = None) -> list[Text]:  # noqa: ARG002
        """``Cell In[3], line 2, in score``, or ``File ~/job.py:6, in score``."""
        shown = str(place) if place.is_cell else f"File {_below_home(place.path)}:{place.line or '?'}, in {place.name}"
        return [Text(before + clean.line(shown))]

    def frame(self, item: show.Shown, inside: int) -> list[Text]:
        return [row for row in super().frame(item, inside) if row.plain]  # no blank line below the head

    def source(self, frame: Frame, source: list[tuple[int, str]], inside: int) -> list[Text]:  # noqa: ARG002
        rows = []
        for number, raw in source:
            failing = number == frame.line
            arrow = f"{'-' * (NUMBERS - 2 - len(str(number)))}> {number}" if failing else f"{number:>{NUMBERS}}"
            row = Text.assemble((arrow, _BOLD if failing else ""), " ", self.code(raw, frame, failing))
            row.rstrip()
            rows.append(row)
            marks = carets.marks(frame) if failing and not self.abilities.colour else ""
            if marks:
                rows.append(Text(f"{' ' * NUMBERS} {marks}"))
        return rows

    def highlighted(self, code: str) -> Text:
        return Text(code)

    def ansi(self, rows: list[Text]) -> list[str]:
        return super().ansi([_uncoloured(row) for row in rows])


def _uncoloured(row: Text) -> Text:
    spans = [Span(span.start, span.end, _plain(span.style)) for span in row.spans]
    return Text(row.plain, _plain(row.style), spans=spans, end="")


def _plain(style: Style | str) -> Style:
    return Style(bold=style.bold, underline=style.underline) if isinstance(style, Style) else Style()


def _below_home(path: str) -> str:
    """A path as IPython shows it."""
    import os

    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if home != "~" and path.startswith(home + os.sep) else path
