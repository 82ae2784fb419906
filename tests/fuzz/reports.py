"""Texts that somebody pasted, of any engine, and the page of a report: what is thrown at them, and what is checked.

Flows in: a case's chance, and a real story, from ``doors``.  Flows out: the faults that were found, as lines.
"""

from __future__ import annotations

import argparse
import contextlib
import html.parser
import io
import json
import os
from typing import Any

from autotb.cli import pasted as pastes
from autotb.cli import report
from autotb.render import as_html, as_text
from tests.fuzz import RAW, records
from tests.fuzz.chance import Chance

_PIECES = (
    "  + Exception Group Traceback (most recent call last):",
    '  |   File "/app/a.py", line 3, in work',
    "  | ExceptionGroup: parts (2 sub-exceptions)",
    "  +-+---------------- 1 ----------------",
    "    +---------------- 2 ----------------",
    "    +---------------- ... ----------------",
    "    | Traceback (most recent call last):",
    "    | ValueError: bad",
    "    | and 7 more exceptions",
    "    +------------------------------------",
    "      +-+---------------- 1 ----------------",
    "concurrent.futures.process._RemoteTraceback: ",
    '"""',
    "ray.exceptions.RayTaskError(ValueError): \x1b[36mray::score()\x1b[39m (pid=7, ip=10.0.0.1)",
    "(score pid=7) Traceback (most recent call last):",
    "Key:       score-1",
    "Traceback: '  File \"a.py\", line 1, in f\\n'",
    "Exception: \"ValueError('bad')\"",
    "org.apache.spark.api.python.PythonException: Traceback (most recent call last):",
    "\tat org.apache.spark.rdd.RDD(RDD.scala:1)",
    "> Traceback (most recent call last):",
)
MOST = 1_500_000  # characters: time goes with the length
_LONG = (
    "Traceback (most recent call last):" * 30_000,
    "  |" * 300_000,
    '  File "' * 150_000,
    "\x1b[1m" * 250_000,
    "    " * 250_000,
)


def pasted(found: Any, chance: Chance) -> None:
    """``show -``: any text, with pieces of what engines print."""
    lines = records.text(chance).split("\n")
    for _ in range(chance.one((0, 2, 6, 12))):
        lines.insert(int(chance.random.random() * (len(lines) + 1)), chance.one(_PIECES))
    if chance.is_so(0.3):
        lines += [chance.one(_PIECES) for _ in range(chance.one((3, 9, 30)))]
    if chance.heavy and chance.is_so(0.5):
        lines.insert(0, chance.one(_LONG))
    for trace in pastes.traces("\n".join(lines)[:MOST]):
        _look_at(found, chance, "pasted", as_text(trace))
        page = as_html(trace)
        _look_at(found, chance, "pasted as a page", page)
        _is_ours(found, "pasted as a page", page)


def reported(found: Any, chance: Chance, real: dict[str, Any]) -> None:
    """``report FILE``: the page of stories that may be anything."""
    said = [json.dumps(records.story(chance, real), default=repr, skipkeys=True) for _ in range(chance.one((1, 2, 6)))]
    if chance.is_so(0.4):
        said.append(json.dumps({"failures": [chance.plain()], chance.text(): chance.plain()}, default=repr, skipkeys=True))
    text = "\n".join(said)
    if chance.is_so(0.3):
        text = records.mangled(chance, text)
    folder = os.path.dirname(chance.fifo)
    path, page = (os.path.join(folder, f"{name}-{os.getpid()}") for name in ("night.jsonl", "night.html"))
    with open(path, "wb") as file:
        file.write(text.encode(chance.one(("utf-8", "utf-8", "utf-16")), "replace"))
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = report.command(argparse.Namespace(paths=[path], output=page))
    found.check(status in (0, 2), f"report: status {status}")
    for told in (out.getvalue(), err.getvalue()):
        _look_at(found, chance, "report", told)
    if status == 0:
        with open(page, encoding="utf-8") as file:
            made = file.read()
        _look_at(found, chance, "report's page", made)
        _is_ours(found, "report's page", made, scripts=2)


def _look_at(found: Any, chance: Chance, what: str, text: str) -> None:
    raw = RAW.search(text)
    found.check(not raw, f"{what}: a raw {raw[0]!r}" if raw else "")
    found.check(not chance.told(text), f"{what}: a secret got out: {chance.told(text)}")


def _is_ours(found: Any, what: str, page: str, scripts: int = 0) -> None:
    tags = _Tags()
    tags.feed(page)
    tags.close()
    found.check(tags.scripts == scripts, f"{what}: {tags.scripts} scripts")
    found.check(not tags.faults, f"{what}: {tags.faults[:1]}")


class _Tags(html.parser.HTMLParser):
    """Counts scripts; faults are what only the program's text can have brought."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.scripts += tag == "script"
        strange = [name for name, _ in attrs if name.startswith("on") or name in ("src", "href", "srcdoc")]
        if strange or tag in ("img", "iframe", "a", "object", "embed", "link", "base"):
            self.faults.append(f"a <{tag}> with {strange}")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"a comment {data:.20}")
