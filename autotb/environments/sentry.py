"""Sentry: the event of a worker's error has the worker's frames, and an engine's as not in-app.

Where the worker ran is a context, and the worker's own cause stands in place of the engine's text. By their fingerprint all such
errors of one function are one issue; a fingerprint of the program's goes before it.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autotb.instrument.types import Function
    from autotb.render.retold import Retold

MODULES = ("sentry_sdk.utils", "sentry_sdk.scope")
NAME = "Sentry"
DISTRIBUTION = "sentry-sdk"
TESTED = "2.75"
CAPTURED = "events of workers' errors: frames, context, fingerprint"

HINT = "autotb_fingerprint"


def _wrap_event(original: Function) -> Function:
    """Every event of an exception is made here, for all integrations."""

    @functools.wraps(original)
    def event_from_exception(exc_info: Any, client_options: Any = None, mechanism: Any = None) -> Any:
        from autotb.record import chain

        kind, error, tb = sys.modules["sentry_sdk.utils"].exc_info_from_error(exc_info)
        if not chain.concerns(error):
            return original(exc_info, client_options, mechanism)
        from autotb.render import retold

        (event, hint), tales = retold.read(
            error, tb, lambda tb: original((kind, error, tb), client_options, mechanism), engines=True
        )
        try:
            if any(tale is not None for tale in tales):
                _tell(event, hint, error, tales, client_options or {})
        except Exception:
            pass  # the frames are there
        return event, hint

    return event_from_exception


def _wrap_fingerprint(original: Function) -> Function:
    """The program's own fingerprint is looked for after the event is made: ours waits with the hint, and takes what is left."""

    @functools.wraps(original)
    def _apply_fingerprint_to_event(self: Any, event: Any, hint: Any, options: Any) -> Any:
        result = original(self, event, hint, options)
        try:
            ours = hint.get(HINT)
            if ours and event.get("fingerprint") is None:
                event["fingerprint"] = ours
        except Exception:
            pass  # then Sentry groups it
        return result

    return _apply_fingerprint_to_event


def _wrap_message(original: Function) -> Function:
    """What one of the exceptions of an event says."""

    @functools.wraps(original)
    def get_error_message(exc_value: Any) -> Any:
        from autotb.render import retold

        return retold.message(exc_value, original(exc_value))

    return get_error_message


def _tell(event: Any, hint: Any, error: BaseException, tales: Sequence[Retold | None], options: Any) -> None:
    from autotb.render import reported

    for value in event["exception"]["values"]:
        for frame in (value.get("stacktrace") or {}).get("frames") or ():
            _mark(frame)
    with_call = options.get("include_local_variables", True)
    told = reported.of(tales, with_call=with_call)
    members = reported.of_members(error, with_call=with_call)
    if members:
        told["members"] = members
    if told:
        event.setdefault("contexts", {})["autotb"] = told
    fingerprint = reported.fingerprint(tales)
    if fingerprint:
        hint[HINT] = fingerprint


def _mark(frame: dict[str, Any]) -> None:
    """Whether it is the program's own: of what has run elsewhere Sentry cannot tell by the project's folder."""
    from autotb.record import ownership

    path = frame.get("abs_path") or ""
    kind = ownership.kind_of(path, frame.get("module"))
    if kind in (ownership.ENGINE, ownership.OWN):
        frame["in_app"] = False
    elif kind == ownership.USER and not os.path.exists(path):
        frame["in_app"] = True


PATCHES = (
    Patch("sentry_sdk.utils", "event_from_exception", _wrap_event, costs=Lost.SHOWN),
    Patch("sentry_sdk.utils", "get_error_message", _wrap_message, costs=Lost.SHOWN),
    Patch("sentry_sdk.scope", "Scope._apply_fingerprint_to_event", _wrap_fingerprint, costs=Lost.SHOWN),
)
