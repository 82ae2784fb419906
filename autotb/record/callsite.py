"""Where the user's code made this call: a *site*, kept as a tuple and decoded only when something fails.

Flows in: the running stack, at submission or when a result is asked for.  Flows out: a site, and from it a plain dict.  A tuple
is made in a sixth of the time of anything that has names; what it holds has names here, and nobody else counts its parts.
"""

from __future__ import annotations

import sys
from operator import itemgetter

from autotb import engine_facts
from autotb.record import ownership, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType
    from typing import Any

    from autotb.record.schema import Place

    Site = tuple[CodeType, int, Any, bool]  # see the readers below
MAX_REMEMBERED = 100_000  # sites and calls of one engine
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
USER, OTHER, ENGINE = 1, 0, -1  # ENGINE: one with an adapter of its own, which notes the place itself
# Whose code this is, by its ``id``, with the code, which lives as long: to hash one takes microseconds, more the longer it is.
_users: dict[int, tuple[CodeType, int]] = {}  # bounded, see _whose
engine_facts.learners.append(_users.clear)
known = _users.get

code_of: Callable[[Site], CodeType] = itemgetter(0)
offset_of: Callable[[Site], int] = itemgetter(1)  # of the instruction
batch_of: Callable[[Site], Any] = itemgetter(2)  # the batch of its pool (instrument.delivery); None where no pool is told of it
by_user: Callable[[Site], bool] = itemgetter(3)  # whether the user's own code made the call, so that somebody should ask for it


def at(code: CodeType, offset: int, batch: object = None, by_user: bool = False) -> Site:
    """The site of one instruction."""
    return (code, offset, batch, by_user)


def in_batch(site: Site, batch: object, by_user: bool) -> Site:
    """The same site, of work that a pool is given."""
    return (site[0], site[1], batch, by_user)


def is_same(site: Site, other: Site) -> bool:
    """Whether both are the same instruction of the same code."""
    return site[0] is other[0] and site[1] == other[1]


def common(sites: Iterable[Site | None]) -> Site | None:
    """The one that all of them are; None where there are several, or one is not known."""
    found = None
    for site in sites:
        if site is None or (found is not None and not is_same(found, site)):
            return None
        found = site
    return found


def here(depth: int = 2, through_engines: bool = True) -> Site | None:
    """The nearest user frame from ``depth`` frames up; None where there is none (an engine's own thread).

    Every frame that is looked at costs: with ``through_engines`` false the walk ends at an engine that has its own adapter.
    """
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        known = _users.get(id(code))
        whose = known[1] if known is not None else _whose(frame)
        if whose == USER:
            return (code, frame.f_lasti, None, False)
        if whose == ENGINE and not through_engines:
            return None
        frame = frame.f_back
    return None


def whose(frame: FrameType) -> int:
    """USER, ENGINE or OTHER."""
    known = _users.get(id(frame.f_code))
    return known[1] if known is not None else _whose(frame)


def _whose(frame: FrameType) -> int:
    if len(_users) > 2_000:  # code objects made at run time must not pile up here
        _users.clear()
    if ownership.is_packed():
        ownership.adopt_program(_outermost_first(frame))
    path = static.exact(frame.f_code.co_filename)
    kind = ownership.kind_of(path, static.name_of(frame))
    engine = kind == ownership.ENGINE and not ownership.is_stdlib(path)
    found = USER if kind == ownership.USER else ENGINE if engine else OTHER
    _users[id(frame.f_code)] = frame.f_code, found
    return found


def _outermost_first(frame: FrameType | None) -> list[FrameType]:
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def remember(table: dict[Any, Any], key: Any, value: Any) -> None:
    """``table[key] = value``, for which the oldest goes once there are MAX_REMEMBERED."""
    if len(table) >= MAX_REMEMBERED:
        del table[next(iter(table))]
    table[key] = value


def line_of(code: CodeType, offset: int) -> int:
    """The line of an instruction, as ``tb_lineno`` would give it."""
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= offset < end and number is not None:
            return number
        if start > offset:
            break
        if number is not None:
            line = number
    return line


def decode(site: Site | None) -> Place | None:
    """``{"path", "line", "name"}`` of a remembered place; plain builtins."""
    if site is None:
        return None
    code = site[0]
    return {"path": static.exact(code.co_filename), "line": line_of(code, site[1]), "name": _name(code)}


def _name(code: CodeType) -> str:
    """The function's; of a comprehension, no function of its own from Python 3.12 on, that of the one that it stands in."""
    name, within = static.exact(code.co_name), static.exact(getattr(code, "co_qualname", ""))
    if name not in COMPREHENSIONS or not within.endswith(f".<locals>.{name}"):
        return name
    return within[: -len(f".<locals>.{name}")].rpartition(".")[2]
