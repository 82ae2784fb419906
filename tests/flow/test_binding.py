"""A call's arguments by the names of the function's parameters, and back."""

from __future__ import annotations

import functools

import pytest

from autotb.flow import binding
from autotb.flow.binding import Names


def plain(x, by=0, *more, note=None, **rest):
    pass


def positional(x, /, y):
    pass


def needs(x, *, key):
    pass


class Touchy:
    """Answers to any name with an error."""

    def __call__(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        raise RuntimeError(name)


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "named"),
    [
        (plain, (1,), {}, {"x": 1}),
        (plain, (1, 0, 2, 3), {"note": "n", "z": 4}, {"x": 1, "by": 0, "more": (2, 3), "note": "n", "z": 4}),
        (plain, (), {"x": 1, "by": 0}, {"x": 1, "by": 0}),
        (positional, (1,), {"y": 2}, {"x": 1, "y": 2}),
        (functools.partial(plain, 7), (1,), {}, {"by": 1}),
        pytest.param(Touchy(), (1, 2), {"k": 3}, {"arg0": 1, "arg1": 2, "k": 3}, id="touchy"),
        (type, (1,), {}, {"arg0": 1}),  # a built-in that tells no names
        (positional, (), {"z": 1}, {"z": 1}),  # a call that is wrong, and has failed of that
        (positional, (1, 2, 3), {}, {"arg0": 1, "arg1": 2, "arg2": 3}),
        (positional, (1, 2), {}, {"x": 1, "y": 2}),
        (plain, (1, 2), {}, {"x": 1, "by": 2}),
        (needs, (1,), {}, {"x": 1}),  # its resources may come later
        (needs, (1,), {"key": 2}, {"x": 1, "key": 2}),
    ],
)
def test_arguments_by_name_and_back(function, args, kwargs, named):
    assert binding.bind(function, args, kwargs) == named
    again, also = binding.unbind(function, named)
    assert binding.bind(function, again, also) == named


def test_what_is_positional_only_goes_back_by_position():
    assert binding.unbind(positional, {"x": 1, "y": 2}) == ((1,), {"y": 2})


def test_before_values_of_args_stand_those_of_all_parameters_before_it():
    assert binding.unbind(plain, {"x": 1, "by": 0, "more": (2,)}) == ((1, 0, 2), {})


def test_args_may_be_spread_over_names_of_their_own():
    assert Names(plain).bind((1, 0, "a", "b"), {}, spread=True) == {"x": 1, "by": 0, "more[0]": "a", "more[1]": "b"}


@pytest.mark.parametrize(
    ("count", "keywords", "says"),
    [(0, (), "missing a required argument: 'x'"), (3, (), "too many positional"), (2, ("z",), "unexpected keyword argument 'z'")],
)
def test_a_call_that_does_not_fit_is_refused_under_the_steps_name(count, keywords, says):
    with pytest.raises(TypeError, match=f"load: .*{says}"):
        Names(positional).check("load", count, keywords)


def test_what_has_to_be_given_by_name_is_missed():
    with pytest.raises(TypeError, match="load: missing a required.* argument: 'key'"):
        Names(needs).check("load", 1, ())


def test_what_tells_no_names_may_be_called_anyhow():
    Names(type).check("load", 9, ("z",))


def test_a_function_is_looked_at_once(monkeypatch):
    looked, original = [], binding._looked_up
    monkeypatch.setattr(binding, "_looked_up", lambda function: looked.append(function) or original(function))

    def asked():
        pass

    Names(asked)
    Names(asked)

    assert looked == [asked]
