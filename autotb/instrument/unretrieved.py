"""Failed futures that are never retrieved: by themselves no line at all, and exit status 0.

Flows in: ``set_exception`` of a future whose ``submit`` the user called.  Flows out: what is reported when such a future is
dropped, or when the interpreter exits.  Nothing here runs for a future that succeeds, and no failure keeps more than its future
does.

An error that reached the program speaks for itself, and for those futures that were submitted before it did and failed of the
very same: a program that handles the first of forty equal failures knows them.  It speaks for no other failure, and for none
of a future that was submitted later.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from autotb import engine_facts, settings, surface
from autotb.instrument import engine_frames, failure_kinds, patch
from autotb.record import safe_repr, static
from autotb.record.callsite import batch_of, by_user
from autotb.record.capture import KEY

if TYPE_CHECKING:
    from autotb.instrument.delivery import Batch
    from autotb.instrument.types import Future
    from autotb.record.callsite import Site

_registered = False
_MARK = object()  # each watch holds it: its references tell how many watches there are, at no cost to any
due = float("inf")  # when what was counted is to be reported, by the clock of time.monotonic


class Watch:
    """Hangs on a failed future until somebody asks; tells its error when the future goes unasked."""

    __slots__ = ("error", "kind", "mark", "record", "site")

    def __init__(self, error: BaseException | None, site: Site | None, kind: failure_kinds.Kind, record: object = None) -> None:
        """``record`` is for the error to be given once somebody asks, where it has none yet."""
        self.error = error
        self.site = site
        self.kind = kind
        self.record = record
        self.mark = _MARK

    def __del__(self) -> None:
        error = self.error
        if error is None:
            return
        self.error = None
        kind = self.kind
        site = self.site
        if site is None:
            return
        _, _, batch, is_users = site  # which costs no more than one of its readers
        if kind.is_reported and batch.pool.is_plain and is_users and monotonic() < due:
            kind.unreported += 1  # as most of many failures are: nothing more is to be done for one
            if kind.is_same:
                kind.compare(error)
        else:
            _dropped(error, site, kind, self.record)


def watch(future: Future, error: BaseException, site_name: str, kind: failure_kinds.Kind) -> None:
    """Begin to watch a future that has just failed."""
    fields = future.__dict__
    site = fields.get(site_name)
    callbacks = fields.get("_done_callbacks")
    if is_wanted(error) and not (callbacks and _is_asked(callbacks)) and (site is None or by_user(site)):
        future._autotb_watch = begin(error, site, kind)


def _is_asked(callbacks: list[Any]) -> bool:
    """Whether one of those that are called once a future is done is more than its engine's bookkeeping."""
    known = engine_facts.facts.callbacks
    return not known or any(_name_of(callback) not in known for callback in callbacks)


def _name_of(callback: Any) -> str:
    return f"{static.module_of(static.behind_partials(callback))}.{safe_repr.function_name(callback)}"


def begin(error: BaseException, site: Site | None, kind: failure_kinds.Kind) -> Watch:
    """A watch, for its engine to hold as long as its future can be asked; ``site`` is like that of a pool's future."""
    global _registered
    if not _registered:
        _registered = True
        atexit.register(report_the_rest)
    return Watch(error, site, kind)


def is_wanted(error: BaseException) -> bool:
    """Whether an error's future is to be watched; of an interruption the program knows."""
    return issubclass(type(error), Exception) and _asking_is_seen() and settings.switch("unretrieved")


def _asking_is_seen() -> bool:
    """Whether ``result()`` and ``exception()`` tell us; where they do not, every failed future would seem unasked for."""
    return patch.is_applied("concurrent.futures._base", "Future.result", "Future.exception")


def answered(fields: dict[str, Any], error: BaseException | None = None) -> None:
    """Somebody asked a future; ``error`` is what reached the program by it."""
    found = fields.pop("_autotb_watch", None)
    if found is not None:
        end(found, error)


def end(found: Watch, error: BaseException | None) -> None:
    """Somebody asked the future that a watch is for; ``error`` is what reached the program by it."""
    if found.error is None:
        return
    _give(found.error, found.record)
    found.error = None
    if error is not None and found.site is not None:
        said = failure_kinds.said(error)
        batch_of(found.site).pool.has_delivered(error, (found.kind, said) if said is not None else None)


def _give(error: BaseException, record: object) -> None:
    if record is not None:
        dict.setdefault(static.fields_of(error), KEY, record)


def _dropped(error: BaseException, site: Site | None, kind: failure_kinds.Kind, record: object) -> None:
    if site is None or not by_user(site):
        return
    batch = batch_of(site)
    pool = batch.pool
    if not pool.is_plain and _is_known(batch, kind, error):
        return
    if pool.is_over:
        _over[kind] = _over.get(kind, 0) + 1
    elif kind.is_reported and monotonic() < due:
        kind.count(error)
    else:
        _give(error, record)
        surface.events.never_retrieved([(error, engine_frames.place_of(site))])


def _is_known(batch: Batch, kind: failure_kinds.Kind, error: BaseException) -> bool:
    """Whether the very same failure reached the program while the futures of this batch were on their way."""
    said = failure_kinds.said(error) if batch.pool.reached else None
    return bool(batch.knows((kind, said) if said is not None else None))


_references = getattr(sys, "getrefcount", None)  # an interpreter that counts none is always searched
_OWN_REFERENCES = _references(_MARK) if _references is not None else 0
_over: dict[failure_kinds.Kind, int] = {}  # failures of a pool whose error ended the program


def _held() -> list[Watch]:
    """The watches of failed futures that are still held, and were never retrieved."""
    if _references is not None and _references(_MARK) <= _OWN_REFERENCES:
        return []
    return [found for found in gc.get_objects() if type(found) is Watch and found.error is not None]


def of_the_same_pool(errors: set[int]) -> dict[failure_kinds.Kind, int]:
    """The program ends with an error of these (by ``id``): what else of its pool failed and was not asked for."""
    found = dict(_over)
    _over.clear()
    for one in _held():
        site = one.site
        if site is not None and batch_of(site).pool.last in errors:
            pool = batch_of(site).pool
            pool.is_over, pool.is_plain = True, False
            error, one.error = one.error, None
            if error is not None and by_user(site) and not _is_known(batch_of(site), one.kind, error):
                found[one.kind] = found.get(one.kind, 0) + 1
    return found


def report_the_rest() -> None:
    """At exit: the futures that are still held, and were never retrieved."""
    told = []
    for found in _held():
        error, found.error = found.error, None
        site = found.site
        if error is None or site is None or not by_user(site) or _is_known(batch_of(site), found.kind, error):
            continue
        if batch_of(site).pool.is_over:
            _over[found.kind] = _over.get(found.kind, 0) + 1
        elif found.kind.is_reported:
            found.kind.count(error)
        else:
            _give(error, found.record)
            told.append((error, engine_frames.place_of(site)))
    if told:
        surface.events.never_retrieved(told)
    surface.events.never_retrieved_at_exit(_over)


def _forget_in_child() -> None:
    global due
    due = float("inf")
    for found in _held():
        found.error = None  # the parent tells them
    _over.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
