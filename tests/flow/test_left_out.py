"""Steps that take what succeeded, or the errors themselves: what they are given, what is said of it, and what a resumed run does."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings

import numpy
import pytest

import autotb
from autotb import ErrorSnapshot, Flow, PropagatedErrorSnapshot, step
from autotb.flow import left_out, run_report
from autotb.flow.left_out import Made
from tests.flow.calls import add, double

CALLS: list[object] = []
BAD: set[int] = set()
WHY: list[str] = [""]


@pytest.fixture(autouse=True)
def _afresh():
    CALLS.clear()
    BAD.clear()
    BAD.add(1)
    WHY.clear()


@pytest.fixture(params=["memory", "folder", "folder only"])
def options(request, tmp_path):
    return {} if request.param == "memory" else {"run_folder": tmp_path / "run", "return_results": request.param == "folder"}


def score(x):
    if x in BAD:
        raise ArithmeticError(x, *WHY)
    return x * 10


def best(scores):
    CALLS.append(("best", scores))
    return max(scores)


def report(value):
    CALLS.append(("report", value))
    return f"best is {value}"


def kinds(values):
    return [type(one).__name__ for one in (values.values() if isinstance(values, dict) else values)]


def flow_of(**options):
    return Flow("threads", error_handling="continue", progress=False, **options)


def test_what_succeeded_is_taken_and_what_did_not_is_told(options):
    flow = flow_of(**options)
    found = flow.call(step(best, on_error="drop"), flow.map(score, range(4)))
    results = flow.run()

    assert results[found] == 30
    assert CALLS == [("best", [0, 20, 30])]
    (left,) = results.left_out[found]
    assert (left.count, left.passed, left.index) == (1, False, ())
    assert left.error_info["scores"].indices == ((1,),)
    assert [root.exception.args for root in left.get_root_causes()] == [(1,)]
    assert list(results.left_out) == ["best"]
    assert results.left_out["score"] == []
    assert "errors left out" in str(results)
    assert "errors left out" in results._repr_html_()
    assert results.tallies["best"].left_out == 1


def test_nothing_is_told_where_nothing_was_left_out():
    BAD.clear()
    flow = flow_of()
    flow.call(step(best, on_error="drop"), flow.map(score, range(4)))
    results = flow.run()

    assert not results.left_out
    assert "left out" not in str(results)


def test_errors_themselves_are_passed(options):
    flow = flow_of(**options)
    scores = flow.map(score, range(3))
    whole = flow.call(step(kinds, on_error="pass"), scores)
    names = flow.map(step(lambda one: type(one).__name__, name="name", on_error="pass"), flow.map(double, scores))
    results = flow.run()

    assert results[whole] == ["int", "ErrorSnapshot", "int"]
    assert list(results[names]) == ["int", "PropagatedErrorSnapshot", "int"]
    assert [(left.index, left.passed) for left in results.left_out[names]] == [(1, True)]
    assert [root.exception.args for root in results.left_out[names][0].get_root_causes()] == [(1,)]
    assert "errors passed on" in str(results)


def test_an_argument_that_is_an_error_itself_cannot_be_left_out(options):
    flow = flow_of(**options)
    one = flow.call(score, 1)
    called = flow.call(step(best, on_error="drop"), one)
    mapped = flow.map(step(double, on_error="drop"), flow.map(score, range(3)))
    results = flow.run()

    assert isinstance(results[called], PropagatedErrorSnapshot)
    assert [type(value) for value in results[mapped]] == [int, PropagatedErrorSnapshot, int]
    assert not results.left_out


def test_what_is_left_of_lists_dicts_and_constants(options):
    flow = flow_of(**options)
    scores, bad, good = flow.map(score, range(3)), flow.call(score, 1), flow.call(score, 2)
    taken = step(lambda value, more=None: (value, more), name="taken", on_error="drop")
    found = [
        flow.call(taken, [bad, good, scores]),
        flow.call(taken, {"bad": bad, "good": good}),
        flow.call(taken, (good, bad), more={"inner": [scores]}),
        flow.map(taken, [5, 6], more=scores),
    ]
    results = flow.run()

    assert results[found[0]] == ([20, [0, 20]], None)
    assert results[found[1]] == ({"good": 20}, None)
    assert results[found[2]] == ((20,), {"inner": [[0, 20]]})
    assert list(results[found[3]]) == [(5, [0, 20]), (6, [0, 20])]
    assert [len(results.left_out[one]) for one in found] == [1, 1, 1, 2]
    assert {name: info.count for name, info in results.left_out[found[2]][0].error_info.items()} == {"value": 1, "more": 1}


def test_values_with_errors_inside_are_looked_into():
    error = autotb.map(score, [1], error_handling="continue", progress=False)[0]
    flow = flow_of()
    lists = flow.call(step(kinds, on_error="drop"), [1, error, "a"])
    arrays = flow.call(step(kinds, on_error="drop"), numpy.array([1, error], dtype=object))
    square = flow.call(step(kinds, on_error="drop"), numpy.array([[1, error]], dtype=object))
    mapped = flow.map(step(kinds, on_error="drop"), [[error, 1], [2]])
    nested = flow.call(step(kinds, name="inner", on_error="drop"), flow.call(lambda: [1, error]))
    results = flow.run()

    assert (results[lists], results[arrays]) == (["int", "str"], ["int"])
    assert isinstance(results[square], PropagatedErrorSnapshot)  # a matrix cannot lack an element
    assert results[mapped] == [["int"], ["int"]]
    assert results[nested] == ["int"]
    assert results.left_out[lists][0].get_root_causes() == [error]


def test_rows_without_their_errors(options):
    flow = flow_of(**options)
    grid = flow.map(lambda x, y: score(x * y), range(3), range(1, 3), product=True)
    rows = flow.map(step(sum, on_error="drop"), grid, over=1)
    whole = flow.call(step(lambda rows: rows, name="whole", on_error="drop"), grid)
    results = flow.run()

    assert list(results[rows]) == [0, 20, 60]
    assert results[whole] == [[0, 0], [20], [20, 40]]
    assert [left.index for left in results.left_out[rows]] == [1]


def test_all_of_them_may_be_left_out():
    BAD.update(range(3))
    flow = flow_of()
    count = flow.call(step(lambda scores: len(scores), on_error="drop"), flow.map(score, range(3)))
    results = flow.run()

    assert results[count] == 0
    assert results.left_out[count][0].count == 3


def test_raise_mode_ends_at_the_first_error():
    flow = Flow("threads", progress=False)
    flow.call(step(best, on_error="drop"), flow.map(score, range(3)))
    with pytest.raises(ArithmeticError):
        flow.run()
    assert CALLS == []


def paired(scores, labels):
    return dict(zip(labels, scores, strict=False))  # what a user writes


def whole_warnings(found):
    return [one for one in found if issubclass(one.category, UserWarning)]


@pytest.mark.parametrize(
    ("labels", "rest"),
    [
        (["a", "b", "c", "d"], "labels has all of its 4"),
        (numpy.array(["a", "b", "c", "d"]), "labels has all of its 4"),
        (range(4), "labels has all of its 4"),
    ],
)
def test_a_list_that_stays_as_long_as_the_other_was_is_warned_of(options, labels, rest):
    flow = flow_of(**options)
    flow.call(step(paired, on_error="drop"), flow.map(score, range(4)), labels)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        flow.run()

    (one,) = whole_warnings(found)
    assert str(one.message) == (
        f"paired is called without 1 of the 4 elements of scores, and {rest}: what stands at the same place no longer belongs "
        'together; let each value say whose it is, or take on_error="pass"'
    )
    assert (one.filename, one.lineno) == (__file__, flow_line("flow.call(step(paired, on_error"))


def flow_line(text):
    return next(number for number, line in enumerate(inspect.getsource(sys.modules[__name__]).splitlines(), 1) if text in line)


def shifted(x):
    if x == 2:
        raise ArithmeticError(x)
    return -x


def test_two_maps_of_which_others_are_left_out_are_warned_of(options):
    flow = flow_of(**options)
    flow.call(step(paired, on_error="drop"), flow.map(score, range(4)), flow.map(shifted, range(4)))
    with pytest.warns(UserWarning, match="elements of scores, and errors elsewhere are left out of labels: what stands"):
        flow.run()


@pytest.mark.parametrize("labels", [["a", "b", "c"], {"a": 1, "b": 2, "c": 3, "d": 4}, "abcd", "the same"])
def test_what_is_no_list_beside_it_is_not_warned_of(options, labels):
    flow = flow_of(**options)
    scores = flow.map(score, range(4))
    flow.call(step(paired, on_error="drop"), scores, flow.map(double, scores) if labels == "the same" else labels)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        flow.run()

    assert whole_warnings(found) == []


def test_what_is_no_choice_is_said():
    with pytest.raises(ValueError, match='on_error is "skip", "drop" or "pass", not \'keep\''):
        step(best, on_error="keep")


def test_calls_in_spite_of_errors_are_never_cached():
    flow = flow_of(cache={})
    scores = flow.map(score, range(3))
    for _ in range(2):
        flow.call(step(best, on_error="drop", cache=True), scores)
    flow.run()

    assert len(CALLS) == 2


def test_resources_are_asked_for_what_is_given(options):
    asked = []
    needs = step(best, on_error="drop", resources=lambda call: asked.append(call) or {})
    flow = flow_of(**options)
    found = flow.call(needs, flow.map(score, range(3)))

    assert (flow.run()[found], asked) == (20, [{"scores": [0, 20]}])


def test_autotb_map_tells_in_a_log_record(caplog):
    error = autotb.map(score, [1], error_handling="continue", progress=False)[0]
    found = autotb.map(step(add, on_error="drop"), [[1], [2]], y=[3, error], error_handling="continue", progress=False)

    assert found == [[1, 3], [2, 3]]
    assert "2 errors were left out of the inputs of add" in caplog.text


def chain(folder, on_error="drop", **options):
    flow = flow_of(run_folder=folder, **options)
    top = flow.call(step(best, on_error=on_error), flow.map(score, range(3)))
    flow.call(report, top)
    flow.map(step(add, name="beside"), [1, 2], y=top)
    return flow


@pytest.mark.parametrize("returned", [True, False])
def test_a_resumed_run_makes_again_what_was_made_of_less(tmp_path, returned):
    first = chain(tmp_path / "run", return_results=returned).run()
    assert (first["best"], first["report"]) == (20, "best is 20")

    CALLS.clear()
    again = chain(tmp_path / "run", resume=True, return_results=returned).run()
    assert CALLS == []  # of the same: kept, and it is still known what was left out
    assert [left.count for left in again.left_out["best"]] == [1]
    assert list(again.left_out) == ["best"]

    BAD.clear()
    mended = chain(tmp_path / "run", resume=True, retry_failed=True, return_results=returned).run()
    assert CALLS == [("best", [0, 10, 20]), ("report", 20)]
    assert not mended.left_out
    assert list(mended["beside"]) == [21, 22]

    CALLS.clear()
    assert not chain(tmp_path / "run", resume=True).run().left_out
    assert CALLS == []


def test_what_follows_is_made_again_in_a_later_process(tmp_path):
    BAD.add(2)
    chain(tmp_path / "run").run()
    BAD.clear()
    flow = flow_of(run_folder=tmp_path / "run", resume=True, retry_failed=True)  # killed before it came to the others, say
    flow.call(step(best, on_error="drop"), flow.map(score, range(3)))
    flow.run()
    CALLS.clear()

    results = chain(tmp_path / "run", resume=True).run()
    assert CALLS == [("report", 20)]
    assert list(results["beside"]) == [21, 22]


def test_a_call_that_failed_of_less_is_made_again(tmp_path):
    BAD.update(range(3))
    first = chain(tmp_path / "run").run()
    assert isinstance(first["best"], ErrorSnapshot)  # the maximum of nothing
    assert first.left_out["best"][0].count == 3

    BAD.clear()
    flow = flow_of(run_folder=tmp_path / "run", resume=True, retry_failed=True)
    flow.map(score, range(3))
    flow.run()
    assert chain(tmp_path / "run", resume=True).run()["best"] == 20


def test_errors_that_were_passed_and_are_others_now(tmp_path):
    """Those that say the same are the same, be they of a call that was made again, or of one that is skipped once more."""

    def ran(says="", **options):
        WHY[:] = [says]
        CALLS.clear()
        flow = flow_of(run_folder=tmp_path / "run", **options)
        scores = flow.map(score, range(3))
        flow.call(step(kinds, on_error="pass"), scores)
        flow.map(step(report, on_error="pass"), flow.map(double, scores))
        return flow.run()["kinds"], len(CALLS)

    assert ran() == (["int", "ErrorSnapshot", "int"], 3)
    made = run_count(tmp_path)
    assert ran(resume=True) == (["int", "ErrorSnapshot", "int"], 0)
    assert run_count(tmp_path) == made  # nor is what is skipped written once more
    assert ran(resume=True, retry_failed=True)[1] == 0
    assert run_count(tmp_path) == made + 1  # the call itself
    assert ran("other", resume=True, retry_failed=True)[1] == 1
    assert run_count(tmp_path) == made + 1 + 3  # it, and those that were passed the other error


def run_count(tmp_path):
    from autotb.flow import result_log

    folder = str(tmp_path / "run")
    return sum(len(result_log.heads(folder, name)) for name in result_log.names(folder))


def test_another_choice_is_another_input(tmp_path):
    chain(tmp_path / "run").run()
    skipped = chain(tmp_path / "run", on_error="skip", resume=True).run()

    assert isinstance(skipped["best"], PropagatedErrorSnapshot)
    assert isinstance(skipped["report"], PropagatedErrorSnapshot)
    assert not skipped.left_out


def test_the_folder_alone_tells_it(tmp_path):
    chain(tmp_path / "run", return_results=False).run()
    loaded = autotb.load(tmp_path / "run")

    (left,) = loaded.left_out["best"]
    assert (left.index, left.count, left.error_info["scores"].indices) == ((), 1, ((1,),))
    assert [root.exception.args for root in left.get_root_causes()] == [(1,)]
    assert list(loaded.left_out) == ["best"]
    assert loaded["report"] == "best is 20"
    shown = run_report.text(str(tmp_path / "run"), str)
    assert "errors left out" in shown
    told = subprocess.run(
        [sys.executable, "-m", "autotb", "show", str(tmp_path / "run")], capture_output=True, text=True, timeout=60, check=True
    )
    assert "errors left out" in told.stdout


def test_a_frame_has_a_column_for_it():
    pytest.importorskip("pandas")
    flow = flow_of()
    grid = flow.map(lambda x, y: score(x * y), range(3), range(1, 3), product=True)
    rows = flow.map(step(sum, on_error="drop"), grid, over=1)
    results = flow.run()

    assert list(results.to_frame(rows)["left_out"]) == [0, 1, 0]
    assert list(results.to_frame()["left_out"]) == [0] * 6 + [0, 1, 0]


def test_what_was_left_out_is_told_of_one_of_several_outputs(options, tmp_path):
    flow = Flow(error_handling="continue", progress=False, **options)
    scores = flow.map(score, range(3))
    least, most = flow.call(step(lambda scores: (min(scores), max(scores)), name="ends", on_error="drop"), scores, outputs=2)
    results = flow.run()

    found = [results.left_out[one] for one in (least, most, "ends", "ends[1]")]
    if options:
        found.append(autotb.load(tmp_path / "run").left_out["ends[0]"])
    assert [[repr(one) for one in each] for each in found] == [["<call (): without errors: 1 of scores>"]] * len(found)
    assert [root.call for root in found[0][0].get_root_causes()] == ["score(x=1)"]
    assert [*results.left_out] == ["ends"]
    assert [*results.to_frame(most, "pandas").left_out] == [1]


def test_a_text_that_is_no_such_is_of_unknown_inputs():
    for text in (b"", b"{", b"[]", b'{"made": 1}', b'{"made": {"of": "a", "left_out": {"x": {}}}}'):
        assert Made.from_text(text).of == "unknown"
    assert left_out.checked("drop") == "drop"
