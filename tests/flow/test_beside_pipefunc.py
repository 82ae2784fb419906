"""The same flows in pipefunc, whose error handling is the nearest relative: what its own tests say of errors holds here as well.

Where the two differ on purpose, that is said at the test.
"""

from __future__ import annotations

import inspect
import re
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

import autotb
from autotb import ErrorSnapshot, Flow, PropagatedErrorSnapshot, step
from tests.engines import kit

pytestmark = kit.on_main


def fails_of_three(x):
    if x == 3:
        raise ValueError(f"cannot process {x}")
    return x * 2


def fails_of_many(x):
    if x in (2, 4, 7):
        raise KeyError(x)
    return x * x


def always(x):
    raise ArithmeticError("always", x)


def more(y):
    return y + 10


def both(x, y):
    if (x, y) == (2, 3):
        raise ValueError("cannot compute", x, y)
    return x * y


def deep(x, y, z):
    if (x, y, z) in ((1, 2, 1), (2, 1, 0)):
        raise ValueError(x, y, z)
    return x + y + z


def times(y, factors):
    if (y, factors) == (8, 3):
        raise ValueError("cannot multiply")
    return y * factors


def pair(x):
    if x == 3:
        raise ValueError("no pair", x)
    return x * 2, x * 3


def pair_of(x, y):
    if (x, y) == (2, 3):
        raise ValueError("no pair", x, y)
    return x * y, x + y


def joined(a, b):
    return a + b


def of_matrix(matrix):
    return _sum(matrix)


def of_tensor(tensor):
    return _sum(tensor)


def of_y(y):
    return _sum(y)


def of_rows(rows):
    return _sum(rows)


def of_a(a):
    return _sum(a)


def of_b(b):
    return _sum(b)


def _sum(values):
    return sum(map(_sum, values)) if hasattr(values, "__len__") else int(values)


# The steps of each flow, with what a step gives and, where it is mapped, along which axes; then the inputs.
FLOWS = {
    "a chain of calls": ([("y", fails_of_three, ""), ("z", more, ""), ("total", joined, "")], {"x": 3, "a": 1, "b": 2}),
    "a chain that is sound": ([("y", fails_of_three, ""), ("z", more, "")], {"x": 4}),
    "a map": ([("y", fails_of_three, "x[i] -> y[i]")], {"x": [1, 2, 3, 4, 5]}),
    "an empty map": ([("y", fails_of_three, "x[i] -> y[i]"), ("z", more, "y[i] -> z[i]")], {"x": []}),
    "a map over a map": ([("y", fails_of_three, "x[i] -> y[i]"), ("z", more, "y[i] -> z[i]")], {"x": [1, 2, 3, 4, 5]}),
    "many errors": ([("y", fails_of_many, "x[i] -> y[i]"), ("z", more, "y[i] -> z[i]")], {"x": list(range(1, 9))}),
    "nothing but errors": (
        [("y", always, "x[i] -> y[i]"), ("z", more, "y[i] -> z[i]"), ("total", of_y, "")],
        {"x": [1, 2, 3]},
    ),
    "a reduction": ([("y", fails_of_three, "x[i] -> y[i]"), ("total", of_y, "")], {"x": [1, 2, 3, 4]}),
    "a reduction that is sound": ([("y", fails_of_three, "x[i] -> y[i]"), ("total", of_y, "")], {"x": [1, 2, 4]}),
    "a product": ([("matrix", both, "x[i], y[j] -> matrix[i, j]")], {"x": [1, 2, 3], "y": [2, 3, 4]}),
    "rows of a product": (
        [("matrix", both, "x[i], y[j] -> matrix[i, j]"), ("rows", of_matrix, "matrix[i, :] -> rows[i]"), ("all", of_rows, "")],
        {"x": [1, 2, 3], "y": [2, 3, 4]},
    ),
    "columns of a product": (
        [("matrix", both, "x[i], y[j] -> matrix[i, j]"), ("rows", of_matrix, "matrix[:, j] -> rows[j]")],
        {"x": [1, 2, 3], "y": [2, 3, 4]},
    ),
    "one axis and two of three": (
        [
            ("tensor", deep, "x[i], y[j], z[k] -> tensor[i, j, k]"),
            ("matrix", of_tensor, "tensor[i, j, :] -> matrix[i, j]"),
            ("rows", of_tensor, "tensor[i, :, :] -> rows[i]"),
        ],
        {"x": [1, 2, 3], "y": [1, 2], "z": [0, 1]},
    ),
    "a map, a product, rows and a total": (
        [
            ("y", fails_of_three, "x[i] -> y[i]"),
            ("matrix", times, "y[i], factors[j] -> matrix[i, j]"),
            ("rows", of_matrix, "matrix[i, :] -> rows[i]"),
            ("all", of_rows, ""),
        ],
        {"x": [1, 2, 4, 3], "factors": [2, 3, 4]},
    ),
    "two outputs": ([(("a", "b"), pair, "x[i] -> a[i], b[i]"), ("c", joined, "a[i], b[i] -> c[i]")], {"x": [1, 2, 3, 4]}),
    "two outputs of a call": ([(("a", "b"), pair, ""), ("c", joined, "")], {"x": 3}),
    "two outputs of a product, and a total of each": (
        [(("a", "b"), pair_of, "x[i], y[j] -> a[i, j], b[i, j]"), ("all a", of_a, ""), ("all b", of_b, "")],
        {"x": [1, 2, 3], "y": [2, 3]},
    ),
    "a diamond": (
        [("y", fails_of_three, "x[i] -> y[i]"), ("a", more, "y[i] -> a[i]"), ("b", of_y, ""), ("c", joined, "a[i] -> c[i]")],
        {"x": [1, 3]},
    ),
}


def theirs(steps, inputs):
    from pipefunc import PipeFunc, Pipeline

    made = [
        PipeFunc(function, output_name=tuple(_word(one) for one in _names(names)) if len(_names(names)) > 1 else _word(names),
                 mapspec=spec or None)
        for names, function, spec in steps
    ]  # fmt: skip
    given = {name: value for name, value in inputs.items() if any(name in one.parameters for one in made)}
    results = Pipeline(made).map(given, error_handling="continue", parallel=False, show_progress=False, storage="dict")
    return {name: flat(results[_word(name)].output) for names, _, _ in steps for name in _names(names)}


def ours(steps, inputs, executor="threads", **options):
    flow = Flow(executor, error_handling="continue", progress=False, **options)
    known = dict(inputs)
    for names, function, spec in steps:
        count = {"outputs": len(_names(names))} if len(_names(names)) > 1 else {}
        parameters = list(inspect.signature(function).parameters)
        if not spec:
            outputs = flow.call(step(function, name=_names(names)[0]), *(known[one] for one in parameters), **count)
        else:
            axes = {one: place.split(", ") for one, place in re.findall(r"(\w+)\[(.*?)\]", spec.partition(" ->")[0])}
            taken = [at for place in axes.values() for at, letter in enumerate(place) if letter == ":"]
            over = {"over": tuple(taken)} if any(len(place) > 1 for place in axes.values()) else {}
            is_product = len({letter for place in axes.values() for letter in place} - {":"}) > 1 and len(axes) > 1
            whole = {one: known[one] for one in parameters if one not in axes}
            outputs = flow.map(
                step(function, name=_names(names)[0]), *(known[one] for one in axes), product=is_product, **over, **count, **whole
            )
        known.update(zip(_names(names), outputs if count else [outputs], strict=True))
    results = flow.run()
    return {name: flat(results[known[name]]) for names, _, _ in steps for name in _names(names)}


def _names(names):
    return names if isinstance(names, tuple) else (names,)


def _word(name):
    return name.replace(" ", "_")


def flat(value):
    """The elements of an array one after the other, an error by its kind, its call, and what it says."""
    kind = type(value).__name__
    if kind == "ErrorSnapshot":
        return [("failed", value.kwargs, type(value.exception).__name__, value.exception.args)]
    if kind == "PropagatedErrorSnapshot":
        name = getattr(value.skipped_function, "func", value.skipped_function).__name__
        return [("skipped", name, str(value.reason), sorted(value.error_info), roots_of(value))]
    if hasattr(value, "__len__"):
        return [one for part in value for one in flat(part)]
    return [int(value)]


def roots_of(error):
    return sorted({repr(root.exception) for root in error.get_root_causes()})


def without_roots(found):
    return {name: [one[:4] if type(one) is tuple else one for one in values] for name, values in found.items()}


def fits(mine, their):
    """pipefunc has no root causes of an array; and of a step with two outputs it fails both times, where here each is skipped, as
    it is made of a result that is an error."""
    if mine[:1] == ("skipped",) and their[:1] == ("failed",):
        return True
    if mine[:1] != ("skipped",):
        return mine == their
    return mine[:4] == their[:4] and set(their[4]) <= set(mine[4])


@pytest.mark.parametrize("name", FLOWS)
def test_values_errors_and_reasons_are_those_of_pipefunc(name):
    steps, inputs = FLOWS[name]
    mine, their = ours(steps, inputs), theirs(steps, inputs)

    assert list(mine) == list(their)
    for one, values in mine.items():
        assert len(values) == len(their[one])
        for left, right in zip(values, their[one], strict=True):
            assert left == right or (type(left) is type(right) is tuple and fits(left, right)), (one, left, right)
    for one, values in mine.items():
        for value in values:
            assert type(value) is not tuple or value[0] == "failed" or value[4], (one, value)


@pytest.mark.parametrize("name", ["a map over a map", "a map, a product, rows and a total", "two outputs"])
def test_so_they_are_on_pools_and_in_a_folder(tmp_path, name):
    steps, inputs = FLOWS[name]
    expected = ours(steps, inputs)

    with ThreadPoolExecutor(2) as pool:
        assert ours(steps, inputs, pool) == expected
    with ProcessPoolExecutor(2) as pool:
        assert ours(steps, inputs, pool, run_folder=tmp_path / "run", return_results=False) == expected
    assert ours(steps, inputs, run_folder=tmp_path / "run", resume=True) == expected
    assert autotb.load(tmp_path / "run").get_root_causes()


def mapped(function, values, *later, **options):
    """What a map comes to, and a map over it."""
    flow = Flow(error_handling="continue", progress=False, **options)
    found = [flow.map(function, values)]
    found += [flow.map(one, found[-1]) for one in later]
    results = flow.run()
    return [results[one] for one in found]


def test_a_snapshot_has_what_pipefuncs_has(tmp_path):
    """But for the names of user, machine and folder, which its story has (``autotb.explain``)."""
    from pipefunc import PipeFunc, Pipeline

    made = PipeFunc(fails_of_three, output_name="y", mapspec="x[i] -> y[i]")
    their = Pipeline([made]).map({"x": [3]}, error_handling="continue", parallel=False, show_progress=False)["y"].output[0]
    ((mine,),) = mapped(fails_of_three, [3])

    assert (mine.kwargs, mine.exception.args, mine.function.__name__) == (
        their.kwargs,
        their.exception.args,
        their.function.__name__,
    )
    for error in (mine, their):
        assert error.traceback.rstrip().endswith("ValueError: cannot process 3")
        assert "fails_of_three" in error.traceback
        assert error.timestamp
        error.save_to_file(tmp_path / "error.bin")
        with pytest.raises(ValueError, match="cannot process 3"):
            type(error).load_from_file(tmp_path / "error.bin").reproduce()


def test_resources_are_asked_for_calls_that_are_made_and_for_no_others():
    for scope in ("element", "map"):
        asked = []

        def resources(given, asked=asked):
            asked.append(given)
            return {"cpus": 1}

        def down(y, needs):
            return y + needs["cpus"]

        made = step(down, resources=resources, resources_scope=scope, resources_variable="needs")
        _, found = mapped(fails_of_three, [0, 3, 1], made)
        assert flat(found)[::2] == [1, 3]
        assert type(found[1]) is PropagatedErrorSnapshot
        assert asked == ([{"y": 0}, {"y": 2}] if scope == "element" else [{"y": [0, 2]}])


def test_a_request_for_resources_that_fails_is_a_root_cause_that_can_be_called_again():
    submitted = []

    def resources(given):
        raise RuntimeError("no such machine")

    def down(x):
        submitted.append(x)

    for scope in ("element", "map"):
        ((first, second),) = mapped(step(down, resources=resources, resources_scope=scope), [1, 2])
        assert [type(first), type(second), str(first.reason)] == [
            PropagatedErrorSnapshot,
            PropagatedErrorSnapshot,
            "input_is_error",
        ]
        (root,) = first.get_root_causes()
        with pytest.raises(RuntimeError, match="no such machine"):
            root.reproduce()
        flow = Flow(progress=False)
        flow.map(step(down, resources=resources, resources_scope=scope), [1, 2])
        with pytest.raises(RuntimeError, match="no such machine"):
            flow.run()
    assert submitted == []


def test_an_error_in_the_cache_is_called_again_in_raise_mode_and_in_no_other():
    calls = []

    def counted(x):
        calls.append(x)
        return fails_of_three(x)

    kept = {}
    for _ in range(2):
        found = mapped(step(counted, cache=True), [1, 3], step(more, cache=True), cache=kept)
        assert [type(one).__name__ for one in (*found[0], *found[1])] == [
            "int", "ErrorSnapshot", "int", "PropagatedErrorSnapshot",
        ]  # fmt: skip
    assert sorted(calls) == [1, 3]
    flow = Flow(cache=kept, progress=False)
    flow.map(step(counted, cache=True), [1, 3])
    with pytest.raises(ValueError, match="cannot process 3"):
        flow.run()


def test_an_array_of_no_dimension_that_holds_an_error_is_one():
    numpy = pytest.importorskip("numpy")
    ((error,),) = mapped(always, [1])
    held = numpy.empty((), dtype=object)
    held[()] = error
    flow = Flow(error_handling="continue", progress=False)
    skipped, passed = flow.call(more, held), flow.call(step(type, on_error="pass"), held)
    sound = flow.call(more, numpy.array(1, dtype=object))
    results = flow.run()

    assert (results[skipped].error_info["y"].kind, results[skipped].get_root_causes()) == ("full", [error])
    assert (results[passed], results[sound]) == (numpy.ndarray, 11)
    assert results.left_out[passed][0].get_root_causes() == [error]


class Store:
    """Elements and a length, as arrays of stores have them."""

    def __len__(self):
        return 3

    def __getitem__(self, at):
        if at >= 3:
            raise IndexError(at)
        return at + 1


def test_what_has_a_length_and_elements_is_mapped_over():
    assert flat(mapped(fails_of_three, Store())[0])[:2] == [2, 4]
    assert autotb.map(more, Store(), progress=False) == [11, 12, 13]


def test_a_picker_that_fails_spoils_its_own_output():
    def picked(x, name):
        if name == "bad":
            raise RuntimeError("picker")
        return x[name]

    flow = Flow(error_handling="continue", progress=False)
    both_of = flow.map(step(lambda x: {"good": x, "bad": -x}, name="both"), [1, 2])
    good, bad = (flow.map(step(picked, name=name), both_of, name=name) for name in ("good", "bad"))
    results = flow.run()

    assert results[good] == [1, 2]
    assert {type(one) for one in results[bad]} == {ErrorSnapshot}


def test_a_run_is_resumed_in_another_mode(tmp_path):
    """pipefunc refuses that; here what failed is called again, and raised."""
    mapped(fails_of_three, [1, 3], run_folder=tmp_path / "run")
    flow = Flow(run_folder=tmp_path / "run", resume=True, progress=False)
    flow.map(fails_of_three, [1, 3])
    with pytest.raises(ValueError, match="cannot process 3"):
        flow.run()
