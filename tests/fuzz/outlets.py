"""Further ways out: HTML, notebook cells, run folders, asyncio's log, ``python -m autotb show``; what is checked of each.

Flows in: a case's chance, and how an exception is made and a text looked at, from ``doors``.  Flows out: the faults that were
found, as lines.
"""

from __future__ import annotations

import argparse
import asyncio
import html.parser
import io
import logging
import os
import re
import shutil
import sqlite3
import sys
from typing import Any

import autotb
from autotb.cli import show
from autotb.environments import ipython
from autotb.flow import index, run_report
from autotb.flow.snapshots import ErrorInfo, ErrorSnapshot, PropagatedErrorSnapshot, Reason
from autotb.hooks import events
from autotb.record import static
from autotb.render import draw
from autotb.trace import build as stories
from tests.fuzz import RAW, hostile, records
from tests.fuzz.chance import Chance

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_TAGS = {
    "style",
    "div",
    "section",
    "details",
    "summary",
    "code",
    "pre",
    "p",
    "b",
    "i",
    "u",
    "span",
    "ol",
    "li",
    "table",
    "tr",
    "th",
    "td",
}
_ENDLESS = ("li", "tr", "th", "td")  # need no end
_ATTRIBUTES = {"class", "open"}


class _Tags(html.parser.HTMLParser):
    """The tags of a page: ours alone, with our attributes, each closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in _ENDLESS:
            self.open.append(tag)
        if tag not in _TAGS or not {name for name, _ in attrs} <= _ATTRIBUTES:
            self.faults.append(f"a <{tag}> with {attrs}")

    def handle_endtag(self, tag: str) -> None:
        if tag in _ENDLESS:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"a </{tag}> too many")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"a comment {data:.20}")

    def handle_decl(self, decl: str) -> None:
        self.faults.append(f"a declaration {decl:.20}")

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def page(found: Any, chance: Chance, exc: BaseException) -> None:
    """What a notebook shows of an error that is a value, of one that was handed on, and of an error in a cell."""
    hostile.muted += 1
    try:
        name, secret = chance.secret()
        call = {chance.text(): hostile.thing(chance), "plain": chance.plain(), name: secret}
        failed = ErrorSnapshot(_function, call, exc)
        what = chance.one((failed, failed, None))
        if what is None:
            info = {chance.text(): ErrorInfo("full")}
            what = PropagatedErrorSnapshot(info, _function, Reason.INPUT_IS_ERROR, {next(iter(info)): failed})
        said = what._repr_html_()
    except BaseException as error:
        found.check(not _is_of_ours(error), f"html: {static.name(type(error))} of ours")
        return
    finally:
        hostile.muted -= 1
    tags = _Tags()
    tags.feed(said)
    tags.close()
    found.check(not tags.faults and not tags.open, f"html: {(tags.faults or tags.open)[:1]}")
    _look_at(found, chance, "html", tags.text)
    shell = argparse.Namespace(colors=chance.one(("Linux", "NoColor", chance.text())))
    _look_at(found, chance, "cell", _COLOUR.sub("", draw(stories.build(exc), ipython._Cell(shell))))


def _function(plain: Any = None, **more: Any) -> None: ...


def _look_at(found: Any, chance: Chance, what: str, text: str) -> None:
    raw = RAW.search(text)
    found.check(not raw, f"{what}: a raw {raw[0]!r}" if raw else "")
    found.check(not chance.told(text), f"{what}: a secret got out: {chance.told(text)}")


def handled(found: Any, chance: Chance, exc: BaseException) -> None:
    """A failed task that nobody awaited, a callback, or whatever a program hands to the loop's handler."""
    loop = _loops[0] if _loops else asyncio.new_event_loop()
    _loops[:] = [loop]
    context: dict[str, Any] = {"message": chance.either(chance.text()), "exception": chance.one((exc, exc, exc, None, exc))}
    for key in ("task", "future", "handle", "transport", "protocol", "source_traceback", chance.text()):
        if chance.is_so(0.15):
            context[key] = hostile.thing(chance) if chance.is_so(0.5) else chance.plain()
    logger = logging.getLogger("asyncio")
    stream, real = io.StringIO(), sys.stderr
    kept = io.StringIO()
    logger.handlers[:] = [logging.StreamHandler(kept)] if chance.is_so(0.3) else []
    logger.propagate, logging.raiseExceptions = False, False
    sys.stderr = stream
    try:
        if chance.is_so(0.5):
            loop.default_exception_handler(context)
        else:
            loop.call_exception_handler(context)
        if context["exception"] is not None and chance.is_so(0.3):
            said = events._asyncio_story(context)
            _look_at(found, chance, "asyncio", _COLOUR.sub("", said))
    except BaseException as error:
        found.check(not _is_of_ours(error), f"asyncio: {static.name(type(error))} of ours{_where(error)}")
    finally:
        sys.stderr = real
        logger.handlers[:] = []


_loops: list[Any] = []


def _is_of_ours(error: BaseException) -> bool:
    """Whether a line of autotb's raised it, and not a method of a hostile class."""
    innermost = static.innermost(static.traceback_of(error))
    return innermost is not None and f"{os.sep}autotb{os.sep}" in innermost.tb_frame.f_code.co_filename


def shown(found: Any, chance: Chance, real: dict[str, Any]) -> None:
    """``show FILE``: bytes that may be JSON."""
    import json

    said = json.dumps(records.story(chance, real), default=repr, skipkeys=True)
    if chance.is_so(0.3):
        said = json.dumps({"failures": [json.loads(said), chance.plain()], chance.text(): 1}, default=repr, skipkeys=True)
    if chance.is_so(0.3):
        said = "\n".join([said] * chance.one((2, 5)))
    if chance.is_so(0.5):
        said = records.mangled(chance, said)
    data = said.encode(chance.one(("utf-8", "utf-8", "utf-16", "latin-1")), "replace")
    if chance.is_so(0.2):
        at = int(chance.random.random() * (len(data) + 1))
        data = data[:at] + bytes([int(chance.random.random() * 256)]) * chance.one((1, 3, 4000)) + data[at:]
    path = os.path.join(os.path.dirname(chance.fifo), f"shown-{os.getpid()}.json")
    with open(path, "wb") as file:
        file.write(data)
    _command(found, chance, path)


def _command(found: Any, chance: Chance, path: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    real = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        status = show.command(argparse.Namespace(file=path))
    finally:
        sys.stdout, sys.stderr = real
    found.check(status in (0, 2), f"show: status {status}")
    found.check(
        status == 0 or err.getvalue().count("\n") == 1, f"show: {err.getvalue().count(chr(10))} lines for status {status}"
    )
    for text in (out.getvalue(), err.getvalue()):
        _look_at(found, chance, "show", text)


_runs: dict[str, str] = {}


def folder(found: Any, chance: Chance) -> None:
    """A run folder some of whose bytes are others, or whose index says what is not."""
    base = os.path.dirname(chance.fifo)
    if base not in _runs:
        _runs[base] = os.path.join(base, f"run-{os.getpid()}")
        flow = autotb.Flow(error_handling="continue", progress=False, run_folder=_runs[base])
        first = flow.map(_fails, [1, 2, 0, 4, 0])
        flow.map(_function, first)
        flow.run()
    place = os.path.join(base, f"torn-{os.getpid()}")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(_runs[base], place)
    files = [os.path.join(at, name) for at, _, names in os.walk(place) for name in sorted(names)]
    for _ in range(chance.one((1, 1, 3))):
        _spoil(chance, place, chance.one(files))
    hostile.muted += 1
    try:
        _command(found, chance, place)
        try:
            run_report.text(place, lambda trace: str(trace))
        except (OSError, ValueError):
            pass  # as it is to be
    finally:
        hostile.muted -= 1


def _fails(x: int) -> float:
    return 1 / x


_STATEMENTS = (
    "UPDATE elements SET offset = ?",
    "UPDATE elements SET state = ?",
    "UPDATE elements SET shard = ?",
    "UPDATE elements SET at = at + ?",
    "UPDATE shards SET name = ?",
    "UPDATE steps SET name = ?",
    "UPDATE steps SET shape = ?",
    "UPDATE steps SET seconds = ?",
    "UPDATE steps SET function = ?",
    "UPDATE meta SET value = ?",
)


def _spoil(chance: Chance, place: str, path: str) -> None:
    if chance.is_so(0.5):
        value = chance.one(
            (chance.text(), chance.number() & 0x7FFF, None, -1, "[1e400]", "[2]", "{}", "../../etc/passwd", b"\xff")
        )
        try:
            with sqlite3.connect(os.path.join(place, index.FILE)) as connection:
                connection.execute(chance.one(_STATEMENTS), (value,))
            connection.close()
        except (sqlite3.Error, UnicodeEncodeError):
            pass  # an index that is torn already, or a value that it does not take
        return
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        at = int(chance.random.random() * (size + 1))
        if chance.is_so(0.3):
            file.truncate(at)
        else:
            file.seek(at)
            file.write(bytes([int(chance.random.random() * 256)]) * chance.one((1, 2, 200)))


def _where(error: BaseException) -> str:
    tb = static.innermost(static.traceback_of(error))
    return f" at {tb.tb_frame.f_code.co_filename.rpartition('/')[2]}:{tb.tb_lineno}" if tb is not None else ""
