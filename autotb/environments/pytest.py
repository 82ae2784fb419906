"""pytest: the report of a test that failed with a worker's exception shows the test's frame, then the worker's, in its own style.

While pytest makes the report, and no longer, the exception has no engine's frames and no engine's text; a short section says
where the worker ran.  What is shown of it, and whether, stays pytest's.

What comes with a plugin for pytest (AnyIO, Hypothesis) is loaded by pytest itself, which rewrites its assertions and is asked
first; adapters are told all the same.

No entry point: pytest warns of a plugin that was imported before it could rewrite its assertions, and the start-up file is.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotb.instrument.types import Function

MODULES = ("_pytest.runner", "_pytest.assertion.rewrite")
NAME = "pytest"
TESTED = "9.2"
DISTRIBUTION = "pytest"
CAPTURED = "failed tests' reports"

PYTESTS = ("_pytest", "pluggy")
MOST = 50  # exceptions of a chain


def _wrap_find_spec(original: Function) -> Function:
    """The first finder that is asked, once pytest has begun."""

    @functools.wraps(original)
    def find_spec(self: Any, name: Any, path: Any = None, target: Any = None) -> Any:
        spec = original(self, name, path, target)
        try:
            from autotb import runtime

            ours: Any = runtime.finder
            return spec and ours.find_spec(name, path, target, spec)
        except Exception:
            return spec  # then no adapter is told

    return find_spec


def _wrap_makereport(original: Function) -> Function:
    """Every report of a test is made here, with the exception in hand."""

    @functools.wraps(original)
    def pytest_runtest_makereport(item: object, call: Any) -> Any:
        told = None
        with contextlib.ExitStack() as shortened:
            try:
                if call.excinfo is not None and not _is_under_test():
                    told = _story(call.excinfo.value, call.excinfo.tb)
                    if told is not None:
                        shortened.enter_context(_shortened(call))
            except Exception:
                pass  # the report is pytest's and goes on without us
            report = original(item, call)
        if told and _style(item) not in ("line", "no"):
            report.sections.append(("autotb", told))
        return report

    return pytest_runtest_makereport


def _is_under_test() -> bool:
    """Whether this pytest is run by a test of another one, in one process: the report is what that test is about."""
    from autotb.record import static

    frame, runs = sys._getframe(1), 0
    while frame is not None and runs < 2:
        runs += frame.f_code.co_name == "runtestprotocol" and static.name_of(frame) == "_pytest.runner"
        frame = frame.f_back  # type: ignore[assignment]
    return runs == 2


def _style(item: Any) -> object:
    try:
        return item.config.option.tbstyle
    except Exception:
        return None  # an item of another make


def _story(error: BaseException, tb: TracebackType | None) -> str | None:
    """Where the workers ran and what they were given; the whole story where their frames are not in the traceback.

    None where no worker's error is shown.
    """
    from autotb.record import chain

    if not chain.concerns(error):
        return None
    from autotb import render
    from autotb.render import retold
    from autotb.trace import build

    trace = build.build(error, _of_test(tb))
    return "\n".join(_where(trace)) if all(map(retold.is_whole, chain.every(error))) else render.as_text(trace)


def _of_members(error: BaseException) -> dict[int, list[str]]:
    """The same of each member of a group, below its message: pytest prints groups as Python does."""
    from autotb.record import chain, static
    from autotb.render import retold

    shown = {id(each) for each in chain.line(error)}
    told = {id(each): retold.of(each, static.traceback_of(each)) for each in chain.every(error) if id(each) not in shown}
    return {key: each.lines for key, each in told.items() if each is not None}


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


@contextlib.contextmanager
def _shortened(call: Any) -> Iterator[None]:
    """While pytest looks, each exception of the chain is as a direct call would have raised it; afterwards it is as it was."""
    from autotb.record import static
    from autotb.render import retold

    excinfo = call.excinfo
    error = excinfo.value
    notes = _of_members(error)
    try:
        with retold.silence(), retold.for_a_while(error, _of_test, notes):
            call.excinfo = type(excinfo).from_exc_info((excinfo.type, error, static.traceback_of(error)))
            yield
    finally:
        call.excinfo = excinfo


def _of_test(tb: TracebackType | None) -> TracebackType | None:
    """Without pytest's own frames before the test's."""
    from autotb.record import static

    at = tb
    while at is not None and static.name_of(at.tb_frame).partition(".")[0] in PYTESTS:
        at = at.tb_next
    return at or tb


PATCHES = (
    Patch("_pytest.runner", "pytest_runtest_makereport", _wrap_makereport, costs=Lost.SHOWN),
    Patch(
        "_pytest.assertion.rewrite",
        "AssertionRewritingHook.find_spec",
        _wrap_find_spec,
        costs="what the adapters of engines that come with a plugin for pytest do, in tests",
    ),
)
