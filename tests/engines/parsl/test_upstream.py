"""A failed Parsl task is planned anew with all that failed upstream of it: each once, what succeeded not, all or nothing."""

from __future__ import annotations

import concurrent.futures
import sys
from types import ModuleType, SimpleNamespace

import pytest

from autotb.engines.parsl import upstream
from autotb.instrument import future_handles
from autotb.instrument.future_handles import ResubmitError


@pytest.fixture(autouse=True)
def no_parsl(monkeypatch):
    """Parsl's two names that are read here, without Parsl."""
    files = ModuleType("parsl.data_provider.files")
    files.File = File
    parsl = ModuleType("parsl")
    parsl.AUTO_LOGNAME = -1
    monkeypatch.setitem(sys.modules, "parsl.data_provider.files", files)
    monkeypatch.setitem(sys.modules, "parsl", parsl)


class File:
    """Stands for itself in arguments."""


class Kernel:
    """As ``DataFlowKernel``: what is submitted succeeds and is noted."""

    def __init__(self, error=None):
        self.calls, self.error = [], error

    def submit(self, function, **kwargs):
        if self.error is not None:
            raise self.error
        self.calls.append((function, kwargs))
        return AppFuture(self, function)


class AppFuture(concurrent.futures.Future):
    """A task's future; ``given`` are the arguments of the app."""

    def __init__(self, kernel, function, *given, depends=(), **record):
        super().__init__()
        self.outputs, self.stdout, self.stderr, self.tid = [], None, None, 1
        self.task_record = {
            "func_name": function,
            "id": 1,
            "depends": list(depends),
            "args": given,
            "kwargs": {},
            "dfk": kernel,
            "func": function,
            **record,
        }


class DataFuture(concurrent.futures.Future):
    """Of a file that a task makes."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent


def call(function, *given, **kwargs):
    """What ``submit`` was called with, as it is remembered."""
    return upstream.remember((function,), {"app_args": given, "app_kwargs": kwargs, "cache": True})


def failed(kernel, function, *given, depends=(), error=ValueError, app_kwargs=None, **record):
    future = AppFuture(kernel, function, *given, depends=depends, **record)
    future.__dict__[upstream.CALL] = call(function, *given, **(app_kwargs or {}))
    future.set_exception(error())
    return future


def succeeded(kernel, function):
    future = AppFuture(kernel, function)
    future.set_result("value")
    return future


def names(kernel):
    return [function for function, _ in kernel.calls]


def test_a_task_that_failed_alone_runs_alone_and_past_the_cache():
    kernel = Kernel()
    upstream.resubmit(failed(kernel, "score", 3))

    assert kernel.calls == [("score", {"app_args": (3,), "app_kwargs": {}, "cache": False})]


def test_what_failed_upstream_runs_first_and_stands_in_the_arguments():
    kernel = Kernel()
    first = failed(kernel, "load")
    upstream.resubmit(failed(kernel, "score", [first], depends=[first]))

    assert names(kernel) == ["load", "score"]
    (given,) = kernel.calls[1][1]["app_args"]
    assert given[0] is not first
    assert type(given[0]) is AppFuture


@pytest.mark.parametrize(
    "wrap", [lambda one: (one,), lambda one: {one}, lambda one: {"key": one}, lambda one: {one: 1}, lambda one: [[one]]]
)
def test_futures_are_found_in_whatever_parsl_resolves(wrap):
    kernel = Kernel()
    first = failed(kernel, "load")
    upstream.resubmit(failed(kernel, "score", wrap(first), depends=[first]))

    assert names(kernel) == ["load", "score"]


def test_what_succeeded_is_not_run_again():
    kernel = Kernel()
    first, second = succeeded(kernel, "load"), failed(kernel, "clean")
    upstream.resubmit(failed(kernel, "score", first, second, depends=[first, second]))

    assert names(kernel) == ["clean", "score"]
    assert kernel.calls[1][1]["app_args"][0] is first


def test_what_several_tasks_need_runs_once():
    kernel = Kernel()
    first = failed(kernel, "load")
    middle = [failed(kernel, name, first, depends=[first]) for name in ("left", "right")]
    upstream.resubmit(failed(kernel, "join", *middle, depends=middle))

    assert sorted(names(kernel)) == ["join", "left", "load", "right"]
    assert names(kernel)[0] == "load"


def test_the_same_memoised_call_runs_once():
    kernel = Kernel()
    twins = [failed(kernel, "load", hashsum="same") for _ in range(2)]
    upstream.resubmit(failed(kernel, "score", *twins, depends=twins))

    assert names(kernel) == ["load", "score"]


def test_where_one_cannot_be_run_again_none_is():
    kernel = Kernel()
    given = [1]
    first, second = failed(kernel, "load"), failed(kernel, "clean", given)
    given.append(2)
    task = failed(kernel, "score", first, second, depends=[first, second])

    assert upstream.why_not(task) == "clean (task 1): its argument 1, of type list, has changed since it was given"
    with pytest.raises(ResubmitError):
        upstream.resubmit(task)
    assert kernel.calls == []


def test_a_task_that_can_run_again_has_no_reason_not_to():
    assert upstream.why_not(failed(Kernel(), "score", 3)) == ""


def test_a_task_that_was_not_seen_being_submitted_runs_by_parsls_record():
    kernel = Kernel()
    task = failed(kernel, "score", 3, executor="threads")
    del task.__dict__[upstream.CALL]
    upstream.resubmit(task)

    assert kernel.calls[0][1]["app_args"] == (3,)
    assert kernel.calls[0][1]["executors"] == ["threads"]


def test_with_failed_tasks_upstream_parsls_record_is_no_call():
    first = failed(Kernel(), "load")
    task = failed(Kernel(), "score", first, depends=[first])
    del task.__dict__[upstream.CALL]

    assert "Parsl has left them out of its arguments" in upstream.why_not(task)


def test_a_future_that_is_in_none_of_the_arguments_cannot_be_replaced():
    first = failed(Kernel(), "load")

    assert "depends on a future that is in none of its arguments" in upstream.why_not(failed(Kernel(), "score", depends=[first]))


def test_a_future_of_another_pool_is_run_again_by_its_own_handle(monkeypatch):
    other, anew = concurrent.futures.Future(), concurrent.futures.Future()
    other.set_exception(ValueError())
    handle = SimpleNamespace(resubmit_obstacle=lambda future: "", resubmit=lambda future: anew)
    monkeypatch.setattr(future_handles, "handle_of", lambda future: handle)
    kernel = Kernel()
    upstream.resubmit(failed(kernel, "score", other, depends=[other]))

    assert kernel.calls[0][1]["app_args"] == (anew,)


def test_a_future_of_another_pool_may_have_a_reason_not_to(monkeypatch):
    other = concurrent.futures.Future()
    other.set_exception(ValueError())
    monkeypatch.setattr(future_handles, "handle_of", lambda future: SimpleNamespace(resubmit_obstacle=lambda future: "no"))

    assert upstream.why_not(failed(Kernel(), "score", other, depends=[other])).endswith("cannot be run again: no")


def test_a_file_is_the_one_at_the_same_place_of_the_new_run():
    kernel = Kernel()
    first = failed(kernel, "load")
    first.outputs = [DataFuture(first), DataFuture(first)]
    for each in first.outputs:
        each.set_exception(ValueError())
    new = AppFuture(kernel, "load")
    new.outputs = [DataFuture(new), DataFuture(new)]

    assert upstream._instead(first.outputs[1], {id(first): (first, new)}) is new.outputs[1]
    assert upstream._instead(first, {id(first): (first, new)}) is new


def test_a_file_that_parsl_moves_by_a_task_of_its_own_cannot_be_replaced():
    first = failed(Kernel(), "load")

    with pytest.raises(ResubmitError, match="a file that Parsl moves"):
        upstream._place_of(DataFuture(first))


def test_a_kernel_that_takes_no_more_work_says_so():
    with pytest.raises(ResubmitError, match="Parsl takes no more work .RuntimeError: cleaned up"):
        upstream.resubmit(failed(Kernel(RuntimeError("cleaned up")), "score"))


def test_the_new_run_has_the_place_where_the_program_submitted_it():
    task = failed(Kernel(), "score")
    task._autotb_site = "the site"

    assert upstream.resubmit(task)._autotb_site == "the site"


def test_a_call_is_remembered_as_it_was_given():
    inputs = [1]
    args, kept, _ = upstream.remember(("score",), {"app_args": [2], "app_kwargs": {"inputs": inputs}, "cache": True})
    inputs.append("what Parsl writes into it")

    assert (args, kept["app_args"], kept["app_kwargs"], kept["cache"]) == (("score",), (2,), {"inputs": [1]}, True)
    assert upstream.remember((), {"app_args": ()}) is None


def test_files_and_futures_stand_for_themselves():
    file, future = File(), concurrent.futures.Future()
    file.name = "a"
    remembered = call("score", file, future)
    file.name = "b"

    assert remembered[2] == call("score", file, future)[2]


def test_what_a_task_with_dependencies_ran_with_is_the_first_attempts():
    future = SimpleNamespace()
    for value in ([1], [1, 2]):
        upstream.note_launch({"app_fu": future, "depends": ["x"], "args": (value,), "kwargs": {}})

    assert future.__dict__[upstream.LAUNCHED] == call("score", [1])[2]


def test_a_task_without_dependencies_runs_with_what_it_was_given():
    future = SimpleNamespace()
    upstream.note_launch({"app_fu": future, "depends": [], "args": ([1],), "kwargs": {}})

    assert upstream.LAUNCHED not in future.__dict__


@pytest.mark.parametrize(
    ("stdout", "text", "appended"),
    [
        ("{path}", "x", True),
        ("{path}", "", False),
        ("{path}", None, False),  # not there
        (("{path}", "a"), "x", True),
        (("{path}", "w"), "x", False),
        (None, "x", False),
        (-1, "x", False),
    ],
)
def test_output_is_not_appended_to_that_of_the_failed_attempt(tmp_path, stdout, text, appended):
    path = tmp_path / "out"
    if text is not None:
        path.write_text(text)
    if isinstance(stdout, str):
        stdout = str(path)
    elif isinstance(stdout, tuple):
        stdout = (str(path), stdout[1])
    task = failed(Kernel(), "shell", app_kwargs={"stdout": stdout})

    assert ("would be appended to" in upstream.why_not(task)) is appended


def test_what_holds_none_of_the_futures_is_the_very_same_object():
    first = failed(Kernel(), "load")
    anew = {id(first): (first, "new")}
    untouched = [1, {"a": (2,)}]

    assert upstream._replaced(untouched, anew) is untouched
    assert upstream._replaced({"a": [first, 1], first: 2}, anew) == {"a": ["new", 1], "new": 2}
    assert upstream._replaced((1, {first}), anew) == (1, {"new"})
