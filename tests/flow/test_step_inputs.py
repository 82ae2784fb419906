"""The inputs of a step: its shape, its elements, what is known of each."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from autotb import map as flow_map
from autotb.flow import step_inputs
from autotb.flow.messages import Elsewhere
from autotb.flow.result_log import FAILED, MISSING, OK, SKIPPED
from autotb.flow.snapshots import ArrayReference
from autotb.flow.step_inputs import Given, Upstream, Work
from autotb.flow.steps import Node, Output, step
from autotb.flow.store import Column, Memory
from tests.flow.calls import add, double, invert


def work(function, *inputs, store=None, is_map=True, product=False, mode="continue", **constants):
    made = step(function)
    node = Node(made.name, made, is_map, inputs, constants, product, frozenset(), 1)
    return Work(node, store or Memory(), mode, False)


@pytest.fixture
def before():
    """A store that has ``made``, a map whose second element is an error."""
    store, (_, error) = Memory(), flow_map(invert, [1, 0], error_handling="continue", progress=False)
    column = store.begin("made", (3,))
    store.put(column, [0, 1, 2], [10, error, 30], None)
    return store


@pytest.mark.parametrize(
    ("shapes", "product", "shape"),
    [
        ([(3,)], False, (3,)),
        ([(3,), (3,)], False, (3,)),
        ([(2, 3), (2, 3)], False, (2, 3)),
        ([(3,), (2, 3)], False, (2, 3)),
        ([(4, 2, 3), (2, 3), (3,)], False, (4, 2, 3)),
        ([(2,), (3,)], True, (2, 3)),
        ([(2, 3), (4,)], True, (2, 3, 4)),
        ([(0,), (3,)], True, (0, 3)),
    ],
)
def test_the_shape_of_a_map(shapes, product, shape):
    assert step_inputs.shape_of("a", shapes, product) == shape


@pytest.mark.parametrize(
    ("shapes", "says"), [([(1,), (2,)], "a: .*lengths: 1, 2"), ([(2, 3), (2,)], r"lengths: \(2, 3\), 2; .* last axes")]
)
def test_shapes_that_do_not_fit_are_told(shapes, says):
    with pytest.raises(ValueError, match=says):
        step_inputs.shape_of("a", shapes, False)


@pytest.mark.parametrize(
    ("ats", "taken"), [(range(3), [1, 2, 3]), (range(1, 3), [2, 3]), ([2, 0], [3, 1]), (range(0, 3, 2), [1, 3])]
)
def test_values_at_some_places(ats, taken):
    assert Given([1, 2, 3]).take(ats) == taken


def test_the_arguments_of_one_call():
    call = work(add, [1, 2], [10, 20]).call(1)

    assert (call.args, call.named, call.inputs) == ((2, 20), {"x": 2, "y": 20}, {})


def test_a_single_call_is_looked_at_only_where_its_arguments_may_be_errors():
    _, error = flow_map(invert, [1, 0], error_handling="continue", progress=False)

    assert work(double, 5, is_map=False).plain_columns(range(1)) == ([5],)
    assert work(double, error, is_map=False).plain_columns(range(1)) is None
    assert work(double, 5, is_map=False, y=error).plain_columns(range(1)) is None
    assert work(double, error, is_map=False, mode="raise").plain_columns(range(1)) == ([error],)


def test_a_product_goes_through_its_last_axis_first():
    made = work(add, [1, 2], [10, 20, 30], product=True)

    assert [made.call(at).args for at in range(made.size)] == [(1, 10), (1, 20), (1, 30), (2, 10), (2, 20), (2, 30)]


def test_columns_of_a_product_are_those_of_its_calls():
    made = work(add, [1, 2], [10, 20, 30], product=True)

    assert list(zip(*made.plain_columns(range(1, 5)), strict=True)) == [made.call(at).args for at in range(1, 5)]


def test_an_output_is_an_axis(before):
    made = work(double, Output(None, "made"), store=before)

    assert (made.shape, made.call(2).args, made.call(2).inputs["x"].is_error) == ((3,), (30,), False)


def test_an_error_among_the_inputs_is_known_with_its_place(before):
    assert work(double, Output(None, "made"), store=before).call(1).inputs["x"].is_error


@pytest.mark.parametrize(("mode", "ats", "are_plain"), [("continue", range(3), False), ("raise", range(3), True)])
def test_calls_with_an_error_among_their_inputs_are_looked_at_one_by_one(before, mode, ats, are_plain):
    made = work(double, Output(None, "made"), store=before, mode=mode)

    assert (made.plain_columns(ats) is not None) is are_plain


@pytest.mark.parametrize(
    ("ats", "has_errors"), [(range(1), False), (range(2), True), (range(2, 3), False), ([0, 2], False), ([0, 1], True)]
)
def test_whether_errors_are_among_some(before, ats, has_errors):
    assert Upstream(before, before.columns["made"]).has_errors(ats) is has_errors


def test_a_map_over_an_error_is_one_call_that_is_not_made(before):
    column = before.begin("single", ())
    before.put(column, [0], [before.columns["made"].values[1]], None)
    made = work(double, Output(None, "single"), store=before)

    assert (made.is_map, made.size, made.call(0).inputs["x"].is_error) == (False, 1, True)


def test_a_map_over_what_is_no_iterable_names_both_steps():
    store = Memory()
    store.put(store.begin("single", ()), [0], [3], None)

    with pytest.raises(TypeError, match="'double' is mapped over what 'single' gave, which is no iterable but int"):
        work(double, Output(None, "single"), store=store)


def test_only_what_is_missing_is_called():
    made = work(double, [1, 2, 3, 4])
    made.begin(())
    made.column.states[:] = bytes([OK, MISSING, FAILED, MISSING])

    assert made.missing() == [1, 3]


def test_all_is_missing_at_first():
    made = work(double, [1, 2, 3])
    made.begin((FAILED, SKIPPED))

    assert made.missing() == range(3)


@pytest.fixture
def folder():
    """An axis of which nothing but its states is in memory, the second element being an error."""
    read = []

    def values(_column, start, stop):
        read.append((start, stop))
        return [10 * at for at in range(start, stop)]

    store = SimpleNamespace(source=lambda _: None, read=values)
    return Upstream(store, Column("made", (4,), bytearray([OK, FAILED, OK, OK]), None)), read


def test_from_a_folder_a_sound_part_is_read_at_once(folder):
    axis, read = folder

    assert (axis.take(range(2, 4)), read) == ([20, 30], [(2, 4)])


def test_from_a_folder_errors_are_not_read(folder):
    axis, read = folder
    values = axis.take(range(3))

    assert (values[0], repr(values[1]), values[2], read) == (
        0,
        repr(ArrayReference("<error at 1 of made>", ())),
        20,
        [(0, 1), (2, 3)],
    )


def test_calls_that_are_with_the_executor_keep_what_they_were_given():
    """What is read here instead may hold errors, which nobody has looked for yet."""

    class Lies(Elsewhere):
        def load(self, index):
            return [index, "read here"]

    made = work(add, [1, 2], b=Lies())
    given = made.constants
    made.read_here(0)

    assert type(given["b"]) is Lies
    assert made.constants == {"b": [0, "read here"]}
