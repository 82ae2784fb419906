"""Hypothesis explains a failure by the lines that failing test cases alone ran; autotb's own are left out."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb import runtime
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("hypothesis.internal.scrutineer",)
NAME = "Hypothesis"
DISTRIBUTION = "hypothesis"
TESTED = "6.170"
CAPTURED = "nothing: its explanations leave autotb's lines out"

COSTS = "Hypothesis' explanations without autotb's lines among them"


def _wrap_should_trace(original: Function) -> Function:
    """Asked once for each file that runs: what is said of it is kept."""

    @functools.wraps(original)
    def should_trace_file(fname: Any) -> Any:
        return not fname.startswith(runtime.FOLDER) and original(fname)

    return should_trace_file


PATCHES = (Patch("hypothesis.internal.scrutineer", "should_trace_file", _wrap_should_trace, costs=COSTS),)
