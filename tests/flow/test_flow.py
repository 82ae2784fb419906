"""``Flow``: what a user of it sees, in both modes, on threads and processes."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import re
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import numpy
import pytest

import autotb
from autotb import ErrorSnapshot, ErrorStub, Flow, PropagatedErrorSnapshot, Reason, step
from autotb.flow import table
from tests.flow.calls import Here, add, double, interrupted, invert, locks, total

KEPT = {
    "memory": lambda folder: {},
    "folder": lambda folder: {"run_folder": folder / "run"},
    "folder only": lambda folder: {"run_folder": folder / "run", "return_results": False},
}


def keeps_all(*parts, **more):
    return len(parts) + len(more)


def dies(x):
    os._exit(3)


def stops(x):
    return next(iter(()))


@pytest.fixture(params=list(KEPT))
def kept(request, tmp_path):
    return KEPT[request.param](tmp_path)


@pytest.fixture(params=["threads", "processes"])
def executor(request):
    return request.param


@pytest.mark.behaviour("S2-2", "S2-14", "S2-17", "S2-18", "S2-20", "S2-24", "S2-32")
def test_errors_are_passed_on_with_their_causes(executor, kept):
    flow = Flow(executor, error_handling="continue", **kept)
    raw = flow.map(invert, [1, 0, 2, 0], scale=2)
    more = flow.map(double, raw)
    whole = flow.call(total, more)
    last = flow.call(add, whole, 1)
    fine = flow.call(total, flow.map(double, [1, 2]))
    results = flow.run()

    assert [results[more][at] for at in (0, 2)] == [4, 2]
    first = results[raw][1]
    assert isinstance(first, ErrorSnapshot)
    assert (first.function, first.kwargs) == (invert, {"x": 0, "scale": 2})
    skipped = results[more][1]
    assert isinstance(skipped, PropagatedErrorSnapshot)
    assert not isinstance(skipped, ErrorSnapshot)
    assert (skipped.reason, skipped.skipped_function) == ("input_is_error", double)
    assert skipped.error_info == {"x": autotb.ErrorInfo("full")}
    assert [root.id for root in skipped.get_root_causes()] == [first.id]
    reduced = results[whole]
    assert reduced.reason == Reason.ARRAY_CONTAINS_ERRORS
    assert reduced.error_info == {"values": autotb.ErrorInfo("partial", ((1, 3),), 2)}
    assert [root.id for root in reduced.get_root_causes()] == [results[raw][at].id for at in (1, 3)]
    assert results[last].reason == "input_is_error"
    assert [root.id for root in results[last].get_root_causes()] == [results[raw][at].id for at in (1, 3)]
    assert results[fine] == results["total#2"] == 6
    assert flow.error_snapshot.function is invert.error_snapshot.function is invert


@pytest.mark.behaviour("S2-25", "S2-26", "S2-27")
def test_get_root_causes_in_reduction_returns_upstream_errors(kept):
    flow = Flow(error_handling="continue", **kept)
    grid = flow.map(divide_all, [1, 0], [0, 1, 2], product=True)
    results_of = flow.call(flatten, grid)
    results = flow.run()
    error = results[results_of]
    assert error.reason == "array_contains_errors"
    assert error.source_output_name == "divide_all"
    expected = numpy.nonzero(numpy.array([[isinstance(one, ErrorSnapshot) for one in row] for row in results[grid]]))
    assert [list(axis) for axis in error.error_indices] == [list(map(int, axis)) for axis in expected]
    roots = error.get_root_causes()
    assert [root.kwargs for root in roots] == [{"x": 1, "y": 0}, {"x": 0, "y": 0}]
    assert error.run_folder == (str(kept["run_folder"]) if kept else None)


def divide_all(x, y):
    return x / y


def flatten(rows):
    return [one for row in rows for one in row]


@pytest.mark.behaviour("S2-18")
def test_an_array_of_nothing_but_errors_has_the_same_reason():
    flow = Flow(error_handling="continue", progress=False)
    out = flow.call(total, flow.map(invert, [0, 0]))
    error = flow.run()[out]
    assert (error.reason, error.error_indices) == ("array_contains_errors", ((0, 1),))


@pytest.mark.behaviour("S2-21")
def test_two_bad_inputs_of_different_kinds():
    flow = Flow(error_handling="continue", progress=False)
    bad = flow.call(invert, 0)
    out = flow.call(add, bad, flow.map(invert, [1, 0]))
    error = flow.run()[out]
    assert error.error_info == {"x": autotb.ErrorInfo("full"), "y": autotb.ErrorInfo("partial", ((1,),), 1)}
    assert error.reason == "input_is_error"
    assert len(error.get_root_causes()) == 2


@pytest.mark.behaviour("S2-15")
def test_fields_of_a_skipped_call():
    made = PropagatedErrorSnapshot({"x": autotb.ErrorInfo("full")}, double, "input_is_error", {"x": None})
    assert (made.source_output_name, made.error_indices, made.run_folder) == (None, None, None)
    assert made.timestamp.endswith("+00:00")
    with pytest.raises(ValueError, match="is not a valid Reason"):
        PropagatedErrorSnapshot({}, double, "another", {})


def test_errors_in_variadic_arguments_are_found():
    flow = Flow(error_handling="continue", progress=False)
    bad = flow.call(invert, 0)
    first, second = flow.call(keeps_all, 1, bad), flow.call(keeps_all, 1, other=flow.map(invert, [0]))
    results = flow.run()
    assert (results[first].reason, list(results[first].error_info)) == ("input_is_error", ["parts[1]"])
    assert (results[second].reason, list(results[second].error_info)) == ("array_contains_errors", ["other"])
    assert results[first].get_root_causes()[0].kwargs == {"x": 0}


@pytest.mark.behaviour("S2-3", "S2-9", "S2-11", "S2-19")
def test_raise_mode_leaves_with_the_error_itself(executor, kept, capfd):
    flow = Flow(executor, **kept)
    flow.call(total, flow.map(double, flow.map(invert, [1, 0, 2])))
    with pytest.raises(ZeroDivisionError) as caught:
        flow.run()
    assert flow.error_snapshot is invert.error_snapshot
    assert flow.error_snapshot.exception is caught.value
    assert flow.error_snapshot.kwargs == {"x": 0}
    assert capfd.readouterr().err.count("error_snapshot.reproduce()") == 1
    with pytest.raises(ZeroDivisionError):
        flow.error_snapshot.reproduce()


def kind_of(x):
    return type(x).__name__


@pytest.mark.behaviour("S2-19")
def test_raise_mode_hands_an_error_on_as_any_other_value():
    """An argument that is a snapshot, of an earlier run, is one that the function is called with."""
    (error,) = autotb.map(invert, [0], error_handling="continue")
    flow = Flow()
    alone, mapped = flow.call(kind_of, error), flow.map(kind_of, [error, 1])
    results = flow.run()

    assert results[alone] == "ErrorSnapshot"
    assert list(results[mapped]) == ["ErrorSnapshot", "int"]


@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_a_stop_iteration_is_an_error_as_any_other(mode):
    flow = Flow(error_handling=mode, progress=False)
    out = flow.map(stops, [1])
    if mode == "raise":
        with pytest.raises(StopIteration):
            flow.run()
        with pytest.raises(StopIteration):
            autotb.map(stops, [1])
    else:
        assert isinstance(flow.run()[out][0].exception, StopIteration)


@pytest.mark.behaviour("S2-6")
@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_an_interruption_ends_the_run(mode):
    flow = Flow(error_handling=mode)
    flow.map(interrupted, [1])
    with pytest.raises(KeyboardInterrupt):
        flow.run()


@pytest.mark.behaviour("S2-1")
@pytest.mark.parametrize("value", ["Raise", "ignore", None, True, ""])
def test_there_are_two_modes(value):
    with pytest.raises(ValueError, match='error_handling is "raise" or "continue"'):
        Flow(error_handling=value)
    with pytest.raises(ValueError, match='error_handling is "raise" or "continue"'):
        autotb.map(double, [1], error_handling=value)


@pytest.mark.behaviour("S2-5")
def both(xs, more=None):
    return xs, more


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("kept", ["memory", "folder only"])
def test_outputs_inside_lists_and_dicts(tmp_path, executor, kept):
    options = {} if kept == "memory" else {"run_folder": tmp_path / "run", "return_results": False}
    flow = Flow(executor, error_handling="continue", progress=False, **options)
    twos = flow.map(double, [1, 2])
    four, bad = flow.call(double, 2), flow.call(step(invert, name="bad"), 0)
    mixed = flow.map(step(invert, name="mixed"), [1, 0, 2])
    sound = flow.call(step(both, name="sound"), [twos, four, 7], more={"k": (four, [twos])})
    skipped = flow.call(step(both, name="skipped"), [twos, mixed], more={"bad": bad})
    mapped = flow.map(step(both, name="mapped"), [four, bad, 5, twos], more=[four])
    results = flow.run()

    assert results[sound] == ([[2, 4], 4, 7], {"k": (4, [[2, 4]])})
    error = results[skipped]
    assert error.reason == "array_contains_errors"
    assert {name: info.indices for name, info in error.error_info.items()} == {"xs": ((1,),), "more": ((0,),)}
    assert len(error.get_root_causes()) == 2
    values = list(results[mapped])
    assert [values[0], *values[2:]] == [(4, [4]), (5, [4]), ([2, 4], [4])]
    assert values[1].reason == "input_is_error"
    assert [root.kwargs for root in values[1].get_root_causes()] == [{"x": 0}]


def test_a_run_with_them_is_resumed(tmp_path):
    def made(resume, size):
        flow = Flow(error_handling="continue", progress=False, run_folder=tmp_path / "run", resume=resume)
        out = flow.call(double, 1)
        flow.call(step(both, name="sum"), {"k": [out, size]})
        return flow

    made(False, 1).run()
    assert made(True, 1).run()["sum"] == ({"k": [2, 1]}, None)
    with pytest.raises(ValueError, match="sum"):
        made(True, 2).run()


def halves(x):
    return x // 2, x - x // 2


def test_several_outputs():
    flow = Flow(error_handling="continue", progress=False)
    low, high = flow.call(halves, 5, outputs=2)
    lows, highs = flow.map(halves, [3, "a", 4], outputs=2)
    (wrong,) = flow.call(step(halves, name="wrong"), 1, outputs=1)
    results = flow.run()

    assert (results[low], results[high], list(results)[:3]) == (2, 3, ["halves", "halves[0]", "halves[1]"])
    assert [results[lows][0], results[lows][2], results[highs][2]] == [1, 2, 2]
    assert isinstance(results[lows][1].get_root_causes()[0].exception, TypeError)
    assert str(results[wrong].get_root_causes()[0].exception) == "the call gave 2 values where outputs=1 says 1"
    for count in (0, True, "two"):
        with pytest.raises(ValueError, match="outputs is how many values"):
            flow.call(halves, 1, outputs=count)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_several_outputs_may_come_from_a_generator_and_not_from_a_number(executor):
    flow = Flow(executor, error_handling="continue", progress=False)
    low, high = flow.call(iter, (2, 3), outputs=2)
    one, _ = flow.call(step(double, name="one"), 1, outputs=2)
    results = flow.run()

    assert (results[low], results[high]) == (2, 3)
    (root,) = results[one].get_root_causes()
    assert (root.call, str(root.exception)) == ("double(x=1)", "the call gave one int where outputs=2 says 2 values")


@pytest.mark.parametrize("kept", [None, "values", "folder"])
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_the_outputs_of_a_call_that_failed_are_its_error(tmp_path, kept, executor):
    options = {"run_folder": tmp_path / "run", "return_results": kept == "values"} if kept else {}

    def ran(**more):
        flow = Flow(executor, error_handling="continue", progress=False, **options, **more)
        inverted = flow.map(invert, [1, 0, "a"])
        lows, highs = flow.map(halves, inverted, outputs=2)
        (low, _), after = flow.call(step(halves, name="one"), "b", outputs=2), flow.map(double, lows)
        told = flow.map(step(repr, on_error="pass"), highs)
        results = flow.run()
        return results, [list(results[one]) for one in (lows, highs, after, told)], results[low]

    results, (lows, highs, after, told), low = ran()
    assert [type(one).__name__ for one in lows] == ["float", "PropagatedErrorSnapshot", "PropagatedErrorSnapshot"]
    assert repr(lows[1]) == repr(highs[1]) == "<PropagatedErrorSnapshot: halves was not called, input_is_error: x is an error>"
    assert repr(low).startswith("<ErrorSnapshot of halves(x='b'): TypeError")
    assert told[1] == repr(highs[1])
    assert {root.call for root in after[2].get_root_causes()} == {"invert(x='a')"}
    assert [root.call for root in results.get_root_causes()] == ["invert(x=0)", "invert(x='a')", "halves(x='b')"]
    if kept:
        again, (lows, *_), low = ran(resume=True)
        assert repr(low).startswith("<ErrorSnapshot of halves(x='b'): TypeError")
        assert str(again).partition("root cause")[2] == str(results).partition("root cause")[2]
        assert repr(autotb.load(tmp_path / "run")["one[0]"]) == repr(low)


def as_given(given):
    return given


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_an_error_that_a_call_gives_in_place_of_its_outputs_is_each_of_them(tmp_path, kept, executor):
    options = {"error_handling": "continue", "progress": False, **KEPT[kept](tmp_path)}
    for more in ({}, {"resume": True})[: 1 if kept == "memory" else 2]:
        flow = Flow(executor, **options, **more)
        passed = step(as_given, on_error="pass", retries=1, wait=0)
        low, high = flow.call(passed, flow.call(invert, 0), outputs=2)
        lows, _ = flow.map(passed, flow.map(halves, ["a", None]), outputs=2)
        after = flow.map(double, lows)
        results = flow.run()

        assert repr(results[low]) == repr(results[high]) == "<ErrorSnapshot of invert(x=0): ZeroDivisionError: division by zero>"
        assert [root.call for root in results[after][0].get_root_causes()] == ["halves(x='a')"]
        assert {root.call for root in results.get_root_causes()} == {"invert(x=0)", "halves(x='a')", "halves(x=None)"}


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_in_raise_mode_an_error_that_a_call_gives_is_each_of_its_outputs(executor):
    flow = Flow(executor, progress=False)
    outputs = flow.call(as_given, ErrorSnapshot(invert, {"x": 0}, ZeroDivisionError("made")), outputs=2)
    results = flow.run()
    assert [str(results[output].exception) for output in outputs] == ["made", "made"]


def test_one_of_several_outputs_is_told_as_its_own_and_is_no_call(tmp_path, caplog):
    flow = Flow(error_handling="continue", run_folder=tmp_path / "run")
    lows, _ = flow.map(halves, [3, "a", 4], outputs=2)
    doubled = flow.map(double, lows)
    wrong = flow.call(step(halves, name="wrong"), 1, outputs=3)
    results = flow.run()

    assert repr(results[lows][1]).startswith("<ErrorSnapshot of halves(x='a'): TypeError: ")
    assert "2 of 7 calls failed, 1 was skipped" in caplog.text
    assert str(results).count("root cause of 1 failure:") == str(results).count("root cause of ") == 2
    shown = [line.split()[0] for line in table.text(results.tallies, []).split("\n")[2:]]
    assert shown == ["halves", "double", "wrong"]
    kept = autotb.load(tmp_path / "run")
    assert [line.split()[0] for line in table.text(kept.tallies, []).split("\n")[2:]] == shown
    assert kept["halves[0]"][1].get_root_causes()[0].call == "halves(x='a')"
    assert {results[one].get_root_causes()[0].call for one in wrong} == {"halves(x=1)"}  # whose values were not three
    assert results[doubled][2] == 4


def test_an_input_of_one_dimension_beside_an_array_of_several_says_what_to_do():
    flow = Flow(progress=False)
    grid = flow.map(add, [1, 2, 3], [4, 5], product=True)
    with pytest.raises(ValueError, match=r"\(3, 2\), 3; what is taken beside .* has its shape, or .* last axes.*: let the step"):
        flow.map(add, grid, [1, 2, 3], over=())


@pytest.mark.parametrize("mode", ["raise", "continue"])
@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda flow: flow.map(double), TypeError, "at least one iterable or output after the step$"),
        (
            lambda flow: flow.map(add, x=[1], y=2),
            TypeError,
            "after the step; x=…, y=…, given by name, are the same for all calls",
        ),
        (lambda flow: flow.map(step(double, name="twice"), [1], on_error="drop"), TypeError, r"step\(twice, on_error=…\)$"),
        (
            lambda flow: flow.call(double, 1, name="twice"),
            TypeError,
            r"name is an option of the step: autotb.step\(double, name=…\)",
        ),
        (lambda flow: flow.call(double, 1, run_folder="x"), TypeError, r"of the flow: autotb.Flow\(run_folder=…\)"),
        (lambda flow: flow.call(double, 1, over=1), TypeError, r"of flow.map: flow.map\(double, …, over=…\)"),
        (lambda flow: flow.call(double, 1, ower=1), TypeError, "argument 'ower'$"),
        (
            lambda flow: flow.map(step(step(double)), [1]),
            TypeError,
            "<step double> is a step already: give all its options at once",
        ),
        (lambda flow: flow.run()[double], KeyError, "there are none; an output is the key of its result, or its name"),
        (lambda flow: flow.run()[[1]], KeyError, "an output is the key of its result"),
        (lambda flow: flow.map(double, 3), TypeError, "map takes iterables and outputs, not 3"),
        (lambda flow: flow.map(double, "abc"), TypeError, "map takes iterables and outputs"),
        (lambda flow: flow.call(double), TypeError, "double: missing a required argument: 'x'"),
        (lambda flow: flow.call(double, 1, y=2), TypeError, "unexpected keyword argument 'y'"),
        (lambda flow: flow.map(add, [1]), TypeError, "missing a required argument: 'y'"),
        (lambda flow: flow.map(add, [1], [1, 2]), ValueError, "different lengths: 1, 2"),
        (lambda flow: flow.map(add, [1], flow.map(double, [1, 2])), ValueError, "different lengths: 1, 2"),
        (lambda flow: flow.call(3), TypeError, "a step is a function, not 3"),
        (lambda flow: flow.call(asyncio.sleep, 0), TypeError, "is a coroutine function"),
        (lambda flow: autotb.map(asyncio.sleep, [0]), TypeError, "is a coroutine function"),
        (lambda flow: flow.call(double, Flow().call(double, 1)), ValueError, "<output of double> is of another flow"),
        (lambda flow: flow.call(total, [[Flow().call(double, 1)]]), ValueError, "is of another flow"),
        (lambda flow: flow.call(step(double, resources=3), 1), TypeError, "resources is a mapping"),
        (lambda flow: flow.call(step(double, resources_scope="all"), 1), ValueError, 'resources_scope is "element" or "map"'),
        (lambda flow: flow.call(step(double, resources_variable="r"), 1), ValueError, "give resources too"),
        (lambda flow: flow.call(step(double, chunksize=0), 1), ValueError, "chunksize is a number of calls"),
        (lambda flow: flow.run()["nothing"], KeyError, "is no step of this run; there are none"),
        (lambda flow: Flow("gpu"), TypeError, "executor is a concurrent.futures.Executor, "),
        (lambda flow: Flow(schedule="lazy"), ValueError, 'schedule is "eager" or "generation"'),
        (lambda flow: Flow(scan="all"), ValueError, 'scan is "values" or "containers"'),
        (lambda flow: Flow(return_results=False), ValueError, "give run_folder too"),
        (lambda flow: Flow(resume=True), ValueError, "give run_folder too"),
        (lambda flow: Flow(run_folder="x", retry_failed=True), ValueError, "give resume=True too"),
        (lambda flow: Flow(cache=3), TypeError, "cache is a folder or a mapping"),
        (lambda flow: Flow(progress="yes"), TypeError, "progress is None, False or a function"),
    ],
)
def test_wrong_use_is_an_error_in_both_modes(mode, make, kind, says):
    with pytest.raises(kind, match=says):
        make(Flow(error_handling=mode))


@pytest.mark.behaviour("S2-4")
@pytest.mark.parametrize("mode", ["raise", "continue"])
@pytest.mark.parametrize("schedule", ["eager", "generation"])
def test_a_shape_that_turns_out_wrong_is_loud(mode, schedule):
    flow = Flow(error_handling=mode, schedule=schedule)
    flow.map(double, flow.call(double, 1))
    with pytest.raises(TypeError, match="'double#2' is mapped over what 'double' gave, which is no iterable but int"):
        flow.run()
    flow = Flow(error_handling=mode, schedule=schedule)
    flow.map(add, flow.call(list, (1, 2)), [1])
    with pytest.raises(ValueError, match="different lengths: 2, 1"):
        flow.run()


@pytest.mark.behaviour("S2-4")
@pytest.mark.parametrize("mode", ["raise", "continue"])
@pytest.mark.parametrize("schedule", ["eager", "generation"])
def test_a_broken_pool_is_loud(mode, schedule):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        flow = Flow(pool, error_handling=mode, schedule=schedule)
        flow.map(dies, [1, 2])
        with pytest.raises(BrokenProcessPool):
            flow.run()


@pytest.mark.parametrize("mode", ["raise", "continue"])
@pytest.mark.parametrize("numbers", ["[1, 2]", "[1] * 1_000"])  # of many calls some are refused by a pool that is broken already
def test_the_story_of_a_worker_that_died(shows, mode, numbers):
    def told(ran):
        assert re.search(r"dies\(x=[12], y=3\)", ran.stderr)  # whichever was the first
        assert "exit status 3" in ran.stderr
        assert ran.last.startswith("concurrent.futures.process.BrokenProcessPool: ")

    shows(
        f"""
        import os, autotb

        def dies(x, y):
            os._exit(3)

        if __name__ == "__main__":
            flow = autotb.Flow("processes", error_handling="{mode}")
            flow.map(autotb.step(dies, chunksize=1), {numbers}, y=3)
            flow.run()
        """,
        told,
    )


@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_a_function_that_cannot_be_submitted_is_loud(mode):
    flow = Flow("processes", error_handling=mode)
    flow.map(lambda x: x, [1])
    with pytest.raises((pickle.PicklingError, AttributeError)):
        flow.run()


def test_a_result_that_cannot_be_pickled_is_the_users_error(kept):
    flow = Flow("threads" if kept else "processes", error_handling="continue", progress=False, **kept)
    out = flow.map(locks, [1, 2, 3])
    values = flow.run()[out]
    assert (values[0], values[2]) == (1, 3)
    assert "cannot pickle" in str(values[1].exception)
    assert values[1].kwargs == {"x": 2}


def test_run_inside_an_event_loop_names_the_other():
    async def main():
        Flow().run()

    with pytest.raises(RuntimeError, match=r"use await flow.run_async\(\)"):
        asyncio.run(main())


def test_maps_over_what_a_call_gave():
    flow = Flow(error_handling="continue", progress=False)
    out = flow.map(double, flow.call(list, (1, 2, 3)))
    skipped = flow.map(double, flow.call(invert, 0))
    after = flow.map(double, skipped)
    results = flow.run()
    assert results[out] == [2, 4, 6]
    assert results[skipped].reason == results[after].reason == "input_is_error"
    assert [root.function for root in results[after].get_root_causes()] == [invert]


class Touchy:
    def __getattr__(self, name):
        raise RuntimeError(name)


def test_nothing_of_an_argument_is_touched():
    flow = Flow(error_handling="continue", progress=False)
    one, each = flow.call(keeps_all, Touchy(), x=Touchy()), flow.map(keeps_all, [Touchy()])
    results = flow.run()
    assert (results[one], results[each]) == (2, [1])


@pytest.mark.parametrize("kept", ["memory", "folder"])
def test_a_long_chain(tmp_path, kept):
    flow = Flow(Here(), error_handling="continue", progress=False, **({} if kept == "memory" else {"run_folder": tmp_path / "r"}))
    out = flow.call(invert, 0)
    for _ in range(2_000 if kept == "memory" else 300):
        out = flow.call(double, out)
    error = flow.run()[out]
    (root,) = error.get_root_causes()
    data = pickle.dumps(error)
    assert len(data) < 5_000
    assert [one.id for one in pickle.loads(data).get_root_causes()] == [root.id]


def test_names_and_repeats():
    flow = Flow(progress=False)
    outputs = [flow.call(double, 1), flow.call(double, 2), flow.call(step(double, name="twice"), 3)]
    assert [repr(one) for one in outputs] == ["<output of double>", "<output of double#2>", "<output of twice>"]
    results = flow.run()
    assert dict(results) == {"double": 2, "double#2": 4, "twice": 6}
    assert outputs[0] in results
    assert "other" not in results


@pytest.mark.behaviour("S2-22")
def test_objects_of_numpy_are_looked_into():
    bad = autotb.map(invert, [0], error_handling="continue")[0]
    array = numpy.array([1, bad], dtype=object)
    flow = Flow(error_handling="continue", progress=False)
    whole, each = flow.call(total, array), flow.map(double, array)
    rows = flow.map(total, [array, numpy.array([1, 2], dtype=object)])
    results = flow.run()
    assert (results[whole].reason, results[whole].error_indices) == ("array_contains_errors", ((1,),))
    assert results[whole].get_root_causes() == [bad]
    assert results[each][0] == 2
    assert results[each][1].get_root_causes() == [bad]
    assert results[rows][0].reason == "array_contains_errors"
    assert results[rows][1] == 3


@pytest.mark.behaviour("S2-23")
@pytest.mark.parametrize("scan", ["values", "containers"])
def test_containers_are_looked_into_where_that_is_wanted(scan):
    bad = autotb.map(invert, [0], error_handling="continue")[0]
    flow = Flow(error_handling="continue", progress=False, scan=scan)
    single, each = flow.call(len, [1, bad]), flow.map(len, [[bad], [1]])
    results = flow.run()
    if scan == "values":
        assert (results[single], results[each]) == (2, [1, 1])
    else:
        assert results[single].reason == results[each][0].reason == "array_contains_errors"
        assert results[each][1] == 1


@pytest.mark.behaviour("S2-62")
def test_other_tasks_of_the_loop_run_meanwhile(executor):
    async def main():
        flow = Flow(executor, error_handling="continue", progress=False)
        out = flow.map(time.sleep, [0.05] * 8)
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        results = await flow.run_async()
        ticking.cancel()
        return results[out], ticks

    values, ticks = asyncio.run(main())
    assert values == [None] * 8
    assert ticks > 1


@pytest.mark.behaviour("S2-7")
def test_the_public_interface():
    import inspect

    tried = "timeout: 'float | None' = ..., retries: 'int' = ..., retry_on: 'Types' = ..., wait: 'float' = ..."
    expected = {
        autotb.map: "(fn: 'Callable[..., Any]', /, *iterables: 'Iterable[Any]', executor: 'Any' = 'threads', error_handling: 'str' = "
        "'raise', chunksize: 'int | None' = None, product: 'bool' = False, progress: 'Progress | bool | None' = None, "
        f"{tried}, **constants: 'Any') -> 'list[Any]'",
        Flow: "(executor: 'Any' = 'threads', *, error_handling: 'str' = 'raise', schedule: 'str' = 'eager', "
        "run_folder: 'str | os.PathLike[str] | None' = None, resume: 'bool' = False, retry_failed: 'bool' = False, "
        "cache: 'str | os.PathLike[str] | MutableMapping[Any, Any] | None' = None, return_results: 'bool' = True, "
        "scan: 'str' = 'values', progress: 'Progress | bool | None' = None) -> 'None'",
        Flow.map: "(self, step: 'Step | Callable[..., Any]', /, *iterables_or_outputs: 'Any', product: 'bool' = False, "
        f"outputs: 'int | None' = None, over: 'int | tuple[int, ...] | None' = None, {tried}, **constants: 'Any') -> "
        "'Output | tuple[Output, ...]'",
        Flow.call: "(self, step: 'Step | Callable[..., Any]', /, *args_or_outputs: 'Any', outputs: 'int | None' = None, "
        f"{tried}, **kwargs: 'Any') -> 'Output | tuple[Output, ...]'",
        Flow.run: "(self) -> 'Results'",
        Flow.run_async: "(self) -> 'Results'",
    }
    assert {one: str(inspect.signature(one)) for one in expected} == expected
    assert str(inspect.signature(autotb.map_async)) == expected[autotb.map]
    assert list(inspect.signature(step).parameters) == [
        "fn",
        "name",
        "resources",
        "resources_scope",
        "resources_variable",
        "cache",
        "chunksize",
        "timeout",
        "retries",
        "retry_on",
        "wait",
        "on_error",
    ]


@pytest.mark.behaviour("S2-58")
def test_no_stub_is_ever_in_a_result(kept):
    flow = Flow("processes", error_handling="continue", progress=False, **kept)
    flow.call(total, flow.map(double, flow.map(invert, [1, 0, 2])))
    results = flow.run()
    values = [*results["invert"], *results["double"], results["total"]]
    assert not any(isinstance(value, ErrorStub) for value in values)
    if kept:
        from autotb.flow import result_log

        folder = str(kept["run_folder"])
        for name in result_log.names(folder):
            places = [result_log.Place(name, offset, record.state) for offset, record in result_log.heads(folder, name)]
            for record in result_log.read(folder, places):
                assert not isinstance(pickle.loads(record.data), ErrorStub)
                assert record.text == b"" or json.loads(record.text)


def test_a_function_may_have_parameters_that_are_called_as_ours_are():
    def moved(x, step=0, fn=0, self=0):
        return x + step + fn + self

    flow = Flow("threads", progress=False)
    mapped, called = flow.map(moved, [1], step=1, fn=2, self=3), flow.call(moved, 2, step=1, fn=2, self=3)
    results = flow.run()

    assert (results[mapped], results[called]) == ([7], 8)
    assert autotb.map(moved, [1], step=1, fn=2, self=3) == [*autotb.imap(moved, [1], step=1, fn=2, self=3)] == [7]
