"""Values on their way: each by itself, and one that cannot be had says why."""

from __future__ import annotations

import pickle
import sys
import threading
from types import ModuleType

import pytest

from autotb.flow import packing
from autotb.flow.packing import Opaque
from autotb.record import capture


class Stubborn:
    def __reduce__(self):
        raise SystemExit(3)


class Changed:
    """Cannot be unpickled."""

    def __reduce__(self):
        return broken, ()


def broken():
    raise ValueError("another version")


def local():
    return lambda x: x + 1


@pytest.fixture
def main(monkeypatch):
    """A main script."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def test_a_value_comes_back():
    assert packing.unpack(packing.pack({"a": [1, 2]})) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("value", "why"), [(threading.Lock(), "TypeError: cannot pickle '_thread.lock' object"), (Stubborn(), "SystemExit: 3")]
)
def test_what_cannot_be_pickled_is_described(value, why):
    text, data, told = packing.pack(value)

    assert (data, told) == (None, why)
    assert repr(packing.unpack((text, data, told))) == f"<{text}, not available here: {why}>"


def test_what_cannot_be_unpickled_keeps_its_pickle():
    opaque = packing.unpack(packing.pack(Changed()))

    assert (type(opaque), opaque.why) == (Opaque, "ValueError: another version")
    assert pickle.loads(pickle.dumps(opaque)).data == opaque.data


def test_what_was_opaque_here_is_sent_on_as_it_came():
    opaque = Opaque("a thing", b"its pickle", "not here")

    assert packing.pack(opaque) == ("a thing", b"its pickle", "not here")


def test_what_has_no_name_goes_by_cloudpickle():
    assert pickle.loads(packing.dumps(local()))(1) == 2


def test_without_cloudpickle_it_cannot_be_had(monkeypatch):
    monkeypatch.setattr(packing.importlib.util, "find_spec", lambda _: None)

    with pytest.raises((AttributeError, pickle.PicklingError)):
        packing.dumps(local())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("x"), "ValueError: x"),
        (ValueError(), "ValueError"),
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\ud800\x1b"), "ValueError: \\ud800\\x1b"),
    ],
)
def test_the_headline_is_one_line_that_can_be_printed(error, line):
    assert packing.headline(error) == line


def test_an_exception_that_is_packed_keeps_its_own_record():
    error = ValueError("x")
    error.__dict__[capture.KEY] = {"v": 1}
    packing.pack_exception(error, {"v": 1, "type": "ValueError"})

    assert error.__dict__[capture.KEY] == {"v": 1}


def test_an_exception_that_cannot_be_pickled_is_its_headline():
    text, data, why = packing.pack_exception(ValueError(threading.Lock()), None)

    assert (text.startswith("ValueError: <unlocked"), data, why) == (True, None, "TypeError: cannot pickle '_thread.lock' object")


def test_a_function_of_the_script_that_a_worker_imported_under_another_name_is_the_mains(main):
    exec("def score(x): return x", namespace := {"__name__": "__mp_main__"})
    main.score = score = lambda x: -x

    assert pickle.loads(packing.dumps(namespace["score"])) is score


def test_a_class_within_a_class_of_the_script_is_found(main):
    exec("class A:\n    class B: pass", namespace := {"__name__": "__mp_main__"})
    main.A = namespace["A"]

    assert pickle.loads(packing.dumps(namespace["A"].B)) is namespace["A"].B


def test_of_main_says_what_is_missing(main):
    with pytest.raises(AttributeError):
        packing.of_main("nothing")


class TestBare:
    """A function that is sent by value goes without the snapshot that hangs on it."""

    def test_one_without_a_snapshot_is_itself(self):
        function = local()

        assert packing.bare(function) is function

    def test_one_that_goes_by_its_name_is_itself(self, monkeypatch):
        monkeypatch.setattr(broken, "error_snapshot", 1, raising=False)

        assert packing.bare(broken) is broken

    def test_a_copy_is_the_same_but_for_it(self):
        def outer(y):
            def inner(x: int, *, z=3) -> int:
                """Doc."""
                return x + y + z

            return inner

        function = outer(10)
        function.error_snapshot, function.mine = "large", 1
        copy = packing.bare(function)

        assert copy is not function
        assert (copy(1), copy.__doc__, copy.__qualname__, copy.__annotations__) == (
            14,
            function.__doc__,
            function.__qualname__,
            function.__annotations__,
        )
        assert copy.__dict__ == {"mine": 1}
