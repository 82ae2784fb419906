"""A future of any engine is known by its class or its methods, and asked as its engine has it."""

from __future__ import annotations

import concurrent.futures
from types import SimpleNamespace

import pytest

from autotb import engine_facts
from autotb.instrument import call_snapshot, future_handles
from autotb.instrument.future_handles import Getting, Handle, ResubmitError, Standard
from autotb.record.capture import KEY, VERSION


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    monkeypatch.setattr(future_handles, "_kinds", {})


class Plain:
    """With a ``result`` method and nothing else."""

    def result(self, timeout=None):
        return "value", timeout


class Asynchronous:
    """As multiprocessing's."""

    def __init__(self, ready=True):
        self.is_ready = ready

    def get(self, timeout=None):
        return "value", timeout

    def ready(self):
        return self.is_ready


@pytest.mark.parametrize(
    ("future", "kind"),
    [(concurrent.futures.Future(), Standard), (Plain(), Handle), (Asynchronous(), Getting)],
    ids=["standard", "plain", "asynchronous"],
)
def test_what_can_be_asked_is_known_by_its_class_or_methods(future, kind):
    assert type(future_handles.handle_of(future)) is kind


@pytest.mark.parametrize("value", [1, "text", {"a": 1}, None, object()])
def test_what_is_no_future_is_refused(value):
    with pytest.raises(TypeError, match="is no future: it has no result"):
        future_handles.handle_of(value)


def test_what_must_be_awaited_is_refused_and_the_way_is_named():
    async def work(): ...

    coroutine = work()
    try:
        with pytest.raises(TypeError, match="await it, or use `await autotb.collect_async"):
            future_handles.handle_of(coroutine)
    finally:
        coroutine.close()


def test_an_adapter_that_knows_it_comes_first():
    mine = Getting("mine")
    engine_facts.register(handles=(lambda future: mine if type(future) is Plain else None,))

    assert future_handles.handle_of(Plain()) is mine


def test_a_handle_is_found_once_for_each_class():
    found = []
    engine_facts.register(handles=(lambda future: found.append(1),))
    for _ in range(3):
        future_handles.handle_of(Asynchronous())

    assert found == [1]


def test_a_handle_may_refuse_one_future_of_its_class():
    class Refuses(Handle):
        def check(self, future):
            raise TypeError("not from here")

    engine_facts.register(handles=(lambda future: Refuses(),))
    for _ in range(2):
        with pytest.raises(TypeError, match="not from here"):
            future_handles.handle_of(Asynchronous())


@pytest.mark.parametrize(
    ("future", "timeouts"), [(Plain(), [None, 3]), (Asynchronous(), [None, 3])], ids=["plain", "asynchronous"]
)
def test_the_wait_is_handed_on(future, timeouts):
    handle = future_handles.handle_of(future)

    assert [handle.result(future, timeout)[1] for timeout in timeouts] == timeouts


def test_one_that_does_not_say_whether_it_is_done_is_asked():
    assert Handle().is_done(Plain())
    assert not Getting().is_done(Asynchronous(ready=False))
    assert Getting().is_done(SimpleNamespace())


def test_an_expired_wait_is_told_from_a_task_that_raised_it():
    waiting, failed, error = concurrent.futures.Future(), concurrent.futures.Future(), TimeoutError()
    failed.set_exception(error)

    assert Standard().is_expiry(waiting, TimeoutError())
    assert not Standard().is_expiry(failed, error)
    assert not Standard().is_expiry(waiting, ValueError())
    assert Getting().is_expiry(Asynchronous(ready=False), TimeoutError())
    assert not Getting().is_expiry(Asynchronous(ready=True), TimeoutError())


def test_who_can_tells_when_it_is_done():
    future, told = concurrent.futures.Future(), []
    assert Standard().when_done(future, told.append)
    future.set_result(1)

    assert told == [future]
    assert not Handle().when_done(future, told.append)


class Executor:
    def __init__(self, error=None):
        self.error, self.calls = error, []

    def submit(self, function, *args, **kwargs):
        if self.error is not None:
            raise self.error
        self.calls.append((function, args, kwargs))
        return concurrent.futures.Future()


@pytest.fixture
def executor(monkeypatch):
    """The pool of every future; ``None`` is one that is gone."""
    found = [Executor()]
    monkeypatch.setattr(future_handles, "_executor", lambda site: found[0])
    return found


def failed(**fields):
    future = concurrent.futures.Future()
    future.set_exception(ValueError())
    given = {"_autotb_site": "the site", "_autotb_call": (len, ("a",), {}), **fields}
    future.__dict__.update({name: value for name, value in given.items() if value is not None})
    return future


def test_the_same_call_is_submitted_anew_and_keeps_its_place(executor):
    future = failed(_autotb_given=())
    anew = Standard().resubmit(future)

    assert executor[0].calls == [(len, ("a",), {})]
    assert (anew._autotb_site, anew._autotb_given) == ("the site", ())


@pytest.mark.parametrize(
    ("future", "why"),
    [
        (failed(_autotb_site=None), future_handles._UNSEEN),
        (failed(_autotb_call=None), future_handles._NOT_KEPT),
        (concurrent.futures.Future(), future_handles._UNSEEN),
        (
            failed(_autotb_call=(len, ([1],), {}), _autotb_given=call_snapshot.of_values((len, [2]))),
            "its argument 1, of type list, has changed since it was given",
        ),
    ],
    ids=["unseen", "not kept", "bare", "changed"],
)
def test_what_cannot_be_the_same_call_is_not_submitted(executor, future, why):
    assert Standard().resubmit_obstacle(future) == why
    with pytest.raises(ResubmitError) as caught:
        Standard().resubmit(future)
    assert str(caught.value) == why
    assert executor[0].calls == []


def test_a_pool_that_is_gone_takes_nothing(executor):
    executor[0] = None

    assert Standard().resubmit_obstacle(failed()) == "its pool is gone"


def test_a_pool_that_was_shut_down_says_so(executor):
    executor[0] = Executor(RuntimeError("cannot schedule new futures after shutdown"))

    with pytest.raises(ResubmitError, match="its pool takes no more work .cannot schedule"):
        Standard().resubmit(failed())


def test_a_future_that_still_runs_has_no_obstacle_so_far(executor):
    future = concurrent.futures.Future()
    future._autotb_site = "the site"

    assert Standard().resubmit_obstacle(future) == ""


def test_fields_that_are_no_dict_are_none():
    class Fields:
        def __dict__(self): ...

    assert future_handles._fields(Fields()) == {}


def error(call):
    found = ValueError()
    found.__dict__[KEY] = {"v": VERSION, "hops": [{}, {"call": call}]}
    return found


class Labelled(Handle):
    def label(self, future):
        return future


@pytest.mark.parametrize(
    ("handle", "future", "failure", "label"),
    [
        (Labelled(), "the engine's", error("score(1)"), "the engine's"),
        (Labelled(), "", error("score(1)"), "score"),
        (Labelled(), "", ValueError(), "task"),
        (Labelled(), "", None, "task"),
        (SimpleNamespace(), "", error("score(1)"), "score"),  # it fails
    ],
)
def test_a_task_is_named_by_its_engine_or_by_the_function_that_failed(handle, future, failure, label):
    assert future_handles.label_of(future, handle, failure) == label


def test_only_adapters_of_an_engine_are_loaded_for_a_class(monkeypatch):
    from autotb import _triggers

    loaded = []
    monkeypatch.setattr(
        _triggers,
        "TRIGGERS",
        {"engine.pool": ("autotb.engines.engine", "autotb.environments.x"), "other": ("autotb.engines.other",)},
    )
    monkeypatch.setattr(future_handles, "importlib", SimpleNamespace(import_module=loaded.append))
    future_handles._load_adapter(type("Future", (), {"__module__": "engine.futures"}))

    assert loaded == ["autotb.engines.engine"]


def test_one_of_which_nothing_else_is_known_says_why_it_is_not_run_again():
    assert Handle().resubmit_obstacle(Plain()) == future_handles._UNSEEN
    assert Getting("its engine forgets").resubmit_obstacle(Asynchronous()) == "its engine forgets"
    with pytest.raises(ResubmitError, match="its engine forgets"):
        Getting("its engine forgets").resubmit(Asynchronous())


def test_any_error_but_an_expiry_is_the_tasks():
    class Waits(Plain):
        def done(self):
            return False

    assert Handle().is_expiry(Waits(), TimeoutError())
    assert not Handle().is_expiry(Waits(), ValueError())
