"""The demos are read from the adapters, none of which is imported; one whose package is missing says so."""

from __future__ import annotations

import argparse

import pytest

from autotb.cli import demo


@pytest.mark.parametrize(
    ("script", "missing"),
    [
        ("import os, json", None),
        ("from os import path", None),
        ("import os\nimport nothing_there.deep", "nothing_there"),
        ("from nothing_there.deep import x", "nothing_there"),
        ("def f():\n    import nothing_there", "nothing_there"),
        ("from . import x", None),
        ("from concurrent.futures import ThreadPoolExecutor", None),
        ("from concurrent import nothing_there", None),
    ],
)
def test_the_first_package_that_is_not_here(script, missing):
    assert demo._missing(script) == missing


def test_what_python_3_14_brought_is_called_so(monkeypatch):
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None if "interpreters" in name else name)

    assert demo._missing("from concurrent import interpreters") == "Python 3.14"


@pytest.mark.parametrize(("script", "doc"), [('"""One.\n\nTwo."""', "One."), ("1", "")])
def test_a_demo_is_described_by_its_first_line(script, doc):
    assert demo._doc(script) == doc


@pytest.mark.parametrize("name", demo.demos())
def test_every_demo_says_what_it_is(name):
    assert demo._doc(demo.demos()[name])


def run(engine):
    return demo.command(argparse.Namespace(engine=engine))


def test_the_list_tells_which_are_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(demo, "demos", lambda: {"here": '"""One."""', "gone": '"""Two."""\nimport nothing_there'})

    assert run("list") == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["here             One.", "gone             Two.  (not installed)"]


def test_one_that_needs_what_is_not_here_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(demo, "demos", lambda: {"gone": "import nothing_there"})

    assert run("gone") == 2
    assert capsys.readouterr().err == "autotb demo: gone needs nothing_there, which is not here\n"


def test_an_engine_that_is_not_known_is_told_with_those_that_there_are(capsys):
    assert run("x") == 2
    assert "no engine 'x'; there are anyio, asyncio, celery, dask," in capsys.readouterr().err


@pytest.mark.parametrize(("statuses", "status"), [([1, 1], 0), ([0, 1], 1), ([1, 0], 1)])
def test_a_job_that_does_not_fail_is_no_demo(monkeypatch, capsys, statuses, status):
    monkeypatch.setattr(demo, "_run", lambda *_: statuses.pop(0))

    assert demo._show("1 / 0") == status
    assert capsys.readouterr().out.index("Python shows it so:") >= 0
