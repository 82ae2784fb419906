"""An uncaught error goes to whose it is to show: autotb, or Python.

Flows in: ``sys.excepthook``'s arguments, from ``boot``.  Flows out: the display.
"""

import os
import sys

from autotb import plain_errors, runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def show(kind: "Any", value: "Any", traceback: "Any") -> None:
    """Show an uncaught exception (``sys.excepthook``'s arguments), whosever it is to show; fail open."""
    pythons = runtime.pythons()
    if "_AUTOTB_LAUNCHER" in os.environ and _is_told_by_its_launcher(value, traceback):
        return
    try:
        ours = plain_errors.are_an_errors(value, traceback) and plain_errors.is_ours(value, traceback)
        if ours:
            from autotb.hooks.excepthook import show_uncaught
        elif sys.version_info < (3, 11) and issubclass(type(value), BaseException):
            plain_errors.take_our_frames_out(value)
    except BaseException as error:
        pythons(kind, value, traceback)
        runtime.report("loading the renderer", error)
        return
    if ours:
        show_uncaught(kind, value, traceback)
        return
    pythons(kind, value, traceback)
    try:
        if plain_errors.keeps_stories() and plain_errors.are_an_errors(value, traceback):
            from autotb.hooks.excepthook import keep_story

            keep_story(value, traceback)
    except Exception as error:
        runtime.report("keeping the error", error)


def _is_told_by_its_launcher(value: "Any", traceback: "Any") -> bool:
    try:
        from autotb.imports import own
        from autotb.instrument import launched

        with own:
            return plain_errors.are_an_errors(value, traceback) and launched.hand_over(value, traceback)
    except Exception as error:
        runtime.report("handing the error to the launcher", error)
        return False
