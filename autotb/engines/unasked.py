"""Failed futures that nobody asked for: today no line at all, and exit status 0.

Flows in: ``set_exception`` of a future whose ``submit`` the user called.  Flows out: one story for the process, when such a
future is dropped or when the interpreter exits.  Nothing here runs for a future that succeeds.
"""

from __future__ import annotations

import atexit
import gc
import os
from typing import Any

from autotb import patch, registry, settings
from autotb.engines import worker

_registered = False


class Watch:
    """Hangs on a failed future until somebody asks; tells its error when the future goes unasked."""

    __slots__ = ("error", "site")

    def __init__(self, error: BaseException | None, site: Any) -> None:
        self.error = error
        self.site = site

    def __del__(self) -> None:
        if self.error is not None:
            tell([self])


def watch(future: Any, error: BaseException, site_name: str) -> None:
    """Begin to watch a future that has just failed."""
    global _registered
    if not _asking_is_seen():
        return
    fields = future.__dict__
    site = fields.get(site_name)
    if not issubclass(type(error), Exception):
        return  # an interruption, of which the program knows
    if fields.get("_done_callbacks") or (site is not None and not site[3]) or not settings.switch("unretrieved"):
        return
    future._autotb_watch = Watch(error, site)
    if not _registered:
        _registered = True
        atexit.register(tell_the_rest)


def _asking_is_seen() -> bool:
    """Whether ``result()`` and ``exception()`` tell us; where they do not, every failed future would seem unasked for."""
    states = [patch.applied.get(("concurrent.futures._base", f"Future.{name}")) for name in ("result", "exception")]
    return all(entry is not None and entry.state == patch.APPLIED for entry in states)


def tell(watches: list[Watch]) -> None:
    """Show the errors of these futures, but not those of a pool whose other error the program already knows."""
    told = []
    for found in watches:
        error, found.error = found.error, None
        site = found.site
        if error is not None and site is not None and site[3] and not site[2][0]:
            told.append((error, worker.place_of(site)))
    if told:
        registry.surface("nobody_asked", told)


def tell_the_rest() -> None:
    """At exit: the futures that are still held, and that nobody asked."""
    tell([found for found in gc.get_objects() if type(found) is Watch and found.error is not None])
    registry.surface("nobody_asked_at_exit")


def _forget_in_child() -> None:
    if not _registered:
        return
    for found in [found for found in gc.get_objects() if type(found) is Watch]:
        found.error = None  # the parent tells them


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
