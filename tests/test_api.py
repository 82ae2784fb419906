"""The public names, each loaded when it is first used; switching on and off."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import autotb
from autotb import api


def test_each_public_name_has_a_home():
    assert set(api.HOMES) == set(autotb.__all__)


@pytest.mark.parametrize("name", autotb.__all__)
def test_a_public_name_is_what_its_home_has(name):
    assert getattr(autotb, name) is getattr(importlib.import_module(api.HOMES[name]), name)


def test_a_name_that_was_loaded_is_kept(monkeypatch):
    monkeypatch.delattr(autotb, "Flow", raising=False)
    loaded = api.load("Flow")

    assert vars(autotb)["Flow"] is loaded


@pytest.mark.parametrize(("value", "is_off"), [("0", True), ("OFF", True), ("1", False), ("", False)])
def test_what_switches_it_off(monkeypatch, value, is_off):
    monkeypatch.setenv("AUTOTB", value)

    assert api.is_off() is is_off


@pytest.mark.parametrize("name", ["install", "uninstall"])
def test_whatever_fails_the_program_goes_on(monkeypatch, name):
    told = []
    monkeypatch.setattr(api.boot, "started", True)
    monkeypatch.setattr(api.boot, "main", lambda: None)
    monkeypatch.setattr(api.boot, "report", lambda where, error: told.append((where, str(error))))
    monkeypatch.setattr(api, f"_{name}", lambda: 1 / 0)

    assert getattr(api, name)() in (None, [])
    assert told == [(f"{name}()", "division by zero")]


def test_uninstall_of_what_is_not_on_does_nothing(monkeypatch):
    monkeypatch.setattr(api.boot, "started", False)
    monkeypatch.setattr(api, "_uninstall", lambda: 1 / 0)

    assert api.uninstall() == []


def test_install_twice_and_uninstall(run):
    ran = run(
        """
        import sys
        import autotb
        autotb.install()
        autotb.install()
        print(sum(type(f).__module__ == "autotb.boot" for f in sys.meta_path))
        autotb.uninstall()
        print(sum(type(f).__module__ == "autotb.boot" for f in sys.meta_path), sys.excepthook is sys.__excepthook__)
        """
    )

    assert ran.stdout == "1\n0 True\n"


def test_install_does_nothing_when_opted_out(run):
    ran = run("import sys, autotb\nautotb.install()\nprint(sys.excepthook is sys.__excepthook__)\n", autotb="0")

    assert ran.stdout == "True\n"


def test_the_public_names():
    import autotb

    for name in autotb.__all__:
        assert getattr(autotb, name).__doc__
    assert set(autotb.__all__) <= set(dir(autotb))
    with pytest.raises(AttributeError, match="module 'autotb' has no attribute 'nothing'"):
        autotb.nothing


def test_the_package_knows_its_parts():
    folder = Path(autotb.__file__).parent
    parts = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert sorted(parts - {"__init__", "__main__"}) == list(autotb._PARTS)


def test_no_debugger_stops_in_our_imports(run):
    """One that stops where an error leaves a function sees none of the package's, while a worker's error is told."""
    told = run(
        """
        import sys

        left = []

        def trace(frame, event, value):
            if event == "exception" and frame.f_code.co_name == "__getattr__" and frame.f_globals["__name__"] == "autotb":
                left.append(str(value[1]))
            return trace

        def ratio(clicks, views):
            return clicks / views

        if __name__ == "__main__":
            sys.settrace(trace)
            from concurrent.futures import ProcessPoolExecutor

            with ProcessPoolExecutor(1) as pool:
                error = pool.submit(ratio, 1, 0).exception()
            sys.excepthook(type(error), error, error.__traceback__)
            sys.settrace(None)
            print(left)
        """
    )

    assert "ratio(clicks=1, views=0)" in told.stderr
    assert told.stdout == "[]\n"
