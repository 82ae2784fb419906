"""Packed programs: switching autotb on ends none of them, and what fails in them is drawn as ever."""

from __future__ import annotations

import importlib.util
import os
import sys
import zipfile
from pathlib import Path

import pytest

import autotb
from tests import frozen, programs

SITE = Path(importlib.util.find_spec("rich").origin).parent.parent

LACKING = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name in ("autotb.hooks", "autotb.render", "autotb.instrument"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
import autotb
autotb.install()
autotb.uninstall()
import threading, concurrent.futures
print("it goes on", sorted(name for name in sys.modules if name.startswith("autotb.")))
"""


def test_install_ends_no_program_that_lacks_our_modules(tmp_path):
    (tmp_path / "main.py").write_text(LACKING)
    path = {"PYTHONPATH": str(Path(autotb.__file__).parent.parent)}
    ran = programs.start([sys.executable, "-S", "main.py"], tmp_path, **path)
    off = programs.start([sys.executable, "-S", "main.py"], tmp_path, autotb="0", **path)

    assert ran.status == off.status == 0
    assert ran.stdout.startswith("it goes on")
    assert len(ran.lines) == 1
    assert ran.stderr.startswith("autotb: install() failed (ModuleNotFoundError: No module named 'autotb.")
    assert (off.stdout, off.stderr) == ("it goes on ['autotb.api', 'autotb.boot', 'autotb.runtime']\n", "")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """autotb and what it draws with, in one file."""
    path = tmp_path_factory.mktemp("archive") / "site.zip"
    with zipfile.ZipFile(path, "w") as file:
        for package, folder in (("autotb", Path(autotb.__file__).parent), *((name, SITE / name) for name in _DRAWING)):
            for source in sorted(folder.rglob("*.py")) if folder.is_dir() else ():
                file.write(source, f"{package}/{source.relative_to(folder)}")
    return path


_DRAWING = ("rich", "pygments", "markdown_it", "mdurl")


def test_panels_are_drawn_from_an_archive(archive, tmp_path):
    (tmp_path / "main.py").write_text("def leaf(x):\n    return 1 / x\n\nleaf(0)\n")
    command = [sys.executable, "-S", "-m", "autotb", "run", "main.py"]
    ran = programs.start(command, tmp_path, PYTHONPATH=str(archive), PYTHONIOENCODING="utf-8")

    assert "╭" in ran.stderr, ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"


def test_the_demo_runs_from_an_archive(archive):
    """Its path may be a relative one, and the job runs elsewhere."""
    ran = programs.start([sys.executable, "-S", "-m", "autotb", "demo"], archive.parent, PYTHONPATH="site.zip")

    assert ran.status == 0, ran.stdout + ran.stderr
    assert "in a process-pool worker" in ran.stderr


LOADER = """
import sys

def bootstrap():
    sys.path.insert(0, sys.argv[1])
    from app import main
    main()
"""
APP = """
from concurrent.futures import ThreadPoolExecutor

def ratio(clicks, views):
    return clicks / views

def main():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ratio, 1, views=0).result()
"""


def test_a_packed_program_submits_as_any_and_its_loader_is_not_drawn(tmp_path):
    """As shiv lays it out: the program lies in site-packages, and the loader in a module of its own."""
    program = tmp_path / "program"
    (program / "_bootstrap").mkdir(parents=True)
    (program / "_bootstrap" / "__init__.py").write_text(LOADER)
    (program / "__main__.py").write_text("import _bootstrap\n_bootstrap.bootstrap()\n")
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "app.py").write_text(APP)
    ran = programs.start([sys.executable, "program", str(tmp_path / "site-packages")], tmp_path)

    assert f"submitted at {tmp_path}/site-packages/app.py:9 in main" in ran.stderr, ran.stderr
    assert "_bootstrap" not in ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="once is enough; `python -m tests.frozen` tries every packing")
def test_a_program_of_pyinstaller(tmp_path):
    try:
        command = frozen.pack("pyinstaller-onedir", tmp_path)
    except RuntimeError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"PyInstaller cannot be had here: {error}")

    assert frozen.problems_of(command, tmp_path) == []
