"""Random flows of maps, calls and reductions with random failures, against a naive sequential model of them.

The model knows nothing of executors, chunks and stores: it goes through the steps in order and says for each element what it is.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotb import ErrorSnapshot, Flow, PropagatedErrorSnapshot, step
from autotb.flow.steps import Output

POOL = ThreadPoolExecutor(3)


def total(value):
    if isinstance(value, (ErrorSnapshot, PropagatedErrorSnapshot, Bad)):
        return 7
    return sum(map(total, value)) if isinstance(value, (list, tuple)) else value


TRIED = set()


def work(*args, tag, divisor, is_flaky=False, is_paired=False, **more):
    """A number of all arguments, or two; fails where it can be divided, and where it is flaky before it succeeds."""
    value = tag + total(args) + total(list(more.values()))
    if is_flaky and (tag, value) not in TRIED:
        TRIED.add((tag, value))
        raise ConnectionError(value)
    if divisor and value % divisor == 0:
        raise ValueError(tag, value)
    return (value, value + 1) if is_paired else value


@dataclass(frozen=True)
class Plan:
    """A step: a map or a call; its inputs are lists of numbers, or the numbers of earlier steps."""

    is_map: bool
    inputs: tuple
    constant: int | None  # an earlier step whose output is taken whole, by name
    product: bool
    divisor: int
    chunksize: int | None
    over: tuple = ()  # the axes along which outputs of several dimensions are taken
    on_error: str = "skip"
    is_flaky: bool = False  # and retried
    is_paired: bool = False  # it gives two outputs, the second of which is taken by later steps
    is_streamed: bool = False  # lists are given without their lengths
    is_cached: bool = False


@dataclass(frozen=True)
class Bad:
    """An element that is no value: its state, the roots of it, and where it was skipped the reason."""

    state: str
    roots: frozenset
    reason: str = ""


@st.composite
def plans(draw):
    steps, shapes, on_errors = [], [], st.sampled_from(["skip", "skip", "drop", "pass"])
    for _ in range(draw(st.integers(1, 6))):
        number = len(steps)  # one that would be too large is left out
        is_map = draw(st.booleans()) or number == 0
        product = is_map and draw(st.integers(0, 3)) == 0
        chunksize = draw(st.sampled_from([None, 1, 2, 3]))
        divisor = draw(st.sampled_from([0, 2, 3, 5]))
        maps = [at for at, shape in enumerate(shapes) if shape]
        constant = draw(st.sampled_from([None, None, *range(number)]))
        if not is_map:
            inputs = tuple(draw(st.lists(st.integers(0, number - 1), max_size=2)))
            shape = ()
        else:
            given_list = st.lists(st.integers(0, 9), max_size=5)
            first = draw(st.sampled_from(maps)) if maps and draw(st.integers(0, 3)) else tuple(draw(given_list))
            inputs = (first,)
            dimensions = len(shapes[first]) if isinstance(first, int) else 1
            axes = st.lists(st.integers(0, dimensions - 1), max_size=dimensions, unique=True)
            over = tuple(draw(axes)) if dimensions > 1 else ()

            def left(one, over=over):
                shape = shapes[one] if isinstance(one, int) else (len(one),)
                return without(shape, over) if len(shape) > 1 else shape

            shape = left(first)
            if draw(st.booleans()) and (product or len(shape) == 1):
                fits = [at for at in maps if len(shapes[at]) < 2 or max(over, default=0) < len(shapes[at])]
                same = [at for at in fits if product or left(at) == shape]
                if same and draw(st.booleans()):
                    other = draw(st.sampled_from(same))
                else:
                    size = draw(st.integers(0, 3)) if product else shape[0]
                    other = tuple(draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)))
                inputs += (other,)
            if product:
                shape = tuple(length for one in inputs for length in left(one))
        size = 1
        for length in shape:
            size *= length
        if size > 40:
            continue
        ways = [draw(st.integers(0, 4)) == 0 for _ in range(4)]
        plan = Plan(is_map, inputs, constant, product, divisor, chunksize, over if is_map else (), draw(on_errors), *ways)
        steps.append(plan)
        shapes.append(shape)
    return steps


def without(shape, over):
    return tuple(length for axis, length in enumerate(shape) if axis not in over)


def rows_of(shape, values, over):
    """An input of a map as numpy has it: the shape without some axes, and the elements along these for each place."""
    if len(shape) < 2 or not over:
        return shape, [(value, "full") for value in values]
    places = list(itertools.product(*map(range, shape)))
    rows = {place: [] for place in itertools.product(*map(range, without(shape, over)))}
    for place, value in zip(places, values, strict=True):
        rows[without(place, over)].append(value)
    return without(shape, over), [(row, "array") for row in rows.values()]


class Model:
    """What each step gives: a flat list with its shape."""

    def __init__(self, steps):
        self.done, self.failed, self.left = [], [], {}
        for tag, plan in enumerate(steps):
            shape, values = self.step(tag, plan)
            self.done.append((shape, [second(one) for one in values] if plan.is_paired else values))

    def step(self, tag, plan):
        kwargs = {} if plan.constant is None else {"whole": plan.constant}
        if not plan.is_map:
            return (), [self.call((tag, 0), plan, [self.whole(one) for one in plan.inputs], kwargs)]
        columns = [self.done[one] if isinstance(one, int) else ((len(one),), list(one)) for one in plan.inputs]
        columns = [rows_of(shape, values, plan.over) for shape, values in columns]
        if plan.product:
            shape = tuple(length for part, _ in columns for length in part)
            rows = [[]]
            for _, values in columns:
                rows = [[*row, value] for row in rows for value in values]
        else:
            shape, rows = columns[0][0], list(zip(*[values for _, values in columns], strict=True))
        return shape, [self.call((tag, at), plan, list(row), kwargs) for at, row in enumerate(rows)]

    def whole(self, number):
        shape, values = self.done[number]
        return (values, "array") if shape else (values[0], "full")

    def call(self, place, plan, args, kwargs):
        given = [*args, *(self.whole(number) for number in kwargs.values())]
        bad = {"full": [], "array": []}
        for value, kind in given:
            bad[kind] += [one for one in (value if kind == "array" else [value]) if isinstance(one, Bad)]
        left = bad["array"] if plan.on_error == "drop" else bad["full"] + bad["array"] if plan.on_error == "pass" else []
        if plan.on_error == "drop":
            bad["array"] = []
            given = [
                ([one for one in value if not isinstance(one, Bad)] if kind == "array" else value, kind) for value, kind in given
            ]
        if plan.on_error == "pass":
            bad = {"full": [], "array": []}
        if left and not bad["full"]:
            self.left[place] = len(left), frozenset().union(*(one.roots for one in left))
        if bad["full"] or bad["array"]:
            roots = frozenset().union(*(one.roots for one in bad["full"] + bad["array"]))
            return Bad("skipped", roots, "input_is_error" if bad["full"] else "array_contains_errors")
        numbers = [value for value, _ in given]
        try:
            return work(
                *numbers[: len(args)], tag=place[0], divisor=plan.divisor, **dict(zip(kwargs, numbers[len(args) :], strict=True))
            )
        except ValueError as error:
            self.failed.append(error.args)
            return Bad("failed", frozenset({(place, error.args)}))


def second(value):
    """The second of two outputs: where there are none, what stands in place of the call."""
    return value if isinstance(value, Bad) else value + 1


def built(steps, mode, schedule, **options):
    flow = Flow(POOL, error_handling=mode, schedule=schedule, progress=False, **options)
    outputs = []
    for tag, plan in enumerate(steps):
        retried = {"retries": 1, "retry_on": ConnectionError, "wait": 0} if plan.is_flaky else {}
        made = step(work, chunksize=plan.chunksize, on_error=plan.on_error, cache=plan.is_cached, **retried)
        inputs = [outputs[one] if isinstance(one, int) else given_of(one, plan) for one in plan.inputs]
        more = {} if plan.constant is None else {"whole": outputs[plan.constant]}
        more |= {"tag": tag, "divisor": plan.divisor, "is_flaky": plan.is_flaky, "is_paired": plan.is_paired}
        more |= {"outputs": 2} if plan.is_paired else {}
        if plan.is_map:
            output = flow.map(made, *inputs, product=plan.product, over=over_of(flow, plan, inputs), **more)
        else:
            output = flow.call(made, *inputs, **more)
        outputs.append(output[1] if plan.is_paired else output)
    return flow, outputs


def given_of(values, plan):
    return iter(values) if plan.is_streamed else list(values)


def base_of(output):
    """The step itself, of one that has two outputs."""
    return Output(output.flow, output.name.removesuffix("[1]"))


def over_of(flow, plan, inputs):
    """The axes, where some of the inputs have several; now and then counted from the end."""
    dimensions = {flow._dimensions[one.name] for one in inputs if isinstance(one, Output)} - {0, 1}
    if not dimensions:
        return None
    if len(dimensions) == len(plan.over) == 1 and plan.divisor:
        return plan.over[0] - max(dimensions)
    return plan.over


def flattened(value, axes):
    if axes == 0:
        return [value]
    return [inner for one in value for inner in flattened(one, axes - 1)]


def seen(value):
    """A result: its state, its reason, its roots; each of them once, by whatever way it is reached."""
    if isinstance(value, ErrorSnapshot):
        return "failed", "", [value.exception.args]
    if isinstance(value, PropagatedErrorSnapshot):
        return "skipped", str(value.reason), roots_of(value)
    return value


def roots_of(error):
    """Each once: two calls that are alike have one snapshot, if their step is cached."""
    return sorted({root.exception.args for root in error.get_root_causes()})


def told(value):
    """The same of the model."""
    if isinstance(value, Bad):
        return value.state, value.reason, sorted({args for _, args in value.roots})
    return value


def left_of(results, outputs):
    """What each call was made in spite of."""
    found = {}
    for tag, output in enumerate(outputs):
        ats = {
            (index if isinstance(index, tuple) else (index,)): at
            for at, index in enumerate(itertools.product(*map(range, results._columns[output.name].shape)))
        }
        for left in results.left_out[base_of(output)]:
            roots = roots_of(left)
            index = left.index if isinstance(left.index, tuple) else (left.index,)
            found[tag, ats[index]] = left.count, roots
    return found


def expected_left(model):
    return {place: (count, sorted({args for _, args in roots})) for place, (count, roots) in model.left.items()}


@pytest.mark.behaviour("S2-2", "S2-14", "S2-16", "S2-20", "S2-34", "S2-61", "S2-62")
@pytest.mark.parametrize("schedule", ["eager", "generation"])
@pytest.mark.parametrize("form", ["sync", "async"])
@pytest.mark.parametrize("mode", ["raise", "continue"])
@given(steps=plans(), kept=st.sampled_from(["memory", "folder", "folder only"]))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.filterwarnings(
    "ignore:.* is called without .* of the"
)  # of two arguments that were as long; right, and not judged here
def test_a_flow_does_what_a_loop_would(schedule, form, mode, steps, kept):
    model = Model(steps)
    with tempfile.TemporaryDirectory() as folder:
        options = {} if kept == "memory" else {"run_folder": Path(folder) / "run", "return_results": kept == "folder"}
        flow, outputs = built(steps, mode, schedule, **options)

        def run():
            return asyncio.run(flow.run_async()) if form == "async" else flow.run()

        if mode == "raise" and model.failed:
            with pytest.raises(ValueError) as caught:  # noqa: PT011  its arguments are compared
                run()
            assert caught.value.args in model.failed
            assert flow.error_snapshot.exception is caught.value
            return
        results = run()
        for plan, output, (shape, expected) in zip(steps, outputs, model.done, strict=True):
            assert [seen(value) for value in flattened(results[output], len(shape))] == [told(value) for value in expected]
            tally = results.tallies[output.name]
            states = [value.state for value in expected if isinstance(value, Bad)]
            assert (tally.done, tally.total) == (len(expected), len(expected))
            failed = 0 if plan.is_paired else states.count("failed")  # one of two outputs is no call, which could fail
            assert (tally.failed, tally.skipped) == (failed, len(states) - failed)
        assert roots_of(results) == sorted(set(model.failed))
        assert left_of(results, outputs) == expected_left(model)
        if kept != "memory":  # and a run that goes on where there is nothing left to do
            again, outputs = built(steps, mode, schedule, resume=True, **options)
            results = again.run()
            assert left_of(results, outputs) == expected_left(model)
            for output, (shape, expected) in zip(outputs, model.done, strict=True):
                assert [seen(value) for value in flattened(results[output], len(shape))] == [told(value) for value in expected]
