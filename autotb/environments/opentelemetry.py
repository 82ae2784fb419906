"""OpenTelemetry: the event of a worker's error that a span records says where the worker ran; its text is ``traceback``'s."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("opentelemetry.sdk.trace",)
NAME = "OpenTelemetry"
DISTRIBUTION = "opentelemetry-sdk"
TESTED = "1.45"
CAPTURED = "exceptions that spans record: stacktrace, attributes `autotb.*`"


def _wrap_record(original: Function) -> Function:
    """A span records an exception, by itself or by the program."""

    @functools.wraps(original)
    def record_exception(self: Any, exception: Any, attributes: Any = None, *args: object, **kwargs: object) -> Any:
        try:
            more = _attributes(exception)
            attributes = {**more, **(attributes or {})} if more else attributes
        except Exception:
            pass  # then without
        return original(self, exception, attributes, *args, **kwargs)

    return record_exception


def _attributes(exception: Any) -> dict[str, Any]:
    from autotb.record import chain

    if not chain.concerns(exception):
        return {}
    from autotb.render import reported, retold

    _, tales = retold.read(exception, exception.__traceback__, lambda _: None)
    told = reported.of(tales)
    found = {f"autotb.{name.replace(' ', '_')}": value for name, value in told.items() if name != "before"}
    if tales and tales[0] is not None:
        own = str(exception)
        message = tales[0].message(own)
        found |= {"exception.message": message} if message != own else {}
    return found


PATCHES = (Patch("opentelemetry.sdk.trace", "Span.record_exception", _wrap_record, costs=Lost.SHOWN),)
