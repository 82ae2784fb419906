"""The plain style: CPython's own grammar, so that every tool that reads tracebacks reads this one.

Beyond CPython's lines there are only ``  [...]`` lines, the form that CPython itself uses for repeated frames.
"""

from __future__ import annotations

from autotb import settings
from autotb.render import clean
from autotb.trace import filter as show
from autotb.trace import words
from autotb.trace.model import Frame, Gap, Stack, Trace

HEADER = "Traceback (most recent call last):"
MAX_MEMBERS = 5  # stories of a group that are told in full


def lines(trace: Trace, in_force: settings.Settings | None = None, *, with_hints: bool = False) -> list[str]:
    """The story, line by line."""
    in_force = in_force or settings.current()
    result = [trace.heading] if trace.heading else []
    if with_hints:  # before the traceback: a line after its frames would be read as its error
        result += [clean.line(hint) for hint in trace.hints]
        result += [clean.line(f"kept in {trace.kept}")] if trace.kept else []
    result += _stack(trace.stack, trace, in_force, 0)
    caused = words.caused_by(trace)
    return [*result, clean.text(caused)] if caused else result


def _stack(stack: Stack, trace: Trace, in_force: settings.Settings, depth: int) -> list[str]:
    result = []
    for other in stack.also:
        result += [*_stack(other, trace, in_force, depth), "", words.ALSO, ""]
    noticed = show.noticed_by(stack, in_force.frames)
    if stack.before is not None and noticed is None:
        result += _stack(stack.before, trace, in_force, depth)
        result += ["", words.CAUSED if stack.cause is not None else words.DURING, ""]
    body, hidden = _frames(stack, trace, in_force)
    if noticed is not None:
        body.append(f"  [{clean.line(words.noticed(noticed))}]")
    if stack.lost:
        body.append(f"  [{clean.line(words.lost(stack))}]")
    if hidden:
        body.append(f"  [{words.hidden(hidden)}]")
    final = [line for text in words.final_lines(stack) for line in clean.text(text).split("\n")]
    after = [clean.text(line) for line in [*stack.broken, *words.notes(stack)]]
    if stack.members is None:
        header = [HEADER] if body else []
        return [*result, *header, *body, *final, *after]
    header = [f"{'' if depth else '  + '}Exception Group {HEADER}"] if body else []
    margin = "" if depth else "  | "
    own = [*header, *(margin + line for line in [*body, *final, *after])]
    return [*result, *own, *_members(stack, trace, in_force, depth)]


def _members(stack: Stack, trace: Trace, in_force: settings.Settings, depth: int) -> list[str]:
    result = []
    groups = words_grouped(stack.members or ())
    indent = "    " if depth == 0 else "  "
    for number, same in enumerate(groups, 1):
        start = "  +-" if depth == 0 and number == 1 else indent
        result.append(f"{start}+---------------- {number} ----------------")
        if number <= MAX_MEMBERS:
            told = _stack(same[0], trace, in_force, depth + 1)
        else:
            told = []
        told += [count_line(same)] if len(same) > 1 or number > MAX_MEMBERS else []
        result += [f"{indent}| {line}".rstrip() for line in told]
    return [*result, f"{indent}+------------------------------------"]


def words_grouped(members: tuple[Stack, ...]) -> list[list[Stack]]:
    """Members that tell the same story together, in the order of their first."""
    groups: dict[object, list[Stack]] = {}
    for member in members:
        groups.setdefault(words.same_story(member), []).append(member)
    return list(groups.values())


def count_line(same: list[Stack]) -> str:
    """``35 × KeyError: 'id', at load.py:12 in parse``"""
    place = words.raised_at(same[0])
    headline = clean.line(same[0].headline)
    return f"{len(same)} × {headline[:500]}" + (f", at {clean.line(str(place))}" if place else "")


def _frames(stack: Stack, trace: Trace, in_force: settings.Settings) -> tuple[list[str], int]:
    views, hidden = show.view(stack, in_force.frames)
    result: list[str] = []
    for view in views:
        hop = ", ".join(words.where(view.hop, trace))
        if hop:
            result.append(f"  [{clean.line(hop)}]")
        if view.hop.call and in_force.args:
            result.append(f"  [{clean.line(view.hop.call)}]")
        result += [f"  [{clean.line(line)}]" for line in words.beside(view.hop)]
        for item in view.items:
            result += _item(item, in_force)
    return result, hidden


def _item(item: show.Item, in_force: settings.Settings) -> list[str]:
    if isinstance(item, Gap):
        return [f"  [{gap(item)}]"]
    if isinstance(item, show.Folded):
        return [f"  [{clean.line(str(item))}]"]
    result = _frame(item.frame)
    if in_force.locals == "1":
        result += [f"    {clean.line(name)} = {clean.line(value)}" for name, value in item.frame.locals]
    return result


def gap(item: Gap) -> str:
    """What stands for frames that are not listed, in CPython's words where it has them."""
    if item.omitted:
        return f"{item.omitted} more frames"
    if item.cycle == 1:
        return f"Previous line repeated {item.repeated} more time{'' if item.repeated == 1 else 's'}"
    return f"Previous {item.cycle} frames repeated {item.repeated} more times"


def _frame(frame: Frame) -> list[str]:
    result = [f'  File "{clean.line(frame.path)}", line {frame.line or None}, in {clean.line(frame.name)}']
    text = frame.failing_line
    if text.strip():
        bare = text.strip()
        result.append(f"    {clean.source(bare)}")
        carets = _carets(frame, text)
        if carets:
            result.append(f"    {carets}")
    if frame.changed:
        result.append("    [the file has changed since it was imported]")
    return result


def _carets(frame: Frame, text: str) -> str:
    if frame.span is None:
        return ""
    start = len(text) - len(text.lstrip())
    first, last = max(frame.span[0], start), min(frame.span[1], len(text.rstrip()))
    if last <= first or (first == start and last == len(text.rstrip())) or not text.isascii():
        return ""
    before = clean.source(text[start:first])
    return " " * len(before) + "^" * len(clean.source(text[first:last]))
