"""The exceptions that are shown together: one, what it came out of, the members of groups; and whether a worker's is among them.

Flows in: an exception.  Flows out: those that are shown with it; no code of the program's runs.
"""

from __future__ import annotations

from autotb.record import static
from autotb.record.capture import attached

MOST = 50  # of one exception


def line(error: BaseException) -> list[BaseException]:
    """An exception, what it came out of, and so on, as they are shown."""
    found = [error]
    while len(found) < MOST:
        last = found[-1]
        following = static.cause_of(last) or (None if static.suppresses(last) else static.context_of(last))
        if following is None or any(following is each for each in found):
            break
        found.append(following)
    return found


def every(error: BaseException) -> list[BaseException]:
    """The same with the members of groups."""
    waiting, found = [error], dict[int, BaseException]()
    while waiting and len(found) < MOST:
        for each in line(waiting.pop(0)):
            if id(each) not in found:
                found[id(each)] = each
                waiting += static.members(each) or ()
    return list(found.values())


def concerns(error: object) -> bool:
    """Whether an exception, or one that it is shown with, came from a worker."""
    return static.is_exception(error) and any(attached(each) is not None for each in every(error))
