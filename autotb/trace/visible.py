"""Which frames of a stack are shown, and what the others are folded into.

Flows in: a :class:`Stack`.  Flows out: for each hop a list of *items*: frames, gaps and :class:`Folded` lines, and how many
engine frames were left out.
"""

from __future__ import annotations

import os
import re

from autotb.record import launchers, ownership
from autotb.trace.data import Data, replace
from autotb.trace.parts import Frame, Gap, Hop, Stack

HIDDEN = (ownership.ENGINE, ownership.OWN)
LIBRARY = (ownership.LIBRARY, ownership.STDLIB)
FULL_FRAMES = 8  # of a hop; in deeper ones the first and last half of these are shown in full
MOST_NAMED = 4  # packages of a line that stands for frames of several
MOST_ITEMS = 40  # of a hop: frames that are shown, and lines that stand for others


class Folded(Data):
    """Frames of a library between the user's: one dim line.  ``frames`` has each once, however often it was called."""

    count: int
    package: str
    last: Frame
    frames: tuple[Frame, ...] = ()

    def __str__(self) -> str:
        frames = "frame" if self.count == 1 else "frames"
        file = self.last.path.replace("\\", "/").rpartition("/")[2]
        return f"… {self.count} {frames} in {self.package}, last at {file}:{self.last.line or '?'} in {self.last.name}"


class Shown(Data):
    """A frame that is shown, with the lines around it or (``short``) with the failing one alone."""

    frame: Frame
    short: bool = False


Item = Shown | Gap | Folded


def noticed_by(stack: Stack, mode: str) -> Stack | None:
    """The engine's own error, without any line of the user's, by which it noticed that a worker had died: told in one line."""
    before = stack.before
    if before is None or mode == "all" or not stack.tells_of_a_death:
        return None
    frames = (frame for hop in before.hops if not hop.died for frame in hop.frames if isinstance(frame, Frame))
    return None if any(frame.kind == ownership.USER for frame in frames) else before


class Cause(Data):
    """An error that another came out of, without a frame of the user's: libraries caught it in their own code, or an engine did.

    ``line`` stands for all of its frames, and for those of the same error, raised anew, before it; ``first`` is the first one.
    """

    line: Folded
    first: Stack


def folded_cause(stack: Stack, mode: str, *, bare: bool) -> Cause | None:
    """How it is told; None where it says more than its frames do, or is to be shown whole."""
    if mode == "all" or bare:
        return None
    same: list[Stack] = []
    each: Stack | None = stack
    while each is not None and _is_folded(each) and each.headline == stack.headline and not (same and each.notes):
        same.insert(0, each)
        each = each.before if not each.skipped else None
    if not same:
        return None
    every = [item for each in same for hop in each.hops for item in hop.frames]
    frames = tuple(item for item in every if isinstance(item, Frame) and item.kind != ownership.OWN)
    packages = list(dict.fromkeys(map(_package, frames)))
    named = _listed(packages)
    count = sum(_stands_for(item) if isinstance(item, Gap) else 1 for item in every)
    return Cause(Folded(count, named, frames[-1], frames), same[0])


def _is_folded(stack: Stack) -> bool:
    if stack.members is not None or stack.also or stack.lost or stack.cut or stack.tells_of_a_death:
        return False
    if any(hop.where or hop.call or hop.submitted or hop.made for hop in stack.hops):
        return False
    kinds = {frame.kind for frame in stack.frames}
    return bool(kinds - {ownership.OWN}) and ownership.USER not in kinds


def engines_own(stack: Stack, mode: str) -> int:
    """How many frames are of what the engine did in the driver as it came upon a worker's error; that is not told.

    ``During handling of StopIteration`` leads nowhere in the user's code.
    """
    if mode == "all" or stack.cause is not None or not any(hop.where for hop in stack.hops):
        return 0
    count, before = 0, stack.context
    while before is not None:
        frames = before.frames
        if not frames or before.members is not None or any(hop.where for hop in before.hops) or before.notes:
            return 0
        if any(frame.kind not in HIDDEN for frame in frames):
            return 0
        count += len(frames)
        before = before.before
    return count


class Hidden(int):
    """How many frames are hidden; ``launchers`` of them are no engine's but of what started the program."""

    launchers: int

    def __new__(cls, count: int, launchers: int = 0) -> Hidden:
        hidden = super().__new__(cls, count)
        hidden.launchers = launchers
        return hidden


class View(Data):
    """What is shown of one hop."""

    hop: Hop
    items: tuple[Item, ...]


def is_bare(stack: Stack) -> bool:
    """Whether a whole story has no frame of the user's: then each of its frames is shown, for want of anything better.

    A shell command that failed is better.
    """
    waiting = [stack]
    while waiting:
        told = waiting.pop()
        if any(frame.kind == ownership.USER for frame in told.frames) or any(hop.command for hop in told.hops):
            return False
        waiting += [other for other in (told.before, *(told.members or ()), *told.also) if other is not None]
    return True


def view(stack: Stack, frames: str = "user", *, bare: bool = False, most: int = MOST_ITEMS) -> tuple[list[View], Hidden]:
    """The views of a stack's hops, and the count of frames that are hidden.

    ``bare`` is what ``is_bare`` says of the whole story; ``most`` is how many frames and lines of folded ones a hop may have.
    """
    everything = frames == "all" or bare
    last = stack.frames[-1] if stack.frames else None
    keep_own = frames == "all" or (last is not None and last.kind == ownership.OWN)  # an error of ours must stay debuggable too
    of_libraries = not any(frame.kind == ownership.USER for frame in stack.frames)
    raised_in = next((hop for hop in reversed(stack.hops) if hop.frames or not of_libraries), None)
    views = []
    hidden = launched = 0
    for hop in stack.hops:
        whole = [frame for frame in hop.frames if keep_own or isinstance(frame, Gap) or frame.kind != ownership.OWN]
        if everything:
            items: list[Item] = [frame if isinstance(frame, Gap) else Shown(frame, short=frames != "all") for frame in whole]
            hidden += len(hop.frames) - len(whole)
        else:
            sorted_ = _Sorted(hop is raised_in, of_libraries, is_unsent=stack.unsent or bool(stack.culprit))
            sorted_.sort(_merged(list(hop.frames)))
            items = sorted_.items
            hidden += sorted_.hidden
            launched += sorted_.launchers
        views.append(View(hop, tuple(_shortened(items, most))))
    return views, Hidden(hidden, launched)


def _merged(frames: list[Frame | Gap]) -> list[Frame | Gap]:
    """The frames, those of a comprehension and of its caller as one where both stand at one line."""
    result: list[Frame | Gap] = []
    for frame in frames:
        before = result[-1] if result else None
        if isinstance(frame, Frame) and isinstance(before, Frame) and frame.is_part_of(before):
            known = dict(before.locals) | dict(frame.locals)
            result[-1] = replace(before, span=frame.span, end=frame.end, locals=tuple(known.items()))
        else:
            result.append(frame)
    return result


class _Sorted:
    """The frames of one hop, sorted into what is shown, folded and hidden.

    A hop without any frame of the user's, in a story that has some, keeps its last one; so does an error that a library raised.
    ``is_unsent`` says that it is of what could not be pickled: which part that is says more than how a pickler came upon it.
    """

    def __init__(self, raised_here: bool, of_libraries: bool, *, is_unsent: bool = False) -> None:
        self.raised_here, self.of_libraries, self.is_unsent = raised_here, of_libraries, is_unsent
        self.items: list[Item] = []
        self.folding: list[tuple[Frame, int]] = []  # frames of libraries, each with the times that it stands for
        self.hidden = self.launchers = 0

    def sort(self, frames: list[Frame | Gap]) -> None:
        last = self._last_to_show(frames)
        for at, frame in enumerate(frames):
            if isinstance(frame, Gap):
                self._gap(frame, [each for each in frames[max(0, at - frame.cycle) : at] if isinstance(each, Frame)])
            elif at == last:
                self._fold()
                self.items.append(Shown(frame, short=True))
            elif frame.kind in HIDDEN or (self.is_unsent and _is_picklers(frame)):
                self.hidden += 1
                self.launchers += launchers.are_theirs(frame.path, frame.module)
            elif frame.kind in LIBRARY:
                self.folding.append((frame, 1))
            else:
                self._fold()
                self.items.append(Shown(frame))
        if self.folding and not self.items and not self.raised_here:
            self.hidden += sum(times for _, times in self.folding)  # a thread's own start: no user frame follows in this hop
        else:
            self._fold()

    def _last_to_show(self, frames: list[Frame | Gap]) -> int:
        """Where the last frame stands, if it is no user's and shown all the same; else -1."""
        if not self.raised_here:
            return -1
        for at in reversed(range(len(frames))):
            frame = frames[at]
            if isinstance(frame, Frame) and self.is_unsent and _is_picklers(frame):
                return -1  # it is told which part it could not pickle
            if isinstance(frame, Frame) and not (self.of_libraries and frame.kind == ownership.OWN):
                return at if frame.kind in LIBRARY or (self.of_libraries and frame.kind == ownership.ENGINE) else -1
        return -1

    def _gap(self, gap: Gap, cycle: list[Frame]) -> None:
        """Turns of a recursion in a library are counted with its frames; of any other they have a line of their own."""
        kinds = {frame.kind for frame in cycle}
        if gap.omitted or ownership.USER in kinds or not cycle or not kinds <= {*HIDDEN, *LIBRARY}:
            self._fold()
            self.items.append(gap)
            return
        in_folding = sum(frame.kind in LIBRARY for frame in cycle)
        self.hidden += gap.repeated * (len(cycle) - in_folding)
        start = len(self.folding) - in_folding
        self.folding[start:] = [(frame, times + gap.repeated) for frame, times in self.folding[start:]]

    def _fold(self) -> None:
        groups: list[list[tuple[Frame, int]]] = []
        for frame, times in self.folding:
            if groups and _package(groups[-1][0][0]) == _package(frame):
                groups[-1].append((frame, times))
            else:
                groups.append([(frame, times)])
        packages = list(dict.fromkeys(_package(group[0][0]) for group in groups))
        if len(groups) > len(packages):  # they call one another, to and fro
            groups, packages = [self.folding.copy()], [_listed(packages)]
        for group, package in zip(groups, packages, strict=True):
            frames = tuple(frame for frame, _ in group)
            self.items.append(Folded(sum(times for _, times in group), package, frames[-1], frames))
        self.folding.clear()


def _listed(names: list[str]) -> str:
    if len(names) > MOST_NAMED:
        names = [*names[:MOST_NAMED], f"{len(names) - MOST_NAMED} more"]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _is_picklers(frame: Frame) -> bool:
    return frame.kind != ownership.USER and frame.module.partition(".")[0] in _PICKLERS


_PICKLERS = ("pickle", "cloudpickle", "dill", "copyreg", "copy")
_INSTALLED = re.compile(r".*/(?:site-packages|dist-packages|[Pp]ython3\.\d+t?)/([^/]+)")


def _package(frame: Frame) -> str:
    if frame.module not in (*launchers.MAINS, ownership.REBUILT):
        return frame.module.partition(".")[0]
    if frame.kind in LIBRARY and not frame.path.endswith("__main__.py"):  # read in a text: the path tells, as far as it can
        path = frame.path.replace("\\", "/")
        if found := _INSTALLED.match(path):
            return found[1].removesuffix(".py")
        if "/" in path and not os.path.isabs(frame.path):  # Cython's
            return path.partition("/")[0]
    folder, _, file = frame.path.replace("\\", "/").rpartition("/")
    return folder.rpartition("/")[2] if folder and file == "__main__.py" else file.removesuffix(".py")


def _shortened(items: list[Item], most: int) -> list[Item]:
    """In a deep hop the frames between the first and the last four keep their head and failing line only; ``most`` are shown."""
    if len(items) > most:
        half = most // 2
        left_out = items[half : len(items) - half]
        items = [*items[:half], Gap(omitted=sum(map(_stands_for, left_out))), *items[len(items) - half :]]
    shown = [item for item in items if isinstance(item, Shown)]
    if len(shown) <= FULL_FRAMES:
        return items
    half = FULL_FRAMES // 2
    short = {id(item) for item in shown[half:-half]}
    return [Shown(item.frame, short=True) if isinstance(item, Shown) and id(item) in short else item for item in items]


def _stands_for(item: Item) -> int:
    """How many frames."""
    if isinstance(item, Gap):
        return item.omitted or item.repeated * item.cycle
    return item.count if isinstance(item, Folded) else 1
