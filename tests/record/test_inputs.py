"""The call of a failed task is kept in a file of its owner's alone, and never at the cost of the task."""

from __future__ import annotations

import functools
import itertools
import os
import pickle
import stat
import threading
from pathlib import Path

import pytest

from autotb import settings
from autotb.record import inputs


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    found = tmp_path / "kept"
    monkeypatch.setattr(settings, "value", lambda name: str(found) if name == "dir" else None)
    monkeypatch.setattr(inputs, "_numbers", itertools.count(1))
    monkeypatch.setattr(inputs, "_last", threading.local())
    return found


def work(x, y=0):
    return x + y


class Refuses:
    def __init__(self, kind):
        self.kind = kind

    def __reduce_ex__(self, protocol):
        raise self.kind


def test_a_call_is_read_back_as_it_was(folder):
    inputs.keep(work, (1,), {"y": 2})
    path = inputs.taken()
    about = pickle.loads(Path(path).read_bytes())

    assert os.path.dirname(path) == str(folder)
    assert about["format"] == inputs.FORMAT
    assert about["folder"] == os.getcwd()
    assert pickle.loads(about["call"]) == (work, (1,), {"y": 2})


def test_its_owner_alone_may_read_it(folder):
    inputs.keep(work, (1,), {})

    assert stat.S_IMODE(os.stat(inputs.taken()).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_the_file_is_named_once():
    inputs.keep(work, (1,), {})

    assert inputs.taken() is not None
    assert inputs.taken() is None


def test_the_file_of_the_failure_before_is_not_named_again(monkeypatch):
    inputs.keep(work, (1,), {})
    inputs.keep(work, iter([1]), {})

    assert inputs.taken() is None


def test_another_threads_file_is_not_this_ones():
    thread = threading.Thread(target=inputs.keep, args=(work, (1,), {}))
    thread.start()
    thread.join()

    assert inputs.taken() is None


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(iter([1]), {}), ((x for x in [1]), {}), ((1,), [("y", 2)])],
)
def test_an_iterable_of_the_users_is_not_used_up(folder, args, kwargs):
    inputs.keep(work, args, kwargs)

    assert not folder.exists()
    assert kwargs == {} or kwargs == [("y", 2)]


@pytest.mark.parametrize("kind", [TypeError, SystemExit, KeyboardInterrupt])
def test_what_cannot_be_pickled_is_not_kept_and_ends_nothing(folder, kind):
    inputs.keep(work, (Refuses(kind),), {})

    assert inputs.taken() is None


def test_a_flood_does_not_fill_the_disk(folder, monkeypatch):
    monkeypatch.setattr(inputs, "MOST", 3)
    for number in range(5):
        inputs.keep(work, (number,), None)

    assert len(list(folder.iterdir())) == 3


def test_a_folder_that_cannot_be_made_is_done_without(folder):
    folder.parent.joinpath("kept").write_text("a file")
    inputs.keep(work, (1,), {})

    assert inputs.taken() is None


def test_without_a_folder_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "value", lambda name: "")
    monkeypatch.chdir(tmp_path)
    inputs.keep(work, (1,), {})

    assert inputs.taken() is None
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("function", "name"),
    [(work, "work"), (functools.partial(work, 1), "partial"), (len, "builtin_function_or_method"), (lambda: 1, "_lambda_")],
)
def test_the_file_bears_the_functions_name(function, name):
    assert name in "".join(c if c.isalnum() else "_" for c in inputs._name(function))
