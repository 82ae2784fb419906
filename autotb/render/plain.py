"""The plain style: CPython's own grammar, so that every tool that reads tracebacks reads this one.

Beyond CPython's lines there are only ``  [...]`` lines, the form that CPython itself uses for repeated frames.  It is never
longer than what Python itself would print.
"""

from __future__ import annotations

from autotb import settings
from autotb.render import carets, clean
from autotb.trace import bounds, phrases
from autotb.trace import visible as show
from autotb.trace.bounds import Limits
from autotb.trace.model import Trace
from autotb.trace.parts import HEADER, Frame, Gap, Stack

END = "+------------------------------------"


class _Member(str):
    """A line of a group's members."""

    __slots__ = ()


def lines(
    trace: Trace, in_force: settings.Settings | None = None, *, with_hints: bool = False, is_placed: bool = False
) -> list[str]:
    """The story, line by line; ``is_placed`` says that a line of the user's is told beside it, if it has none itself."""
    used = in_force or settings.used("frames", "args", "locals")

    def drawn(shorter: Trace, within: Limits) -> list[str]:
        return _Text(shorter, used, within, is_placed=is_placed).story(with_hints)

    return bounds.kept(trace, drawn)


class _Text:
    """One story, within some limits."""

    def __init__(self, trace: Trace, in_force: settings.Settings, within: Limits, *, is_placed: bool) -> None:
        self.trace = trace
        self.in_force = in_force
        self.within = within
        self.bare = not is_placed and show.is_bare(trace.stack)
        self.has_less = False  # than Python would have printed

    def story(self, with_hints: bool) -> list[str]:
        result = [clean.line(self.trace.heading)] if self.trace.heading else []
        if with_hints:  # before the traceback: a line after its frames would be read as its error
            result += [clean.line(hint) for hint in self.trace.hints]
            result += [clean.line(f"kept in {self.trace.kept}")] if self.trace.kept else []
        result += self.stack(self.trace.stack, 0)
        caused = phrases.caused_by(self.trace) if self.has_less else ""  # Python has no such line
        return [*result, clean.line(caused)] if caused else result

    def stack(self, stack: Stack, depth: int, *, is_cause: bool = False) -> list[str]:
        alike, others = phrases.fan_in(stack)
        result: list[str] = []
        noticed = show.noticed_by(stack, self.in_force.frames)
        of_engine = show.engines_own(stack, self.in_force.frames)
        folded = show.folded_cause(stack, self.in_force.frames, bare=self.bare) if is_cause else None
        first = stack if folded is None else folded.first
        if first.before is not None and noticed is None and not of_engine:
            result += [*self.stack(first.before, depth, is_cause=True), "", phrases.joint(first), ""]
            self.has_less = self.has_less or bool(stack.skipped)
        body, hidden = (self.item(folded.line), show.Hidden(0)) if folded is not None else self.frames(stack)
        if noticed is not None:
            body.append(f"  [{clean.line(phrases.noticed(noticed))}]")
        if stack.lost:
            body.append(f"  [{clean.line(phrases.lost(stack))}]")
        body += [f"  [{clean.line(line)}]" for line in [*phrases.counted(alike), *phrases.raised_as(stack)]]
        told = phrases.hidden(hidden + of_engine, hidden.launchers)
        notice = "; ".join(filter(None, (told, f"cut: {stack.cut}" if stack.cut else "")))
        if notice:
            body.append(f"  [{clean.line(notice)}]")
        final = [clean.text(line) for line in phrases.final_lines(stack, self.within.lines)]
        after = [clean.line(line) for line in [*phrases.broken(stack), *phrases.notes(stack, self.within.lines)]]
        if stack.members is None:
            header = [HEADER] if body else []
            own = [*result, *header, *body, *final, *after]
            return [*self.others(others, depth, bounds.MAX_TOGETHER - len(own)), *own] if others else own
        header = [f"{'' if depth else '  + '}Exception Group {HEADER}"] if body else []
        margin = "" if depth else "  | "
        own = [*header, *(margin + line for line in [*body, *final, *after])]
        return [*result, *own, *self.members(stack, depth)]

    def others(self, groups: list[list[Stack]], depth: int, room: int) -> list[str]:
        """The other errors that the same tasks failed of."""
        return bounds.together(
            *(groups, self.within, room, ["", phrases.ALSO, ""]),
            story=lambda stack: self.stack(stack, depth),
            counts=lambda lines: list(map(clean.line, lines)),
            rest=lambda line: [line],
        )

    def members(self, stack: Stack, depth: int) -> list[str]:
        """The members of a group, as CPython has them: those of one that is itself a member stand in no margin but their own."""
        result: list[str] = []
        base = "" if depth else "  "
        groups = phrases.grouped(stack.members or ())
        if depth >= bounds.MAX_NESTING:
            groups = []
            self.has_less = True
        told = phrases.alike(groups)[: self.within.listed]
        for at, (same, *others) in enumerate(told):
            number = phrases.numbered(stack, same[0]).partition(" ")[0]
            result.append(f"{base}{'  ' if at else '+-'}+---------------- {number} ----------------")
            inside = self.member(same, others, depth) if at < self.within.full else []
            if not inside:
                inside = [clean.line(phrases.member_line([each for likes in (same, *others) for each in likes]))]
            result += [f"{base}  {line}" if isinstance(line, _Member) else f"{base}  | {line}".rstrip() for line in inside]
        more = stack.count - sum(phrases.times(same) for likes in told for same in likes)
        if more:
            start = "  " if told else "+-"
            result += [f"{base}{start}+---------------- ... ----------------", f"{base}  | {phrases.more_members(more)}"]
        is_closed = told and not more and isinstance(inside[-1], _Member)  # by the last member's own last one
        return list(map(_Member, [*result, *([] if is_closed else [f"{base}  {END}"])]))

    def member(self, same: list[Stack], others: list[list[Stack]], depth: int) -> list[str]:
        """One member in full, and how many came about alike."""
        below = [phrases.count_line(same)] if phrases.times(same) > 1 else []
        return [*self.stack(same[0], depth + 1), *map(clean.line, [*below, *phrases.further(others)])]

    def frames(self, stack: Stack) -> tuple[list[str], show.Hidden]:
        views, hidden = show.view(stack, self.in_force.frames, bare=self.bare, most=self.within.items)
        self.has_less = self.has_less or bool(hidden) or bool(stack.hops[1:])
        result: list[str] = []
        for view in views:
            hop = ", ".join(phrases.where(view.hop, self.trace))
            if hop:
                result.append(f"  [{clean.line(hop)}]")
            if view.hop.call and self.in_force.args:
                result.append(f"  [{clean.line(view.hop.call)}]")
            result += [f"  [{clean.line(line)}]" for line in phrases.beside(view.hop)]
            for item in view.items:
                result += self.item(item)
        return result, hidden

    def item(self, item: show.Item) -> list[str]:
        if isinstance(item, Gap):
            return [f"  [{phrases.gap(item)}]"]
        if isinstance(item, show.Folded):
            self.has_less = self.has_less or item.count > 1 or bool(item.last.failing_line.strip())
            return [f"  [{clean.line(str(item))}]"]
        result = _frame(item.frame)
        if self.in_force.locals == "1":
            result += [f"    {clean.line(name)} = {clean.line(value)}" for name, value in item.frame.locals]
        return result


def _frame(frame: Frame) -> list[str]:
    result = [f'  File "{clean.line(frame.path)}", line {frame.line or None}, in {clean.line(frame.name)}']
    result += [f"    {line}" for line in carets.lines(frame)]
    if frame.changed:
        result.append("    [the file has changed since it was imported]")
    return result
