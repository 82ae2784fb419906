"""What a flow came to: by output or by name, and the table of its steps."""

from __future__ import annotations

import os
import pickle

import pytest

import autotb
from autotb import Flow, PropagatedErrorSnapshot
from tests.flow.calls import double, invert, total
from tests.render import pages


@pytest.fixture(scope="module")
def made():
    flow = Flow(error_handling="continue", progress=False)
    outputs = {"map": flow.map(invert, [1, 0]), "call": flow.call(double, 2)}
    return flow.run(), outputs


def test_a_result_is_found_by_its_output_and_by_its_name(made):
    results, outputs = made

    assert results[outputs["call"]] == results["double"] == 4


@pytest.mark.parametrize(
    ("key", "says"),
    [("nothing", "'nothing' is no step of this run; there are 'invert', 'double'"), (3, "3 is no step of this run")],
)
def test_what_is_no_step_is_told_with_those_that_there_are(made, key, says):
    with pytest.raises(KeyError, match=says):
        made[0][key]


def test_an_output_of_another_flow_is_refused_though_its_name_is_known(made):
    other = Flow().call(double, 1)

    assert other not in made[0]
    with pytest.raises(KeyError, match="<output of double> is of another flow"):
        made[0][other]


def test_results_are_a_mapping_by_name(made):
    assert (list(made[0]), len(made[0]), "double" in made[0]) == (["invert", "double"], 2, True)


def test_how_many_steps_there_are(made):
    assert repr(made[0]) == "<results of 2 steps: invert, double>"


def test_whether_anything_failed(made):
    flow = Flow(progress=False)
    flow.call(double, 1)

    assert (made[0].has_errors, flow.run().has_errors) == (True, False)


def test_root_causes_are_those_that_failed(made):
    assert [root.kwargs for root in made[0].get_root_causes()] == [{"x": 0}]


def test_in_a_notebook_it_is_a_table_with_the_root_causes(made):
    page = pages.is_harmless(made[0]._repr_html_())
    assert page.tags[0] == "table"
    assert "root cause of 1 failure:" in page.text
    assert page.tags.count("details") > 1  # its frames open


def test_the_table_of_steps_and_root_causes():
    flow = Flow(error_handling="continue", progress=False)
    flow.call(total, flow.map(invert, [1, 0, 0]))
    told = str(flow.run())
    assert told.split("\n")[0].split() == ["step", "done", "failed", "skipped", "of", "time"]
    rows = [line.split() for line in told.split("\n")]
    assert ["invert", "1", "2", "0", "3"] in [row[:5] for row in rows]
    assert ["total", "0", "0", "1", "1"] in [row[:5] for row in rows]
    assert told.count("ZeroDivisionError: division by zero") == 1
    assert "root cause of 2 failures:" in told


def opens():
    raise OSError(24, "Too many open files")


def test_the_text_has_the_hints():
    flow = Flow(error_handling="continue", progress=False)
    flow.call(opens)
    told = str(flow.run())

    assert told.index("root cause of 1 failure:") < told.index("hint: ") < told.index("OSError: [Errno 24]")


def test_flows_and_results_tell_their_steps():
    flow = Flow(progress=False)
    assert (repr(flow), repr(flow.run())) == ("<flow of 0 steps>", "<results of 0 steps>")
    flow.map(double, flow.map(double, [1]))
    assert (repr(flow), repr(flow.run())) == ("<flow of 2 steps: double, double#2>", "<results of 2 steps: double, double#2>")


def flow_of(executor, folder=None, **options):
    return Flow(executor, error_handling="continue", run_folder=folder, progress=False, **options)


def nested(x):
    flow = flow_of("threads")
    found = flow.call(total, flow.map(invert, [x, 1]))
    return flow.run()[found]


@pytest.mark.parametrize("options", [{}, {"return_results": True}, {"return_results": False}])
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_the_roots_of_errors_that_no_step_of_the_flow_has_made_are_told(tmp_path, executor, options):
    before = autotb.map(invert, [1, 0], error_handling="continue", progress=False)
    folder = tmp_path / "run" if options else None
    flow = flow_of(executor, folder, **options)
    later = flow.map(double, flow.map(double, before))
    flow.call(total, [later])
    inner = flow.map(nested, [0])
    results = flow.run()

    assert type(results[inner][0]) is PropagatedErrorSnapshot
    (given, of_nested) = results.get_root_causes()
    assert given.id == before[1].id
    assert [one.id for one in results[inner][0].get_root_causes()] == [of_nested.id]
    assert str(results).count("ZeroDivisionError: division by zero") == 1
    assert "2 failures" in str(results)
    assert folder is None or len(autotb.load(folder).get_root_causes()) == 2


def test_results_and_their_flow_can_be_pickled():
    flow = flow_of("threads")
    output = flow.map(invert, [1, 0])
    again, its, _ = pickle.loads(pickle.dumps((flow.run(), output, flow)))

    assert str(again) == str(flow.results)
    assert (again[its][0], again[its][1].id) == (1.0, flow.results[output][1].id)
    assert os.path.basename(__file__) in str(its.flow.run())
