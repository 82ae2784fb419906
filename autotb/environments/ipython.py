"""IPython and Jupyter: a worker's error in a cell is shown as autotb shows it, in the terminal and in the notebook.

Tried: IPython 9.  ``%xmode`` other than the default, ``_render_traceback_`` and syntax errors stay IPython's.
"""

from __future__ import annotations

import functools
import io
import os
from typing import TYPE_CHECKING, Any

from autotb import engine_facts, plain_errors, runtime
from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("IPython.core.interactiveshell",)
NAME = "IPython, Jupyter"
DISTRIBUTION = "ipython"
TESTED = "9.18"
CAPTURED = "workers' errors in cells; plain ones stay IPython's own"

engine_facts.register(own=("IPython", "ipykernel"))


def _wrap_showtraceback(original: Function) -> Function:
    """Every error in a cell is shown by this method, in the terminal and in kernels."""

    @functools.wraps(original)
    def showtraceback(self: Any, exc_tuple: object = None, *args: object, **kwargs: object) -> Any:
        try:
            if not args and not kwargs.get("exception_only") and not kwargs.get("filename") and _show(self, exc_tuple):
                return None
        except Exception:
            pass  # then as IPython does it
        return original(self, exc_tuple, *args, **kwargs)

    return showtraceback


def _show(shell: Any, exc_tuple: object) -> bool:
    kind, value, tb = shell._get_exc_info(exc_tuple)
    if issubclass(type(value), SyntaxError) or hasattr(value, "_render_traceback_") or kind.__name__ == "UsageError":
        return False
    if getattr(shell.InteractiveTB, "mode", "Context") != "Context":
        return False
    if not (runtime.asked or plain_errors.has_a_part(value, tb) or plain_errors.style_is_set()):
        return False  # a plain error is IPython's own
    import importlib

    build = importlib.import_module("autotb.trace.build")
    render = importlib.import_module("autotb.render")
    text = render.draw(build.build(value, tb), _Cell(shell))
    shell._showtraceback(kind, value, text.rstrip("\n").split("\n"))
    return True


class _Cell(io.StringIO):
    """What a cell's output can do: colours, unless the shell has none."""

    encoding = "utf-8"

    def __init__(self, shell: Any) -> None:
        super().__init__()
        self.colours = str(getattr(shell, "colors", "")).lower() != "nocolor" and not os.environ.get("NO_COLOR")

    def isatty(self) -> bool:
        return bool(self.colours)


PATCHES = (Patch("IPython.core.interactiveshell", "InteractiveShell.showtraceback", _wrap_showtraceback, costs=Lost.SHOWN),)
