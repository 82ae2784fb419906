"""The sentences of a story, the same in every style: where a hop ran, what was called, how the story ends."""

from __future__ import annotations

from autotb import registry
from autotb.trace import limit
from autotb.trace.model import Frame, Hop, Stack, Trace

CAUSED = "The above exception was the direct cause of the following exception:"
ALSO = "The same tasks failed of another error as well:"
DURING = "During handling of the above exception, another exception occurred:"


def where(hop: Hop, trace: Trace) -> list[str]:
    """The parts of a hop's line: where it ran, and where it was submitted.  Empty for the process that shows the error."""
    if not hop.where and not hop.submitted:
        return []
    parts = []
    if hop.where:
        text = hop.where
        if hop.pid is not None and (hop.pid != trace.pid or hop.host not in ("", trace.host)):
            text += f", pid {hop.pid}"
        if hop.host and hop.host != trace.host:
            text += f", host {hop.host}"
        if hop.thread and hop.pid == trace.pid and hop.thread not in text:
            text += f", thread {hop.thread}"
        text += "".join(f", {name}={value}" for name, value in hop.job)
        if hop.label:
            text += f", {hop.label}"
        parts.append(text)
    if hop.submitted:
        parts.append(f"{hop.verb} at {hop.submitted}")
    return parts


def beside(hop: Hop) -> list[str]:
    """What stands below a hop's call: how its worker died, where it logged what it did, and how to call it again."""
    log = [f"the worker's log is {hop.log}"] if hop.log else []
    return [*hop.died, *log, *([f"call it again: python -m autotb rerun {hop.inputs}"] if hop.inputs else [])]


def noticed(before: Stack) -> str:
    """In place of an engine's own error, by which it noticed that a worker had died."""
    return f"noticed by {before.headline.partition(chr(10))[0]}"


def hidden(count: int) -> str:
    """What the panel's lower border says."""
    if not count:
        return ""
    return f"{count} engine {'frame' if count == 1 else 'frames'} hidden, AUTOTB_FRAMES=all"


def final_lines(stack: Stack) -> list[str]:
    """Python's own last lines: type and message, a syntax error's carets before them."""
    if stack.final:
        return list(stack.final)
    line = stack.headline
    if stack.members is not None and not stack.message.endswith(")"):
        count = len(stack.members)
        line += f" ({count} sub-exception{'' if count == 1 else 's'})"
    return [line]


def notes(stack: Stack) -> list[str]:
    """What ``add_note`` added, line by line."""
    return [line for note in stack.notes for line in note.split("\n")]


def lost(stack: Stack) -> str:
    """What could not travel from the worker."""
    return f"lost on the way from the worker: {', '.join(stack.lost)}" if stack.lost else ""


def caused_by(trace: Trace) -> str:
    """The last line of a story whose root is another exception."""
    root = trace.root_cause
    if root is trace.stack or limit.frames() == 0:
        return ""
    message = root.headline.split("\n", 1)[0]
    place = raised_at(root)
    return f"caused by {message}, at {place}" if place else f"caused by {message}"


def raised_at(stack: Stack) -> Frame | None:
    """The innermost user frame; failing that, the innermost one."""
    for frame in reversed(stack.frames):
        if frame.kind == registry.USER:
            return frame
    return stack.frames[-1] if stack.frames else None


def same_failure(stack: Stack) -> tuple[object, ...]:
    """What makes two errors one failure with other values: type and where they were raised, their causes' too."""
    place, before = raised_at(stack), stack.before
    return stack.type, (place.path, place.line) if place else stack.message, same_failure(before) if before else None


def same_story(stack: Stack) -> tuple[object, ...]:
    """What makes two errors one story told twice: type, message and where they were raised, their causes' too."""
    place = raised_at(stack)
    before = stack.before
    members = stack.members or ()
    return (
        stack.type,
        stack.message,
        (place.path, place.line) if place else None,
        same_story(before) if before else None,
        tuple(same_story(member) for member in members),
    )
