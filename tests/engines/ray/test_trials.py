"""Trials of Ray Tune: `tune.run`'s error is told as those of its trials, which it wrote to files; real ones are in ``test_returned``."""

from __future__ import annotations

import pickle

import pytest

from autotb.engines.ray import trials


class Trial:
    def __init__(self, path):
        self.pickled_error_file = path


@pytest.fixture
def failed(tmp_path):
    """Trials that failed of the given errors."""

    def make(*errors):
        made = []
        for number, error in enumerate(errors):
            path = tmp_path / f"{number}.pkl"
            path.write_bytes(pickle.dumps(error))
            made.append(Trial(str(path)))
        return made

    return make


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def test_the_trials_errors_are_the_roots_and_stay_the_same_objects(failed):
    error = Exception("Trials did not complete", failed(ValueError(1), KeyError(2)))
    opened = trials.opened(error)

    assert [repr(root) for root in opened.roots] == ["ValueError(1)", "KeyError(2)"]
    assert opened.broken == ()
    assert trials.opened(error).roots[0] is opened.roots[0]


def test_those_that_cannot_be_read_are_counted(failed):
    lost = [*failed(ValueError(1), Unreadable(), "no error"), Trial(None), Trial("/no/such/file"), object()]
    opened = trials.opened(Exception("Trials did not complete", lost))

    assert [repr(root) for root in opened.roots] == ["ValueError(1)"]
    assert opened.broken == ("5 more of the trials did not complete",)


@pytest.mark.parametrize("args", [(), ("No trainable specified!",), ("Trials did not complete", []), ("a", "b"), ("a", [1], 2)])
def test_what_names_no_trial_is_as_it_is(args):
    assert trials.opened(Exception(*args)) is None
