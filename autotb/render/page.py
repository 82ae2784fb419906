"""The page of a report: root causes with their stories, and every failure of each, in one HTML file that needs no other.

Flows in: :class:`Cause` by cause.  Flows out: the page.  Each story is there once; the failures are a list of JSON that the
page's script (``report.js``) draws when a cause is opened.  Nothing that a failure says becomes markup: texts are escaped, the
script writes them as text, and the page's policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from array import array
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import NamedTuple

from autotb.record import arrival
from autotb.render import clean, html
from autotb.trace import failure_groups, phrases
from autotb.trace.data import Data
from autotb.trace.model import Trace

MOST_STORIES = 200  # root causes whose story is on the page
MOST_LINES = 20  # messages of one cause that are listed
MOST_CALL = 300  # characters of a failing call
NIGHT, STRIP = 120, 40  # bars of the large and of the small pictures of when it was
MOST_INPUTS, MOST_UNREAD = 8, 200
BRIEF = 60  # seconds, of which no picture is made


class Member(NamedTuple):
    """A failure: the task, its call, ``Type: message``, when it was (0: not known), the input it came from, its own file."""

    name: str
    call: str
    line: str
    time: float
    source: int
    file: str


class Cause(Data):
    """Failures of one root cause.  ``members`` are those that are listed, of ``count``; ``lines`` how often which was said."""

    trace: Trace | None
    count: int
    lines: dict[str, int]
    members: list[Member]
    times: array[float]

    @property
    def first(self) -> float:
        return min(self.times, default=0.0)

    @property
    def last(self) -> float:
        return max(self.times, default=0.0)


class Inputs(Data):
    """What was read: each input with the number of failures in it; ``twice`` of these stand in another one too and are counted
    once; ``others`` records are no failures of autotb's; ``unread`` says what could not be read."""

    sources: Sequence[tuple[str, int]]
    twice: int = 0
    others: int = 0
    unread: Sequence[str] = ()


def page(causes: Sequence[Cause], inputs: Inputs, title: str) -> str:
    """The whole page."""
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    times = array("d", (moment for cause in causes for moment in cause.times))
    span = (min(times, default=0.0), max(times, default=0.0))
    body = "".join(_cause(cause, span) for cause in causes[:MOST_STORIES])
    more = len(causes) - MOST_STORIES
    if more > 0:
        body += f"<noscript><p>and {_counted(more, 'more root cause')}, which the page's script lists</p></noscript>"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">',
            f"<title>{html.line(title)}</title><style>{_asset('report.css')}{html.style()}</style></head><body>",
            f"<header>{_head(causes, times, span)}{_inputs(inputs)}{_night(times, span)}</header>",
            _controls(causes, inputs.sources),
            f'<main id="causes">{body or "<p class=none>no failure</p>"}</main>',
            f'<script type="application/json" id="data">{_data(causes)}</script>',
            f"<script>{script}</script></body></html>\n",
        ]
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _head(causes: Sequence[Cause], times: array[float], span: tuple[float, float]) -> str:
    count = sum(cause.count for cause in causes)
    told = f"<h1>{_counted(count, 'failure')}" + (f", {_counted(len(causes), 'root cause')}" if causes else "") + "</h1>"
    if times:
        more = count - len(times)
        unknown = f"; of {more:,} it is not known when" if more else ""
        told += f"<p>{_between(*span)} UTC{unknown}</p>"
    return told


def _inputs(inputs: Inputs) -> str:
    sources, unread = inputs.sources, inputs.unread
    told = [f"{name}: {number:,}" if len(sources) > 1 else name for name, number in sources[:MOST_INPUTS]]
    if len(sources) > MOST_INPUTS:
        told.append(f"and {_counted(len(sources) - MOST_INPUTS, 'more input')}")
    if inputs.twice:
        told.append(f"counted once, as it stands in two of these: {inputs.twice:,}")
    if inputs.others:
        told.append(f"JSON that holds no failure of autotb's: {inputs.others:,}")
    rows = "".join(f"<p>{html.line(text)}</p>" for text in told)
    if unread:
        listed = "".join(f"<p>{html.line(text)}</p>" for text in unread[:MOST_UNREAD])
        rows += f"<details open><summary>not read: {len(unread):,}</summary>{listed}</details>"
    return rows


def _night(times: array[float], span: tuple[float, float]) -> str:
    if span[1] - span[0] <= BRIEF:
        return ""
    ends = "".join(f"<span>{_moment(moment)}</span>" for moment in span)
    return f'{_bars(times, span, NIGHT, "night")}<p class="ends">{ends}</p>'


def _controls(causes: Sequence[Cause], sources: Sequence[tuple[str, int]]) -> str:
    """Shown by the script, without which they do nothing."""
    if not causes:
        return ""
    parts = ['<input type="search" placeholder="search errors, tasks, arguments, files" aria-label="search" autocomplete="off">']
    if len(sources) > 1:
        options = "".join(f"<option value={at}>{html.line(name)}</option>" for at, (name, _) in enumerate(sources))
        parts.append(f'<select id="source" aria-label="input"><option value="-1">all inputs</option>{options}</select>')
    if len(causes) > 1:
        orders = (("count", "most failures first"), ("last", "latest first"), ("first", "earliest first"))
        options = "".join(f"<option value={key}>{text}</option>" for key, text in orders)
        parts.append(f'<select id="order" aria-label="order">{options}</select>')
    return f'<form hidden>{"".join(parts)}</form><p id="found" role="status"></p>'


def _cause(cause: Cause, span: tuple[float, float]) -> str:
    kind, message, place = _headline(cause)
    others = len(cause.lines) - 1
    more = f' <span class="quiet">and {_other_messages(cause, others)}</span>' if others > 0 else ""
    at = f'<span class="at">{html.line(str(place))}</span>' if place else ""
    what = f"<b>{html.line(kind)}</b>{html.line(f': {message}') if message else ''}{more}{at}"
    strip = _bars(cause.times, span, STRIP) if span[1] - span[0] > BRIEF and cause.times else ""
    when = f"{strip}{_brief(cause.first, cause.last)}" if cause.times else ""
    return (
        f'<details class="cause"><summary><span class="count">{cause.count:,}</span><span class="what">{what}</span>'
        f'<span class="when">{when}</span></summary><div class="body"><div class="story">{_story(cause)}</div>'
        f'<div class="list"><noscript>the list of failures is drawn by the page\'s script</noscript></div></div></details>\n'
    )


def _other_messages(cause: Cause, count: int) -> str:
    return failure_groups.other_messages(count, cause.lines, cause.count)


def _headline(cause: Cause) -> tuple[str, str, object]:
    if cause.trace is None:
        kind, _, message = next(iter(cause.lines), "").partition(": ")
        return kind, arrival.shortened(message, 500), None
    root = cause.trace.root_cause
    return root.type, arrival.shortened(root.message.partition("\n")[0], 500), phrases.raised_at(root)


def _story(cause: Cause) -> str:
    told = []
    if cause.trace is None:
        told.append("<p>no story was kept of these</p>")
    else:
        told.append(("<p class=quiet>the first of them:</p>" if cause.count > 1 else "") + html.story(cause.trace))
    if len(cause.lines) > 1:
        ranked = sorted(cause.lines.items(), key=lambda pair: -pair[1])
        rows = [f"<li>{number:,} × {html.line(arrival.shortened(line, 300))}" for line, number in ranked[:MOST_LINES]]
        more = [f"<li>and {_other_messages(cause, len(ranked) - MOST_LINES)}"] if len(ranked) > MOST_LINES else []
        cut = "more than " * (sum(cause.lines.values()) < cause.count)
        told.append(f'<h2>{cut}{_counted(len(ranked), "message")}</h2><ul class="also">{"".join([*rows, *more])}</ul>')
    return "".join(told)


def _data(causes: Iterable[Cause]) -> str:
    """The failures, columns of numbers; texts are said once.  No character of it means anything in HTML."""
    texts: dict[str, int] = {}

    def number(text: str, most: int = MOST_CALL) -> int:
        return texts.setdefault(arrival.shortened(clean.line(text[: 4 * most]), most), len(texts))

    told = []
    for at, cause in enumerate(causes):
        members = cause.members
        kind, message, place = _headline(cause)
        head = {} if at < MOST_STORIES else {"head": [clean.line(text) for text in (kind, message, str(place or ""))]}
        told.append(
            {
                **head,
                "count": cause.count,
                "first": round(cause.first),
                "last": round(cause.last),
                "many": len(cause.lines) > 1,
                "name": [number(member.name) for member in members],
                "call": [number(member.call) for member in members],
                "line": [number(member.line) for member in members],
                "file": [number(member.file) for member in members],
                "time": [round(member.time) for member in members],
                "source": [member.source for member in members],
            }
        )
    without = f"the page has the stories of {MOST_STORIES} root causes; of this one it has the failures alone"
    data = json.dumps({"causes": told, "texts": list(texts), "without": without}, separators=(",", ":"))
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _bars(times: array[float], span: tuple[float, float], count: int, name: str = "") -> str:
    """How many there were in each part of the time, as bars."""
    first, last = span
    counts = [0] * count
    for moment in times:
        counts[min(count - 1, int((moment - first) / (last - first) * count))] += 1
    most = max(counts)
    bars = "".join(
        f"M{at} 100v-{max(4, round(100 * number / most))}h.8V100z" for at, number in enumerate(counts) if number
    )  # the least of them is seen too
    label = f' id="{name}" role="img" aria-label="when they were"' if name else ' aria-hidden="true"'
    return f'<svg{label} viewBox="0 0 {count} 100" preserveAspectRatio="none"><path d="{bars}"/></svg>'


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _moment(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))


def _between(first: float, last: float) -> str:
    begin, end = _moment(first), _moment(last)
    if begin == end:
        return begin
    return f"{begin} to {end[11:] if end[:10] == begin[:10] else end}"


def _brief(first: float, last: float) -> str:
    """The same in a narrow column."""
    begin, end = _moment(first), _moment(last)
    if begin[:10] == end[:10]:
        return f"{begin[5:16]}" + ("" if begin[:16] == end[:16] else f" – {end[11:16]}")
    return f"{begin[5:16]} – {end[5:16]}"
