"""The package as it is installed: the start-up file from every kind of install, gone after uninstalling, harmless when orphaned."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).resolve().parent.parent
HOOKED = "import sys; print(sys.excepthook is not sys.__excepthook__, 'autotb' in sys.modules)"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the checkout, so that builds write nothing into it."""
    copy = tmp_path_factory.mktemp("source") / "autotb"
    ignored = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", "dist", "build", "runinfo")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    """A wheel that was made from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(source)], check=True, capture_output=True, timeout=300
    )
    return folder


@pytest.fixture
def environment(tmp_path):
    venv.create(tmp_path / "env", with_pip=True, symlinks=True)
    return tmp_path / "env"


def python(environment, *arguments, **env):
    return programs.start([str(environment / "bin" / "python"), *arguments], environment, **env)


def site_packages(environment):
    return next((environment / "lib").glob("python*/site-packages"))


def test_the_start_up_file_is_one_ascii_import_line():
    text = (ROOT / "autotb.pth").read_bytes()

    assert text.isascii()
    assert text.startswith(b"import ")
    assert text.count(b"\n") == 1 and text.endswith(b"\n")
    from autotb import boot

    assert callable(boot.main)


def test_the_wheel_has_it_at_its_top(built):
    wheel = zipfile.ZipFile(next(built.glob("*.whl")))

    assert "autotb.pth" in wheel.namelist()
    assert not [name for name in wheel.namelist() if name.endswith(".start") or ".data/" in name]
    assert wheel.read("autotb.pth") == (ROOT / "autotb.pth").read_bytes()
    assert {"autotb/py.typed", "autotb/__init__.pyi"} <= set(wheel.namelist())


def test_the_long_description_stands_on_its_own(built):
    """An index page has neither the checkout's files nor its pictures."""
    wheel = zipfile.ZipFile(next(built.glob("*.whl")))
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    headers, _, text = wheel.read(name).decode("utf-8").partition("\n\n")
    files = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if re.search(r"\.\w+$", target)]

    assert [target for target in files if "://" not in target] == []
    assert "│ submitted at" in text  # the picture, as text
    assert "Description-Content-Type: text/markdown" in headers
    assert "Author: the autotb developers" in headers
    assert "Classifier: Typing :: Typed" in headers


@pytest.mark.on_main("sdist", "folder", "editable", "uv", "uv editable")
@pytest.mark.parametrize("how", ["wheel", "sdist", "folder", "editable", "uv", "uv editable"])
def test_installed_it_works_and_uninstalled_nothing_is_left(how, source, built, environment, tmp_path):
    pip = [str(environment / "bin" / "python"), "-m", "pip"]
    uv = ["uv", "pip"]
    what = {"wheel": [str(next(built.glob("*.whl")))], "sdist": [str(next(built.glob("*.tar.gz")))]}.get(
        how.split()[0], [str(source)]
    )
    if "editable" in how:
        what = ["-e", *what]
    tool = uv if how.startswith("uv") else pip
    target = ["--python", str(environment / "bin" / "python")] if tool is uv else []
    environ = {**os.environ, "AUTOTB": "0"}
    subprocess.run(
        [*tool, "install", "-q", *target, *what], check=True, timeout=300, cwd=tmp_path, env=environ, capture_output=True
    )

    site = site_packages(environment)
    record = next(site.glob("autotb-*.dist-info")) / "RECORD"
    assert "autotb.pth" in record.read_text()
    assert python(environment, "-c", HOOKED).stdout == "True True\n"
    assert python(environment, "-c", HOOKED, autotb="0").stdout == "False False\n"
    assert python(environment, "-S", "-c", HOOKED).stdout == "False False\n"
    assert python(environment, "-I", "-c", HOOKED).stdout == "True True\n"
    assert python(environment, "-c", "def f():\n    1 / 0\nf()", AUTOTB_STYLE="rich").stderr.startswith("╭")

    yes = [] if tool is uv else ["-y"]
    subprocess.run(
        [*tool, "uninstall", "-q", *target, *yes, "autotb"],
        check=True,
        timeout=300,
        cwd=tmp_path,
        env=environ,
        capture_output=True,
    )
    assert [path.name for path in site.iterdir() if "autotb" in path.name] == []
    ran = python(environment, "-c", HOOKED)
    assert (ran.stdout, ran.stderr) == ("False False\n", "")


@pytest.mark.parametrize("damage", ["missing", "empty", "syntax", "unreadable boot"])
def test_a_damaged_package_is_silent_at_start_up(damage, environment):
    site = site_packages(environment)
    shutil.copy(ROOT / "autotb.pth", site)
    if damage != "missing":
        shutil.copytree(ROOT / "autotb", site / "autotb")
        if damage == "empty":
            shutil.rmtree(site / "autotb")
            (site / "autotb").mkdir()
        elif damage == "syntax":
            (site / "autotb" / "boot.py").write_text("def (")
        else:
            (site / "autotb" / "boot.py").unlink()
            (site / "autotb" / "boot.py").mkdir()

    ran = python(environment, "-c", "print('fine')")

    assert (ran.status, ran.stdout, ran.stderr) == (0, "fine\n", "")


def test_a_venv_that_sees_the_systems_packages(tmp_path):
    venv.create(tmp_path / "env", with_pip=False, symlinks=True, system_site_packages=True)
    site = site_packages(tmp_path / "env")
    shutil.copy(ROOT / "autotb.pth", site)
    shutil.copytree(ROOT / "autotb", site / "autotb")

    assert python(tmp_path / "env", "-c", HOOKED).stdout == "True True\n"


def test_the_order_of_start_up_files_in_a_single_pass(tmp_path):
    """A user site is visited once: the path of an editable install must be known before our line runs."""
    user = tmp_path / "user"
    base = sys._base_executable
    site = Path(
        subprocess.run(
            [base, "-c", "import site; print(site.getusersitepackages())"],
            env={**os.environ, "PYTHONUSERBASE": str(user), "AUTOTB": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    site.mkdir(parents=True)
    shutil.copy(ROOT / "autotb.pth", site)
    (site / "_editable_impl_autotb.pth").write_text(f"{ROOT}\n")

    ran = programs.start([base, "-c", HOOKED], tmp_path, PYTHONUSERBASE=str(user))

    assert ran.stdout == "True True\n", ran.stderr
