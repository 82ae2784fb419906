"""What ``doctor`` says where all is well, and where something is off."""

from __future__ import annotations

import importlib.machinery
import json
import os
import re
import sys
import types

import pytest

from autotb.cli import doctor
from autotb.instrument.patch import Patch
from tests import programs


@pytest.mark.on_main()
def test_doctor_is_content(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.autotb]\ncontext = 5\n")
    ran = programs.start([sys.executable, "-m", "autotb", "doctor"], tmp_path)

    assert ran.status == 0, ran.stdout
    assert "all is well" in ran.stdout
    assert "concurrent.futures._base.Future.result: applied" in ran.stdout
    assert "ray.exceptions.RayTaskError.__init__: applied" in ran.stdout
    table = ran.stdout.partition("settings that were asked for here, and what a spawned worker would answer\n")[2]
    assert re.search(r"^  AUTOTB_CONTEXT +5 +5$", table, re.M), ran.stdout
    assert re.search(r"^  AUTOTB_LOCALS +\(unset\) +\(unset\)$", table, re.M), ran.stdout
    assert os.listdir(tmp_path) == ["pyproject.toml"]


def test_doctor_under_the_opt_out_says_that_nothing_is_drawn(tmp_path):
    ran = programs.start([sys.executable, "-m", "autotb", "doctor"], tmp_path, autotb="0")

    assert "  drawn: nothing, while AUTOTB switches autotb off\n" in ran.stdout
    assert "  sys.excepthook: Python: Python's own text\n" in ran.stdout
    assert "settings that were asked for here" not in ran.stdout


@pytest.mark.on_main()
def test_doctor_says_what_is_off(tmp_path):

    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import sys\ndef hook(*args): pass\nsys.excepthook = hook\n")
    ran = programs.start(
        [sys.executable, "-m", "autotb", "doctor", "--json"], tmp_path, PYTHONPATH=str(tmp_path / "site"), AUTOTB_STYLE="x"
    )
    report = json.loads(ran.stdout)

    assert ran.status == 1
    assert report["hooks"]["sys.excepthook"]["seen"] == "nothing at all"
    assert report["hooks"]["threading.excepthook"]["holder"] == "autotb"
    assert any(
        problem.startswith("sys.excepthook belongs to sitecustomize.hook") and "which shows nothing at all" in problem
        for problem in report["problems"]
    )
    assert any("AUTOTB_STYLE='x'" in problem for problem in report["problems"])
    assert report["settings"]["style"]["from"] == "default"


@pytest.mark.parametrize(
    ("lines", "is_problem"),
    [
        ("import a_package_that_is_not_there", False),
        (
            "try:\n    import a_package_that_is_not_there\nexcept ImportError:\n    raise ImportError('install an_engine[part]')",
            False,
        ),
        ("import an_engine.gone", True),  # of its own
        ("1 / 0", True),
    ],
)
def test_a_part_whose_packages_are_not_installed_is_no_problem(tmp_path, monkeypatch, lines, is_problem):
    (tmp_path / "an_engine").mkdir()
    (tmp_path / "an_engine" / "__init__.py").touch()
    (tmp_path / "an_engine" / "part.py").write_text(lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    problems = []

    try:
        doctor._import("an_engine", problems)
        doctor._import("an_engine.part", problems)
    finally:
        for name in ("an_engine", "an_engine.part"):
            sys.modules.pop(name, None)

    assert len(problems) == is_problem


def test_a_patch_of_a_part_that_wants_a_package_has_not_been_missed(tmp_path, monkeypatch):
    (tmp_path / "an_engine_that_wants.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    declared = Patch("an_engine_that_wants", "function", None, costs="nothing")

    assert doctor._state(declared) == doctor._NOT_IMPORTED
    module = types.ModuleType("an_engine_that_wants")
    module.__spec__ = importlib.machinery.ModuleSpec("an_engine_that_wants", None)
    monkeypatch.setitem(sys.modules, "an_engine_that_wants", module)
    assert doctor._state(declared) == "its module was imported before autotb"


def test_an_engine_that_cannot_be_imported_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "an_engine.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    problems = []

    doctor._import("an_engine", problems)

    assert problems == ["an_engine cannot be imported: ModuleNotFoundError: No module named 'a_package_that_is_not_there'"]
