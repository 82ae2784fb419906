"""What starts a program is not the program: scripts of commands, ``python -m``, servers and profilers that run others' code."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from autotb.record import launchers
from tests import programs

PIP = """\
#!/usr/bin/python
# -*- coding: utf-8 -*-
import re
import sys
from {module} import {name}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({name}())
"""
UV = """\
#!/usr/bin/python
# -*- coding: utf-8 -*-
import sys
from {module} import {name}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({name}())
"""
CONDA = """\
#!/opt/conda/bin/python
import sys

from {module} import {name}

if __name__ == '__main__':
    sys.exit({name}())
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.setattr(launchers, "_entries", {})

    def write(text, folder="bin", name="tool"):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("text", [PIP, UV, CONDA])
@pytest.mark.parametrize("folder", ["bin", "Scripts"])
def test_a_commands_script_tells_what_it_calls(script, text, folder):
    assert launchers.entry_of(script(text.format(module="app.cli", name="main"), folder)) == "app.cli"


def test_a_method_may_be_called(script):
    text = UV.format(module="app.cli", name="app").replace("(app())", "(app.run())")

    assert launchers.entry_of(script(text)) == "app.cli"


OWN = UV.format(module="app.cli", name="main")


@pytest.mark.parametrize(
    "text",
    [
        "import sys\n\ndef main():\n    1 / 0\n\nsys.exit(main())\n",
        OWN + "print('the end')\n",
        OWN.replace("import sys\n", "import sys\nprint('it begins')\n"),
        OWN.replace("import main", "import other"),
        "\n" * 5_000 + OWN,
        "",
        "\x00\xff",
    ],
)
def test_a_program_that_only_looks_like_one_is_the_users(script, text):
    assert launchers.entry_of(script(text)) == ""


def test_elsewhere_nothing_is_read(script, tmp_path):
    assert launchers.entry_of(script(OWN, folder="src")) == ""
    assert launchers.entry_of(str(tmp_path / "bin" / "nothing")) == ""
    assert launchers.entry_of(str(tmp_path)) == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a POSIX system's")
def test_a_pipe_is_left_alone(script, tmp_path):
    (tmp_path / "bin").mkdir()
    os.mkfifo(tmp_path / "bin" / "pipe")

    assert launchers.entry_of(str(tmp_path / "bin" / "pipe")) == ""


@pytest.mark.parametrize(
    ("spec", "program"), [("app.__main__", "app"), ("app", "app"), ("uvicorn.__main__", ""), ("_pytest", ""), (7, ""), (None, "")]
)
def test_python_m_starts_a_package(monkeypatch, spec, program):
    main = ModuleType("__main__")
    main.__spec__ = SimpleNamespace(name=spec)
    monkeypatch.setitem(sys.modules, "__main__", main)

    assert launchers.program() == program


def test_a_command_starts_a_package(monkeypatch, script):
    main = ModuleType("__main__")
    main.__file__ = script(OWN)
    monkeypatch.setitem(sys.modules, "__main__", main)

    assert launchers.program() == "app"


@pytest.mark.parametrize(
    ("path", "module", "theirs"),
    [
        ("/x/runpy.py", "runpy", True),
        ("/x/debugpy/server/cli.py", "debugpy.server.cli", True),
        ("/x/debugpy/__main__.py", "__main__", True),
        ("/x/cProfile.py", "__main__", True),
        ("/x/profile.py", "profile", True),
        ("/x/IPython/core/magic.py", "IPython.core.magic", True),
        ("/x/parsl/__main__.py", "__main__", False),
        ("/x/concurrent/futures/_base.py", "concurrent.futures._base", False),
        ("/x/job.py", "", False),
    ],
)
def test_whose_a_hidden_frame_is(path, module, theirs):
    assert launchers.are_theirs(path, module) is theirs


APP = """\
from concurrent.futures import ThreadPoolExecutor


def ratio(clicks, views):
    return clicks / views


def main():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ratio, 1, views=0).result()


if __name__ == "__main__":
    main()
"""
RUNNER = """\
import importlib
import sys


def main():
    sys.path.insert(0, "")
    run(sys.argv[1])


def run(name):
    importlib.import_module(name).main()


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def installed(tmp_path):
    """A folder of commands and one of packages: a program, and ``uvicorn``, which runs one; another program is no package."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "mine.py").write_text(APP)
    for name, code in {"app": APP, "uvicorn": RUNNER}.items():
        package = tmp_path / "site-packages" / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(code)
        (tmp_path / "bin" / name).write_text(UV.format(module=f"{name}.__main__", name="main"))

    def start(*args, **env):
        return programs.start(
            [sys.executable, *args], tmp_path, PYTHONPATH=str(tmp_path / "site-packages"), AUTOTB_CONTEXT="0", **env
        )

    return start


@pytest.mark.parametrize("command", [("bin/app",), ("-m", "app")], ids=["bin", "m"])
def test_an_installed_program_is_the_users_and_what_started_it_is_not(installed, command):
    ran = installed(*command)

    names = [head.partition(" in ")[2] for head in ran.heads]
    assert names == [*(["<module>"] if command[0] == "-m" else []), "main", "ratio"], ran.stderr
    assert "site-packages/app/__main__.py:10 in main" in ran.stderr.replace("\n│ ", "")
    assert " launcher" in ran.lines[-2] and ran.last == "ZeroDivisionError: division by zero"
    assert "bin/app" in installed(*command, autotb="0").stderr or command[0] == "-m"


@pytest.mark.parametrize("command", [("bin/uvicorn",), ("-m", "uvicorn")], ids=["bin", "m"])
def test_what_runs_the_programs_of_others_is_folded(installed, command):
    ran = installed(*command, "mine")

    assert ran.heads == ["mine.py:10 in main", "mine.py:5 in ratio"], ran.stderr
    assert " in uvicorn, last at __main__.py:11 in run" in ran.stderr
    assert " launcher" in ran.lines[-2]


def test_pythons_own_profiler_is_a_launcher(installed):
    ran = installed("-m", "cProfile", "-o", "profile.data", "mine.py")

    assert ran.heads == ["mine.py:14 in <module>", "mine.py:10 in main", "mine.py:5 in ratio"], ran.stderr
    assert "rofile.py" not in ran.stderr and " launcher" in ran.lines[-2]
