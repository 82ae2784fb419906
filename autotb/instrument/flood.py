"""Failures of pools that come by the thousand from one line: what is known of them is noted in two microseconds each.

Flows in: ``set_exception``, in the worker's thread.  Flows out: a watch, with the record that the failures of one thread share.
Those of process pools come with their record, and need the watch alone.
The first hundred of a line take the way with everything; it is they that teach this one.
"""

from __future__ import annotations

import threading
from _thread import get_ident

from autotb import settings
from autotb.instrument import failure_kinds, unretrieved
from autotb.instrument.unretrieved import Watch
from autotb.record import annotate, callsite, made_frames
from autotb.record.callsite import by_user, code_of, offset_of
from autotb.record.capture import KEY
from autotb.record.static import cause_of, context_of, fields_of, traceback_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from autotb.instrument.types import Future

MOST = 1_000
_SITE = "_autotb_site"
_threads = threading._active  # type: ignore[attr-defined]


class _Line:
    """A line that fails again and again: the kind of its failures, and their records by thread and place of submission."""

    __slots__ = ("at", "code", "kind", "records", "run", "type")

    def __init__(self, type: type, code: CodeType, at: int, run: CodeType, kind: failure_kinds.Kind) -> None:
        self.type, self.code, self.at, self.run, self.kind = type, code, at, run, kind
        self.records: dict[int, tuple[Any, Any, int, Any]] = {}


_lines: dict[int, _Line] = {}  # by a number made of two, which is quicker than a pair: who finds one looks whether it is the one


def took(future: Future, exc: BaseException) -> bool:
    """Whether this failure is one of many alike, and all is done that is to be done for it."""
    tb = outer = traceback_of(exc)
    if tb is None:
        annotate.arrived(exc)
        return _arrived(future, exc)
    inner = tb.tb_next
    while inner is not None:
        tb = inner
        inner = tb.tb_next
    code = tb.tb_frame.f_code
    at = tb.tb_lasti
    line = _lines.get(id(code) ^ at)
    if line is None:
        return made_frames.is_made(outer.tb_frame) and _arrived(future, exc)
    if line.code is not code or line.at != at or line.type is not type(exc):
        return False
    if line.run is not outer.tb_frame.f_code:
        return False
    site = getattr(future, _SITE, None)  # to ask for the future's __dict__ would make one
    if site is None:
        return False
    submitted, offset, _, is_users = site
    if not is_users or future._done_callbacks:
        return False
    thread = get_ident()
    found = line.records.get(thread ^ offset)
    if found is None or found[1] is not submitted or found[2] != offset or found[3] is not _threads[thread]._name:
        return False
    if cause_of(exc) is not None or context_of(exc) is not None:
        return False
    future._autotb_watch = Watch(exc, site, line.kind, found[0])
    return True


def _arrived(future: Future, exc: BaseException) -> bool:
    """The same of a failure that came from another process; its record is given the place of submission once it is asked for."""
    kind, site = failure_kinds.of_record(dict.get(fields_of(exc), KEY)), getattr(future, _SITE, None)
    if kind is None or site is None or not by_user(site) or future._done_callbacks:
        return False
    future._autotb_watch = Watch(exc, site, kind)
    return True


def learn(future: Future, exc: BaseException, caller: FrameType) -> None:
    """This failure took the long way: the next one of its line need not, where it has become one of many."""
    record, tb, site = dict.get(fields_of(exc), KEY), traceback_of(exc), future.__dict__.get(_SITE)
    if type(record) is not tuple or tb is None or not record[1].get("live") or site is None or not by_user(site):
        return
    if caller.f_code.co_name != "run" or cause_of(exc) is not None or context_of(exc) is not None:
        return
    while tb.tb_next is not None:
        tb = tb.tb_next
    code = tb.tb_frame.f_code
    if callsite.whose(tb.tb_frame) != callsite.USER or settings.switch("keep_inputs") or not unretrieved.is_wanted(exc):
        return
    at, thread = tb.tb_lasti, get_ident()
    line = _lines.get(id(code) ^ at)
    if line is None or line.type is not type(exc) or line.code is not code or line.at != at or len(line.records) >= MOST:
        if len(_lines) >= MOST:
            _lines.clear()
        line = _lines[id(code) ^ at] = _Line(type(exc), code, at, caller.f_code, failure_kinds.of(exc))
    offset = offset_of(site)
    line.records[thread ^ offset] = record, code_of(site), offset, _threads[thread]._name
