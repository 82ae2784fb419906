"""Where the user's code made this call, kept as (code object, instruction offset) and decoded only when something fails.

Flows in: the running stack, at submission or when a result is asked for.  Flows out: a small tuple, and from it a plain dict.
"""

from __future__ import annotations

import sys

from autotb import registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    Site = tuple[CodeType, int]
_users: dict[CodeType, bool] = {}  # whether this code is the user's; bounded, see _is_user
registry.learners.append(_users.clear)


def here(depth: int = 2) -> Site | None:
    """The nearest user frame from ``depth`` frames up; None where there is none (an engine's own thread)."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        user = _users.get(code)
        if user is None:
            user = _is_user(frame)
        if user:
            return (code, frame.f_lasti)
        frame = frame.f_back
    return None


def nearest(depth: int = 2) -> bool:
    """Whether the frame ``depth`` up is itself the user's: nobody stands between the user and this call."""
    frame = sys._getframe(depth)
    user = _users.get(frame.f_code)
    return _is_user(frame) if user is None else user


def _is_user(frame: FrameType) -> bool:
    if len(_users) > 5_000:  # code objects made at run time must not pile up here
        _users.clear()
    kind = registry.kind_of(frame.f_code.co_filename, frame.f_globals.get("__name__"))
    _users[frame.f_code] = kind == registry.USER
    return kind == registry.USER


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


def decode(site: Site | None) -> dict[str, Any] | None:
    """``{"path", "line", "name"}`` of a remembered place; plain builtins."""
    if site is None:
        return None
    code, offset = site
    return {"path": code.co_filename, "line": line_of(code, offset), "name": code.co_name}
