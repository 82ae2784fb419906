"""``sys.tracebacklimit``: as many frames of each exception are shown as Python would show."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from autotb.trace import tracebacklimit
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Stack

LIMITED = (Path(__file__).parent / "programs" / "limited.py").read_text()
WAITS = Frame("/site-packages/pool.py", 1, "get", kind="engine")


@pytest.fixture
def limit(monkeypatch):
    return lambda value: monkeypatch.setattr(sys, "tracebacklimit", value, raising=False)


def user(name):
    return Frame("/main.py", 1, name)


def names(stack):
    return " | ".join(" ".join(getattr(item, "name", "gap") for item in hop.frames) for hop in stack.hops)


@pytest.mark.parametrize(
    ("value", "frames"),
    [(None, None), ("2", None), (2.0, None), (2, 2), (0, 0), (-1, 0), (True, 1), (1 << 1000, 1 << 1000)],
)
def test_the_limit_is_an_int_as_python_has_it(limit, value, frames):
    limit(value)

    assert tracebacklimit.frames() == frames


def test_without_a_limit_the_story_is_the_very_same():
    trace = Trace(Stack("KeyError", "'k'", (Hop((user("main"),)),)))

    assert tracebacklimit.limited(trace) is trace


@pytest.mark.parametrize(
    ("value", "outermost", "kept"),
    [
        (1, False, "inner"),
        (2, False, "outer inner"),
        (3, False, "main get | outer inner"),  # an engine's frame takes no place of one that is shown
        (9, False, "main get | outer inner"),
        (1, True, "main"),
        (2, True, "main get | outer"),
        (0, False, ""),
    ],
)
def test_which_frames_stay(limit, value, outermost, kept):
    limit(value)
    stack = Stack("KeyError", "'k'", (Hop((user("main"), WAITS)), Hop((user("outer"), user("inner")), where="in a worker")))

    assert names(tracebacklimit.limited(Trace(stack), outermost=outermost).stack) == kept


def test_where_all_frames_are_an_engines_they_are_counted(limit):
    limit(1)

    assert names(tracebacklimit.limited(Trace(Stack("OSError", "", (Hop((WAITS, WAITS)),)))).stack) == "get"


def test_a_gap_takes_the_place_of_a_frame(limit):
    limit(2)
    stack = Stack("RecursionError", "", (Hop((user("main"), user("deep"), Gap(repeated=99, cycle=1))),))

    assert names(tracebacklimit.limited(Trace(stack)).stack) == "deep gap"


@pytest.mark.parametrize("where", ["cause", "context", "members", "also"])
def test_each_exception_of_the_story_has_the_limit(limit, where):
    limit(1)
    inner = Stack("KeyError", "'k'", (Hop((user("outer"), user("inner"))),))
    stack = Stack("ValueError", "", **{where: (inner,) if where in ("members", "also") else inner})

    kept = getattr(tracebacklimit.limited(Trace(stack)).stack, where)

    assert names(kept[0] if isinstance(kept, tuple) else kept) == "inner"


@pytest.mark.parametrize(("value", "told"), [(1, 1), (0, 0)])
def test_what_a_worker_died_of_stays_unless_nothing_is_wanted(limit, value, told):
    limit(value)
    stack = Stack("BrokenProcessPool", "", (Hop(died=("killed by signal 9",)), Hop((user("main"),))))

    assert sum(bool(hop.died) for hop in tracebacklimit.limited(Trace(stack)).stack.hops) == told


@pytest.mark.parametrize(("value", "told"), [(1, 1), (0, 0)])
def test_hints_go_with_the_frames(limit, value, told):
    limit(value)

    assert len(tracebacklimit.limited(Trace(Stack("KeyError", "'k'"), hints=("hint: look",))).hints) == told


DIRECT = "The above exception was the direct cause of the following exception:"


@pytest.mark.parametrize("style", ["rich", "plain"])
@pytest.mark.parametrize("limit", ["0", "-1", "-(1 << 1000)", "False"])
def test_no_frames_are_shown_where_the_program_wants_none(run, style, limit):
    ran = run(LIMITED, "main", limit, AUTOTB_STYLE=style)

    assert ran.stderr == run(LIMITED, "main", limit, autotb="0").stderr
    told = [line for line in run(LIMITED, "pool", limit, AUTOTB_STYLE=style).lines if line]
    assert told == ["ZeroDivisionError: division by zero", DIRECT, "KeyError: 'k'"]
    told = [line for line in run(LIMITED, "thread", limit, AUTOTB_STYLE=style).lines if line]
    assert told == ["Exception in thread one:", "ZeroDivisionError: division by zero", DIRECT, "KeyError: 'k'"]
    assert "File" not in run(LIMITED, "log", limit).stderr


@pytest.mark.parametrize("limit, shown", [("1", ["inner"]), ("2", ["outer", "inner"]), ("3", ["asks", "outer", "inner"])])
def test_the_innermost_frames_are_shown_and_in_logs_the_outermost(run, limit, shown):
    ran = run(LIMITED, "pool", limit, AUTOTB_STYLE="rich")

    assert [head.partition(" in ")[2] for head in ran.heads] == ["inner", *shown]
    logged = run(LIMITED, "log", limit).stderr.split(DIRECT)[1]
    assert '", line 17, in inner' not in logged
    assert logged.count('  File "') == int(limit)
    assert run(LIMITED, "main", limit, AUTOTB_STYLE="plain").stderr.count('  File "') == len(
        [line for line in run(LIMITED, "main", limit, autotb="0").lines if line.startswith('  File "')]
    )


@pytest.mark.parametrize("limit", ["None", "'abc'", "1.0", "1 << 1000"])
def test_all_is_shown_where_the_limit_is_none(run, limit):
    story = json.loads(run(LIMITED, "main", limit, AUTOTB_STYLE="json").stderr)

    assert [frame["name"] for frame in story["error"]["hops"][0]["frames"]] == ["<module>", "outer", "inner"]
