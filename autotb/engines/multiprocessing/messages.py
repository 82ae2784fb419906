"""What the processes of one pool send each other beside tasks and results, and what of it waits to be sent.

A message has the form of a result, of a job that no pool has: a driver without autotb ignores it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # every worker imports this: what only failures need is imported where they are handled
    from typing import Any

CASUALTY = "autotb: a worker died"
UNCERTAIN = "autotb: a worker leaves no status file"
INITIALIZER = "autotb: initializer failed"
untold: dict[int, list[Any]] = {}  # messages of casualties, by the thread that is about to start other workers
NOBODYS = (CASUALTY, 0, (False, None))  # a result of a job that no pool has
