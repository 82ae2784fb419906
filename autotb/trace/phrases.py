"""The sentences of a story, the same in every style: where a hop ran, what was called, how the story ends."""

from __future__ import annotations

from autotb.record import ownership
from autotb.trace import tracebacklimit
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Stack

CAUSED = "The above exception was the direct cause of the following exception:"
ALSO = "The same tasks failed of another error as well:"
MOST_OF_A_COMMAND = 8  # lines
MOST_BROKEN = 8  # lines
MOST_CALLS = 5  # that are named of those which failed alike
MOST_SAID = 200  # characters of a message that stands in a line with others
DURING = "During handling of the above exception, another exception occurred:"


def where(hop: Hop, trace: Trace) -> list[str]:
    """The parts of a hop's line: where it ran, and where it was submitted.  Empty for the process that shows the error."""
    if not hop.where and not hop.submitted and not hop.made:
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
        if hop.reads:
            text += f", file {hop.reads}"
        parts.append(text)
    if hop.made and (hop.submitted is None or (hop.made.path, hop.made.line) != (hop.submitted.path, hop.submitted.line)):
        parts.append(f"made at {hop.made}")
    if hop.submitted:
        parts.append(f"{hop.verb} at {hop.submitted}")
    return parts


def beside(hop: Hop) -> list[str]:
    """What stands below a hop's call: which attempt it was, how its worker died, where it logged, and how to call it again."""
    log = [f"the worker's log is {hop.log}"] if hop.log else []
    attempt = [hop.attempt] if hop.attempt else []
    return [
        *attempt,
        *hop.died,
        *_command(hop),
        *log,
        *([f"call it again: python -m autotb rerun {hop.inputs}"] if hop.inputs else []),
    ]


def _command(hop: Hop) -> list[str]:
    """The shell command that failed, and the last lines that it wrote."""
    if not hop.command:
        return []
    lines = hop.command.split("\n")
    shown = lines if len(lines) <= MOST_OF_A_COMMAND else _cut(lines, MOST_OF_A_COMMAND, "line")
    told = ["the command was:", *("  " + line for line in shown)]
    for which, path in hop.files:
        said = {"stdout": hop.stdout, "stderr": hop.stderr}.get(which, "")
        end = "" if said else " (empty, or not there)"
        told += [f"its {which} is {path}{':' if said else end}", *("  " + line for line in said.split("\n") if said)]
    return told


def noticed(before: Stack) -> str:
    """In place of an engine's own error, by which it noticed that a worker had died."""
    return f"detected by {before.line}"


def hidden(count: int, launchers: int = 0) -> str:
    """What the panel's lower border says; ``launchers`` of these frames are of what started the program."""
    if not count:
        return ""
    kinds = [f"{number} {kind}" for number, kind in ((launchers, "launcher"), (count - launchers, "engine")) if number]
    return f"{' and '.join(kinds)} {'frame' if count == 1 else 'frames'} hidden, AUTOTB_FRAMES=all"


def final_lines(stack: Stack, most: int | None = None) -> list[str]:
    """Python's own last lines: type and message, a syntax error's carets before them; at most ``most`` and one that counts."""
    text = "\n".join(stack.final) if stack.final else stack.headline
    if not stack.final and stack.members is not None and not stack.message.endswith(")"):
        text += f" ({stack.count} sub-exception{'' if stack.count == 1 else 's'})"
    lines = text.split("\n")
    return lines if most is None or len(lines) <= most else _cut(lines, most, "line")


def notes(stack: Stack, most: int | None = None) -> list[str]:
    """What ``add_note`` added, line by line, and the count of what is left out."""
    half = (len(stack.notes) + 1) // 2
    first, last = ([line for note in part for line in note.split("\n")] for part in (stack.notes[:half], stack.notes[half:]))
    more = [f"… {_counted(stack.unnoted, 'more note')}"] if stack.unnoted else []
    lines = [*first, *more, *last]
    if most is None or len(lines) <= most:
        return lines
    return _cut([*first, *last], most, "line", *more)


def _cut(lines: list[str], most: int, noun: str, *more: str) -> list[str]:
    last = most // 3
    first = most - last
    count = _counted(len(lines) - most, f"more {noun}")
    return [*lines[:first], f"… {count}", *more, *lines[len(lines) - last :]]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def broken(stack: Stack) -> list[str]:
    """A line for each chain of tasks that failed only because of this error; of many chains the first and last few."""
    lines = list(stack.broken)
    return lines if len(lines) <= MOST_BROKEN else _cut(lines, MOST_BROKEN, "such line")


def raised_as(stack: Stack) -> list[str]:
    """The type to catch, of an error that an engine wrapped."""
    return [f"raised as {stack.raised_as}"] if stack.raised_as else []


def joint(stack: Stack) -> str:
    """The sentence between the exception that ``stack`` came out of and ``stack``."""
    if stack.skipped:
        others = _counted(stack.skipped, "other")
        return f"The above exception led to {others}, not shown here; the last of these led to the following exception:"
    return CAUSED if stack.cause is not None else DURING


def more_members(count: int) -> str:
    """For members of a group that are only counted; CPython's words."""
    return f"and {_counted(count, 'more exception')}"


def grouped(stacks: tuple[Stack, ...]) -> list[list[Stack]]:
    """Errors that tell the same story together, in the order of their first."""
    groups: dict[object, list[Stack]] = {}
    for stack in stacks:
        groups.setdefault(same_story(stack), []).append(stack)
    return list(groups.values())


def alike(groups: list[list[Stack]]) -> list[list[list[Stack]]]:
    """Groups of ``grouped`` whose errors came about in the same way together, in the order of their first: where they are more
    than two, one is told in full, and of the others what they say."""
    found: dict[object, list[list[Stack]]] = {}
    likes = [found.setdefault(same_way(same[0]) or id(same), []) for same in groups]
    for same, others in zip(groups, likes):
        others.append(same)
    return [others if len(others) > 2 else [same] for same, others in zip(groups, likes) if len(others) <= 2 or others[0] is same]


def further(others: list[list[Stack]]) -> list[str]:
    """What those of ``alike`` after the first say, with their calls and tasks: a few of them."""
    if not others:
        return []
    lines = []
    for same in others[:MOST_CALLS]:
        stack = same[0]
        hop = stack.hops[-1] if stack.hops else Hop()
        about = [f"for {hop.call[:80]}" if hop.call else "", hop.label]
        count = f"{times(same)} × " if times(same) > 1 else ""
        lines.append(", ".join(filter(None, (count + stack.headline, *about))))
    rest = sum(map(times, others[MOST_CALLS:]))
    lines += [f"and {rest:,} more"] if rest else []
    return [f"the same failure, {sum(map(times, others)):,} more:", *("  " + line for line in lines)]


def fan_in(stack: Stack) -> tuple[list[Stack], list[list[Stack]]]:
    """The errors that the same tasks failed of: those that are the same failure as ``stack`` with other values, after that one
    itself, and groups of the others."""
    groups: dict[object, list[Stack]] = {same_failure(stack): [stack]} if stack.also else {}
    for other in stack.also:
        groups.setdefault(same_failure(other), []).append(other)
    found = list(groups.values())
    return (found[0] if found and len(found[0]) > 1 else []), found[1:]


def counted(same: list[Stack]) -> list[str]:
    """How many there are of a group of ``fan_in``, and of what."""
    return [count_line(same), *calls(same)] if times(same) > 1 else []


def calls(same: list[Stack]) -> list[str]:
    """Which calls failed alike: a few of them."""
    found = list(dict.fromkeys(hop.call for stack in same for hop in stack.hops[-1:] if hop.call))
    if not found:
        return []
    more = f", and {len(found) - MOST_CALLS:,} more" if len(found) > MOST_CALLS else ""
    return [f"for {', '.join(call[:80] for call in found[:MOST_CALLS])}{more}"]


def times(same: list[Stack]) -> int:
    """How often the story of a group of ``grouped`` is told."""
    return sum(1 + stack.alike for stack in same)


def count_line(same: list[Stack]) -> str:
    """``35 × KeyError: 'id', at load.py:12 in parse``, without the message where not all have the same."""
    place = raised_at(same[0])
    headline = same[0].headline if all(other.message == same[0].message for other in same) else same[0].type
    return f"{times(same)} × {headline[:500]}" + (f", at {place}" if place else "")


def member_line(same: list[Stack]) -> str:
    """A line for members of a group: ``count_line``, but that one alone is not counted."""
    return count_line(same).removeprefix("1 × ")


def numbered(stack: Stack, member: Stack) -> str:
    """``3 of 12``: which of a group's members that is; the number alone where not all are known."""
    members = stack.members or ()
    number = next((at for at, each in enumerate(members, 1) if each is member), 0)
    return f"{number} of {stack.count}" if stack.count == len(members) else str(number)


def gap(item: Gap) -> str:
    """What stands for frames that are not listed, in CPython's words where it has them."""
    if item.omitted:
        return f"{item.omitted} more frame{'' if item.omitted == 1 else 's'}"
    if item.cycle == 1:
        return f"Previous line repeated {item.repeated} more time{'' if item.repeated == 1 else 's'}"
    return f"Previous {item.cycle} frames repeated {item.repeated} more times"


def lost(stack: Stack) -> str:
    """What could not travel from the worker."""
    return f"lost on the way from the worker: {', '.join(stack.lost)}" if stack.lost else ""


def caused_by(trace: Trace) -> str:
    """The last line of a story whose root is another exception."""
    root = trace.root_cause
    if root is trace.stack or tracebacklimit.frames() == 0:
        return ""
    is_users = any(frame.kind == ownership.USER for frame in root.frames)
    if (
        not is_users
        and trace.stack.members is None
        and (root.headline == trace.stack.headline or root.headline in trace.stack.message)
    ):
        return ""  # the last line has said it, and no line of the user's is to be named
    place = raised_at(root)
    return f"caused by {root.line}, at {place}" if place else f"caused by {root.line}"


def raised_at(stack: Stack) -> Frame | None:
    """The innermost user frame; failing that, the innermost one.  A comprehension's is the function's that it stands in."""
    frames = stack.frames
    users = [at for at, frame in enumerate(frames) if frame.kind == ownership.USER]
    at = users[-1] if users else len(frames) - 1
    while at > 0 and frames[at].is_part_of(frames[at - 1]):
        at -= 1
    return frames[at] if frames else None


def same_failure(stack: Stack) -> tuple[object, ...]:
    """What makes two errors one failure with other values: type and where they were raised, their causes' and members' too."""
    place, before = raised_at(stack), stack.before
    return (
        stack.type,
        (place.path, place.line) if place else stack.message,
        same_failure(before) if before else None,
        frozenset(map(same_failure, stack.members)) if stack.members is not None else None,
    )


def same_way(stack: Stack) -> tuple[object, ...] | None:
    """What makes two errors alike in all but message, values and task; None for one that has more to say than a line.  What they
    came out of is the same, message and all."""
    before = stack.before
    way = same_way(before) if before else ()
    if "\n" in stack.message or len(stack.message) > MOST_SAID:
        return None
    if way is None or stack.members is not None or stack.notes or stack.also or stack.broken or stack.lost or stack.cut:
        return None
    hops = tuple(_way_of(hop) for hop in stack.hops)
    return stack.type, stack.raised_as, stack.culprit, hops, way, before.message if before else ""


def _way_of(hop: Hop) -> tuple[object, ...]:
    frames = [item if isinstance(item, Gap) else (item.path, item.line, item.name, item.span) for item in hop.frames]
    about = (hop.where, hop.engine, hop.host, hop.submitted, hop.made, hop.died, hop.attempt, hop.command, hop.log, hop.inputs)
    return (*about, *frames)


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
        stack.unlisted,
    )
