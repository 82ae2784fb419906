"""``doctor`` on installations that are broken: it tells what is broken, and does not die of it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import autotb
from autotb.cli import checkup
from tests import programs

PACKAGE = Path(autotb.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
CHECKED = [name for name in MODULES if not name.startswith("cli/children/")]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package, which the checks are to look at."""
    target = tmp_path / "site" / "autotb"
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(checkup, "PACKAGE", target)
    monkeypatch.setattr(checkup, "_imported", lambda names: [])
    return target


def test_a_whole_package_has_no_problem(tmp_path):
    assert checkup.installation() == []


def test_every_module_that_is_empty_is_told(copy):
    for name in CHECKED:
        (copy / name).write_bytes(b"")
    told = checkup.installation()

    assert [name for name in CHECKED if f"{copy / name} is empty" not in told] == []


@pytest.mark.parametrize(
    "name",
    [
        "record/build.py",
        "record/callsite.py",
        "trace/phrases.py",
        "instrument/exception_wrappers.py",
        "postmortem/death_report.py",
    ],
)
@pytest.mark.on_main()
@pytest.mark.parametrize("harm", ["cut off", "taken away"])
def test_a_module_that_is_not_whole_is_found(name, harm, copy):
    """Without any list of the installer's; what is left of a file may be good Python."""
    path = copy / name
    if harm == "taken away":
        path.unlink()
    else:
        path.write_text(path.read_text(encoding="utf-8").partition("\ndef ")[0], encoding="utf-8")
    told = checkup.installation()

    assert any(Path(name).stem in problem for problem in told), told


def test_what_an_installer_noted_is_compared(tmp_path, monkeypatch):
    """An altered file that is good Python and has every name."""
    target = tmp_path / "site" / "autotb"
    target.mkdir(parents=True)
    (target / "one.py").write_text('"""One."""\nX = 2\n')
    info = tmp_path / "site" / "autotb-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: autotb\nVersion: 0.1.0\n")
    (info / "RECORD").write_text(
        "autotb/one.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\nautotb/two.py,sha256=47DEQpj8,0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(checkup, "PACKAGE", target)

    assert checkup._against_record() == [f"{target}/one.py is not what was installed", f"{target}/two.py is missing"]


@pytest.mark.on_main()
@pytest.mark.parametrize("name", ["_triggers.py", "settings.py", "render/panels.py", "cli/__init__.py"])
def test_doctor_tells_of_an_installation_that_lost_a_module(name, tmp_path):
    target = tmp_path / "site" / "autotb"
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / name).write_bytes(b"")
    ran = programs.start([sys.executable, "-S", "-m", "autotb", "doctor"], tmp_path / "site")

    assert ran.status == 1
    assert f"{name} is empty" in ran.stdout
    assert "all is well" not in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


def test_a_trial_tells_what_its_story_lacks(tmp_path):
    """A renderer that fails, which no list of files would show."""
    target = tmp_path / "site" / "autotb"
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    panels = target / "render" / "panels.py"
    panels.write_text(panels.read_text().replace("def draw(", "def draw(*_):\n    raise OSError('no')\n\n\ndef _draw("))
    code = "from autotb.cli import checkup; print(*checkup.trial('rich', by_itself=False)[0], sep='\\n')"
    ran = programs.start([sys.executable, "-c", code], tmp_path / "site", PYTHONPATH=str(tmp_path / "site"))

    assert "drawing with rich failed" in ran.stdout
    assert "lacks the panel" in ran.stdout
