"""The nearest pyproject.toml, upward from the main script's folder."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from autotb import project


@pytest.fixture
def main(monkeypatch, tmp_path):
    """Makes a ``__main__``; the current folder is another one, ``here``."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def make(**names):
        module = ModuleType("__main__")
        module.__dict__.update(names)
        monkeypatch.setitem(sys.modules, "__main__", module)

    make()
    return make


def made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").touch()
    return str(folder / "pyproject.toml")


def test_it_is_looked_for_upward_from_the_script(main, tmp_path):
    made(tmp_path / "here")
    expected = made(tmp_path / "project")
    main(__file__=str(tmp_path / "project" / "src" / "deep" / "main.py"), __spec__=None)

    assert project.project_file() == expected


def test_the_nearest_one_counts(main, tmp_path):
    made(tmp_path / "project")
    expected = made(tmp_path / "project" / "src")
    main(__file__=str(tmp_path / "project" / "src" / "main.py"))

    assert project.project_file() == expected


@pytest.mark.parametrize(
    "names",
    [{}, {"__file__": None}, {"__file__": ""}, {"__file__": 5}, {"__file__": "/elsewhere/main.py", "__spec__": object()}],
    ids=["-c", "none", "empty", "no text", "-m"],
)
def test_without_a_script_it_is_the_current_folders(main, tmp_path, names):
    expected = made(tmp_path / "here")
    main(**names)

    assert project.project_file() == expected


def test_a_main_module_of_another_make_is_asked_nothing(main, monkeypatch, tmp_path):
    class Answers:
        def __getattr__(self, name):
            raise AssertionError(name)

    expected = made(tmp_path / "here")
    monkeypatch.setitem(sys.modules, "__main__", Answers())

    assert project.project_file() == expected


def test_a_folder_of_that_name_is_none(main, tmp_path):
    expected = made(tmp_path)
    (tmp_path / "here" / "pyproject.toml").mkdir()

    assert project.project_file() == expected


def test_a_current_folder_that_was_removed_has_none(main, tmp_path):
    os.rmdir(tmp_path / "here")

    assert project.project_file() is None


@pytest.mark.parametrize("flag", ["ignore_environment", "isolated"])
def test_an_isolated_interpreter_has_none(main, monkeypatch, tmp_path, flag):
    made(tmp_path / "here")
    monkeypatch.setattr(sys, "flags", SimpleNamespace(**{"ignore_environment": 0, "isolated": 0, flag: 1}))

    assert project.project_file() is None
