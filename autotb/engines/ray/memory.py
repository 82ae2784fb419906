"""A worker that Ray's own monitor killed as its machine ran low on memory: which task's, and how much it held.

Ray says why and what helps, on one page; nothing is guessed beside that.
Source: https://docs.ray.io/en/latest/ray-core/scheduling/ray-oom-prevention.html

Flows in: the message of ``OutOfMemoryError``, what the worker left behind, if anything.  Flows out: a hop.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from autotb.postmortem import death_report

if TYPE_CHECKING:
    from autotb.record.schema import Hop

# Ray's core says so; "pid=7, memory used=0.5GB" before 2.56
KILLED = re.compile(r"\bname=([^,()]*),[^()]*?\bpid=(\d+),(?: actual)? memory used=(\d[\d.]*) ?GB")


def hop(message: str, left: Any, call: str) -> Hop | None:
    """The worker that was killed; None where the message names several, or none, and nothing is left of the task's own.

    ``left`` is what is known of the one that ran the task, ``call`` the task's call where it is kept.
    """
    killed = {int(pid): (name, held) for name, pid, held in KILLED.findall(message)}
    pid = left.pid if left is not None and left.pid in killed else next(iter(killed), None)
    if pid is None or (len(killed) > 1 and left is None):
        return None
    name, held = killed[pid]
    if call.partition("(")[0] != name.rpartition(".")[2]:
        call = ""  # an actor's method is asked for, and its worker did something else
    made = death_report.hop("ray", "in a Ray worker", pid, None, left, call=call or (name if left is None else None))
    made["died"] = [f"killed by the node's memory monitor, while it held {held} GB"]
    return made
