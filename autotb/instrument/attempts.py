"""Tasks that an engine runs again when they fail: which attempt an error is of, and whether the ones before failed alike.

Flows in: failures, each remembered by its headline where its engine will try again.  Flows out: a part of the hop's header.
"""

from __future__ import annotations

from autotb.record import safe_repr, static
from autotb.record.capture import attached, message_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.record.schema import Hop

MAX_TASKS = 1_000  # of one engine; of the oldest it is then not known how they failed
MOST = 3  # other errors that are named
_LONGEST = 200  # characters of one


class Attempts:
    """The failures of the tasks of one engine, by whatever names a task."""

    def __init__(self) -> None:
        self.failed: dict[Any, list[str]] = {}

    def failed_of(self, task: Any, headline: str) -> None:
        """An attempt failed."""
        known = self.failed.get(task)
        if known is None:
            if len(self.failed) >= MAX_TASKS:
                del self.failed[next(iter(self.failed))]
            known = self.failed[task] = []
        known.append(headline)


def headline(error: BaseException) -> str:
    """An error's type and message, as far as they tell it from another."""
    return safe_repr.cut(f"{static.name(type(error))}: {message_of(error)}".removesuffix(": "), _LONGEST)


def said(number: int, most: int, failed: list[str]) -> str:
    """``attempt 3 of 3, all failed alike``: ``failed`` has a headline for each attempt, the last included, or less than that."""
    text = f"attempt {number:,} of {most:,}" if most >= number else f"attempt {number:,}"
    if len(failed) != number:
        return text  # others failed elsewhere, and it is not known of what
    others = list(dict.fromkeys(each for each in failed if each != failed[-1]))
    if not others:
        return f"{text}, all failed alike"
    more = f" and {len(others) - MOST:,} more" if len(others) > MOST else ""
    return f"{text}, others failed of {'; '.join(others[:MOST])}{more}"


def note(error: BaseException, number: int, most: int, failed: list[str]) -> None:
    """Put it on the outermost hop of an error's record."""
    hops: list[Hop] = (attached(error) or {}).get("hops") or []
    if number > 1 and hops:
        hops[0]["label"] = ", ".join(filter(None, (hops[0].get("label"), said(number, most, failed))))
