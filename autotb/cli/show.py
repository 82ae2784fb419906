"""``python -m autotb show PATH``: print kept failures again.  Reads JSON only: nothing is unpickled, nothing is run.

Flows in: a file of ``AUTOTB_DIR``, of ``unwrap(log_to=…)``, of ``collect``'s ``to_json`` or ``jsonl``, or of the JSON style; or
the run folder of a flow.  Flows out: the stories on stdout, in the style that the settings ask for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from autotb import render
from autotb.record import arrival
from autotb.render import clean, terminal
from autotb.trace.model import Trace


def command(options: Any) -> int:
    """Print; 2 where the file cannot be read as stories."""
    lists_failed = getattr(options, "failed", False)
    if Path(options.file).is_dir():
        return _folder(options.file, lists_failed)
    if lists_failed:
        return _refused(options.file, ValueError("--failed is of run folders"))
    try:
        told = _stories(arrival.json_in(options.file))
    except (OSError, ValueError) as error:
        return _refused(options.file, error)
    texts = [(f"{clean.line(name)}:\n" if name else "") + render.draw(trace, sys.stdout) for name, trace in told]
    terminal.write(sys.stdout, "\n".join(texts) if texts else f"{clean.line(options.file)}: no failure in it\n")
    return 0


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
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    terminal.write(sys.stderr, clean.line(f"autotb show: {path}: {reason}") + "\n")
    return 2


def _stories(text: str) -> list[tuple[str, Trace]]:
    """The names and stories of a file: one object, or one a line."""
    try:
        records = [arrival.parsed(text)]
    except json.JSONDecodeError as whole:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].lstrip().startswith("{") or not lines[0].rstrip().endswith("}"):
            raise ValueError(f"it is not JSON, or was cut off ({whole})") from whole
        records = [_line(number, line) for number, line in enumerate(lines, 1)]
    found = []
    for record in records:
        found += _of_record(record)
    return found


def _line(number: int, line: str) -> Any:
    try:
        return arrival.parsed(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number} is not JSON, or was cut off ({error})") from error


def _of_record(record: Any) -> list[tuple[str, Trace]]:
    if isinstance(record, dict) and isinstance(record.get("failures"), list):
        return [story for failure in record["failures"] for story in _of_record(failure)]
    if isinstance(record, dict) and record.get("status") == "success":
        return []
    name = record.get("name") if isinstance(record, dict) else None
    return [(name if isinstance(name, str) else "", Trace.from_dict(record))]
