"""IPython and Jupyter: a worker's error in a cell is shown as autotb shows it, in the terminal and in the notebook.

Tried: IPython 9.  ``%xmode Plain`` and ``Verbose`` are obeyed; ``Minimal`` and ``Docs``, ``_render_traceback_`` and syntax errors
stay IPython's.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autotb import engine_facts, plain_errors, runtime, settings
from autotb.assumption import Lost
from autotb.instrument.patch import Patch
from autotb.record import ownership, sources

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("IPython.core.interactiveshell",)
NAME = "IPython, Jupyter"
DISTRIBUTION = "ipython"
TESTED = "9.18"
CAPTURED = "workers' errors in cells, with IPython's own heads; plain ones stay IPython's own"

engine_facts.register(own=("IPython", "ipykernel"))


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _cell(path: str) -> str:
    """``Cell In[3]``, for the file that IPython compiled it as; "" for all others."""
    shell = _shell()
    try:
        told = shell.compile.format_code_name(path) if shell is not None else None
        return f"{told[0]} {told[1]}" if told is not None and told[0] == "Cell" else ""
    except Exception:
        return ""  # a shell of another make


def _cells() -> list[str]:
    """The files that IPython compiled its cells as, the last one last."""
    shell = _shell()
    try:
        numbers = dict(shell.compile._filename_map) if shell is not None else {}
        return sorted(numbers, key=numbers.__getitem__)
    except Exception:
        return []  # a shell of another make


sources.namers.append(_cell)
sources.cells.append(_cells)


def _wrap_showtraceback(original: Function) -> Function:
    """Every error in a cell is shown by this method, in the terminal and in kernels."""

    @functools.wraps(original)
    def showtraceback(self: Any, exc_tuple: object = None, *args: object, **kwargs: object) -> Any:
        try:
            shown = not args and not kwargs.get("exception_only") and not kwargs.get("filename") and _show(self, exc_tuple)
        except Exception:
            shown = False  # then as IPython does it
        if not shown:
            return original(self, exc_tuple, *args, **kwargs)
        if getattr(self, "call_pdb", False):  # %pdb, as IPython does it
            self.debugger(force=True)
        return None

    return showtraceback


_STYLES = {"Context": "", "Verbose": "", "Plain": "plain"}  # by %xmode


def _show(shell: Any, exc_tuple: object) -> bool:
    kind, value, tb = shell._get_exc_info(exc_tuple)
    if issubclass(type(value), SyntaxError) or hasattr(value, "_render_traceback_") or kind.__name__ == "UsageError":
        return False
    mode = getattr(shell.InteractiveTB, "mode", "Context")
    if mode not in _STYLES:
        return False
    if not (runtime.asked or plain_errors.has_a_part(value, tb) or plain_errors.style_is_set()):
        return False  # a plain error is IPython's own
    shell._showtraceback(kind, value, _lines(shell, value, _without_the_shell(tb), mode))
    return True


def _lines(shell: Any, value: BaseException, tb: TracebackType | None, mode: str) -> list[str]:
    import importlib

    trace = importlib.import_module("autotb.trace.build").build(value, tb)
    render = importlib.import_module("autotb.render")
    stream = _Cell(shell)
    is_page, is_verbose = hasattr(shell, "kernel"), mode == "Verbose"
    if (is_page or is_verbose) and not _STYLES[mode] and settings.value("style") in ("auto", "rich"):
        return list(render.in_cell(trace, stream, is_page=is_page, with_locals=is_verbose))
    return str(render.draw(trace, stream, _STYLES[mode])).rstrip("\n").split("\n")


def _without_the_shell(tb: TracebackType | None) -> TracebackType | None:
    """From the cell's own frame on: that of the shell, which calls it, is in all of them."""
    first = tb
    while tb is not None and ownership.kind_of_frame(tb.tb_frame) == ownership.ENGINE:
        tb = tb.tb_next
    return tb if tb is not None else first


class _Cell(io.StringIO):
    """What a cell's output can do: colours, unless the shell has none; a terminal's width."""

    encoding = "utf-8"

    def __init__(self, shell: Any) -> None:
        super().__init__()
        self.colours = str(getattr(shell, "colors", "")).lower() != "nocolor" and not os.environ.get("NO_COLOR")

    def isatty(self) -> bool:
        return bool(self.colours)

    def fileno(self) -> int:
        return sys.__stdout__.fileno() if sys.__stdout__ is not None else super().fileno()


PATCHES = (Patch("IPython.core.interactiveshell", "InteractiveShell.showtraceback", _wrap_showtraceback, costs=Lost.SHOWN),)
