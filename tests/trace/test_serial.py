"""A story as plain builtins, and back; a file may hold anything, and what is wrong with it is said in a ValueError."""

from __future__ import annotations

import json
import sys

import jsonschema
import pytest

import autotb
from autotb.trace import model, serial
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack
from tests.futures import tasks

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

FRAME = Frame(
    "/load.py",
    12,
    "parse",
    module="load",
    source=((11, "x = ("), (12, "a")),
    span=(0, 4),
    end=(13, 2),
    locals=(("a", "1"),),
    changed=True,
)
HOP = Hop(
    (FRAME, Gap(repeated=9, cycle=2)),
    where="in a worker",
    pid=7,
    submitted=Place("/main.py", 3, "main"),
    job=(("RANK", "0"),),
    died=("killed",),
)
WHOLE = Stack(
    "KeyError",
    "'id'",
    (HOP,),
    final=("KeyError: 'id'",),
    notes=("a note",),
    cause=Stack("A", ""),
    context=Stack("B", "", cause=Stack("C", "")),
    members=(Stack("D", "", alike=3),),
    also=(Stack("E", ""),),
    broken=("task 2",),
    lost=("an attribute",),
    cut="local variables",
    skipped=4,
    unlisted=5,
    unnoted=6,
    culprit="x.lock",
)


def story(**error):
    """A story as a file may hold it."""
    return {"schema": 1, "error": {"type": "E", "message": "", "hops": [], **error}}


def of_hop(**hop):
    return story(hops=[{"frames": [], **hop}])


def of_frame(**frame):
    return of_hop(frames=[{"path": "/a.py", "line": 1, "name": "f", **frame}])


def caught(task):
    try:
        task()
    except Exception as error:
        return error


def deep(number=0):
    return deep(number + 1)


ERRORS = {
    "chained": lambda: caught(tasks.chained),
    "while handling": lambda: caught(tasks.while_handling),
    "with texts": lambda: caught(lambda: tasks.writes("x")),
    "syntax": lambda: SyntaxError("bad", ("file.py", 1, 2, "a b", 1, 3)),
    "group": lambda: ExceptionGroup("group", [ValueError(1), caught(tasks.chained)]),
    "never raised": lambda: RecursionError("deep"),
    "recursion": lambda: caught(deep),
}


def test_everything_that_a_story_holds_survives_json():
    trace = Trace(WHOLE, host="here", pid=7, hints=("hint: look",))

    assert Trace.from_dict(json.loads(json.dumps(trace.to_dict()))) == trace


@pytest.mark.parametrize("kind", ERRORS)
def test_a_real_story_survives_json(kind):
    trace = autotb.explain(ERRORS[kind]())
    again = Trace.from_dict(json.loads(json.dumps(trace.to_dict())))

    assert (again.stack, str(again)) == (trace.stack, str(trace))


@pytest.fixture(scope="module")
def problems():
    schema = json.loads(model.schema_file().read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return lambda trace: [problem.message for problem in validator.iter_errors(json.loads(json.dumps(trace.to_dict())))]


@pytest.mark.parametrize("kind", ERRORS)
def test_a_story_fits_its_schema(problems, kind):
    assert problems(autotb.explain(ERRORS[kind]())) == []


def test_a_story_that_holds_everything_fits_its_schema(problems):
    assert problems(Trace(WHOLE, pid=7)) == []


def test_what_there_is_little_to_say_of_has_few_keys():
    assert set(serial.stack_dict(Stack("E", ""))) == set(serial.ALWAYS[Stack])


def test_keys_that_say_nothing_may_be_missing():
    assert Trace.from_dict(of_frame(span=None, end=None, module="")).stack.frames == (Frame("/a.py", 1, "f"),)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        {"schema": 1},
        {"error": {}},
        {**story(), "schema": 2},
        {**story(), "schema": "1"},
        {**story(), "error": None},
        {**story(), "pid": "7"},
        {**story(), "host": 7},
        {**story(), "hints": 7},
        story(type=7),
        story(hops=None),
        story(hops=[None]),
        story(hops=[{}]),
        story(cause="text"),
        story(members={"a": 1}),
        story(notes=7),
        story(skipped="many"),
        of_hop(pid=1.5),
        of_hop(job=["RANK"]),
        of_hop(submitted={"path": "/a.py"}),
        of_hop(submitted=["/a.py"]),
        of_hop(frames=[{"repeated": 1}]),
        of_frame(line="1"),
        of_frame(line=1 << 60),
        of_frame(span=[1]),
        of_frame(span=7),
        of_frame(end=["a", "b"]),
        of_frame(source=[[1, 2]]),
        of_frame(source=["text"]),
        of_frame(locals=7),
    ],
)
def test_what_is_no_story_is_a_value_error(data):
    with pytest.raises(ValueError):
        Trace.from_dict(data)


def test_another_version_is_named():
    with pytest.raises(ValueError, match="version 9; this autotb reads version 1"):
        Trace.from_dict({**story(), "schema": 9})


def test_a_chain_without_an_end_is_refused():
    data = story()["error"]
    for _ in range(serial.MAX_DEPTH + 1):
        data = story(cause=data)["error"]

    with pytest.raises(ValueError, match="inside one another"):
        Trace.from_dict({"schema": 1, "error": data})


def test_more_parts_than_any_story_has_are_refused():
    frame = {"path": "/a.py", "line": 1, "name": "f"}

    with pytest.raises(ValueError, match="more than 100,000"):
        Trace.from_dict(of_hop(frames=[frame] * serial.MAX_PARTS))


@pytest.mark.parametrize("count", [-1, 0])
def test_a_count_is_never_less_than_nothing(count):
    assert Trace.from_dict(story(skipped=count)).stack.skipped == 0
