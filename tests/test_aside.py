"""Which files are the program's own, and how ours of the same name are loaded beside them."""

from __future__ import annotations

import os
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from autotb import aside, imports, runtime


@pytest.fixture(autouse=True)
def program(monkeypatch, tmp_path):
    """A program in a folder of its own, which comes first on the path; nothing is loaded aside so far."""
    for holder, name, value in (
        (imports, "users", set()),
        (imports, "busy", {}),
        (aside, "modules", {}),
        (aside, "_genuine", set()),
        (aside, "_places", None),
        (aside, "_seen", None),
        (sys, "path", [str(tmp_path), *sys.path]),
    ):
        monkeypatch.setattr(holder, name, value)
    for name in ("colorsys", "sched"):  # which rich, and others' tests, may have loaded
        monkeypatch.delitem(sys.modules, name, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith((aside.PREFIX, "colorsys", "sched")):
            del sys.modules[name]


def test_site_packages_of_this_python_are_installed_and_the_programs_folder_is_not(program):
    places = aside.Places()

    assert str(program) in places.others
    assert [entry for entry in places.installed if entry.endswith("site-packages")]
    assert not set(aside.STDLIB) & {*places.installed, *places.others}


def test_a_site_packages_of_another_python_is_the_programs(program, monkeypatch):
    elsewhere = str(program / "site-packages")
    monkeypatch.setattr(sys, "path", [elsewhere])
    monkeypatch.setattr(aside, "_folders_of_the_user", lambda: {elsewhere})

    assert aside.Places().others == [elsewhere]


def test_a_folder_that_start_up_files_have_added_is_installed(program, monkeypatch):
    monkeypatch.setattr(runtime, "path", (str(program),))

    assert str(program) in aside.Places().installed


def test_folders_of_pythonpath_are_the_users(program, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(program / "a"), "", str(program / "b")]))

    assert {str(program / "a"), str(program / "b")} <= aside._folders_of_the_user()


def test_a_file_of_the_programs_with_a_name_of_ours_is_found_out(program):
    aside.decide()
    assert imports.users == set()

    (program / "colorsys.py").touch()
    aside.decide()
    assert imports.users == {"colorsys"}


def test_a_package_and_a_compiled_module_have_names_too(program):
    (program / "sched").mkdir()
    (program / "colorsys.abi3.so").touch()
    (program / "mine.py").touch()

    assert aside._named_in([str(program)]) == {"sched", "colorsys"}


def test_folders_that_have_not_changed_are_not_looked_through_again(program, monkeypatch):
    aside.decide()
    monkeypatch.setattr(aside, "_named_in", lambda folders: 1 / 0)
    aside.decide()


def test_a_module_of_the_programs_that_is_loaded_already_is_found_out(program, monkeypatch):
    theirs = ModuleType("colorsys")
    theirs.__file__ = str(program / "colorsys.py")
    monkeypatch.setitem(sys.modules, "colorsys", theirs)
    aside.decide()

    assert imports.users == {"colorsys"}


@pytest.mark.parametrize("name", ["sys", "os", "threading", "importlib"])
def test_the_standard_librarys_own_are_genuine(name):
    assert aside._is_genuine(name)


def test_a_module_of_another_make_is_not_genuine_and_is_asked_nothing(monkeypatch):
    class Lazy:
        def __getattribute__(self, name):
            raise AssertionError(name)

    monkeypatch.setitem(sys.modules, "colorsys", Lazy())

    assert not aside._is_genuine("colorsys")


def with_own(function, *args):
    with imports.own:
        return function(*args)


def test_ours_is_loaded_under_a_name_of_its_own(program):
    imports.users.add("colorsys")
    module = with_own(aside.import_, "colorsys", {}, ("rgb_to_hsv",), 0)

    assert module.rgb_to_hsv(1, 0, 0) == (0.0, 1.0, 1)
    assert "colorsys" not in sys.modules
    assert sys.modules["autotb._aside.colorsys"] is module
    assert with_own(aside.import_, "colorsys", {}, ("rgb_to_hsv",), 0) is module


def test_what_the_interpreter_imports_itself_is_there_under_its_own_name_for_that_moment():
    with imports.own:
        module = aside.import_("colorsys", {}, [], 0)
        assert sys.modules["colorsys"] is module
    assert "colorsys" not in sys.modules


def test_a_module_that_only_the_program_has_is_not_found(program):
    (program / "mine.py").touch()

    with pytest.raises(ModuleNotFoundError, match="mine"):
        with_own(aside.import_, "mine", {}, ("x",), 0)


def test_a_module_that_fails_leaves_nothing_behind(monkeypatch):
    def fails(module):
        raise ValueError

    spec = SimpleNamespace(name=aside.PREFIX + "sched", loader=SimpleNamespace(exec_module=fails))
    monkeypatch.setattr(aside._bootstrap, "module_from_spec", lambda spec: ModuleType(spec.name))
    with pytest.raises(ValueError):
        aside._run("sched", spec)
    assert aside.modules == {}
    assert spec.name not in sys.modules


def test_the_import_system_and_what_the_program_has_genuinely_are_shared():
    assert aside._is_shared("importlib.util")
    assert aside._is_shared("os.path")
    assert not aside._is_shared("colorsys")


def frames(*files):
    """A frame of the first of these files, which the others have called."""
    frame = None
    for file in reversed(files):
        frame = SimpleNamespace(f_code=SimpleNamespace(co_filename=file), f_back=frame)
    return frame


OURS, LIBRARY, USER = runtime.FOLDER + "aside.py", os.path.join(aside.STDLIB[1], "json", "__init__.py"), "/home/program.py"


@pytest.mark.parametrize(
    ("name", "files", "is_for_us"),
    [
        ("json", [OURS], True),
        ("an_engine", [OURS], False),  # where our code names it itself, it is the program's
        ("an_engine", [LIBRARY, OURS], True),
        ("an_engine", ["<frozen importlib._bootstrap>", OURS], False),
        ("an_engine", [aside._IMPORTLIB + "__init__.py", OURS], False),
        ("json", [USER, OURS], False),
        ("json", [LIBRARY, USER, OURS], False),
        ("json", [LIBRARY], False),
    ],
)
def test_for_whom_a_module_is_imported_is_seen_in_the_stack(name, files, is_for_us):
    assert aside._for_us(name, frames(*files)) is is_for_us


@pytest.fixture
def ours(monkeypatch):
    """What this thread imports is for us."""
    monkeypatch.setattr(aside, "_for_us", lambda name, frame: True)
    return imports.Session()


def test_what_the_program_itself_imports_is_none_of_ours(monkeypatch):
    monkeypatch.setattr(aside, "_for_us", lambda name, frame: False)

    assert aside.find("colorsys", None, imports.Session(), None) is None


def test_without_files_of_that_name_ours_is_found_in_the_library(ours):
    spec = aside.find("colorsys", None, ours, None)

    assert spec.origin == os.path.join(aside.STDLIB[1], "colorsys.py")
    assert (ours.names, ours.tainted) == (["colorsys"], False)


def test_with_files_of_that_name_what_is_loaded_aside_is_handed_over(ours, program):
    (program / "colorsys.py").write_text("raise AssertionError\n")
    spec = aside.find("colorsys", None, ours, None)
    assert type(spec.loader) is aside.HandOver
    assert ours.tainted

    with imports.own:
        module = spec.loader.create_module(spec)
        module.__spec__ = spec
        spec.loader.exec_module(module)
    assert module.rgb_to_hsv(1, 0, 0) == (0.0, 1.0, 1)
    assert module.__spec__.name == "autotb._aside.colorsys"


def test_what_is_shared_is_not_loaded_aside(ours, program):
    (program / "colorsys.py").touch()

    assert type(aside.find("json", None, ours, None).loader) is not aside.HandOver


def test_what_only_the_programs_folders_have_is_not_found_for_us(ours, program):
    (program / "mine.py").touch()

    with pytest.raises(ModuleNotFoundError, match="mine"):
        aside.find("mine", None, ours, None)


@pytest.mark.parametrize(("name", "path"), [("json.decoder", ["/lib"]), ("_thread", None), ("zipimport", None)])
def test_parts_of_packages_and_built_in_modules_are_the_other_finders(ours, name, path):
    assert aside.find(name, path, ours, None) is None


def test_a_module_that_was_loaded_aside_imports_its_relatives_aside(program):
    imports.users.add("email")
    names = {"__package__": aside.PREFIX + "json"}
    aside.modules["json"] = sys.modules["json"]
    module = with_own(aside.import_, "decoder", names, ("JSONDecoder",), 1)

    assert module.JSONDecoder is not None
    assert "json.decoder" in aside.modules


def test_the_package_is_given_where_no_names_are_asked_for(program):
    imports.users.add("colorsys")

    assert with_own(aside.import_, "os.path", {}, (), 0) is os
    assert with_own(aside.import_, "os.path", {}, ("join",), 0) is os.path


def test_a_forked_child_loads_anew_what_was_half_loaded(monkeypatch):
    half, whole = ModuleType("half"), ModuleType("whole")
    half.__spec__, whole.__spec__ = SimpleNamespace(_initializing=True), SimpleNamespace(_initializing=False)
    for module in half, whole:
        name = module.__name__
        aside.modules[name] = module
        monkeypatch.setitem(sys.modules, aside.PREFIX + name, module)
    monkeypatch.setitem(sys.modules, aside.PREFIX + "half.inner", ModuleType("inner"))
    lock = aside._lock
    aside.give_up({-1: imports.Session()})

    assert list(aside.modules) == ["whole"]
    assert [name for name in sys.modules if name.startswith(aside.PREFIX)] == [aside.PREFIX + "whole"]
    assert aside._lock is not lock


def test_a_forked_child_has_no_lock_of_a_thread_that_is_no_more(monkeypatch):
    theirs, mine = SimpleNamespace(owner=-1), SimpleNamespace(owner=threading.get_ident())
    locks = {"half": lambda: theirs, "mine": lambda: mine}
    monkeypatch.setattr(aside._bootstrap, "_module_locks", locks)
    aside.give_up({-1: imports.Session()})

    assert list(locks) == ["mine"]
