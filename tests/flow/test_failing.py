"""What a worker makes of a call that failed, and of one whose result cannot be pickled."""

from __future__ import annotations

import threading

import pytest

import autotb
from autotb.flow import failing
from autotb.flow.messages import Failed
from autotb.record import capture
from tests.flow.calls import double


class Closed:
    def __reduce__(self):
        raise RuntimeError("it stays here")


def told(result, at=2):
    found = failing.fit(result, double, (at,), {})
    assert type(found) is Failed
    return autotb.explain(found.exception)


def test_a_result_that_can_be_pickled_is_itself():
    result = [1]

    assert failing.fit(result, double, (2,), {}) is result


def test_of_one_that_cannot_be_it_is_told_whose_it_is_and_which_part_is_at_fault():
    trace = told({"lock": threading.Lock()})

    assert [(hop.where, hop.call, hop.frames) for hop in trace.stack.hops] == [("in a worker of a flow", "double(x=2)", ())]
    assert trace.stack.culprit == "result['lock'] → _thread.lock"
    assert trace.stack.before is None  # the first of two picklers has nothing to do with it


def test_where_a_method_of_the_users_raised_its_frame_is_told():
    trace = told(Closed())

    assert [frame.name for frame in trace.frames] == ["__reduce__"]
    assert "its __reduce__ raised this error" in trace.hints[0]


def test_an_error_of_which_no_record_can_be_made_is_told_all_the_same(monkeypatch):
    monkeypatch.setattr(failing.build, "call_text", lambda *_: 1 / 0)
    monkeypatch.setattr(failing.packing, "culprit", lambda *_: 1 / 0)

    assert str(failing.fit(Closed(), double, (2,), {}).exception) == "it stays here"


@pytest.mark.parametrize("is_raised", [False, True])
def test_an_error_that_is_raised_here_keeps_its_frames(is_raised):
    try:
        raise ValueError("x")
    except ValueError as error:
        found = failing.failed(error, double, (2,), {}, is_raised)

    assert (found.exception.__traceback__ is not None) is is_raised
    assert capture.attached(found.exception)["hops"][0]["call"] == "double(x=2)"


@pytest.mark.parametrize("policy", [{}, {"retries": 1}])
def test_of_a_function_that_is_not_pythons_there_is_no_frame(policy):
    flow = autotb.Flow("threads", error_handling="continue", progress=False)
    made = flow.map(autotb.step(int, **policy), ["1", "x"])
    trace = autotb.explain(flow.run()[made][1].exception)

    assert [(hop.call, hop.frames) for hop in trace.stack.hops] == [("int('x')", ())]


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def unreadable(x):
    return Unreadable() if x == 2 else x


@pytest.mark.parametrize("folder", [False, True])
def test_a_call_whose_result_cannot_be_read_is_named_and_fails_alone(tmp_path, folder):
    flow = autotb.Flow("processes", run_folder=tmp_path / "run" if folder else None, error_handling="continue", progress=False)
    made = flow.map(autotb.step(unreadable, chunksize=5), range(5))
    results = list(flow.run()[made])

    assert [results[at] for at in (0, 1, 3, 4)] == [0, 1, 3, 4]
    hop = autotb.explain(results[2].exception).stack.hops[0]
    assert (hop.where.partition(",")[0], hop.call) == ("in the process that runs the flow", "unreadable(x=2)")
