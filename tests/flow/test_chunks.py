"""What runs in a worker: a chunk of calls; one that raises spoils no other."""

from __future__ import annotations

import os
import pickle
import threading
import time

import pytest

import autotb
from autotb.flow import chunks, failing
from autotb.flow.messages import Failed, Kept, Partly, Terms
from tests.flow.calls import add, double, interrupted, invert, locks

HERE, ELSEWHERE = os.getpid(), -1


def took(function, *columns, stop=False, parent=HERE, terms=None, **constants):
    return chunks.run(function, columns, constants, stop, parent, terms=terms)


def run(*args, **options):
    return took(*args, **options).results


def kinds(results):
    return ["failed" if type(result) is Failed else result for result in results]


@pytest.mark.parametrize(
    ("function", "columns", "constants", "results"),
    [
        (double, ([1, 2],), {}, [2, 4]),
        (add, ([1, 2], [10, 20]), {}, [11, 22]),
        (invert, ([1, 2],), {"scale": 4}, [4, 2]),
        (dict, (), {"a": 1}, [{"a": 1}]),
        (double, ([],), {}, []),
    ],
)
def test_the_calls_of_a_chunk(function, columns, constants, results):
    assert run(function, *columns, **constants) == results


@pytest.mark.parametrize(("stop", "results"), [(False, [1, "failed", 0.5, "failed"]), (True, [1, "failed"])])
def test_an_error_stands_in_its_place(stop, results):
    assert kinds(run(invert, [1, 0, 2, 0], stop=stop)) == results


def test_results_without_an_error_are_a_plain_list():
    """So that nobody looks through them."""
    assert type(run(invert, [1])) is list
    assert type(run(invert, [0])) is Partly


def test_the_error_knows_its_call():
    (failed,) = run(invert, [0], scale=3)

    assert autotb.explain(failed.exception).stack.hops[-1].call == "invert(x=0, scale=3)"


def test_a_record_stands_for_the_frames_so_that_nothing_of_the_users_is_held():
    (failed,) = run(invert, [0])

    assert failed.exception.__traceback__ is None
    assert autotb.explain(failed.exception).frames[-1].name == "invert"


def test_an_error_that_is_to_be_raised_here_keeps_its_frames():
    (failed,) = run(invert, [0], stop=True)

    assert failed.exception.__traceback__ is not None


def test_an_error_of_which_no_record_can_be_made_is_told_all_the_same(monkeypatch):
    monkeypatch.setattr(failing.build, "call_text", lambda *_: 1 / 0)
    (failed,) = run(invert, [0])

    assert str(failed.exception) == "division by zero"


def test_an_interruption_is_none_of_the_calls_errors():
    with pytest.raises(KeyboardInterrupt):
        run(interrupted, [1])


def test_from_another_process_comes_one_pickle():
    made = run(invert, [1, 0], parent=ELSEWHERE)

    assert type(made) is bytes
    assert kinds(chunks.received(made, 2).results) == [1, "failed"]


def test_a_result_that_cannot_be_pickled_spoils_no_other():
    assert kinds(chunks.received(took(locks, [1, 2, 3], parent=ELSEWHERE), 3).results) == [1, "failed", 3]


def test_a_result_of_this_process_need_not_be_picklable():
    assert type(run(locks, [2])[0]) is type(threading.Lock())


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def make(x):
    return Unreadable() if x == 2 else [x]


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_result_that_cannot_be_read_fails_its_own_call_alone(is_kept):
    """What a worker has kept of it counts no more."""
    made = took(make, [1, 2, 3], parent=ELSEWHERE)
    if is_kept:
        made = made._replace(results=chunks._sent(Kept([make(1), make(2), make(3)], [(0,), (1,), (2,)])))
    results = chunks.received(made, 3).results
    if is_kept:
        assert results.places == [(0,), None, (2,)]
        results = results.results

    assert kinds(results) == [[1], "failed", [3]]
    assert type(results) is Partly
    told = str(autotb.explain(results[1].exception))
    assert "in the process that runs the flow, where the result of the call was unpickled" in told
    assert told.rstrip().endswith("ValueError: invalid literal for int() with base 10: 'no number'")


def test_a_pickle_that_cannot_be_read_fails_all_calls():
    results = chunks.received(b"torn", 3).results

    assert (kinds(results), type(results)) == (["failed"] * 3, Partly)


def test_it_is_told_how_long_the_calls_took():
    assert chunks.received(took(double, [1], parent=ELSEWHERE), 1).seconds > 0
    assert chunks.received([1], 1).seconds is None  # an executor of one's own may answer for itself


def test_what_is_left_after_some_time_is_handed_back_but_one_call_is_made():
    assert run(double, [1, 2, 3], terms=Terms(chunks.begin(), -1.0)) == [2]
    assert run(double, [1, 2, 3], terms=Terms(chunks.begin(), None)) == [2, 4, 6]


def test_brief_calls_are_made_by_many_and_slow_ones_one_by_one():
    def slow(x):
        made.append(x)
        time.sleep(0.01 if x > 1_000 else 0)
        return x

    made = []
    results = run(slow, range(10_000), terms=Terms(chunks.begin(), 0.1))
    assert results == made
    assert made[-1] < 1_000 + 11 + chunks._LOOK  # ten of the slow ones, but for those that were begun together


def test_no_further_call_is_made_for_a_run_that_is_over():
    def ends(x):
        if x == 2:
            chunks.end(run_id)
        return x

    run_id = chunks.begin()
    assert len(run(ends, range(10_000), terms=Terms(run_id, None))) < 100
    assert run(double, [1, 2], parent=ELSEWHERE, terms=Terms(run_id, None))  # another process cannot know it


def test_what_is_sealed_is_called_all_the_same():
    assert pickle.loads(pickle.dumps(chunks.Sealed(add, (1, 2))))() == 3


def test_of_a_run_that_is_over_nothing_is_called():
    run_id = chunks.begin()
    chunks.end(run_id)

    assert run(double, [1, 2], terms=Terms(run_id, None)) == []


def test_what_ends_the_run_is_sent_back_by_an_engine_that_would_end_its_worker():
    made = took(leaves, [1, 2, 3], parent=ELSEWHERE, terms=Terms(chunks.begin(), None, sends_ends=True))
    arrived = pickle.loads(pickle.dumps(made))

    assert chunks.received(arrived, 3).results == [1]
    assert arrived.ended.exception.code == 7


def test_an_exit_of_rays_own_ends_its_worker():
    with pytest.raises(SystemExit):
        run(leaves, [4], terms=Terms(chunks.begin(), None, sends_ends=True))


def leaves(x):
    if x == 4:
        error = SystemExit(0)
        error.ray_terminate_msg = "The process receives a SIGTERM."
        raise error
    if x == 2:
        raise SystemExit(7)
    return x
