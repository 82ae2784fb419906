"""Whose code a frame runs is known by its module together with its folder, never by a piece of a path."""

from __future__ import annotations

import functools
import os
import sys
import trace
from types import ModuleType, SimpleNamespace

import pytest

from autotb import engine_facts
from autotb.record import ownership
from autotb.record.ownership import ENGINE, LIBRARY, OWN, STDLIB, USER


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    for name in ("user_packages", "_libraries"):
        monkeypatch.setattr(ownership, name, set())
    engine_facts.changed()
    yield
    engine_facts.changed()


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """A folder of installed packages; ``install`` makes one and loads it."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])

    def install(name, **info):
        (folder / name).mkdir()
        file = folder / name / "__init__.py"
        file.touch()
        module = ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, name, module)
        if info:
            told = folder / f"{info.pop('distribution', name)}-1.0.dist-info"
            told.mkdir()
            for file_name, text in info.items():
                (told / file_name.replace("__", ".")).write_text(text)
        return str(file)

    return install


def function_of(module):
    names = {"__name__": module}
    exec("def work(): ...", names)
    return names["work"]


OS = os.__file__


@pytest.mark.parametrize(
    ("path", "module", "kind"),
    [
        ("/home/me/main.py", "__main__", USER),
        ("/home/me/asyncio/tasks.py", "asyncio.tasks", USER),  # only looks like an engine's
        (OS, "os", STDLIB),
        (ownership.__file__, "autotb.record.ownership", OWN),
        (sys.modules["threading"].__file__, "threading", ENGINE),
        (sys.modules["threading"].__file__, "mine", STDLIB),  # the module's name must say so too
        (trace.__file__, "trace", ENGINE),  # it starts programs
        (trace.__file__, "__main__", ENGINE),
        ("/home/me/trace.py", "trace", USER),
        ("<frozen runpy>", "runpy", ENGINE),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap", STDLIB),
        ("<string>", "__main__", USER),
        ("<string>", "", USER),
        ("<string>", "os", STDLIB),  # code that a module has made is that module's
        ("<string>", "asyncio.made", ENGINE),
        (OS, None, STDLIB),
        (OS, ownership.REBUILT, STDLIB),
    ],
)
def test_whose_code_it_is(path, module, kind):
    import asyncio  # noqa: F401  an engine's folder is known once it is loaded

    assert ownership.kind_of(path, module) == kind


def test_an_installed_package_is_a_library(packages):
    assert ownership.kind_of(packages("sklearnish"), "sklearnish") == LIBRARY


def test_the_program_is_the_users_wherever_it_is_installed(packages, monkeypatch):
    file = packages("mine")
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=SimpleNamespace(name="mine.__main__")))

    assert ownership.kind_of(file, "mine") == USER


def test_a_new_engine_changes_what_was_known(packages):
    file = packages("an_engine")
    assert ownership.kind_of(file, "an_engine") == LIBRARY

    engine_facts.register(own=("an_engine",))
    assert ownership.kind_of(file, "an_engine") == ENGINE


def test_an_engines_function_that_came_by_value_is_of_another_copy_of_it(packages, monkeypatch):
    packages("an_engine")
    engine_facts.register(own=("an_engine",))
    # The worker is the engine's own program, as Spark's.
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=SimpleNamespace(name="an_engine.daemon")))
    of_the_driver = os.path.join(os.sep, "opt", "env", "lib", "site-packages", "an_engine", "rdd.py")

    assert ownership.kind_of(of_the_driver, "an_engine.rdd") == ENGINE
    assert ownership.kind_of(of_the_driver, "mine") == USER
    assert ownership.kind_of("/home/me/an_engine/rdd.py", "an_engine.rdd") == USER


def test_an_engines_script_has_lost_its_modules_name(packages):
    file = packages("an_engine")
    engine_facts.register(own=("an_engine",))

    assert ownership.kind_of(os.path.join(os.path.dirname(file), "worker.py"), "__main__") == ENGINE


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/usr/bin/coverage", ENGINE), ("/home/me/coverage", USER), ("/opt/an-engine-worker", ENGINE), ("/usr/bin/mine", USER)],
)
def test_a_launchers_script_is_an_engines(path, kind):
    engine_facts.register(scripts=("an-engine-worker",))

    assert ownership.kind_of(path, "__main__") == kind


def test_compiled_code_is_where_its_module_is(packages):
    packages("compiled")

    assert ownership.kind_of("compiled/fast.pyx", "compiled") == LIBRARY


@pytest.mark.parametrize("path", ["<frozen importlib>", OS])
def test_the_standard_librarys_files(path):
    assert ownership.is_stdlib(path)


def test_an_installed_file_is_not_the_standard_librarys(packages):
    assert not ownership.is_stdlib(packages("a_library"))


def test_a_submitted_function_makes_its_package_the_users(packages):
    file = packages("mine")
    ownership.note_user_function(function_of("mine.steps"))

    assert ownership.user_packages == {"mine"}
    assert ownership.kind_of(file, "mine") == USER


@pytest.mark.parametrize("module", ["json", "__main__", "autotb.flow", "asyncio.tasks", ""])
def test_a_function_of_nobody_new_teaches_nothing(module):
    ownership.note_user_function(function_of(module))

    assert ownership.user_packages == set()


@pytest.mark.parametrize(
    ("info", "is_library"),
    [
        ({"RECORD": ""}, True),
        ({"RECORD": "", "direct_url__json": "{}"}, False),  # pip install . or from a repository
        ({"direct_url__json": "{}", "INSTALLER": "conda"}, True),
        ({"direct_url__json": "{}", "INSTALLER": "pip"}, False),
        ({"distribution": "A_Package", "RECORD": ""}, True),
        ({"distribution": "other", "RECORD": "a_package/__init__.py,,\n"}, True),  # scikit-learn brings sklearn
        ({"distribution": "other", "RECORD": "not_a_package/__init__.py,,\n"}, False),
        ({}, False),
    ],
)
def test_a_package_from_an_index_stays_a_library(packages, info, is_library):
    packages("a_package", **info)
    ownership.note_user_function(function_of("a_package"))

    assert (ownership._libraries == {"a_package"}) is is_library
    assert (ownership.user_packages == {"a_package"}) is not is_library


@pytest.mark.parametrize(
    ("function", "is_engines"),
    [
        (function_of("asyncio.tasks"), True),
        (functools.partial(functools.partial(function_of("asyncio.tasks")), 1), True),
        (function_of("asynciolike"), False),
        (function_of("__main__"), False),
        (5, False),
    ],
)
def test_a_function_of_an_engines_own(function, is_engines):
    assert ownership.is_engines(function) is is_engines


def batch(module, items):
    kind = type("BatchedCalls", (), {"__module__": module, "__call__": lambda self: None})
    made = kind()
    made.items = items
    return made


class Wrapper:
    """joblib's, around a batch."""

    def __init__(self, func):
        self.func = func


CALLS = [(len, ("a",), {})]


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (batch("joblib.parallel", CALLS), CALLS),
        (Wrapper(batch("joblib.parallel", CALLS)), CALLS),
        (batch("joblib.parallel", []), None),
        (batch("__main__", CALLS), None),
        (len, None),
    ],
)
def test_a_batch_is_joblibs_own(function, found):
    engine_facts.register(own=("joblib",))

    assert ownership.batch_of(function) == found


def test_the_text_of_a_worker_is_known_by_its_class_or_by_itself():
    class Text(Exception):
        pass

    engine_facts.register(remote_texts=(f"{__name__}.{Text.__qualname__}",), texts=(lambda exc: exc.args == ("text",),))

    assert ownership.is_remote_text(Text())
    assert ownership.is_remote_text(ValueError("text"))
    assert not ownership.is_remote_text(ValueError("other"))
    assert not ownership.is_remote_text(None)


def frame(module, path):
    names = {"__name__": module}
    exec(compile("import sys\ndef at(): return sys._getframe()", path, "exec"), names)
    return names["at"]()


def test_a_packed_program_is_the_users_though_it_is_installed_as_a_library(packages):
    file = packages("program")
    ownership.adopt_program([frame("pex.pex", "/x/pex/pex.py"), frame("runpy", "<frozen runpy>"), frame("program", file)])

    assert ownership.kind_of(file, "program") == USER


def test_without_a_loader_no_program_is_adopted(packages):
    ownership.adopt_program([frame("program", packages("program"))])

    assert ownership.user_packages == set()


def test_the_module_of_a_text_is_told_by_the_folder():
    assert ownership.module_of(sys.modules["threading"].__file__) == "threading"
    assert ownership.module_of("/home/me/threading.py") == ""
