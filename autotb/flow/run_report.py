"""A run folder as ``python -m autotb show`` tells it: nothing is unpickled, nothing is run.

Flows in: the index, and of the shards the texts beside the pickles.  Flows out: the table of the steps, and the root causes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from autotb.flow import left_out, result_log, store, table
from autotb.flow.context import unravelled
from autotb.flow.index import Index, opened
from autotb.flow.result_log import FAILED, SKIPPED, STATE
from autotb.flow.steps import Part
from autotb.flow.tallies import Tally, displayed
from autotb.record import arrival
from autotb.render import clean
from autotb.trace.failure_groups import Groups
from autotb.trace.model import Trace

_MOST = 1 << 53  # calls, seconds, bytes: what is more is none of these


def text(folder: str, draw: Any) -> str:
    """The table and the root causes of the run in a folder; ``draw`` makes text of a Trace.

    Raises OSError where the folder cannot be read, ValueError for one that holds something else or is torn.
    """
    with closing(opened(folder)) as index:
        tallies = _tallies(index)
        state = _going_on(index, tallies) if index.is_live else _left_off(index, tallies)
        groups = Groups()
        for *_, told in _failures(index, folder):
            if "trace" in told:
                groups.add(Trace.from_dict(told["trace"]))
            else:
                groups.add_line(clean.line(told["error"]))
    return table.text(tallies, [*filter(None, [state]), *groups.texts(draw)])


def failed(folder: str) -> str:
    """Each call that failed, by what it failed of.  Raises as :func:`text` does."""
    found: dict[str, list[str]] = {}
    with closing(opened(folder)) as index:
        shapes = {name: shape for _, name, shape, _ in steps(index)}
        for name, at, state, _, told in _failures(index, folder):
            skipped = ", skipped" if state == SKIPPED else ""  # of an error that no step has made
            where = f" {unravelled(at, shapes[name])}" if len(shapes.get(name, ())) > 1 else ""
            line = f"  {clean.line(name)} {at}{where}{skipped}: {clean.line(_call(told))}"
            found.setdefault(clean.line(told["error"]), []).append(line)
    blocks = [
        "\n".join([f"{error} ({len(lines):,} {'call' if len(lines) == 1 else 'calls'})", *lines])
        for error, lines in found.items()
    ]
    return "\n\n".join(blocks) if blocks else "no call failed"


class Failed(NamedTuple):
    """A call that failed: its step and number, when it was kept, the call, ``Type: message``, its story if it has one."""

    step: str
    at: int
    time: float
    call: str
    error: str
    trace: Trace | None


def failures(folder: str) -> Iterator[Failed]:
    """Every call that failed.  Raises as :func:`text` does."""
    with closing(opened(folder)) as index:
        for name, at, _, stamp, told in _failures(index, folder):
            trace = Trace.from_dict(told["trace"]) if "trace" in told else None
            yield Failed(name, at, stamp / 1e9, _call(told), told["error"], trace)


def _call(told: dict[str, Any]) -> str:
    return told["call"] if type(told.get("call")) is str else ""


def _going_on(index: Index, tallies: dict[str, Tally]) -> str:
    """How far the run is that goes on, and how long it will take at the pace that it has had."""
    settled, total, unknown = _settled(index, tallies)
    said = f"the run goes on: {settled:,} of {total:,} calls are settled"
    more = sum(tally.is_open for tally in tallies.values())
    if more:
        said += f", and {more:,} {'step reads a stream' if more == 1 else 'steps read streams'} of unknown length"
    if unknown:
        said += f", and {unknown:,} {'step' if unknown == 1 else 'steps'} of unknown size to come"
    begun, before = index.noted("begun"), index.noted("before")
    if type(begun) is not float or type(before) is not int or not 0 <= time.time() - begun < _MOST or settled <= before:
        return said
    elapsed = max(time.time() - begun, 0.001)
    pace = (settled - before) / elapsed
    said += f"; {pace:,.1f} a second since it began {table.seconds(elapsed)} ago"
    return said if unknown or more else f"{said}, {table.seconds((total - settled) / pace)} left at this pace"


def _left_off(index: Index, tallies: dict[str, Tally]) -> str:
    """How far a run came that was killed, interrupted or ended by an error; empty for one that came to its end."""
    settled, total, unknown = _settled(index, tallies)
    if settled >= total and not unknown and not any(tally.is_open for tally in tallies.values()):
        return ""
    return (
        f"the run is not complete, and no process is at it: at least {settled:,} of {total:,} calls are settled; "
        "its script goes on with resume=True"
    )


def _settled(index: Index, tallies: dict[str, Tally]) -> tuple[int, int, int]:
    """How many calls are, of how many, and of how many steps it is not known yet how many they have."""
    shown = displayed(tallies).values()
    unknown = _checked(index.execute("SELECT COUNT(*) FROM steps WHERE shape IS NULL")[0][0], int)
    return sum(tally.done for tally in shown), sum(tally.total for tally in shown), int(unknown)


def _tallies(index: Index) -> dict[str, Tally]:
    return {clean.line(name): tally for _, name, _, tally in steps(index)}


def steps(index: Index) -> Iterator[tuple[int, str, tuple[int, ...], Tally]]:
    """Each step whose shape is known: its number, its name, its shape, how far it is.

    Raises ValueError for an index that says what cannot be.
    """
    tries, flowing = store.tries_of(index), index.noted("open")
    flowing = flowing if type(flowing) is list else []
    rows = index.execute("SELECT id, name, shape, seconds, function FROM steps WHERE shape IS NOT NULL ORDER BY id")
    for step, name, told, seconds, function in rows:
        counts = dict(index.execute("SELECT state & ?, COUNT(*) FROM elements WHERE step = ? GROUP BY 1", (STATE, step)))
        shape = _shape(told)
        tally = Tally(int(_checked(math.prod(shape), int)))
        tally.done, tally.failed, tally.skipped = sum(counts.values()), counts.get(FAILED, 0), counts.get(SKIPPED, 0)
        tally.is_open = name in flowing
        tally.is_part = str(function).startswith(f"{Part.__module__}.")
        tally.retried, tally.timed_out = tries.get(name, (0, 0))
        for _, made in left_out.read(os.path.dirname(index.path), index, step, every=False):
            tally.took(made)
        tally.seconds = _checked(seconds, int, float)
        yield step, _checked(name, str), shape, tally


def _checked(value: Any, *kinds: type) -> Any:
    """A value of the index, which is anybody's file; ValueError where it is none of these."""
    if type(value) not in kinds or (type(value) is not str and not 0 <= value < _MOST):
        raise ValueError(f"it is torn: {clean.line(repr(value)[:60])} stands in its index, where a {kinds[0].__name__} is to be")
    return value


def _shape(told: Any) -> tuple[int, ...]:
    axes = arrival.parsed(_checked(told, str))
    return tuple([_checked(axis, int) for axis in (axes if type(axes) is list else [axes])][:64])


def _failures(index: Index, folder: str) -> Iterator[tuple[str, int, int, int, dict[str, Any]]]:
    """What is told of each call that failed, and of each root of a call that was not made that is no call of any step (a request
    for resources, an error of another run): the step, the element, its state, the time in ns at which it was kept, its record."""
    rows = index.execute(
        "SELECT steps.name, at, shards.name, offset, state & ? FROM elements JOIN shards ON shards.id = elements.shard "
        "JOIN steps ON steps.id = elements.step WHERE state & ? IN (?, ?) ORDER BY step, at",
        (STATE, STATE, FAILED, SKIPPED),
    )
    seen: set[str] = set()
    places = (result_log.Place(_checked(shard, str), _checked(offset, int), FAILED) for _, _, shard, offset, _ in rows)
    for (name, at, _, _, state), record in zip(rows, result_log.read(folder, places, only_text=True), strict=True):
        for told in _roots(arrival.parsed(record.text)):
            if told["id"] not in seen:
                seen.add(told["id"])
                yield _checked(name, str), _checked(at, int), state, record.stamp, told


def _roots(told: Any) -> list[dict[str, Any]]:
    """What a record tells of errors.  Raises ValueError for one that tells another thing."""
    others = told.get("others", []) if type(told) is dict else None
    if type(others) is not list:
        raise ValueError(_TORN)
    found = [told, *others] if "error" in told else []
    for one in found:
        if type(one) is not dict or (type(one.get("error")), type(one.get("id"))) != (str, str):
            raise ValueError(_TORN)
    return found


_TORN = "it is torn: what one of its shards tells of an error is another thing"
