"""Which frames of a stack are shown, and what the others are folded into.

Flows in: a :class:`Stack`.  Flows out: for each hop a list of *items*: frames, gaps and :class:`Folded` lines, and how many
engine frames were left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from autotb import registry
from autotb.trace.model import Frame, Gap, Hop, Stack

HIDDEN = (registry.ENGINE, registry.OWN)
LIBRARY = (registry.LIBRARY, registry.STDLIB)
FULL_FRAMES = 8  # of a hop; in deeper ones the first and last half of these are shown in full


@dataclass(frozen=True)
class Folded:
    """Frames of a library between the user's: one dim line."""

    count: int
    package: str
    last: Frame

    def __str__(self) -> str:
        frames = "frame" if self.count == 1 else "frames"
        file = self.last.path.replace("\\", "/").rpartition("/")[2]
        return f"… {self.count} {frames} in {self.package}, last at {file}:{self.last.line or '?'} in {self.last.name}"


@dataclass(frozen=True)
class Shown:
    """A frame that is shown, with its lines around it or (``short``) the failing one alone."""

    frame: Frame
    short: bool = False


Item = Shown | Gap | Folded


def noticed_by(stack: Stack, mode: str) -> Stack | None:
    """The engine's own error, without any line of the user's, by which it noticed that a worker had died: told in one line."""
    before = stack.before
    if before is None or mode == "all" or not stack.tells_of_a_death:
        return None
    frames = (frame for hop in before.hops if not hop.died for frame in hop.frames if isinstance(frame, Frame))
    return None if any(frame.kind == registry.USER for frame in frames) else before


@dataclass(frozen=True)
class View:
    """What is shown of one hop."""

    hop: Hop
    items: tuple[Item, ...]


def view(stack: Stack, frames: str = "user") -> tuple[list[View], int]:
    """The views of a stack's hops, and the count of engine frames that are hidden."""
    everything = frames == "all" or not any(frame.kind == registry.USER for frame in stack.frames)
    views = []
    hidden = 0
    raised_in = stack.hops[-1] if stack.hops else None
    last = next((frame for frame in reversed(stack.frames)), None)
    keep_own = frames == "all" or (last is not None and last.kind == registry.OWN)  # an error of ours must stay debuggable too
    for hop in stack.hops:
        whole = [frame for frame in hop.frames if keep_own or isinstance(frame, Gap) or frame.kind != registry.OWN]
        items, left_out = (
            (list(map(_as_item, whole)), len(hop.frames) - len(whole)) if everything else _items(hop, hop is raised_in)
        )
        hidden += left_out
        views.append(View(hop, tuple(_shortened(items))))
    return views, hidden


def _as_item(frame: Frame | Gap) -> Item:
    return frame if isinstance(frame, Gap) else Shown(frame)


def _items(hop: Hop, raised_here: bool) -> tuple[list[Item], int]:
    items: list[Item] = []
    folding: list[Frame] = []
    hidden = 0
    for frame in hop.frames:
        if isinstance(frame, Gap):
            hidden += _add_gap(frame, items, folding)
        elif frame.kind in HIDDEN:
            hidden += 1
        elif frame.kind in LIBRARY:
            folding.append(frame)
        else:
            _fold(items, folding)
            items.append(Shown(frame))
    if folding and raised_here and _raised_in_library(hop):
        last = folding.pop()
        _fold(items, folding)
        items.append(Shown(last))
    elif folding and not items and not raised_here:
        hidden += len(folding)  # a thread's own start, say: no user frame follows in this hop
    else:
        _fold(items, folding)
    return items, hidden


def _add_gap(gap: Gap, items: list[Item], folding: list[Frame]) -> int:
    if folding or not items:
        return gap.omitted
    items.append(gap)
    return 0


def _raised_in_library(hop: Hop) -> bool:
    """Whether the error was raised in a library's code: the last frame that is not an engine's is a library's."""
    last = [frame for frame in hop.frames if isinstance(frame, Frame)][-1:]
    return bool(last) and last[0].kind in LIBRARY


def _fold(items: list[Item], folding: list[Frame]) -> None:
    groups: list[list[Frame]] = []
    for frame in folding:
        if groups and _package(groups[-1][0]) == _package(frame):
            groups[-1].append(frame)
        else:
            groups.append([frame])
    items += [Folded(len(group), _package(group[0]), group[-1]) for group in groups]
    folding.clear()


def _package(frame: Frame) -> str:
    if frame.module:
        return frame.module.partition(".")[0]
    return frame.path.replace("\\", "/").rpartition("/")[2].removesuffix(".py")


def _shortened(items: list[Item]) -> list[Item]:
    """In a deep hop the frames between the first and the last four keep their head and failing line only."""
    shown = [item for item in items if isinstance(item, Shown)]
    if len(shown) <= FULL_FRAMES:
        return items
    half = FULL_FRAMES // 2
    short = {id(item) for item in shown[half:-half]}
    return [Shown(item.frame, short=True) if isinstance(item, Shown) and id(item) in short else item for item in items]
