"""What went wrong inside autotb is one line on stderr for each cause, and never the program's error."""

from __future__ import annotations

import sys

import pytest

from autotb import runtime


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(runtime, "problems", [])
    monkeypatch.setattr(runtime, "told", set())
    monkeypatch.setattr(runtime, "displaced", None)


def test_a_problem_is_one_line(capsys):
    runtime.report("loading an adapter", ValueError("no"))

    assert capsys.readouterr().err == "autotb: loading an adapter failed (ValueError: no); Python goes on without it\n"


@pytest.mark.parametrize(
    ("errors", "lines"),
    [
        ([ValueError("no"), ValueError("no")], 1),
        ([ValueError("no"), ValueError("other")], 2),
        ([ImportError("a", name="autotb.a"), ImportError("b", name="autotb.b")], 1),  # files of ours are missing
        ([AttributeError("module 'autotb.a' has no b"), OSError(2, "gone", runtime.FOLDER + "c.py")], 1),
        ([OSError(24, "too many", "one"), OSError(23, "too many", "two")], 1),  # no descriptor is left
        ([OSError(2, "gone", "/one"), OSError(2, "gone", "/two")], 2),
    ],
)
def test_each_cause_is_one_line_and_each_problem_is_kept(capsys, errors, lines):
    for error in errors:
        runtime.report("it", error)

    assert capsys.readouterr().err.count("\n") == lines
    assert len(runtime.problems) == len(errors)


def test_what_cannot_be_printed_is_escaped(capsys):
    runtime.report("it", ValueError("a\nb\x1b[31m\ud800"))

    told = capsys.readouterr().err
    assert "(ValueError: a\\nb\\x1b[31m\\ud800)" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("stream", [None, object()], ids=["none", "no stream"])
def test_without_a_stderr_nothing_is_raised(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)

    runtime.report("it", ValueError("no"))

    assert runtime.problems == ["it: ValueError: no"]


def test_an_error_that_cannot_be_shown_is_not_raised(capsys):
    class Bad(Exception):
        def __str__(self):
            raise RuntimeError

    runtime.report("it", Bad())

    assert capsys.readouterr().err == ""


def test_the_hook_behind_ours_is_pythons_unless_another_was_displaced():
    assert runtime.pythons() is sys.__excepthook__
    runtime.displace(print)
    assert runtime.pythons() is print
    runtime.displace(sys.__excepthook__)
    assert runtime.displaced is None
