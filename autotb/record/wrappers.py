"""Errors of engines that only wrap the user's: what stands in their place, and the type that one must catch all the same.

Flows in: an exception, and what the adapters declared (``engine_facts``).  Flows out: what it really says.
"""

from __future__ import annotations

from autotb import engine_facts
from autotb.record import safe_repr, static

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from autotb.engine_facts import Opened

MOST = 10  # wrappers in one another


def opened(exc: BaseException) -> Opened | None:
    """What the engines know of ``exc``; None for an exception that is nobody's wrapper."""
    found = engine_facts.open_wrapper(exc)
    if found is None and engine_facts.facts.wrappers:
        for kind in static.mro(type(exc)):
            opens = engine_facts.facts.wrappers.get(f"{static.module(kind)}.{static.qualname(kind)}")
            if opens is not None:
                return opens(exc)
    return found


def by_cause(exc: BaseException) -> Opened | None:
    """Opens a wrapper that was raised from the error that it stands for."""
    cause = static.cause_of(exc)
    return engine_facts.Opened(roots=(cause,)) if cause is not None else None


def innermost(exc: BaseException) -> BaseException:
    """The error that is told in place of ``exc``: the first one that it passes on, of which the same may be true."""
    for _ in range(MOST):
        found = opened(exc)
        if found is None or not found.roots:
            break
        exc = found.roots[0]
    return exc


def is_marker(exc: BaseException | None) -> bool:
    """Whether it says nothing: an engine raised another error from it to mark that one."""
    kind = type(exc)
    return (
        exc is not None
        and not static.args_of(exc)
        and f"{static.module(kind)}.{static.qualname(kind)}" in engine_facts.facts.markers
    )


def raised_as(exc: BaseException, told: str, headline: BaseException | None) -> str:
    """The type to catch, where the type that is ``told`` in its place is none of the classes of ``exc``; else nothing."""
    kinds = static.mro(type(exc))
    if told.rpartition(".")[2] in [static.name(kind) for kind in kinds]:
        return ""
    inner = [kind for kind in kinds if kind is type(headline)]  # what the engine itself names it by
    found = next((kind for kind in (*inner, *kinds) if static.is_found(kind)), None)
    return safe_repr.type_name(found) if found is not None else ""
