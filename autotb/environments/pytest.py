"""pytest: the report of a test that failed with a worker's exception shows the test's frame, then the worker's, in its own style.

While pytest makes the report, and no longer, the exception has no engine's frames and no engine's text; a short section says
where the worker ran.  What is shown of it, and whether, stays pytest's.

No entry point: pytest warns of a plugin that was imported before it could rewrite its assertions, and the start-up file is.
"""

from __future__ import annotations

import contextlib
import functools
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotb.instrument.types import Function
    from autotb.record.schema import Tree

MODULES = ("_pytest.runner",)
NAME = "pytest"
TESTED = "9.2"
DISTRIBUTION = "pytest"
CAPTURED = "failed tests' reports"

PYTESTS = ("_pytest", "pluggy")
MOST = 50  # exceptions of a chain


def _wrap_makereport(original: Function) -> Function:
    """Every report of a test is made here, with the exception in hand."""

    @functools.wraps(original)
    def pytest_runtest_makereport(item: object, call: Any) -> Any:
        told = ""
        with contextlib.ExitStack() as shortened:
            try:
                if call.excinfo is not None:
                    told = _story(call.excinfo.value, call.excinfo.tb)
                    if told:
                        shortened.enter_context(_shortened(call))
            except Exception:
                pass  # the report is pytest's and goes on without us
            report = original(item, call)
        if told and _style(item) not in ("line", "no"):
            report.sections.append(("autotb", told))
        return report

    return pytest_runtest_makereport


def _style(item: Any) -> object:
    try:
        return item.config.option.tbstyle
    except Exception:
        return None  # an item of another make


def _story(error: BaseException, tb: TracebackType | None) -> str:
    """Where the workers ran and what they were given; the whole story where their frames are not in the traceback."""
    from autotb.record.capture import attached

    if attached(error) is None:
        return ""
    from autotb import render
    from autotb.trace import build

    trace = build.build(error, _of_test(tb))
    return "\n".join(_where(trace)) if _is_whole(error) else render.as_text(trace)


def _where(trace: Any) -> list[str]:
    from autotb import settings
    from autotb.render import clean
    from autotb.trace import phrases, visible

    in_force = settings.used("frames", "args")
    lines: list[str] = []
    stack, hidden = trace.stack, visible.Hidden(0)
    for _ in range(MOST):
        for hop in stack.hops:
            called = [hop.call] if hop.call and in_force.args else []
            lines += [", ".join(phrases.where(hop, trace)), *called, *phrases.beside(hop)]
        count = visible.view(stack, in_force.frames)[1]
        hidden = visible.Hidden(hidden + count, hidden.launchers + count.launchers)
        if stack.before is None:
            break
        stack = stack.before
    return [clean.line(line) for line in [*lines, phrases.hidden(hidden, hidden.launchers)] if line]


def _is_whole(error: BaseException) -> bool:
    """Whether the worker's frames are in the traceback, so that the engine's text of them says nothing more."""
    from autotb.record import made_frames, ownership, static

    tb = static.traceback_of(error)
    last = static.innermost(tb)
    is_made = last is not None and made_frames.is_made(last.tb_frame)
    return is_made or not ownership.is_remote_text(static.cause_of(error))


@contextlib.contextmanager
def _shortened(call: Any) -> Iterator[None]:
    """While pytest looks, each exception of the chain is as a direct call would have raised it; afterwards it is as it was."""
    from autotb.record import ownership, static
    from autotb.record.capture import attached

    excinfo = call.excinfo
    before: list[tuple[BaseException, list[Any]]] = []
    try:
        error: BaseException | None = excinfo.value
        while error is not None and len(before) < MOST:
            tb, cause, context, suppressed = values = [each.__get__(error) for each in _SLOTS]
            before.append((error, values))
            following = cause or (None if suppressed else context)
            record = attached(error)
            if record is not None and _is_whole(error):
                if ownership.is_remote_text(cause):
                    cause, context, following = _stand_in(record.get("cause")), _stand_in(record.get("context")), None
                    suppressed = bool(record.get("suppress") or cause is not None)
                _put(error, [_without_engines(tb), cause, context, suppressed])
            error = following
        call.excinfo = type(excinfo).from_exc_info((excinfo.type, excinfo.value, static.traceback_of(excinfo.value)))
        yield
    finally:
        call.excinfo = excinfo
        for error, values in reversed(before):
            _put(error, values)


_SLOTS = [BaseException.__dict__[name] for name in ("__traceback__", "__cause__", "__context__", "__suppress_context__")]


def _put(error: BaseException, values: list[Any]) -> None:
    """In place, whatever the class of the program's says; a cause sets the last of them, which comes last."""
    for slot, value in zip(_SLOTS, values):
        slot.__set__(error, value)


def _stand_in(tree: Tree | None, most: int = MOST) -> BaseException | None:
    """For the cause of an error in the worker, which stayed there: its type, message and frames."""
    from autotb.record import made_frames

    if not tree or not most:
        return None
    names = {"__module__": "builtins", "__qualname__": tree.get("type") or "Exception"}
    made: BaseException = type("Cause", (Exception,), names)(*filter(None, [tree.get("message")]))
    made.__traceback__ = made_frames.chained(made_frames.steps(tree.get("hops") or []))
    made.__cause__, made.__context__ = _stand_in(tree.get("cause"), most - 1), _stand_in(tree.get("context"), most - 1)
    made.__suppress_context__ = bool(tree.get("suppress") or made.__cause__ is not None)
    return made


def _of_test(tb: TracebackType | None) -> TracebackType | None:
    """Without pytest's own frames before the test's."""
    from autotb.record import static

    at = tb
    while at is not None and static.name_of(at.tb_frame).partition(".")[0] in PYTESTS:
        at = at.tb_next
    return at or tb


def _without_engines(tb: TracebackType | None) -> TracebackType | None:
    from autotb import settings
    from autotb.record import ownership

    tb = at = _of_test(tb)
    if settings.value("frames") == "all":
        return tb
    kept = []
    while at is not None:
        if ownership.kind_of_frame(at.tb_frame) not in (ownership.ENGINE, ownership.OWN):
            kept.append(at)
        at = at.tb_next
    result: TracebackType | None = None
    for each in reversed(kept):
        result = TracebackType(result, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return result or tb


PATCHES = (Patch("_pytest.runner", "pytest_runtest_makereport", _wrap_makereport, costs=Lost.SHOWN),)
