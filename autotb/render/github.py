"""GitHub Actions: one line that puts a worker's error beside the line of the user's code that raised it, in the pull request.

Flows in: a :class:`Trace` of an error that nobody caught.  Flows out: a workflow command, or nothing.
Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os

from autotb.record import ownership
from autotb.render import clean
from autotb.trace import phrases
from autotb.trace.model import Trace
from autotb.trace.parts import Stack

MOST = 10  # of a step: GitHub shows no more
_said: set[str] = set()


def annotation(trace: Trace) -> str:
    """The line, with its newline, of an error that a worker has a part in; each is given once a process."""
    is_read = os.environ.get("GITHUB_ACTIONS") == "true"  # what GitHub says, word for word
    if not is_read or len(_said) >= MOST or not _has_worker(trace.stack):
        return ""
    root = _first_root(trace)
    place = phrases.raised_at(root)
    if place is None or place.kind != ownership.USER or place.path.startswith("<") or not place.line:
        return ""
    message = clean.text("\n".join(phrases.final_lines(root, 20)))
    line = f"::error file={_property(_from_checkout(place.path))},line={place.line}::{_data(message)}\n"
    if line in _said:
        return ""
    _said.add(line)
    return line


def _has_worker(stack: Stack) -> bool:
    waiting = [stack]
    while waiting:
        told = waiting.pop()
        if any(hop.where for hop in told.hops):
            return True
        waiting += [other for other in (told.before, *(told.members or ())) if other is not None]
    return False


def _first_root(trace: Trace) -> Stack:
    """The root cause; of a group that of its first member."""
    root = trace.root_cause
    while root.members:
        root = Trace(root.members[0]).root_cause
    return root


def _from_checkout(path: str) -> str:
    """The file as the repository has it."""
    checkout = os.environ.get("GITHUB_WORKSPACE", "")
    for folder in (checkout, os.path.realpath(checkout)) if checkout else ():
        below = os.path.join(folder, "")
        if path.startswith(below):
            return path[len(below) :].replace(os.sep, "/")
    return path


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clean.line(text)).replace(":", "%3A").replace(",", "%2C")
