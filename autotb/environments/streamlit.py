"""Streamlit shows what ``traceback`` makes of a worker's error; where it hides what errors say, it shows no arguments either."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("streamlit.elements.exception",)
NAME = "Streamlit"
DISTRIBUTION = "streamlit"
TESTED = "1.67"
CAPTURED = "workers' errors in the app"


def _wrap_rows(original: Function) -> Function:
    """The rows of a traceback; they go to a browser, which may be anybody's."""

    @functools.wraps(original)
    def _get_stack_trace_str_list(*args: Any, **options: Any) -> Any:
        if options.get("include_exception_message", True):
            return original(*args, **options)
        from autotb.render import retold

        with retold.silence():
            return original(*args, **options)

    return _get_stack_trace_str_list


PATCHES = (Patch("streamlit.elements.exception", "_get_stack_trace_str_list", _wrap_rows, costs=Lost.SHOWN),)
