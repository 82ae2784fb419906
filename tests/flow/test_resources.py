"""What a step asks of its engine: evaluated for a call or for a map, passed on, given to the function, and failing."""

from __future__ import annotations

import dataclasses

import pytest

import autotb
from autotb import ErrorSnapshot, Flow, PropagatedErrorSnapshot, ResourcesEval, step
from autotb.flow import resources
from tests.flow.calls import Here

ASKED = []


def work(x, needs=None):
    return x, needs


def fails(x):
    return 1 / x


def sound(x):
    if not x:
        raise ValueError("nothing")
    return x


def pair(x, y, needs=None):
    return x, y, needs


def cpus(named):
    ASKED.append(named)
    return {"cpus": 1 + (len(named["x"]) if isinstance(named["x"], list) else named["x"])}


def no_gpu(named):
    raise LookupError("no GPU for this")


@pytest.fixture(autouse=True)
def _nothing_asked():
    ASKED.clear()


@pytest.mark.behaviour("S2-42")
def test_the_three_states():
    asks = step(work, resources=cpus)
    bad = {"x": autotb.ErrorInfo("full")}
    assert resources.evaluate(asks, {"x": 1}, {}, "continue") == ResourcesEval("evaluated", {"cpus": 2})
    assert resources.evaluate(asks, {"x": 1}, bad, "continue") == ResourcesEval("skipped")
    found = resources.evaluate(step(work, resources=no_gpu), {"x": 1}, {}, "continue")
    assert (found.state, found.resources, type(found.snapshot)) == ("error", None, ErrorSnapshot)
    assert isinstance(found.snapshot.exception, LookupError)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.state = "evaluated"
    assert resources.evaluate(step(work), {}, {}, "raise").state == "unknown"


@pytest.mark.behaviour("S2-43", "S2-48")
@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("scope", ["element", "map"])
def test_resources_are_given_to_the_function_that_asks_for_them(executor, scope):
    flow = Flow(executor, progress=False)
    out = flow.map(step(work, resources=cpus, resources_scope=scope, resources_variable="needs"), [1, 2, 3])
    one = flow.call(step(work, resources={"cpus": 7}, resources_variable="needs"), 5)
    results = flow.run()
    if scope == "element":
        assert results[out] == [(1, {"cpus": 2}), (2, {"cpus": 3}), (3, {"cpus": 4})]
        assert ASKED == [{"x": 1}, {"x": 2}, {"x": 3}]
    else:
        assert results[out] == [(x, {"cpus": 4}) for x in (1, 2, 3)]
        assert ASKED == [{"x": [1, 2, 3]}]
    assert results[one] == (5, {"cpus": 7})


@pytest.mark.behaviour("S2-44")
@pytest.mark.parametrize("scope", ["element", "map"])
def test_nothing_is_asked_for_calls_that_are_not_made(scope):
    flow = Flow(error_handling="continue", progress=False)
    out = flow.map(step(work, resources=cpus, resources_scope=scope), flow.map(fails, [1, 0]))
    results = flow.run()
    assert results[out][0] == (1, None)
    assert isinstance(results[out][1], PropagatedErrorSnapshot)
    assert ASKED == [{"x": 1}] if scope == "element" else [{"x": [1]}]


@pytest.mark.parametrize("scope", ["element", "map"])
def test_nothing_is_asked_where_all_inputs_failed(scope):
    flow = Flow(error_handling="continue", progress=False)
    flow.map(step(work, resources=cpus, resources_scope=scope), flow.map(fails, [0, 0]))
    flow.run()
    assert ASKED == []


@pytest.mark.parametrize("kept", ["memory", "folder only"])
@pytest.mark.parametrize("product", [False, True])
def test_a_map_that_failed_in_part_is_asked_for_the_calls_that_are_made(tmp_path, kept, product):
    options = {} if kept == "memory" else {"run_folder": tmp_path / "run", "return_results": False}
    flow = Flow(error_handling="continue", progress=False, **options)
    asks = step(pair, resources=cpus, resources_scope="map", resources_variable="needs")
    out = flow.map(
        asks, flow.map(step(sound, name="xs"), [3, 0, 5]), flow.map(step(sound, name="ys"), [0, 1, 4]), product=product
    )
    results = flow.run()
    if product:
        assert ASKED == [{"x": [3, 5], "y": [1, 4]}]
        assert [[isinstance(one, PropagatedErrorSnapshot) for one in row] for row in results[out]] == [
            [True, False, False], [True, True, True], [True, False, False],
        ]  # fmt: skip
    else:
        assert ASKED == [{"x": [5], "y": [4]}]
        assert results[out][2] == (5, 4, {"cpus": 2})
        assert all(isinstance(one, PropagatedErrorSnapshot) for one in results[out][:2])


@pytest.mark.behaviour("S2-45", "S2-46")
@pytest.mark.parametrize("scope", ["element", "map", "call"])
@pytest.mark.parametrize("kept", ["memory", "folder only"])
def test_an_error_of_the_request_is_a_root_cause(tmp_path, scope, kept):
    executor = Here()
    options = {} if kept == "memory" else {"run_folder": tmp_path / "run", "return_results": False}
    flow = Flow(executor, error_handling="continue", progress=False, **options)
    if scope == "call":
        flow.call(step(work, resources=no_gpu), 1)
    else:
        flow.map(step(work, resources=no_gpu, resources_scope=scope), [1, 2])
    results = flow.run()
    assert executor.sent == []
    error = results["work"] if scope == "call" else results["work"][1]
    assert isinstance(error, PropagatedErrorSnapshot)
    assert error.reason == "input_is_error"
    assert error.error_info == {"resources": autotb.ErrorInfo("full")}
    (root,) = error.get_root_causes()
    assert isinstance(root.exception, LookupError)
    assert root.function.__name__ == "no_gpu"
    assert len(results.get_root_causes()) == (2 if scope == "element" else 1)
    assert "no GPU for this" in str(results)
    if kept != "memory":
        from autotb.flow import run_report

        assert "no GPU for this" in run_report.text(str(tmp_path / "run"), str)


@pytest.mark.behaviour("S2-47")
@pytest.mark.parametrize("scope", ["element", "map"])
def test_in_raise_mode_it_is_raised(scope):
    flow = Flow(progress=False)
    flow.map(step(work, resources=no_gpu, resources_scope=scope), [1])
    with pytest.raises(LookupError, match="no GPU for this"):
        flow.run()
    assert flow.error_snapshot.function is no_gpu


def test_calls_with_resources_of_their_own_are_sent_alone():
    executor = Here()
    flow = Flow(executor, progress=False)
    flow.map(step(work, resources=cpus), [1, 2, 3])
    flow.map(step(work, resources={"cpus": 1}, chunksize=3), [1, 2, 3])
    flow.run()
    assert [len(sent.results) for sent in executor.sent] == [1, 1, 1, 3]


RAY = """
    import ray, autotb

    def where(x, needs=None):
        return ray.get_runtime_context().get_assigned_resources(), needs

    if __name__ == "__main__":
        ray.init(num_cpus=4, resources={"special": 2}, log_to_driver=False, include_dashboard=False)
        flow = autotb.Flow("ray", progress=False)
        asks = autotb.step(where, resources=lambda named: {"num_cpus": named["x"], "resources": {"special": 1}}, resources_variable="needs")
        out = flow.map(asks, [1, 2])
        for assigned, needs in flow.run()[out]:
            print(assigned["CPU"], assigned["special"], needs)
        try:
            autotb.map(autotb.step(where, resources=lambda named: 3), [1], executor="ray")
        except TypeError as error:
            print(error)
    """

DASK = """
    import autotb
    from distributed import Client, LocalCluster, get_worker

    def where(x):
        return get_worker().state.total_resources

    if __name__ == "__main__":
        with LocalCluster(1, threads_per_worker=2, resources={"GPU": 1}, dashboard_address=None) as cluster:
            with Client(cluster) as client:
                seen = []
                original = client.submit
                client.submit = lambda *args, **kwargs: seen.append(kwargs.get("resources")) or original(*args, **kwargs)
                print(autotb.map(autotb.step(where, resources={"GPU": 1}), [1], executor=client, progress=False), seen)
    """

PARSL = """
    import parsl, tempfile, autotb
    from parsl.config import Config
    from parsl.executors import ThreadPoolExecutor

    class Asked(ThreadPoolExecutor):
        def submit(self, function, resources, *args, **kwargs):
            print(resources)
            return super().submit(function, {}, *args, **kwargs)

    def where(x):
        return x

    if __name__ == "__main__":
        with parsl.load(Config([Asked()], run_dir=tempfile.mkdtemp(), usage_tracking=0)) as kernel:
            print(autotb.map(autotb.step(where, resources={"cores": 2}), [1], executor=kernel, progress=False))
    """


@pytest.mark.behaviour("S2-43")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            RAY,
            [
                "1.0 1.0 {'num_cpus': 1, 'resources': {'special': 1}}",
                "2.0 1.0 {'num_cpus': 2, 'resources': {'special': 1}}",
                "resources for Ray are a mapping, in its own terms, not 3",
            ],
        ),
        (DASK, ["[{'GPU': 1}] [{'GPU': 1}]"]),
        (PARSL, ["{'cores': 2}", "[1]"]),
    ],
    ids=["ray", "dask", "parsl"],
)
def test_engines_are_given_what_is_asked_for(run, code, expected):
    ran = run(code)
    assert ran.stdout.splitlines() == expected, ran.stderr
