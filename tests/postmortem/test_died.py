"""``WorkerDied`` says who died of what at which task, and survives pickling."""

from __future__ import annotations

import multiprocessing
import pickle

import pytest

import autotb


@pytest.mark.parametrize(
    ("args", "message", "signal"),
    [
        ((5, -9, "work(1)"), "worker process 5 died while it ran work(1): killed by signal 9 (SIGKILL)", 9),
        ((5, 3), "worker process 5 died: exit status 3", None),
        ((5, None), "worker process 5 died: gone, its exit status is not known", None),
        ((5, -9, "", ", out of memory"), "worker process 5 died: killed by signal 9 (SIGKILL), out of memory", 9),
    ],
)
def test_what_it_says(args, message, signal):
    error = autotb.WorkerDied(*args)

    assert (str(error), error.signal, error.pid, error.exitcode) == (message, signal, args[0], args[1])


def test_it_is_caught_as_an_error_of_multiprocessings():
    assert issubclass(autotb.WorkerDied, multiprocessing.ProcessError)


def test_it_survives_pickling_with_what_was_put_on_it():
    error = autotb.WorkerDied(5, -9, "work(1)", ", why")
    error.more = 1
    found = pickle.loads(pickle.dumps(error))

    assert (type(found), str(found), found.task, found.signal, found.more) == (autotb.WorkerDied, str(error), "work(1)", 9, 1)


def test_pickles_name_it_by_its_public_name():
    assert b"autotb.postmortem" not in pickle.dumps(autotb.WorkerDied(5, -9))
