"""Snapshots by themselves: their names, their way through pickles and files, their root causes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import autotb
from autotb.flow import binding
from autotb.flow.packing import Opaque
from autotb.flow.snapshots import ArrayReference, ErrorInfo, ErrorSnapshot, ErrorStub, PropagatedErrorSnapshot, Reason
from autotb.record import safe_repr
from tests.render import pages


def divide(x, by=0, *more, note=None, **rest):
    return x / by


def failed(function=divide, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        return ErrorSnapshot.of_call(function, args, kwargs, error)
    raise AssertionError("it did not fail")


def test_what_notebooks_show_of_it_has_no_control_character():
    snapshot = failed(divide, 1, **{"\x1b[31m<b>\u202e": 0})
    handed_on = PropagatedErrorSnapshot({"\x1b]0;": ErrorInfo("full")}, divide, Reason.INPUT_IS_ERROR, {"\x1b]0;": snapshot})

    for text in (repr(snapshot), snapshot._repr_html_(), repr(handed_on), handed_on._repr_html_()):
        assert "\\x1b" in text
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<b>\\u202e" not in snapshot._repr_html_()
    pages.is_harmless(snapshot._repr_html_())


@pytest.mark.parametrize(
    ("args", "kwargs", "named"),
    [
        ((1,), {}, {"x": 1}),
        ((1, 0, 2, 3), {"note": "n", "z": 4}, {"x": 1, "by": 0, "more": (2, 3), "note": "n", "z": 4}),
        ((), {"x": 1, "by": 0}, {"x": 1, "by": 0}),
    ],
)
def test_arguments_by_name_and_back(args, kwargs, named):
    assert binding.bind(divide, args, kwargs) == named
    again, also = binding.unbind(divide, named)
    assert binding.bind(divide, again, also) == named


def test_functions_that_tell_no_names():
    snapshot = failed(int, "x", base=7)
    assert list(snapshot.kwargs.values())[0] == "x"
    with pytest.raises(ValueError, match="invalid literal"):
        snapshot.reproduce()

    def only(x, /, y):
        raise KeyError(x + y)

    with pytest.raises(KeyError, match="3"):
        failed(only, 1, y=2).reproduce()


@pytest.mark.behaviour("S2-8")
def test_what_a_snapshot_carries():
    snapshot = failed(divide, 3, 0)

    assert snapshot.function is divide
    assert snapshot.kwargs == {"x": 3, "by": 0}
    assert isinstance(snapshot.exception, ZeroDivisionError)
    assert snapshot.timestamp.endswith("+00:00")
    assert repr(snapshot) == "<ErrorSnapshot of divide(x=3, by=0): ZeroDivisionError: division by zero>"
    assert pages.Page(snapshot._repr_html_()).tags[:4] == ["style", "div", "details", "summary"]
    assert "ZeroDivisionError: division by zero" in pages.Page(snapshot._repr_html_()).text
    assert snapshot.get_root_causes() == [snapshot]


class Locked(Exception):
    def __init__(self, message, code):
        super().__init__(message)
        self.code, self.lock = code, threading.Lock()


def locks(x, resource):
    raise Locked("held", 7)


def test_a_snapshot_can_always_be_pickled(tmp_path):
    for snapshot in (failed(divide, 3), failed(locks, 1, resource=threading.Lock()), failed(lambda x: 1 / x, 0)):
        copy = pickle.loads(pickle.dumps(snapshot))
        assert str(copy.exception) == str(snapshot.exception)
        assert type(copy.exception) is type(snapshot.exception)
        assert list(copy.kwargs) == list(snapshot.kwargs)
        assert autotb.explain(copy.exception).frames[-1].name == autotb.explain(snapshot.exception).frames[-1].name
        copy.save_to_file(tmp_path / "new" / "error.bin")
        loaded = ErrorSnapshot.load_from_file(tmp_path / "new" / "error.bin")
        assert repr(loaded) == repr(copy)
    assert pickle.loads(pickle.dumps(failed(locks, 1, resource=None))).exception.code == 7


def test_what_a_snapshot_shows_can_be_printed_and_is_a_line():
    def fails(text):
        raise ValueError(text)

    odd, long = autotb.map(fails, ["half a pair \ud800, \x1b[31m red\nand more", "x" * 100_000], error_handling="continue")
    assert repr(odd).endswith(r"ValueError: half a pair \ud800, \x1b[31m red>")
    assert repr(odd).isprintable()
    assert len(repr(long)) < 1_000
    assert "more characters" in repr(long)


def test_what_could_not_travel_is_described_and_a_call_with_it_refused():
    copy = pickle.loads(pickle.dumps(failed(locks, 1, resource=threading.Lock())))

    assert isinstance(copy.kwargs["resource"], Opaque)
    with pytest.raises(RuntimeError, match="resource is <.*lock.*not available here"):
        copy.reproduce()
    again = pickle.loads(pickle.dumps(copy))
    assert repr(again.kwargs["resource"]) == repr(copy.kwargs["resource"])


def test_a_function_that_this_process_lacks_stays_what_it_is(tmp_path):
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import sys
            from autotb.flow.snapshots import ErrorSnapshot

            def fails(x):
                raise KeyError(x)

            try:
                fails(3)
            except KeyError as error:
                ErrorSnapshot.of_call(fails, (3,), {}, error).save_to_file(sys.argv[1])
            """
        )
    )
    path = tmp_path / "error.bin"
    subprocess.run([sys.executable, str(tmp_path / "main.py"), str(path)], check=True, timeout=60, stdin=subprocess.DEVNULL)
    snapshot = ErrorSnapshot.load_from_file(path)

    assert isinstance(snapshot.function, Opaque)
    assert snapshot.kwargs == {"x": 3}
    assert repr(snapshot) == "<ErrorSnapshot of fails(x=3): KeyError: 3>"
    assert [frame.name for frame in autotb.explain(snapshot.exception).frames][-1] == "fails"
    with pytest.raises(RuntimeError, match="the call cannot be made again here: function is"):
        snapshot.reproduce()


@pytest.mark.parametrize("damage", [b"", b"something else", "short", "flipped"])
def test_a_torn_or_foreign_file_is_a_clear_error(tmp_path, damage):
    path = tmp_path / "error.bin"
    failed().save_to_file(path) if False else failed(divide, 1).save_to_file(path)
    content = path.read_bytes()
    path.write_bytes({"short": content[:-3], "flipped": content[:-1] + bytes([content[-1] ^ 1])}.get(damage, damage))
    with pytest.raises(ValueError, match="is no error snapshot of autotb|is torn"):
        ErrorSnapshot.load_from_file(path)


def test_an_older_pickle_gets_the_defaults_of_newer_fields():
    snapshot = ErrorSnapshot.__new__(ErrorSnapshot)
    snapshot.__setstate__({"function": divide, "kwargs": {"x": 1}, "exception": ValueError("old")})
    assert (snapshot.function, snapshot.kwargs, str(snapshot.exception)) == (divide, {"x": 1}, "old")

    propagated = PropagatedErrorSnapshot.__new__(PropagatedErrorSnapshot)
    propagated.__setstate__(
        {"error_info": {"x": ErrorInfo("full")}, "skipped_function": divide, "reason": "input_is_error", "attempted_kwargs": {}}
    )
    assert (propagated.source_output_name, propagated.error_indices, propagated.run_folder) == (None, None, None)
    assert propagated.get_root_causes() == []


@pytest.mark.behaviour("S2-13")
def test_files_that_were_written_before_there_were_these_fields():
    """Pickles whose states have the fields that a snapshot cannot be without, and no others."""
    folder = Path(__file__).parent / "data"
    error = pickle.loads((folder / "error_without_optional_fields.pickle").read_bytes())
    assert (error.kwargs, error.timestamp, len(error.id)) == ({"a": 1, "b": 0}, "", 32)
    with pytest.raises(ZeroDivisionError):
        error.reproduce()
    propagated = pickle.loads((folder / "propagated_without_optional_fields.pickle").read_bytes())
    assert (propagated.source_output_name, propagated.error_indices, propagated.run_folder) == (None, None, None)
    assert [root.kwargs for root in propagated.get_root_causes()] == [{"a": 1, "b": 0}]


def test_a_reason_is_one_of_two_strings():
    assert Reason("input_is_error") == "input_is_error"
    assert f"{Reason.ARRAY_CONTAINS_ERRORS}" == str(Reason.ARRAY_CONTAINS_ERRORS) == "array_contains_errors"
    assert {reason.value for reason in Reason} == {"input_is_error", "array_contains_errors"}
    with pytest.raises(ValueError, match="another"):
        propagated(failed(divide, 1), reason="another")


def propagated(value, reason=Reason.INPUT_IS_ERROR):
    return PropagatedErrorSnapshot({"x": ErrorInfo("full")}, divide, reason, {"x": value})


def test_the_fields_of_a_propagated_error():
    first = failed(divide, 1)
    error = propagated(first)

    assert not isinstance(error, ErrorSnapshot)
    assert (error.error_info, error.skipped_function, error.reason) == ({"x": ErrorInfo("full")}, divide, "input_is_error")
    assert (error.attempted_kwargs, error.source_output_name, error.error_indices) == ({"x": first}, None, None)
    assert error.run_folder is None
    assert error.timestamp.endswith("+00:00")
    assert repr(error) == "<PropagatedErrorSnapshot: divide was not called, input_is_error: x is an error>"
    assert "ZeroDivisionError" in error._repr_html_()


def test_root_causes_through_many_steps_and_each_once():
    first = failed(divide, 1)
    error = propagated(first)
    for _ in range(5_000):
        error = propagated(error)
    assert error.get_root_causes() == [first]

    both = PropagatedErrorSnapshot(
        {"a": ErrorInfo("full"), "b": ErrorInfo("full")}, divide, "input_is_error", {"a": propagated(first), "b": error}
    )
    assert both.get_root_causes() == [first]


class Memory:
    def __init__(self, values):
        self.values, self.asked = values, []

    def read(self, indices):
        self.asked.append(indices)
        return [self.values[at] for at in indices[0]]


def test_the_errors_of_an_array_are_read_when_asked_for_and_only_they():
    first, second = failed(divide, 1), failed(divide, 2)
    sizes = []
    for length in (100, 100_000):
        source = Memory([0] * length)
        source.values[3], source.values[7] = first, propagated(second)
        error = PropagatedErrorSnapshot(
            {"values": ErrorInfo("partial", ((3, 7),), 2)}, sum, "array_contains_errors", {}, error_indices=((3, 7),)
        )
        error.sources["values"] = source
        assert source.asked == []
        assert error.get_root_causes() == [first, second]
        assert source.asked == [((3, 7),)]
        copy = pickle.loads(pickle.dumps(error))
        assert [repr(root) for root in copy.get_root_causes()] == [repr(first), repr(second)]
        sizes.append(len(pickle.dumps(error)))
    assert sizes[1] == sizes[0]


def test_a_stub_is_one_boolean_that_cannot_be_changed():
    stub = ErrorStub(propagated=True)
    assert vars(stub) == {"propagated": True}
    with pytest.raises(AttributeError):
        stub.propagated = False
    assert len(pickle.dumps(stub)) < 200


@pytest.mark.parametrize("parts", [((1,), ValueError("x")), (ValueError("x"), {"x": 1}), ({"x": 1}, "x")])
def test_a_snapshot_of_anything_else_is_refused_at_once(parts):
    with pytest.raises(TypeError, match="the arguments as a dict, and an exception; not "):
        ErrorSnapshot(divide, *parts)


def test_as_arguments_of_a_call_errors_are_told_in_short():
    found = ErrorSnapshot(divide, {"x": 1}, ValueError("of old"))
    skipped = PropagatedErrorSnapshot({}, divide, Reason.INPUT_IS_ERROR, {})

    assert safe_repr.brief([found]) == "[<ErrorSnapshot of ValueError: of old>]"
    assert safe_repr.brief(skipped) == "<PropagatedErrorSnapshot: divide was not called, input_is_error: >"
    assert safe_repr.brief(ArrayReference("of f", (3,))) == "<array of f, shape (3,)>"
