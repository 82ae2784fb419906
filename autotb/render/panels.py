"""The panels: each exception's frames in a rounded box, its last line below it.  The only module that imports rich.

Everything is laid out here, line by line, so that a frame's rows can be counted, and no row is wider than the terminal; rich
measures and colours.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from autotb.render import carets, clean, paths
from autotb.render.terminal import Abilities
from autotb.settings import Settings
from autotb.trace import bounds, phrases
from autotb.trace import visible as show
from autotb.trace.bounds import Limits
from autotb.trace.data import replace
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack

TITLE = "Traceback (most recent call last)"
MIN_WIDTH = 20  # of a panel; where there is no room for one in the margin of a group, the margin is left out
FOLD_ROWS = 4  # rows that one source line may take
NUMBER_WIDTH = 4

BORDER, HEAD, PATH, DIM, HOP, CALL, MARK, ERROR, UNDERLINE, HINT = (
    Style(color="red"),
    Style(bold=True),
    Style(color="cyan"),
    Style(dim=True),
    Style(color="yellow"),
    Style(italic=True),
    Style(color="red", bold=True),
    Style(color="red", bold=True),
    Style(underline=True, bold=True),
    Style(color="green"),
)
_ASCII = str.maketrans({"❱": ">", "│": "|", "…": "~", "×": "x"})


def draw(trace: Trace, abilities: Abilities, in_force: Settings) -> str:
    """The whole story, ending with a newline."""
    lines = bounds.kept(trace, lambda shorter, within: Drawing(shorter, abilities, in_force, within).story())
    text = "\n".join(lines) + "\n"
    return text if abilities.unicode else text.translate(_ASCII)


class Drawing:
    """One story on one kind of stream; ``render.cell`` has one that is laid out as IPython's are."""

    MARGIN = "│ "  # of a group's members

    def __init__(self, trace: Trace, abilities: Abilities, in_force: Settings, within: Limits) -> None:
        self.trace = trace
        self.abilities = abilities
        self.in_force = in_force
        self.within = within
        self.bare = show.is_bare(trace.stack)
        self.short = False  # failing lines alone
        self.depth = 0  # of groups in one another
        self.width = max(MIN_WIDTH, abilities.width)
        self.cut = "…" if abilities.unicode else "..."  # of a path: "~" means another folder
        self.margin = ""  # before each row, for members of a group
        self.inset = False  # whether any row around has one
        self.syntax: object | None = None
        self.terminal: _Terminal | None = None

    def story(self) -> list[str]:
        lines = [clean.line(self.trace.heading)] if self.trace.heading else []
        kept = (f"kept in {self.trace.kept}",) if self.trace.kept else ()
        lines += self.stack(self.trace.stack, TITLE, (*self.trace.hints, *kept))
        caused = phrases.caused_by(self.trace)
        if caused:
            lines += self.ansi([Text(clean.text(line)) for line in caused.split("\n")])
        return lines

    def stack(self, stack: Stack, title: str, hints: tuple[str, ...] = (), *, is_cause: bool = False) -> list[str]:
        alike, others = phrases.fan_in(stack)
        lines: list[str] = []
        noticed = show.noticed_by(stack, self.in_force.frames)
        of_engine = show.engines_own(stack, self.in_force.frames)
        folded = show.folded_cause(stack, self.in_force.frames, bare=self.bare) if is_cause else None
        first = stack if folded is None else folded.first
        if first.before is not None and noticed is None and not of_engine:
            lines += [*self.stack(first.before, TITLE, is_cause=True), "", *self.ansi([Text(phrases.joint(first), DIM)]), ""]
        if folded is not None:
            lines += self.text([Text(clean.line(str(folded.line)), DIM)])
        else:
            lines += self.panel(stack, title, noticed, of_engine)
        lines += self.text([Text(clean.line(line), HEAD) for line in phrases.counted(alike)])
        for line in phrases.broken(stack):
            lines += self.text([Text(clean.line(line), HOP)])
        lines += self.text([Text(clean.line(line), DIM) for line in phrases.raised_as(stack)])
        if stack.members is not None:
            lines += self.members(stack)
        for hint in hints:
            lines += self.text([Text(clean.line(hint), HINT)])
        lines += self.text([*self.final(stack), *map(_plain_text, phrases.notes(stack, self.within.lines))])
        return [*self.others(others, bounds.MAX_TOGETHER - len(lines)), *lines] if others else lines

    def others(self, groups: list[list[Stack]], room: int) -> list[str]:
        """The other errors that the same tasks failed of, as short stories."""
        self.short = True
        between = self.ansi([Text(""), Text(phrases.ALSO, DIM), Text("")])
        told = bounds.together(
            *(groups, self.within, room, between),
            story=lambda stack: self.stack(stack, TITLE),
            counts=lambda lines: self.text([Text(clean.line(line), HEAD) for line in lines]),
            rest=lambda line: self.text([Text(line, DIM)]),
        )
        self.short = False
        return told

    def text(self, rows: list[Text]) -> list[str]:
        """What stands in no panel: a terminal folds it, but not within a margin."""
        if self.inset and self.abilities.exact:
            rows = [part for row in rows for part in _chopped(row, self.width, self.within.lines)]
        return self.ansi(rows)

    def final(self, stack: Stack) -> list[Text]:
        rows = []
        for line in phrases.final_lines(stack, self.within.lines):
            text = Text(clean.text(line))
            if line.startswith(stack.type):
                text.stylize(ERROR, 0, len(stack.type))
            rows.append(text)
        return rows

    def members(self, stack: Stack) -> list[str]:
        lines: list[str] = []
        inner = self.narrower()
        groups = phrases.grouped(stack.members or ()) if self.depth < bounds.MAX_NESTING else []
        told = phrases.alike(groups)[: self.within.listed]
        for at, (same, *others) in enumerate(told):
            if at >= self.within.full:
                line = phrases.member_line([each for likes in (same, *others) for each in likes])
                lines += [inner.margin + row for row in inner.text([Text(clean.line(line))])]
                continue
            member = inner.stack(same[0], f"sub-exception {phrases.numbered(stack, same[0])}")
            below = [*phrases.counted(same), *phrases.further(others)]
            member += inner.text([Text(clean.line(line), HEAD) for line in below])
            lines += [f"{inner.margin}{line}".rstrip() for line in member]
            lines.append(inner.margin.rstrip())
        more = stack.count - sum(phrases.times(same) for likes in told for same in likes)
        return [*lines, *(inner.margin + row for row in inner.text([Text(phrases.more_members(more))]))] if more else lines

    def narrower(self) -> Drawing:
        margin = self.MARGIN if self.width - 2 >= MIN_WIDTH else ""
        abilities = replace(self.abilities, width=self.width - len(margin))
        inner = type(self)(self.trace, abilities, self.in_force, self.within)
        inner.bare, inner.depth, inner.margin, inner.inset = self.bare, self.depth + 1, margin, self.inset or bool(margin)
        return inner

    def panel(self, stack: Stack, title: str, noticed: Stack | None, of_engine: int) -> list[str]:
        views, hidden = show.view(stack, self.in_force.frames, bare=self.bare, most=self.within.items)
        inside = self.width - 4
        blocks: list[list[Text]] = []
        for view in views:
            blocks += self.hop(view, inside)
        if not blocks:
            return []
        if noticed is not None:
            blocks.append([Text(row, DIM) for row in _folded(clean.line(phrases.noticed(noticed)), inside, 5)])
        if stack.lost:
            blocks.append([Text(row, DIM) for row in _folded(clean.line(phrases.lost(stack)), inside, 5)])
        rows = blocks[0]
        for block in blocks[1:]:
            rows = [*rows, Text(""), *block]
        told = phrases.hidden(hidden + of_engine, hidden.launchers)
        notice = "; ".join(filter(None, (told, f"cut: {stack.cut}" if stack.cut else "")))
        return self.boxed(rows, title, clean.line(notice))

    def boxed(self, rows: list[Text], title: str, notice: str) -> list[str]:
        """Drawn here and not by rich's Panel: its Console alone costs half of what a whole story may in a pipe.

        A row that is longer than the panel has no right border.
        """
        width = self.width
        corners, bar, side = ("╭╮╰╯", "─", "│") if self.abilities.unicode else ("++++", "-", "|")
        edge = Text(side, BORDER)
        lines = [_border(corners[0], corners[1], bar, width, Text(title, HEAD))]
        for row in rows:
            room = width - 3 - cell_len(row.plain)
            lines.append(Text.assemble(edge, " ", row, *((" " * room, edge) if room > 0 else ())))
        lines.append(_border(corners[2], corners[3], bar, width, Text(notice, DIM)))
        return self.ansi(lines)

    def ansi(self, rows: list[Text]) -> list[str]:
        if not self.abilities.colour:
            return [row.plain for row in rows]
        console = self.console()
        return ["".join(console.render(row)) for row in rows]

    def console(self) -> _Terminal:
        if self.terminal is None:
            self.terminal = _Terminal()
        return self.terminal

    def hop(self, view: show.View, inside: int) -> list[list[Text]]:
        """The blocks of a hop: its own lines, then a block a frame; a blank row goes between blocks."""
        blocks: list[list[Text]] = []
        died = [
            Text(row, MARK if line in view.hop.died else DIM)
            for line in phrases.beside(view.hop)
            for row in _wrapped(clean.line(line), inside)
        ]
        head = [*self.where(view.hop, inside), *self.call(view.hop, inside), *died]
        if head:
            blocks.append(head)
        for item in view.items:
            if isinstance(item, show.Shown):
                blocks.append(self.frame(item, inside))
            else:
                text = f"… {phrases.gap(item)}" if isinstance(item, Gap) else str(item)
                blocks.append([Text(row, DIM) for row in _folded(clean.line(text), inside, FOLD_ROWS)])
        return blocks

    def where(self, hop: Hop, inside: int) -> list[Text]:
        parts = [clean.line(part) for part in phrases.where(hop, self.trace)]
        if not parts:
            return []
        joined = ", ".join(parts)
        if cell_len(joined) <= inside or (len(parts) == 1 and not self.abilities.exact):
            return [Text(joined, HOP)]
        rows = [Text(part + ("," if part is not parts[-1] else ""), HOP) for part in parts]
        if not self.abilities.exact:
            return rows
        there = self.place(hop.submitted, f"{hop.verb} at ", HOP) if hop.submitted else []
        ran = rows[: len(rows) - 1 if there else None]
        return [*(Text(part, HOP) for row in ran for part in _wrapped(row.plain, inside)), *there]

    def place(self, place: Place, before: str = "", style: Style | None = None) -> list[Text]:
        """``path:line in name``, whole so that it can be clicked and copied.

        Where somebody has said how wide the terminal is, and it does not fit without its right border, the path is shortened; if
        that is not enough, the name goes to a second row.
        """
        if place.is_cell:
            return [Text.assemble((before, style or ""), (clean.line(str(place)), style or PATH))]
        file, function, room = clean.line(place.path), clean.line(place.name), self.width - 2
        line = f":{place.line or '?'}"

        def row(*parts: tuple[str, Style | str]) -> Text:
            return Text.assemble(*((text, style or own) for text, own in parts))

        shown = self.fitted(file, room - cell_len(f"{before}{line} in {function}"))
        if shown is not None:
            return [row((before, ""), (shown, PATH), (f"{line} in ", ""), (function, HEAD))]
        shown = self.fitted(file, room - cell_len(before + line)) or paths.shortest(file, self.cut)
        rows = [row((before, ""), (shown, PATH), (line, "")), row(("in ", ""), (function, HEAD))]
        return [part for each in rows for part in _chopped(each, self.width - 4)]

    def fitted(self, path: str, room: int) -> str | None:
        if not self.abilities.exact:
            return path
        return paths.fitted(path, room, cell_len, self.cut)

    def call(self, hop: Hop, inside: int) -> list[Text]:
        if not hop.call or not self.in_force.args:
            return []
        return [Text(row, CALL) for row in _folded(clean.line(hop.call), inside, 20)]

    def frame(self, item: show.Shown, inside: int) -> list[Text]:
        frame = item.frame
        rows = self.place(frame)
        around = 0 if item.short or self.short else self.in_force.context
        source = [pair for pair in frame.source if abs(pair[0] - frame.line) <= around]
        if source:
            rows += [*([] if item.short or self.short else [Text("")]), *self.source(frame, source, inside)]
        if frame.changed:
            told = "(the file has changed since it was imported: these lines may be others)"
            indent = " " * (NUMBER_WIDTH + 3)
            rows += [Text(indent + row, DIM) for row in _wrapped(told, inside - len(indent))]
        if self.in_force.locals == "1" and frame.locals:
            rows += [Text(""), *self.locals(frame, inside)]
        return rows

    def source(self, frame: Frame, source: list[tuple[int, str]], inside: int) -> list[Text]:
        gutter = max(NUMBER_WIDTH, len(str(source[-1][0])))
        rows: list[Text] = []
        for number, raw in source:
            failing = number == frame.line
            text = self.code(raw, frame, failing)
            marks = carets.marks(frame) if failing and not self.abilities.colour else ""
            for turn, part in enumerate(_chopped(text, inside - gutter - 3)):
                label = f"{number:>{gutter}}" if turn == 0 else " " * gutter
                bar = "❱" if failing and turn == 0 else "│"
                row = Text.assemble((label, MARK if failing else DIM), (f" {bar} ", MARK if bar == "❱" else DIM), part)
                row.rstrip()
                rows.append(row)
                below = marks[: inside - gutter - 3].rstrip() if turn < FOLD_ROWS else ""  # the row that counts has none
                marks = marks[inside - gutter - 3 :]
                if below:
                    rows.append(Text(f"{' ' * gutter} │ {below}"))
        return rows

    def code(self, raw: str, frame: Frame, failing: bool) -> Text:
        shown = clean.source(raw).rstrip()
        text = self.highlighted(shown) if self.abilities.colour else Text(shown)
        if failing and frame.span is not None and self.abilities.colour:
            start = max(frame.span[0], len(raw) - len(raw.lstrip()))
            begin, end = len(clean.source(raw[:start])), len(clean.source(raw[: frame.span[1]]))
            text.stylize(UNDERLINE, begin, min(end, len(shown)))
        return text

    def highlighted(self, code: str) -> Text:
        """One line of Python in the terminal's own colours, which suit dark and light backgrounds."""
        if self.syntax is None:
            self.syntax = _syntax()
        text = self.syntax.highlight(code)  # type: ignore[attr-defined]
        text.rstrip()
        return Text(code, spans=text.spans, end="") if text.plain == code.rstrip() else Text(code)

    def locals(self, frame: Frame, inside: int) -> list[Text]:
        width = min(16, max(len(clean.line(name)) for name, _ in frame.locals))
        rows = []
        for name, value in frame.locals:
            rows += [Text(row, DIM) for row in _folded(f"  {clean.line(name):>{width}} = {clean.line(value)}", inside, 3)]
        return rows


def _border(left: str, right: str, bar: str, width: int, label: Text) -> Text:
    """One horizontal edge, with a label in its middle."""
    if not label.plain:
        return Text(left + bar * (width - 2) + right, BORDER)
    room = width - 4 - cell_len(label.plain)
    if room < 2:
        label.truncate(max(1, width - 6), overflow="ellipsis")
        room = width - 4 - cell_len(label.plain)
    before = room // 2
    return Text.assemble((left + bar * before + " ", BORDER), label, (" " + bar * (room - before) + right, BORDER))


class _Terminal:
    """rich's Console, for terminals with colour alone: turns a row into text with escape sequences."""

    def __init__(self) -> None:
        from rich.console import Console

        self.inner = Console(
            width=10_000, force_terminal=True, color_system="standard", legacy_windows=False, highlight=False, _environ={}
        )

    def render(self, row: Text) -> list[str]:
        from rich.color import ColorSystem

        segments = self.inner.render(row, self.inner.options.update(no_wrap=True, overflow="ignore"))
        return [
            segment.style.render(segment.text, color_system=ColorSystem.STANDARD) if segment.style else segment.text
            for segment in segments
            if not segment.control and segment.text != "\n"
        ]


def _syntax() -> object:
    """A highlighter in the plain ANSI colours, none of them bright: readable on dark and on light backgrounds."""
    from pygments.token import Comment, Keyword, Number, Operator, String
    from rich.syntax import ANSISyntaxTheme, Syntax

    colours = {
        Comment: Style(dim=True),
        Keyword: Style(color="magenta"),
        Operator.Word: Style(color="magenta"),
        String: Style(color="green"),
        Number: Style(color="cyan"),
    }
    return Syntax("", "python", theme=ANSISyntaxTheme(colours), background_color="default")


def _plain_text(line: str) -> Text:
    return Text(clean.text(line))


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    rows = textwrap.wrap(text, width, subsequent_indent="  ") if text.isascii() else [text]
    return [part for row in rows for part in _folded(row, width, 4)]


def _folded(text: str, width: int, limit: int) -> list[str]:
    return [row.plain for row in _chopped(Text(text), width, limit)]


def _chopped(text: Text, width: int, limit: int = FOLD_ROWS) -> list[Text]:
    """A line in rows of at most ``width`` cells; what does not go into ``limit`` rows is counted."""
    if text.cell_len <= width:
        return [text]
    offsets, cells = [], 0
    for index, character in enumerate(text.plain):
        size = cell_len(character)
        if cells + size > width:
            offsets.append(index)
            cells = 0
            if len(offsets) == limit:
                break
        cells += size
    rows = list(text.divide(offsets))
    if len(offsets) < limit:
        return rows
    left = f"{len(text.plain) - offsets[-1]:,}"
    counts = (f"… ({left} more characters)", f"… ({left} more)", f"… +{left}")
    return [*rows[:limit], Text(next((count for count in counts if len(count) <= width), counts[-1]), DIM)]
