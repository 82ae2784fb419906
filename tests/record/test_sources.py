"""Lines of source are had of what Python has read or could have run, never of devices, pipes or files without end."""

from __future__ import annotations

import linecache
import os
import sys
from types import ModuleType

import pytest

from autotb.record import sources


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(linecache, "cache", {})


def written(path, text="1 / 0\n"):
    path.write_text(text)
    return str(path)


def test_a_file_that_runs_here_needs_no_ending(tmp_path):
    assert sources.lines(written(tmp_path / "script")) == ["1 / 0\n"]


@pytest.mark.parametrize("name", ["a.py", "a.PY", "a.pyw", "a.pyx", "a.pxi"])
def test_a_file_that_is_named_elsewhere_is_read_where_it_is_python(tmp_path, name):
    assert sources.lines_from_elsewhere(written(tmp_path / name)) == ["1 / 0\n"]


@pytest.mark.parametrize("name", ["passwd", "key.pem", "a.py.txt"])
def test_a_file_that_is_named_elsewhere_and_no_python_is_not_read(tmp_path, name):
    assert sources.lines_from_elsewhere(written(tmp_path / name, "secret\n")) == []


@pytest.mark.parametrize(
    ("first", "is_read"),
    [
        ("#!/usr/bin/env python3\n", True),
        ("#! /opt/python\n", True),
        ("#!/bin/sh\n", False),
        ("# python\n", False),
        ("#!/bin/sh\npython\n", False),
    ],
)
def test_a_script_says_so_in_its_first_line(tmp_path, first, is_read):
    assert bool(sources.lines_from_elsewhere(written(tmp_path / "tool", first))) is is_read


def test_the_program_that_runs_is_a_script_whatever_its_name(tmp_path, monkeypatch):
    main = ModuleType("__main__")
    main.__file__ = written(tmp_path / "tool")
    monkeypatch.setitem(sys.modules, "__main__", main)

    assert sources.lines_from_elsewhere(main.__file__) == ["1 / 0\n"]


def test_what_is_known_already_is_given_whatever_its_name():
    linecache.cache["<input>"] = (3, None, ["1 / 0\n"], "<input>")

    assert sources.lines_from_elsewhere("<input>") == ["1 / 0\n"]


def test_what_would_only_be_asked_for_is_not_known():
    """An entry of one part: linecache asks it where there is no such file."""
    linecache.cache["/etc/shadow-like"] = (lambda: "secret",)

    assert sources.lines_from_elsewhere("/etc/shadow-like") == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_not_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo.py")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    assert sources.lines(str(tmp_path / "fifo.py")) == []
    assert sources.lines("fifo.py") == []


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_SOURCE", 5)

    assert sources.lines(written(tmp_path / "a.py")) == []


def test_a_loader_may_know_what_is_no_file():
    class Loader:
        def get_source(self, name):
            return f"# {name}\n"

    assert sources.lines("/in.zip/a.py", {"__name__": "a", "__loader__": Loader()}) == ["# a\n"]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_loader_that_fails_is_none(kind):
    class Loader:
        def get_source(self, name):
            raise kind

    assert sources.lines("/in.zip/a.py", {"__name__": "a", "__loader__": Loader()}) == []


@pytest.mark.parametrize("path", ["a\0b.py", "", "/no/such.py", "/"])
def test_what_is_no_path_has_no_lines(path):
    assert sources.lines(path) == []


def test_what_stands_in_place_of_lines_is_none():
    linecache.cache["a.py"] = (3, None, "text", "a.py")

    assert sources.lines("a.py") == []


def test_a_file_is_called_as_its_environment_calls_it(monkeypatch):
    monkeypatch.setattr(sources, "namers", [lambda path: "Cell In[3]" if path == "/tmp/cell.py" else ""])

    assert [sources.called(path) for path in ("/tmp/cell.py", "/job.py")] == ["Cell In[3]", "/job.py"]
