"""Whether the kernel killed a process for want of memory: the counters of its control group, and the sizes that were reached.

Flows in: files under ``/proc`` and ``/sys/fs/cgroup``, where there are any.  Flows out: numbers, and a verdict in words.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
"""

from __future__ import annotations

import os

ROOT = "/sys/fs/cgroup"
_NEAR = 0.8  # of the limit: a process that came so close to it
_UNLIMITED = 1 << 60


def oom_kills() -> int | None:
    """How many processes of this control group the kernel has killed for want of memory; None where it does not tell."""
    for group in _groups():
        for file in ("memory.events", "memory.oom_control"):
            for line in _read(os.path.join(group, file)).splitlines():
                key, _, count = line.partition(" ")
                if key == "oom_kill" and count.isdigit():
                    return int(count)
    return None


def group() -> int:
    """A number for the control group of this process: counters of two are not compared."""
    import zlib

    return zlib.crc32(_read("/proc/self/cgroup").encode())


def limit() -> int | None:
    """How many bytes this control group may use; None for no limit."""
    for group in _groups():
        for file in ("memory.max", "memory.limit_in_bytes"):
            text = _read(os.path.join(group, file)).strip()
            if text.isdigit() and int(text) < _UNLIMITED:
                return int(text)
    return None


def largest_child() -> int:
    """The most bytes that any child which was waited for has had in memory; 0 where the system does not tell."""
    import sys

    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def verdict(kills_before: int | None) -> str:
    """Of a process that SIGKILL ended: why the kernel may have done it, or that it was somebody else; empty if that is open."""
    now = oom_kills()
    most, peak = limit(), largest_child()
    sizes = f"; the largest child process had {size(peak)}, of a limit of {size(most)}" if most and peak > _NEAR * most else ""
    if now is not None and kills_before is not None:
        if now > kills_before:
            more = now - kills_before
            return f"probably out of memory: the kernel's count of such kills rose by {more} since the worker began{sizes}"
        return "the kernel counts no out-of-memory kill"
    return f"perhaps by the kernel, out of memory{sizes}" if sizes else ""


def size(count: int) -> str:
    """Bytes in words."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def _groups() -> list[str]:
    found = []
    for line in _read("/proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            found.append(os.path.join(ROOT, path.lstrip("/")))
        elif "memory" in controllers.split(","):
            found.append(os.path.join(ROOT, "memory", path.lstrip("/")))
    return [*found, ROOT, os.path.join(ROOT, "memory")]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""
