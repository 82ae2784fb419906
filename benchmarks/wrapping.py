"""``python -m benchmarks.wrapping``: what a wrapped function costs, by the exchange of its code and by wrapt's ``FunctionWrapper``.

Both call ``inner(*args, **kwargs)`` and nothing else.  Exit status 1 if wrapt has become the cheaper one.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from typing import Any

import wrapt

from autotb.instrument import code_swap
from benchmarks.measure import Row, exact, instructions, pairs

CALLS = 100_000


def rows() -> list[Row]:
    """A call of a function and of a method, and the import, each to wrapt's."""
    return [
        pairs("a call of a wrapped function, to wrapt's", _timed(_exchanged()), _timed(_by_wrapt()), 1),
        pairs("a call of a wrapped method, to wrapt's", _timed(_method(_exchanged())), _timed(_method(_by_wrapt())), 1),
        exact("what the import adds, to wrapt's", _imported("autotb.instrument.code_swap"), _imported("wrapt"), 1),
    ]


def _timed(function: Any) -> Callable[[], float]:
    return lambda: timeit.timeit(lambda: function(1), number=CALLS)


def _target() -> Any:
    def target(*given: Any) -> Any:
        return given[-1]

    return target


def _exchanged() -> Any:
    function = _target()
    inner = code_swap.twin(function)
    function.__code__ = code_swap.code_for(function, _passing(inner))
    return function


def _passing(inner: Any) -> Any:
    def ours(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return ours


def _by_wrapt() -> Any:
    return wrapt.FunctionWrapper(_target(), lambda wrapped, _instance, args, kwargs: wrapped(*args, **kwargs))


def _method(function: Any) -> Any:
    engine = type("Engine", (), {"call": function})()
    return lambda given: engine.call(given)  # noqa: PLW0108  bound anew for each call, as programs do


def _imported(module: str) -> int:
    """Instructions that the import of a module adds to those of an interpreter."""
    off = {"AUTOTB": "0"}
    bare = instructions([sys.executable, "-c", "pass"], off)
    return instructions([sys.executable, "-c", f"import {module}"], off) - bare


def main() -> int:
    """Print the rows."""
    found = rows()
    sys.stdout.write("\n".join(map(str, found)) + "\n")
    return int(any(not row.ok for row in found))


if __name__ == "__main__":
    sys.exit(main())
