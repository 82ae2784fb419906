"""Failures as they were kept, of one file or of folders: for ``show`` and ``report``.  Nothing is unpickled, nothing is run.

Flows in: files of ``AUTOTB_DIR``, of ``unwrap(log_to=…)``, of ``collect``'s ``to_json`` and ``jsonl``, of the JSON style; run
folders of flows; folders that hold any of these.  Flows out: a :class:`Kept` each; what cannot be read, in words.
"""

from __future__ import annotations

import calendar
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from autotb.record import arrival
from autotb.trace.data import Data
from autotb.trace.model import Trace

NAMES = (".json", ".jsonl", ".ndjson")  # of files that are looked at in a folder
_STAMPED = re.compile(r"(\d{8}-\d{6})-\d+-\d+-\w*\.json")  # as AUTOTB_DIR's are


class Kept(Data):
    """A failure: the task's name, the story (or ``Type: message`` alone), the failing call, when it was (0: not known), where
    it stands."""

    name: str
    trace: Trace | None
    line: str
    call: str
    time: float
    source: str


Bad = Callable[[str, ValueError | OSError], None]  # told where something cannot be read, and why


def stories(path: str, bad: Bad | None = None) -> Iterator[Kept]:
    """Those of a file, which holds one JSON object, or one a line.

    Raises OSError and ValueError for what cannot be read; where there is a ``bad``, that is told of such a line instead.
    """
    arrival.regular(path)
    when = _stamp(path)
    for record in _records(path, bad):
        try:
            yield from _of_record(record, path, when)
        except ValueError as error:
            if bad is None:
                raise
            bad(path, error)


def _records(path: str, bad: Bad | None) -> Iterator[Any]:
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = (line for line in iter(lambda: file.readline(arrival.MAX_FILE), "") if line.strip())
        first, second = next(lines, ""), next(lines, "")
        if second and first.lstrip().startswith("{") and first.rstrip().endswith("}"):
            yield from _lines(path, itertools.chain((first, second), lines), bad)
            return
    try:
        yield arrival.parsed(arrival.json_in(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON, or was cut off ({error})") from error


def _lines(path: str, lines: Iterator[str], bad: Bad | None) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        try:
            yield arrival.parsed(line)
        except ValueError as error:
            said = ValueError(f"line {number} is not JSON, or was cut off ({error})")
            if bad is None:
                raise said from error
            bad(path, said)


def _of_record(record: Any, path: str, when: float) -> Iterator[Kept]:
    if isinstance(record, dict) and isinstance(record.get("failures"), list):
        for failure in record["failures"]:
            yield from _of_record(failure, path, when)
    elif not (isinstance(record, dict) and record.get("status") == "success"):
        trace = Trace.from_dict(record)
        name = record.get("name")
        at = record.get("time")
        when = at if type(at) is float and 0 < at < 1e11 else when
        yield Kept(name if isinstance(name, str) else "", trace, "", failing_call(trace), when, path)


def failing_call(trace: Trace) -> str:
    """The innermost call with its arguments that the root cause tells of; else that of the error which the program sees."""
    for stack in (trace.root_cause, trace.stack):
        for hop in reversed(stack.hops):
            if hop.call:
                return hop.call
    return ""


def _stamp(path: str) -> float:
    """When it was kept, which the name says of a file in ``AUTOTB_DIR``."""
    match = _STAMPED.fullmatch(os.path.basename(path))
    with suppress(ValueError, OverflowError):
        return float(calendar.timegm(time.strptime(match[1], "%Y%m%d-%H%M%S"))) if match else 0.0
    return 0.0


def is_of_folder(name: str) -> bool:
    """Whether a file is one of ``AUTOTB_DIR``, which has a failure each."""
    return _STAMPED.fullmatch(name) is not None


def everything(paths: list[str], bad: Bad) -> Iterator[Kept]:
    """The failures of files, run folders and folders that hold such; what is no story, or is torn, is told to ``bad``.

    Raises OSError and ValueError where one of ``paths`` cannot be read at all.
    """
    for path in paths:
        if not os.path.isdir(path):
            yield from _of_file(path, bad)
        elif _is_run(path):
            yield from of_run(path)
        else:
            yield from _of_folder(path, bad)


def _of_file(path: str, bad: Bad) -> Iterator[Kept]:
    """Raises what is wrong where nothing can be read."""
    wrong: list[ValueError | OSError] = []
    found = stories(path, lambda _, why: wrong.append(why))
    first = next(found, None)
    if first is None and wrong:
        raise wrong[0]
    if first is not None:
        yield first
    yield from found
    for why in wrong:
        bad(path, why)


def _of_folder(folder: str, bad: Bad) -> Iterator[Kept]:
    os.listdir(folder)  # os.walk passes over what it may not read
    for inside, folders, files in os.walk(folder, onerror=lambda error: bad(str(error.filename), error)):
        if inside != folder and _is_run(inside):
            folders.clear()
            yield from _guarded(inside, of_run(inside), bad)
            continue
        folders.sort()
        for name in sorted(files):
            if name.endswith(NAMES) and not name.startswith("."):
                path = os.path.join(inside, name)
                yield from _guarded(path, stories(path, bad), bad)


def _guarded(path: str, found: Iterator[Kept], bad: Bad) -> Iterator[Kept]:
    try:
        yield from found
    except (OSError, ValueError) as error:
        bad(path, error)


def reason(error: OSError | ValueError) -> str:
    """Why something cannot be read, in one line."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _is_run(folder: str) -> bool:
    from autotb.flow import index

    return (Path(folder) / index.FILE).exists()


def of_run(folder: str) -> Iterator[Kept]:
    """The calls that failed in a run folder.  Raises OSError and ValueError."""
    from autotb.flow import run_report

    for failed in run_report.failures(folder):
        yield Kept(f"{failed.step} {failed.at}", failed.trace, failed.error, failed.call, failed.time, folder)
