"""Further attempts of a call, and the time that one may take."""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import autotb
from autotb import Flow
from autotb.flow import attempts, chunks
from autotb.flow.attempts import UNSET, Attempts, Policy
from autotb.flow.messages import Failed, Terms
from tests.flow.calls import Here


class Flaky:
    """Fails so many times, of the errors that it is given, one after the other."""

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self, x):
        self.calls += 1
        if self.calls <= len(self.errors):
            raise self.errors[self.calls - 1]
        return x


def tried(function, *args, **options):
    return Attempts(Policy(**{"wait": 0, **options}), function, {}, lambda: False), args


def resets(x):
    if not os.path.exists(x):
        open(x, "x").close()
        raise ConnectionError("reset")
    return "got"


def test_the_first_attempt_that_gives_a_value_counts():
    flaky = Flaky(OSError(1), KeyError(2))

    assert autotb.map(flaky, [7], retries=3, wait=0) == [7]
    assert flaky.calls == 3


def test_there_are_as_many_attempts_as_were_asked_for():
    flaky = Flaky(*[OSError(number) for number in range(9)])

    with pytest.raises(OSError, match="^2$"):
        autotb.map(flaky, [7], retries=2, wait=0)
    assert flaky.calls == 3
    assert [error.args for error in flaky.error_snapshot.earlier] == [(0,), (1,)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_run_is_not_retried(error):
    flaky = Flaky(error())

    with pytest.raises(error):
        autotb.map(flaky, [7], retries=2, wait=0, executor=Here())
    assert flaky.calls == 1


def test_what_is_not_asked_for_is_not_retried():
    flaky = Flaky(KeyError(1))

    with pytest.raises(KeyError):
        autotb.map(flaky, [7], retries=2, retry_on=(OSError, TimeoutError))
    assert flaky.calls == 1


@pytest.mark.parametrize(
    ("errors", "retry_on", "line"),
    [
        ([OSError(1)] * 3, Exception, "attempt 3 of 3, the 2 before failed alike"),
        ([OSError(1), OSError(1), KeyError(2)], Exception, "attempt 3 of 3, before: OSError: 1 (2 times)"),
        ([OSError(1), KeyError(2)], OSError, "attempt 2 of 3 (KeyError is not retried), before: OSError: 1"),
        ([KeyError(2)], OSError, "attempt 1 of 3 (KeyError is not retried)"),
    ],
)
def test_a_line_tells_of_the_attempts_before(errors, retry_on, line):
    (error,) = autotb.map(Flaky(*errors), [7], retries=2, retry_on=retry_on, wait=0, error_handling="continue")

    text = str(autotb.explain(error.exception))
    assert f"[{line}]" in text
    assert text.count(line) == 1


def test_of_one_retry_the_line_is_in_the_singular():
    (error,) = autotb.map(Flaky(OSError(1), OSError(1)), [7], retries=1, wait=0, error_handling="continue")

    assert autotb.explain(error.exception).stack.hops[-1].attempt == "attempt 2 of 2, the one before failed alike"


def test_of_many_kinds_some_are_named_and_the_others_counted():
    calls, args = tried(Flaky(*[OSError(number) for number in range(9)]), 7, retries=8)

    with pytest.raises(OSError) as caught:
        calls.call(args)
    assert calls.told(caught.value) == "attempt 9 of 9, before: OSError: 0; OSError: 1; OSError: 2; 5 other errors"


def test_errors_that_were_alike_are_kept_once():
    calls, args = tried(Flaky(*[OSError("alike") for _ in range(9)]), 7, retries=5)

    with pytest.raises(OSError):
        calls.call(args)
    assert len(calls.earlier) == 5
    assert len({*map(id, calls.earlier)}) == 1


def test_earlier_errors_have_their_story_and_survive_pickling():
    (error,) = autotb.map(Flaky(OSError(1), OSError(2), KeyError(3)), [7], retries=2, wait=0, error_handling="continue")

    for one in (error, pickle.loads(pickle.dumps(error))):
        assert [autotb.explain(earlier).frames[-1].name for earlier in one.earlier] == ["__call__", "__call__"]
        assert all(earlier.__traceback__ is None for earlier in error.earlier)


def test_lines_of_many_failures_of_one_place_do_not_mix():
    """Beyond a hundred they have light records, which share what they have in common."""
    flaky = [OSError(0), KeyError(0)] * 150 + [KeyError(0), KeyError(0)] * 150
    took = chunks.run(Flaky(*flaky), (range(300),), {}, False, -1, terms=Terms("", None, Policy(retries=1, wait=0)))
    lines = [autotb.explain(one.exception).stack.hops[-1].attempt for one in pickle.loads(took.results)]

    assert lines == ["attempt 2 of 2, before: OSError: 0"] * 150 + ["attempt 2 of 2, the one before failed alike"] * 150


def test_no_frame_of_ours_stands_in_a_story(run):
    ran = run(
        """
        import autotb

        def fails(x):
            raise OSError(x)

        autotb.map(fails, [1], retries=1, wait=0, timeout=60)
        """,
        AUTOTB_STYLE="plain",
    )

    assert ran.stderr.count("  File ") == 2
    assert "[attempt 2 of 2, the one before failed alike]" in ran.stderr


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_the_table_counts_what_was_tried_again(tmp_path, executor):
    flow = Flow(executor, progress=False)
    flow.map(resets, [str(tmp_path / "a"), str(tmp_path / "b")], retries=1, wait=0)
    results = flow.run()

    assert results["resets"] == ["got", "got"]
    assert [line.split() for line in str(results).split("\n")][0::2] == [
        ["step", "done", "failed", "skipped", "retried", "of", "time"],
        ["resets", "2", "0", "0", "2", "2", *str(results).split()[-2:]],
    ]


class Gate:
    """A call that waits until it is let go."""

    def __init__(self):
        self.open, self.left = threading.Event(), threading.Event()

    def __call__(self, x):
        if x == 1:
            self.open.wait(60)
            self.left.set()
        return x


def test_a_call_that_takes_too_long_is_given_up_and_goes_on():
    gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        flow = Flow(pool, error_handling="continue", progress=False)
        flow.map(gate, range(3), timeout=0.1)
        results = flow.run()  # the one worker has made the other calls meanwhile

        error = results["Gate"][1]
        assert results["Gate"][::2] == [0, 2]
        assert type(error.exception) is TimeoutError
        assert str(error.exception) == "no result within 0.1 s: the call was given up, which does not stop it"
        assert [frame.name for frame in autotb.explain(error.exception).frames][:1] == ["__call__"]  # where it was by then
        assert (results.tallies["Gate"].timed_out, results.tallies["Gate"].retried) == (1, 0)
        assert not gate.left.is_set()
        gate.open.set()
        assert gate.left.wait(60)


def test_a_timeout_is_an_error_like_another_and_retried():
    gate = Gate()
    with pytest.raises(TimeoutError) as caught:
        autotb.map(gate, [1], timeout=0.05, retries=1, retry_on=TimeoutError, wait=0)
    assert "attempt 2 of 2, the one before failed alike" in str(autotb.explain(caught.value))
    gate.open.set()


def test_calls_in_time_share_a_thread():
    names = autotb.map(lambda x: threading.current_thread().name, range(50), timeout=60, executor=Here())

    assert {*names} == {"MainThread-call"}


def test_a_run_that_is_over_waits_for_no_further_attempt():
    over = threading.Event()
    calls = Attempts(Policy(retries=1, wait=60), Flaky(OSError(1)), {}, over.is_set)
    threading.Timer(0.05, over.set).start()

    with pytest.raises(OSError):
        calls.call((1,))  # at once


def waits(x, timeout=None, wait=0):
    return timeout, wait


def anything(x, **options):
    return options


def test_an_option_that_the_function_has_is_the_functions():
    assert autotb.map(waits, [1], timeout=5, wait=None) == [(5, None)]
    assert autotb.map(anything, [1], timeout=5) == [{}]
    flow = Flow(progress=False)
    one, other = flow.call(waits, 1, timeout=7), flow.map(waits, [1], timeout=None, retries=1)
    results = flow.run()
    assert (results[one], results[other]) == ((7, 0), [(None, 0)])


def test_a_step_has_options_whatever_its_function_has():
    made = autotb.step(waits, timeout=5, retries=2)

    assert (made.policy.timeout, made.policy.retries) == (5, 2)
    assert made.tried({}, retries=3)[0].policy == Policy(timeout=5, retries=3)
    assert made.tried({}, retries=UNSET) == (made, {})


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"timeout": 0}, ValueError, "more than 0, not 0"),
        ({"timeout": float("nan")}, ValueError, "more than 0, not nan"),
        ({"timeout": "1"}, TypeError, "not '1'"),
        ({"retries": -1}, ValueError, "0 or more, not -1"),
        ({"retries": True}, TypeError, "not True"),
        ({"retries": 1.5}, TypeError, "not 1.5"),
        ({"retry_on": OSError()}, TypeError, "an exception type or a tuple of them"),
        ({"retry_on": KeyboardInterrupt}, TypeError, "KeyboardInterrupt ends the run, and is never retried"),
        ({"wait": -1}, ValueError, "0 or more, not -1"),
        ({"wait": None}, TypeError, "not None"),
    ],
)
def test_what_cannot_be_meant_is_told_at_once(options, error, said):
    for make in (
        lambda: autotb.step(len, **options),
        lambda: autotb.map(len, [[1]], **options),
        lambda: Flow().map(len, [[1]], **options),
        lambda: Flow().call(len, [1], **options),
    ):
        with pytest.raises(error, match=said):
            make()


def counted(x, folder):
    """How often it was called before, and then an error."""
    name = os.path.join(folder, f"{x}-{len(os.listdir(folder))}")
    open(name, "x").close()
    if x:
        raise OSError("again")
    return x


def test_what_is_kept_is_not_called_again_and_what_failed_has_new_attempts(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()

    def results(**options):
        flow = Flow(error_handling="continue", run_folder=tmp_path / "run", progress=False, **options)
        flow.map(counted, [0, 1], folder=str(marks), retries=1, wait=0)
        found = flow.run()
        tally = found.tallies["counted"]
        return sorted(name[0] for name in os.listdir(marks)), tally.retried

    assert results() == (["0", "1", "1"], 1)
    assert results(resume=True) == (["0", "1", "1"], 1)  # an error is kept as well
    assert results(resume=True, retry_failed=True) == (["0", "1", "1", "1", "1"], 2)
    assert autotb.load(tmp_path / "run").tallies["counted"].retried == 2


def test_a_call_that_timed_out_is_cut_to_the_users_frames():
    assert attempts.behind(None) is None
    try:
        tried(Flaky(OSError(1)), 7, retries=0)[0].call((7,))
    except OSError as error:
        assert attempts.behind(error.__traceback__.tb_next).tb_frame.f_code.co_name == "__call__"


def test_errors_cross_to_another_process_with_those_before():
    same = OSError("alike")
    failed = Failed(KeyError(1), [same, ValueError(2), same])
    found = pickle.loads(pickle.dumps(failed))

    assert [str(one) for one in found.earlier] == ["alike", "2", "alike"]
    assert found.earlier[0] is found.earlier[2]
