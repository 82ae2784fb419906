"""An error in one line."""

from __future__ import annotations

import pytest

from autotb.record import one_line


def raised(error):
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyError("id"), "KeyError: 'id', at "),
        (ValueError(), "ValueError, at "),
        (ValueError("one\ntwo.\n\nmore"), "ValueError: one two, at "),
    ],
)
def test_type_message_and_place(error, expected):
    line = one_line.of(raised(error))

    assert line.startswith(expected + __file__)
    assert line.endswith(" in raised")


def test_of_an_error_that_was_not_raised_no_place_is_said():
    assert one_line.of(ValueError("x" * 1000)).startswith("ValueError: xxx")
    assert " at " not in one_line.of(ValueError("x" * 1000))
    assert len(one_line.of(ValueError("x" * 1000))) < 300
