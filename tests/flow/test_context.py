"""The scan of a call's inputs, and the two guards around it."""

from __future__ import annotations

import dataclasses
import functools

import numpy
import pytest

from autotb.flow import context
from autotb.flow.context import (
    Array,
    ErrorContext,
    ResourcesEval,
    errors_in,
    maybe_propagate_before_call,
    maybe_wrap_exception,
    scan,
)
from autotb.flow.flow import Flow
from autotb.flow.snapshots import ErrorInfo
from autotb.flow.store import MemorySource
from tests.flow.test_snapshots import divide, failed

BAD = failed(divide, 1)


@pytest.mark.parametrize("mode", ["Raise", "ignore", None, True, ""])
def test_other_modes_are_refused(mode):
    with pytest.raises(ValueError, match='error_handling is "raise" or "continue", not '):
        context.check_mode(mode)


def test_a_numpy_array_of_two_axes():
    array = numpy.empty((2, 3), dtype=object)
    array[1, 2] = array[0, 1] = BAD
    assert errors_in(array) == ((0, 1), (1, 2))


def test_one_entry_for_each_argument_in_error():
    found = scan({"a": BAD, "values": [1, BAD], "fine": 3}, {"values": Array.of("load", (2,), [1], None)})
    assert found == {"a": ErrorInfo("full"), "values": ErrorInfo("partial", ((1,),), 1)}


@pytest.mark.parametrize("value", [[1, BAD], (1, BAD), {"k": 1, "b": BAD}])
def test_containers_are_looked_into_where_that_is_wanted(value):
    assert scan({"x": value}, {}) == {}
    found = scan({"x": value}, {}, containers=True)
    assert found == {"x": ErrorInfo("partial", ((1,),), 1)}
    error = maybe_propagate_before_call(ErrorContext("continue", found), divide, {"x": value})
    assert error.reason == "array_contains_errors"
    assert error.get_root_causes() == [BAD]


@pytest.mark.behaviour("S2-35")
def test_a_context_cannot_be_changed():
    made = ErrorContext("continue", {})
    assert (made.resources, made.resources_state) == (None, "unknown")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.mode = "raise"
    later = made.with_resources(ResourcesEval("evaluated", {"cpus": 2}))
    assert (later.resources, later.resources_state, made.resources_state) == ({"cpus": 2}, "evaluated", "unknown")


@pytest.mark.behaviour("S2-36")
@pytest.mark.parametrize("mode", ["raise", "continue"])
@pytest.mark.parametrize("bad", [False, True])
def test_a_call_is_not_made_if_its_inputs_hold_errors_and_the_run_goes_on(mode, bad):
    named = {"x": BAD if bad else 1}
    error = maybe_propagate_before_call(ErrorContext(mode, scan(named, {})), divide, named)
    if not (bad and mode == "continue"):
        assert error is None
        return
    assert error.reason == "input_is_error"
    assert error.skipped_function is divide
    assert error.get_root_causes() == [BAD]


@pytest.mark.parametrize("count", [1, 3])
def test_an_array_with_errors_has_a_reason_of_its_own(count):
    values = [BAD] * count + [1] * (3 - count)
    arrays = {"values": Array.of("load", (3,), list(range(count)), MemorySource(values, (3,)))}
    named = {"values": values}
    error = maybe_propagate_before_call(ErrorContext("continue", scan(named, arrays)), sum, named, arrays, run_folder="runs/1")
    assert error.get_root_causes() == [BAD]
    assert error.reason == "array_contains_errors"
    assert (error.source_output_name, error.error_indices) == ("load", (tuple(range(count)),))
    assert error.run_folder == "runs/1"
    assert repr(error.attempted_kwargs["values"]) == "<array load, shape (3,)>"


def test_an_error_of_the_request_for_resources_is_a_root_cause():
    made = ErrorContext("continue", {}).with_resources(ResourcesEval("error", snapshot=BAD))
    error = maybe_propagate_before_call(made, divide, {"x": 1})
    assert error.reason == "input_is_error"
    assert list(error.error_info) == ["resources"]
    assert error.get_root_causes() == [BAD]


def test_in_raise_mode_the_exception_leaves_and_the_snapshot_stays(capsys):
    class Owner:
        pass

    def fails(x):
        raise KeyError(x)

    owner, error = Owner(), KeyError(3)
    with pytest.raises(KeyError) as caught:
        maybe_wrap_exception("raise", fails, (3,), {}, error, (owner,))
    assert caught.value is error
    assert fails.error_snapshot is owner.error_snapshot
    assert fails.error_snapshot.kwargs == {"x": 3}
    told = capsys.readouterr().err
    assert told.startswith("autotb: fails.error_snapshot has the call that failed; ")
    assert told.count("\n") == 1
    assert "error_snapshot.reproduce()" in told
    with pytest.raises(KeyError):
        maybe_wrap_exception("raise", lambda x: x, (3,), {}, error)
    assert capsys.readouterr().err.startswith("autotb: the function.error_snapshot has ")  # it has no name to write

    assert maybe_wrap_exception("continue", len, (3,), {}, TypeError("no len")).function is len
    assert capsys.readouterr().err == ""


class Scales:
    def scale(self, x):
        return x


@pytest.mark.parametrize(
    "function, owners, told",
    [
        (Scales().scale, (), "Scales.scale"),
        (functools.partial(Scales().scale, x=1), (), "Scales.scale"),
        (functools.partial(divide, 1), (), "divide"),
        (len, (), None),
        (len, (Flow(),), "flow"),
        (lambda x: x, (Flow(),), "flow"),
        (functools.partial(len), (), "partial"),
    ],
)
def test_the_line_names_one_that_has_the_snapshot(function, owners, told, capsys):
    with pytest.raises(KeyError):
        maybe_wrap_exception("raise", function, (3,), {}, KeyError(3), owners)
    line = capsys.readouterr().err
    assert line.partition(".error_snapshot ")[0] == (f"autotb: {told}" if told else "")
    known = {"Scales.scale": Scales.scale, "divide": divide, "flow": (*owners, None)[0], "partial": function}
    assert told is None or known[told].error_snapshot.exception.args == (3,)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("mode", ["raise", "continue"])
def test_what_is_no_exception_ends_the_run(kind, mode):
    with pytest.raises(kind):
        maybe_wrap_exception(mode, divide, (1,), {}, kind())
