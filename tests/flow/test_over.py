"""A map along an axis of an output: shapes, order, errors and roots as numpy would give them; what is wrong with an axis."""

from __future__ import annotations

import pickle

import numpy
import pytest

from autotb import ErrorSnapshot, Flow, PropagatedErrorSnapshot, step
from autotb.flow import over
from autotb.flow.over import Rows
from autotb.flow.result_log import FAILED
from autotb.flow.store import Memory
from tests.flow.calls import add


def place(*at):
    if at == (1, 2):
        raise ValueError(at)
    return sum(index * 10 ** (len(at) - number) for number, index in enumerate(at, 1))


def rows(values):
    return numpy.array(values).tolist()


def mean(values):
    return float(numpy.mean(values))


@pytest.fixture(params=["memory", "folder", "folder only"])
def flow(request, tmp_path):
    options = {} if request.param == "memory" else {"run_folder": tmp_path / "run", "return_results": request.param == "folder"}
    return Flow("threads", error_handling="continue", progress=False, **options)


@pytest.mark.parametrize("axis", [0, 1, -1, -2, 2, (0, 1), (0, 2), (2, 1), (0, 1, 2)])
def test_a_row_is_what_numpy_has_along_the_axis(flow, axis):
    cube = flow.map(place, range(2), range(3), range(2), product=True)
    taken, summed = flow.map(rows, cube, over=axis), flow.map(mean, cube, over=axis)
    results = flow.run()
    array = numpy.array([[[100 * a + 10 * b + c for c in range(2)] for b in range(3)] for a in range(2)])

    assert numpy.allclose(numpy.array(together(results[summed])), array.mean(axis=axis))
    axes = sorted(one % 3 for one in (axis if isinstance(axis, tuple) else (axis,)))
    assert together(results[taken]) == numpy.moveaxis(array, axes, range(3 - len(axes), 3)).tolist()


def together(value):
    """Lazy results as lists."""
    return value if isinstance(value, (int, float)) else [together(one) for one in value]


def test_errors_and_roots_have_their_places(flow):
    grid = flow.map(place, range(2), range(4), product=True)
    by_row, by_column = flow.map(mean, grid, over=1), flow.map(mean, grid, over=0)
    both = flow.map(mean, grid, over=(0, 1))
    results = flow.run()

    assert results[by_row][0] == 1.5
    assert [isinstance(one, PropagatedErrorSnapshot) for one in results[by_column]] == [False, False, True, False]
    for error, index in ((results[by_row][1], 2), (results[by_column][2], 1)):
        assert (error.reason, error.source_output_name) == ("array_contains_errors", "place")
        assert error.error_indices == ((1,), (2,))  # in the output
        assert error.error_info["values"].indices == ((index,),)  # in the argument
        assert [root.exception.args for root in error.get_root_causes()] == [((1, 2),)]
        again = pickle.loads(pickle.dumps(error))
        assert [root.exception.args for root in again.get_root_causes()] == [((1, 2),)]
    assert results[both].error_indices == results[both].error_info["values"].indices == ((1,), (2,))


def test_what_has_one_dimension_goes_beside_the_rows(flow):
    grid = flow.map(place, range(2), range(2), product=True)
    names = flow.map(str, range(2))
    told = flow.map(lambda name, row, unit: f"{name}: {row} {unit}", names, grid, over=-1, unit=grid)
    crossed = flow.map(lambda row, number: sum(row) + number, grid, [100, 200], over=1, product=True)
    results = flow.run()

    assert list(results[told]) == ["0: [0, 1] [[0, 1], [10, 11]]", "1: [10, 11] [[0, 1], [10, 11]]"]
    assert together(results[crossed]) == [[101, 201], [121, 221]]


def test_what_has_the_shape_of_the_last_axes_is_broadcast_along_the_others(flow):
    """A fold each, which is not known before it is made, beside a model each of parameters and folds."""
    folds = flow.call(step(list, name="folds"), "abc")
    models = flow.map(lambda number, fold: number * ord(fold), range(1, 3), folds, product=True)
    rate = flow.map(step(lambda number: 60 / number, name="rate"), [1, 0, 2])
    scored = flow.map(lambda fold, model, rate: f"{fold}{model // ord(fold)}{rate:g}", folds, models, rate, over=())
    by_row = flow.map(step(lambda name, row: f"{name}{len(row)}", name="by_row"), ["x", "y"], models, over=1)
    doubled = flow.map(step(lambda one: one * 2, name="doubled"), scored, over=())
    results = flow.run()

    assert numpy.shape(results[scored]) == (2, 3)
    assert [one for row in results[doubled] for one in row if isinstance(one, str)] == [
        one * 2 for one in ("a160", "c130", "a260", "c230")
    ]
    assert [row[1].get_root_causes()[0].call for row in results[scored]] == ["<lambda>(number=0)"] * 2
    assert list(results[by_row]) == ["x3", "y3"]


def test_outputs_of_a_step_go_element_by_element(flow):
    low, high = flow.map(step(divmod), [7, 8], [2, 3], product=True, outputs=2)
    sums = flow.map(add, low, high, over=())
    results = flow.run()

    assert together(results[sums]) == [[4, 3], [4, 4]]


def test_a_run_goes_on_with_its_rows(tmp_path):
    def ran(axis, **options):
        flow = Flow("threads", error_handling="continue", run_folder=tmp_path / "run", progress=False, **options)
        by = flow.map(mean, flow.map(place, range(2), range(2), product=True), over=axis)
        return flow.run()[by]

    assert ran(1) == ran(1, resume=True)
    with pytest.raises(ValueError, match="the inputs of step 'mean' are not those that it had"):
        ran(0, resume=True)


@pytest.mark.parametrize(
    ("axis", "kind", "says"),
    [
        (
            None,
            ValueError,
            r"mean: place has 2 dimensions, \(2, 3\); write over=1 for 2 calls with a row each, over=0 for 3 calls",
        ),
        (2, ValueError, r"mean: place has 2 dimensions, the axes 0 to 1 \(or -2 to -1\), and over=2 names another"),
        (-3, ValueError, "over=-3 names another"),
        ((0, -2), ValueError, r"over=\(0, -2\) names an axis twice"),
        (True, TypeError, "over is an axis"),
        ("1", TypeError, "over is an axis"),
        (1.0, TypeError, "over is an axis"),
    ],
)
def test_what_is_wrong_with_an_axis_is_said_where_it_is_written(axis, kind, says):
    flow = Flow("threads", progress=False)
    grid = flow.map(place, range(2), range(3), product=True)

    with pytest.raises(kind, match=says):
        flow.map(mean, grid, over=axis)


def test_one_dimension_has_no_axis_to_name():
    flow = Flow("threads", progress=False)
    one = flow.map(abs, range(3))

    with pytest.raises(ValueError, match="over=0 names an axis of an output of two dimensions or more, and there is none"):
        flow.map(mean, one, over=0)


def test_a_shape_that_is_not_known_yet_has_its_dimensions():
    flow = Flow("threads", progress=False)
    grid = flow.map(add, flow.call(range, 2), [10, 20, 30], product=True)
    with pytest.raises(ValueError, match="add has 2 dimensions; write over=1 for a call with a row each"):
        flow.map(mean, grid)
    by_row = flow.map(mean, grid, over=1)

    assert flow.run()[by_row] == [20.0, 21.0]


def test_three_dimensions_are_told_of_as_such():
    with pytest.raises(
        ValueError, match="f: cube has 3 dimensions; write over=2 for calls with the elements along the last axis"
    ):
        over.check("f", None, {"cube": (3, None)})


@pytest.mark.parametrize(("axes", "shape"), [((), (2, 3)), ((0,), (3,)), ((-1,), (2,)), ((0, 1), ())])
def test_the_shape_that_is_left(axes, shape):
    assert over.left((2, 3), axes) == shape


def test_what_is_known_of_a_row():
    store, (_, error) = Memory(), failed()
    column = store.begin("made", (2, 2))
    store.put(column, range(4), [1, 2, 3, error], None)
    columns = Rows(store, column, (0,))

    assert column.states[3] == FAILED
    assert (columns.shape, columns.take([0]), columns.is_error(0), columns.has_errors(range(2))) == ((2,), [[1, 3]], False, True)
    known = columns.element(1)
    assert (known.indices, known.within, known.source.read(known.indices)) == (((1,),), ((1,), (1,)), [error])
    assert columns.whole()[1].indices == ((1,), (1,))


def failed():
    flow = Flow("threads", error_handling="continue", progress=False)
    one = flow.map(place, [1, 1], [1, 2])
    found = flow.run()[one]
    assert isinstance(found[1], ErrorSnapshot)
    return found


@pytest.mark.parametrize("given", [list, iter])
def test_two_outputs_of_one_call_along_all_axes(given):
    flow = Flow(progress=False)
    grid = flow.map(add, flow.map(abs, given([1, 2])), [10, 20], product=True)
    least, most = flow.map(lambda rows: (min(map(min, rows)), max(map(max, rows))), grid, over=(0, 1), outputs=2)
    results = flow.run()

    assert (results[least], results[most]) == (11, 22)
