"""When this process began: what is older is of another process with the same number, or was changed before it ran.

Flows in: the kernel's clock ticks.  Flows out: nanoseconds since the epoch, to some hundredths of a second.
"""

from __future__ import annotations

import functools
import os
import sys
import time


@functools.cache
def own_start() -> int:
    """When this process began, in nanoseconds since the epoch; 0 where the system does not tell.

    Source: proc(5), field 22 of ``/proc/self/stat``.
    """
    if sys.platform == "win32":
        return 0
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read(2_000).rpartition(b")")[2].split()[19])
        with open("/proc/uptime", "rb") as file:  # btime, of /proc/stat, is of whole seconds
            up = float(file.read(100).split()[0])
        return time.time_ns() - int((up - ticks / os.sysconf("SC_CLK_TCK")) * 1e9)
    except (OSError, ValueError, IndexError):
        return 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=own_start.cache_clear)
