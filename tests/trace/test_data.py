"""Frozen data: what dataclasses would give, without what they cost."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from autotb.trace.data import Data, replace


class Place(Data):
    path: str
    line: int = 0

    @property
    def told(self) -> str:
        return f"{self.path}:{self.line}"


class Frame(Place):
    name: str = "?"
    line: int = 1


@dataclasses.dataclass(frozen=True)
class Standard:
    path: str
    line: int = 0
    name: str = "?"


def test_fields_are_given_by_position_and_by_name_and_have_defaults() -> None:
    assert vars(Frame("a.py", name="f")) == {"path": "a.py", "line": 1, "name": "f"}
    assert vars(Place("a.py", 3)) == {"path": "a.py", "line": 3}
    assert Place("a.py", 3).told == "a.py:3"
    assert Frame._names == ("path", "name", "line")


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("a", 1, "f", 2), {}), (("a",), {"path": "b"}), (("a",), {"colour": 1}), ((), {"line": 1})]
)
def test_what_a_dataclass_refuses_is_refused_and_the_fields_are_named(
    values: tuple[object, ...], named: dict[str, object]
) -> None:
    with pytest.raises(TypeError):
        Standard(*values, **named)
    with pytest.raises(TypeError, match="Frame has the fields path, name, line"):
        Frame(*values, **named)


def test_it_is_frozen() -> None:
    place = Place("a.py")
    with pytest.raises(AttributeError, match="Place is frozen: line"):
        place.line = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Place is frozen: path"):
        del place.path


def test_it_is_equal_by_value_and_class_and_has_a_hash() -> None:
    assert Place("a.py", 1) == Place("a.py", 1) != Place("a.py", 2)
    assert Place("a.py", 1) != Frame("a.py", line=1) != "a.py"
    assert len({Place("a.py"), Place("a.py"), Place("b.py")}) == 2


def test_it_is_written_as_it_could_be_made() -> None:
    assert repr(Frame("a.py", line=1)) == "Frame(path='a.py')"
    assert repr(Place("a.py", 3)) == "Place(path='a.py', line=3)"


def test_it_is_copied_replaced_and_pickled() -> None:
    frame = Frame("a.py", "f", 3)
    assert replace(frame, name="g") == Frame("a.py", "g", 3)
    assert frame == copy.copy(frame) == copy.deepcopy(frame) == pickle.loads(pickle.dumps(frame))
    with pytest.raises(TypeError, match="colour"):
        replace(frame, colour=1)
