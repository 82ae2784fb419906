"""Steps are checked where they are made, and known by a name."""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest

from autotb import Flow
from autotb.flow import steps
from autotb.flow.steps import Output, Step, nest_of, step
from autotb.record import callsite
from tests.flow.calls import add, double


class Caller:
    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (double, "double"),
        (functools.partial(double, 1), "double"),
        (functools.partial(functools.partial(add, 1), 2), "add"),
        (functools.partial(Caller()), "Caller"),
        (Caller(), "Caller"),
        (Caller, "Caller"),
        (lambda x: x, "<lambda>"),
    ],
)
def test_a_step_goes_by_its_functions_name(made, name):
    assert step(made).name == name


def test_a_name_that_is_given_holds():
    assert step(double, name="twice").name == "twice"


def test_what_is_told_of_misplaced_options_is_all_that_there_are():
    named = [options for options, _ in steps._OPTIONS]

    assert set.union(*map(set, named[:2])) == {*inspect.signature(step).parameters, *inspect.signature(Flow).parameters} - {"fn"}


def test_an_option_that_the_function_has_as_a_parameter_is_the_functions():
    steps.as_step(lambda x, name, **more: x).check(1, ["name", "on_error"])
    with pytest.raises(TypeError, match="argument 'x'$"):
        steps.as_step(lambda name: name).check(0, ["name", "x"])


def test_a_step_is_its_own_step():
    made = step(double, chunksize=3)

    assert steps.as_step(made) is made


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"fn": 3}, TypeError, "a step is a function, not 3"),
        ({"fn": asyncio.sleep}, TypeError, "is a coroutine function"),
        ({"resources": 3}, TypeError, "resources is a mapping, or a function that gives one, not 3"),
        ({"resources_scope": "all"}, ValueError, 'resources_scope is "element" or "map", not \'all\''),
        ({"resources_variable": "r"}, ValueError, "give resources too"),
        ({"chunksize": 0}, ValueError, "chunksize is a number of calls, at least 1, not 0"),
        ({"chunksize": True}, ValueError, "at least 1, not True"),
        ({"chunksize": 1.5}, ValueError, "at least 1, not 1.5"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, kind, says):
    with pytest.raises(kind, match=says):
        step(**{"fn": double, **options})


@pytest.mark.parametrize(
    ("options", "is_plain"),
    [({}, True), ({"cache": True}, False), ({"resources": {"GPU": 1}}, True), ({"resources": len}, False)],
)
def test_calls_of_a_plain_step_need_no_look_of_their_own(options, is_plain):
    assert step(double, **options).is_plain is is_plain


def test_what_is_injected_counts_as_given():
    Step(add, "add", resources={}, resources_variable="y").check(1, ())


@pytest.mark.parametrize(
    ("count", "names", "said"), [(1, ["y"], "add: 'y' is given here, and by resources_variable too"), (2, [], "'y'")]
)
def test_what_is_injected_is_not_given_a_second_time(count, names, said):
    with pytest.raises(TypeError, match=said):
        Step(add, "add", resources={}, resources_variable="y").check(count, names)


def test_a_parameter_that_nobody_gives_is_missed():
    with pytest.raises(TypeError, match="add: missing a required argument: 'y'"):
        step(add).check(1, ())


def test_an_output_says_whose_it_is():
    assert repr(Output(None, "double#2")) == "<output of double#2>"


def test_the_users_line_is_known():
    assert callsite.decode(steps.user_site())["name"] == "test_the_users_line_is_known"


def test_a_place_that_cannot_be_had_stops_nothing(monkeypatch):
    monkeypatch.setattr(steps.callsite, "here", lambda _: 1 / 0)

    assert steps.user_site() is None


def test_a_nest_is_what_holds_outputs_at_some_depth():
    one, other = Output(None, "one"), Output(None, "other")
    assert nest_of([1, {"k": 2}]) == [1, {"k": 2}]
    held = nest_of({"a": one, "b": [1, (other,)], "c": [3]})
    assert [output.name for output in held.outputs()] == ["one", "other"]
    assert held.filled([1, 2, 3]) == {"a": 1, "b": 2, "c": 3}
    assert nest_of((one, 2)).filled([1, 2]) == (1, 2)
    assert len(nest_of([one, 5])) == 2


def test_what_is_done_with_an_output_before_there_is_a_result_says_what_to_write():
    output = Flow("threads").map(abs, [1])

    for use in (list, lambda one: one[0], lambda one: dict(zip(one, [1]))):
        with pytest.raises(TypeError, match=r"<output of abs> stands for a result that is not there yet.*outputs=2"):
            use(output)


def test_the_options_of_a_flow_that_are_told_where_they_are_misplaced_are_all_it_has():
    assert set(inspect.signature(Flow).parameters) == set(steps._FLOWS.split())
