"""Imports of our modules are told apart: ours, the standard library's, an engine's; and those of the program from all of them."""

from __future__ import annotations

import importlib.machinery
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from autotb import aside, imports, own_finder


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(imports, "busy", {})
    monkeypatch.setattr(own_finder, "busy", imports.busy)
    monkeypatch.setattr(imports, "users", set())


@pytest.fixture
def real(monkeypatch):
    """Notes what goes to the real ``__import__``, and for whom this thread imports then."""
    calls = []

    def import_(name, globals=None, locals=None, fromlist=(), level=0):
        calls.append((name, threading.get_ident() in imports.busy))
        return f"real {name}"

    monkeypatch.setattr(own_finder, "real", import_)
    return calls


def test_a_module_of_ours_that_is_loaded_is_had_at_once(real):
    assert own_finder.import_("autotb.aside", fromlist=("find",)) is aside
    assert real == []


@pytest.mark.parametrize("fromlist", [(), ("find", "decide"), ("no_such",)])
def test_all_else_of_ours_is_imported_as_ever(real, fromlist):
    assert own_finder.import_("autotb.aside", fromlist=fromlist) == "real autotb.aside"


def test_a_module_of_ours_in_the_making_is_waited_for(real, monkeypatch):
    half = ModuleType("autotb.half")
    half.__spec__, half.name = SimpleNamespace(_initializing=True), 1
    monkeypatch.setitem(sys.modules, "autotb.half", half)

    assert own_finder.import_("autotb.half", fromlist=("name",)) == "real autotb.half"


def test_future_is_not_imported(real):
    assert own_finder.import_("__future__", fromlist=("annotations",)).annotations == "annotations"
    assert real == []


def test_the_standard_library_is_imported_for_us(real):
    assert own_finder.import_("json") == "real json"
    assert real == [("json", True)]
    assert imports.busy == {}


def test_an_engine_is_imported_as_the_program_would_and_ours_goes_on_after_it(real):
    session = imports.busy[threading.get_ident()] = imports.Session()
    own_finder.import_("an_engine")

    assert real == [("an_engine", False)]
    assert imports.busy == {threading.get_ident(): session}


def test_what_the_program_has_names_for_is_loaded_aside(real, monkeypatch):
    imports.users.add("json")
    monkeypatch.setattr(aside, "import_", lambda name, *args: f"aside {name}")

    assert own_finder.import_("json") == "aside json"
    assert real == []


def test_a_module_that_was_loaded_aside_imports_what_it_needs_aside(real, monkeypatch):
    monkeypatch.setattr(aside, "import_", lambda name, *args: f"aside {name}")
    monkeypatch.setattr(aside, "decide", lambda: imports.users.add("helper"))

    assert own_finder.import_("helper", {"__name__": "autotb._aside.json"}) == "aside helper"
    assert own_finder.import_("helper", {"__name__": "autotb.render"}) == "real helper"


def test_what_is_loaded_already_needs_no_look_through_the_programs_folders(real, monkeypatch):
    monkeypatch.setattr(aside, "decide", lambda: 1 / 0)

    assert own_finder.import_("sys") == "real sys"


class Ours:
    def near(self, name, path):
        return importlib.machinery.ModuleSpec(name, SimpleNamespace(exec_module=None, create_module=None))


@pytest.mark.parametrize(
    ("name", "is_own"),
    [
        ("autotb.render.plain", True),
        ("autotb.record.capture", True),
        ("autotb.runtime", False),
        ("autotb.flow", False),
        ("autotb.flow.store", False),
        ("autotb.cli.run", False),
    ],
)
def test_modules_that_serve_the_program_import_as_any_library(monkeypatch, name, is_own):
    monkeypatch.setattr(sys, "meta_path", [own_finder._PathFinder])
    spec = own_finder.find(Ours(), name, ["/"])

    assert (type(spec.loader) is own_finder.OwnLoader) is is_own


def test_a_module_of_ours_that_is_missing_is_found_by_nobody(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [object(), SimpleNamespace(find_spec=lambda *args: None)])

    assert own_finder.find(Ours(), "autotb.no_such", ["/"]) is None


def test_what_the_program_imports_is_left_to_the_other_finders():
    assert own_finder.find(Ours(), "json", None) is None


@pytest.mark.parametrize(("name", "looks"), [("autotb.render.plain", True), ("autotb.engines.ray", False)])
def test_the_programs_folders_are_looked_through_once_something_failed(monkeypatch, name, looks):
    looked = []
    monkeypatch.setattr(aside, "decide", lambda: looked.append(1))
    real = SimpleNamespace(exec_module=lambda module: looked.append("runs"), create_module=None)
    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    own_finder.OwnLoader(real, ()).exec_module(module)

    assert looked == ([1, "runs"] if looks else ["runs"])
    assert module.__spec__.loader is module.__loader__ is real
    assert module.__builtins__["__import__"] is own_finder.import_


def test_a_forked_child_gives_up_what_other_threads_were_importing(monkeypatch):
    given_up = []
    mine, theirs = imports.Session(), imports.Session()
    imports.busy.update({threading.get_ident(): mine, -1: theirs})
    monkeypatch.setattr(aside, "give_up", given_up.append)
    own_finder._after_fork()

    assert given_up == [{-1: theirs}]
    assert imports.busy == {threading.get_ident(): mine}
