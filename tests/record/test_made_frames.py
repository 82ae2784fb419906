"""Frames that are made of a record: what those who read tracebacks see in them, and what they keep alive."""

import builtins
import gc
import inspect
import io
import linecache
import pdb
import sys
import traceback
import warnings
import weakref

import pytest

from autotb.record import annotate, made_frames
from autotb.record.capture import Capture

POSITIONS = pytest.mark.skipif(sys.version_info < (3, 11), reason="code has no columns before 3.11")
SCORE = {
    "path": "/elsewhere/train.py",
    "line": 5,
    "end_line": 5,
    "col": 11,
    "end_col": 31,
    "name": "score",
    "qualname": "Model.score",
    "module": "train",
    "kind": "user",
    "source": [4, ["    def score(self, clicks):", "    return ratio(clicks, self.views)"]],
    "locals": {"self": "<Model>", "clicks": "3"},
}
LOOP = {"path": "/site-packages/engine/loop.py", "line": 9, "name": "run", "module": "engine.loop", "kind": "engine"}


def tree(*frames, **more):
    return {
        "v": 1,
        "type": "ValueError",
        "message": "no",
        "hops": [{"where": "in a worker", "pid": 7, "frames": list(frames), **more}],
    }


def made(*frames, **more):
    return traceback_of(tree(*frames, **more))


def traceback_of(record):
    return made_frames.chained(made_frames.steps(record["hops"]))


def names(tb):
    return [frame.name for frame in traceback.extract_tb(tb)]


def test_python_shows_it_as_any_other():
    text = "".join(traceback.format_tb(made(SCORE)))

    assert text.splitlines()[:2] == ['  File "/elsewhere/train.py", line 5, in score', "    return ratio(clicks, self.views)"]


@POSITIONS
def test_its_columns_are_marked():
    code = made(SCORE).tb_frame.f_code

    assert set(code.co_positions()) == {(5, 5, 11, 31)}
    assert code.co_qualname == "Model.score"


@POSITIONS
def test_columns_are_in_bytes():
    frame = {**SCORE, "source": [5, ['    é = "ü", ratio(clicks)']], "col": 13, "end_col": 26}

    assert set(made(frame).tb_frame.f_code.co_positions()) == {(5, 5, 15, 28)}


@POSITIONS
def test_many_lines_and_no_columns():
    assert set(made({**SCORE, "end_line": 70, "col": 2, "end_col": 300}).tb_frame.f_code.co_positions()) == {(5, 70, 2, 300)}
    assert set(made({"path": "/a.py", "line": 3, "name": "f", "kind": "user"}).tb_frame.f_code.co_positions()) == {
        (3, 3, None, None)
    }


def test_variables_are_texts():
    frame = made(SCORE).tb_frame

    assert {name: repr(value) for name, value in frame.f_locals.items()} == {
        "self": "<Model>",
        "clicks": "3",
        "__autotb_hop__": "<in a worker, pid 7: these values are texts>",
    }
    assert frame.f_globals["__autotb_hop__"] is frame.f_locals["__autotb_hop__"]
    assert (frame.f_globals["__name__"], frame.f_lineno, frame.f_back) == ("train", 5, None)


@pytest.mark.parametrize(
    ("count", "parameters"), [(0, []), (1, ["self"]), (2, ["self", "clicks"]), (9, ["self", "clicks", "share"])]
)
def test_parameters_are_told_from_other_variables(count, parameters):
    frame = made({**SCORE, "locals": {**SCORE["locals"], "share": "0"}, "args": count}).tb_frame

    assert inspect.getargvalues(frame).args[:3] == parameters
    assert list(frame.f_locals) == ["self", "clicks", "share", "__autotb_hop__"]
    assert frame.f_lineno == 5


@pytest.mark.parametrize("name", ["class", "__debug__", "a b", "…", "é"])
def test_variables_of_any_name(name):
    assert list(made({**SCORE, "locals": {name: "1"}}).tb_frame.f_locals) == [name, "__autotb_hop__"]


def test_variables_that_tools_obey():
    hidden = made({**SCORE, "locals": {"__tracebackhide__": "True", "x": "1"}}).tb_frame.f_locals
    shown = made({**SCORE, "locals": {"__tracebackhide__": "False", "__traceback_supplement__": "(f, 1)", "x": "1"}})

    assert hidden["__tracebackhide__"] is True
    assert list(shown.tb_frame.f_locals) == ["x", "__autotb_hop__"]


def test_source_that_this_machine_lacks_is_found():
    frame = made(SCORE).tb_frame
    linecache.lazycache("/elsewhere/train.py", frame.f_globals)

    assert linecache.getline("/elsewhere/train.py", 5) == "    return ratio(clicks, self.views)\n"
    linecache.clearcache()


def test_a_debugger_stands_in_the_workers_line():
    shown = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("where\np clicks\nargs\nlist\nq\n"), stdout=shown)
    debugger.use_rawinput = False
    debugger.reset()
    debugger.interaction(None, made({**SCORE, "args": 2}))

    assert "/elsewhere/train.py(5)score()" in shown.getvalue()
    assert "clicks = 3" in shown.getvalue()
    assert "5  ->\t    return ratio(clicks, self.views)" in shown.getvalue()


def test_engines_frames_are_left_out_and_hops_follow_one_another():
    both = tree(LOOP, SCORE)
    both["hops"].append({"where": "in another", "frames": [{**SCORE, "name": "inner", "kind": "library"}]})

    assert names(traceback_of(both)) == ["score", "inner"]


@pytest.mark.parametrize("more", [{"live": True}, {"twice": True}])
def test_hops_that_are_in_the_traceback_already_are_not_made(more):
    assert made(SCORE, **more) is None


def test_of_many_frames_the_ends_are_made():
    frames = [{**SCORE, "name": f"f{number}"} for number in range(1200)]

    found = names(made(*frames))

    assert found == [
        *(f"f{number}" for number in range(500)),
        "… 200 more frames …",
        *(f"f{number}" for number in range(700, 1200)),
    ]


def test_a_recursion_is_unfolded_and_what_was_left_out_is_counted():
    other = {**SCORE, "name": "other"}

    assert names(made(SCORE, other, {"repeated": 3, "cycle": 2}, {"omitted": 1}, other)) == [
        *(["score", "other"] * 4),
        "… 1 more frame …",
        "other",
    ]
    assert names(made(SCORE, {"repeated": 3_000, "cycle": 1}))[-1] == "… 2,000 more frames …"


def test_the_engines_frame_that_raised_is_shown():
    assert names(made(SCORE, LOOP)) == ["score", "run"]
    assert made(LOOP) is None


def test_the_story_counts_them_once():
    error = ValueError("no").with_traceback(made(SCORE))
    error.__autotb__ = tree(SCORE)

    assert [[frame["name"] for frame in hop["frames"]] for hop in Capture().tree(error)["hops"]] == [["score"]]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before, a frame that never began is in its first line")
def test_a_function_begins_where_it_does():
    frame = made({**SCORE, "first": 2}).tb_frame

    assert (frame.f_code.co_firstlineno, frame.f_lineno, set(frame.f_code.co_positions())) == (2, 5, {(5, 5, 11, 31)})
    assert made({**SCORE, "first": 9}).tb_frame.f_lineno == 5


@pytest.mark.parametrize(
    "frame",
    [
        {**SCORE, "line": -1},
        {**SCORE, "line": 1 << 70},
        {**SCORE, "line": "5"},
        {**SCORE, "path": 7},
        {**SCORE, "name": None},
        {**SCORE, "source": [1, 2]},
        {**SCORE, "source": [5, [None]]},
        {**SCORE, "locals": [1]},
        {**SCORE, "locals": {"x": ValueError}},
        {**SCORE, "col": -7},
        {**SCORE, "col": 1 << 80, "end_col": 1 << 80},
        {"repeated": 5, "cycle": 9},
        {"repeated": None},
        3,
    ],
)
def test_a_record_of_any_form_leaves_the_exception_as_it_was_or_is_shown(frame):
    error = ValueError("no")
    error.__autotb__ = tree(SCORE, frame)

    annotate.arrived(error)

    traceback.format_exception(error)


@pytest.mark.parametrize("module", ["train", ""])
def test_nobody_is_warned(module):
    path = f"/elsewhere/warned{module}.py"
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        shown = traceback.format_tb(made({**SCORE, "path": path, "module": module}))

    assert warned == []
    assert module == "" or "return ratio(clicks, self.views)" in shown[0]  # linecache asks for modules that have a name


def test_lines_of_a_file_come_one_after_the_other():
    path = "/elsewhere/lines.py"
    for line in (5, 9, 5):
        frame = made({**SCORE, "path": path, "line": line, "source": [line, [f"line{line}()"]]})
        assert f"    line{line}()" in "".join(traceback.format_tb(frame))
    assert linecache.getline(path, 9) == "line9()\n"
    made({**SCORE, "path": path, "line": 1 << 30, "source": [1 << 30, ["far"]]})
    assert len(linecache.getlines(path)) == 9


def test_nobody_is_told_of_a_call():
    seen = []
    sys.settrace(lambda frame, *_: seen.append(frame.f_code.co_filename))
    sys.setprofile(lambda frame, *_: seen.append(frame.f_code.co_filename))
    try:
        made(SCORE)
    finally:
        sys.settrace(None)
        sys.setprofile(None)

    assert SCORE["path"] not in seen


@pytest.mark.skipif(not hasattr(builtins, "BaseExceptionGroup"), reason="groups came with 3.11")
def test_members_get_theirs():
    group = builtins.BaseExceptionGroup
    error = group("both", [ValueError("no"), group("in", [KeyError(1)])])
    inner = {**tree(SCORE), "type": "ExceptionGroup", "members": [tree({**SCORE, "name": "inner"})]}
    error.__autotb__ = {**tree(SCORE), "members": [tree(LOOP, SCORE), inner]}

    annotate.arrived(error)

    first, second = error.exceptions
    assert [names(each.__traceback__) for each in (error, first, second, second.exceptions[0])] == [
        ["score"],
        ["score"],
        ["score"],
        ["inner"],
    ]


def test_one_that_was_raised_here_stays_as_it_is():
    try:
        raise ValueError("no")
    except ValueError as error:
        error.__autotb__ = tree(SCORE)
        annotate.arrived(error)
        assert names(error.__traceback__) == ["test_one_that_was_raised_here_stays_as_it_is"]


def test_each_exception_has_a_traceback_of_its_own():
    base = {"where": "in a worker", "pid": 7, "type": "ValueError", "frames": [SCORE, {**SCORE, "name": "inner"}]}
    one, two = ValueError("1"), ValueError("2")
    one.__autotb__, two.__autotb__ = (1, base, "f(1)"), (1, dict(base), "f(2)")

    annotate.arrived(one)
    annotate.arrived(two)
    one.__traceback__.tb_next = None

    assert names(two.__traceback__) == ["score", "inner"]
    assert one.__traceback__.tb_frame is two.__traceback__.tb_frame


def test_another_exception_that_is_given_the_traceback_tells_where_it_ran():
    other = KeyError("no").with_traceback(made(SCORE, {**SCORE, "name": "inner"}))

    hops = Capture().tree(other)["hops"]

    assert [(hop["where"], hop["pid"], [frame["name"] for frame in hop["frames"]]) for hop in hops] == [
        ("in a worker", 7, ["score", "inner"])
    ]
    assert hops[0]["frames"][0]["locals"] == {"self": "<Model>", "clicks": "3"}


def test_nothing_else_is_kept_alive():
    class Mine:
        pass

    mine = Mine()
    gone = weakref.ref(mine)
    tb = made(SCORE)
    del mine
    gc.collect()

    assert gone() is None
    traceback.clear_frames(tb)
    assert tb.tb_frame.f_locals == {}


def test_the_same_place_has_one_code():
    assert made(SCORE).tb_frame.f_code is made({**SCORE, "locals": {"self": "x", "clicks": "4"}}).tb_frame.f_code


def test_the_switch(monkeypatch):
    monkeypatch.setenv("AUTOTB_TRACEBACK", "0")

    assert made(SCORE) is None
