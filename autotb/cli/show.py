"""``python -m autotb show PATH``: print kept failures again, or (``-``) the tracebacks of a text.  Nothing is unpickled or run.

Flows in: a file of ``AUTOTB_DIR``, of ``unwrap(log_to=…)``, of ``collect``'s ``to_json`` or ``jsonl``, or of the JSON style; or
the run folder of a flow; stdin.  Flows out: the stories on stdout, in the style that the settings ask for.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

from autotb import render
from autotb.cli import kept
from autotb.render import clean, terminal


def command(options: Any) -> int:
    """Print; 2 where the file cannot be read as stories."""
    lists_failed = getattr(options, "failed", False)
    if options.file == "-" and not lists_failed:
        return _pasted()
    if Path(options.file).is_dir():
        return _folder(options.file, lists_failed)
    if lists_failed:
        return _refused(options.file, ValueError("--failed is of run folders"))
    try:
        told = list(kept.stories(options.file))
    except (OSError, ValueError) as error:
        return _refused(options.file, error)
    texts = [_text(story) for story in told]
    terminal.write(sys.stdout, "\n".join(texts) if texts else f"{clean.line(options.file)}: no failure in it\n")
    return 0


def _pasted() -> int:
    """What is read from stdin, which may be any program's output."""
    import importlib

    from autotb._triggers import TRIGGERS
    from autotb.cli import pasted

    for name in sorted({name for names in TRIGGERS.values() for name in names}):
        with contextlib.suppress(Exception):  # whose frames are a library's then
            importlib.import_module(name)
    text = sys.stdin.buffer.read(pasted.MOST).decode("utf-8", "replace")
    told = [render.draw(trace, sys.stdout) for trace in pasted.traces(text)]
    if not told:
        return _refused("-", ValueError("there is no traceback in it"))
    terminal.write(sys.stdout, "\n".join(told))
    return 0


def _text(story: kept.Kept) -> str:
    name = f"{clean.line(story.name)}:\n" if story.name else ""
    return name + (render.draw(story.trace, sys.stdout) if story.trace is not None else f"{clean.line(story.line)}\n")


def _folder(folder: str, lists_failed: bool) -> int:
    from autotb.flow import run_report

    try:
        text = (
            run_report.failed(folder) if lists_failed else run_report.text(folder, lambda trace: render.draw(trace, sys.stdout))
        )
    except (OSError, ValueError) as error:
        return _refused(folder, error)
    terminal.write(sys.stdout, text + "\n")
    return 0


def _refused(path: str, error: OSError | ValueError) -> int:
    terminal.write(sys.stderr, clean.line(f"autotb show: {path}: {kept.reason(error)}") + "\n")
    return 2
