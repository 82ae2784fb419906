"""An engine is two files: the template's, copied under another name into a checkout that knows nothing of the engine, are all that
its whole suite needs."""

from __future__ import annotations

import filecmp
import re
import shlex
import shutil
import site
import venv
from pathlib import Path

import pytest

from tests import programs
from tests.engines import kit

TEMPLATE = Path(__file__).parent / "template"
ROOT = programs.REPOSITORY
NAME = "smallpool"  # no name of the template's, which might be found where it is not looked for
IGNORED = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", "dist", "build", "runinfo")
STEPS = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add an engine\n")[2].partition("\n## ")[0]
COMMANDS = [shlex.split(step.replace("NAME", NAME)) for step in re.findall(r"`python (-m [^`]+)`", STEPS)]
GENERATE, OWN_TESTS, OTHER_TESTS, DEMO, DOCTOR, MATRIX = COMMANDS

pytestmark = kit.on_main


def put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source.read_text(encoding="utf-8").replace("tinypool", NAME), encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this one, with the two files; what CONTRIBUTING names is run."""
    folder = tmp_path_factory.mktemp("checkout") / "autotb"
    shutil.copytree(ROOT, folder, ignore=IGNORED)
    put(TEMPLATE / "adapter.py", folder / "autotb" / "engines" / f"{NAME}.py")
    put(TEMPLATE / "engine_tests.py", folder / "tests" / "engines" / f"test_{NAME}.py")
    environment = folder / ".venv"
    venv.create(environment, symlinks=True)
    packages = next((environment / "lib").glob("python*/site-packages"))
    # The checkout's autotb, the engine, and all else from the environment that runs these tests.
    (packages / "_paths.pth").write_text("\n".join([str(folder), *site.getsitepackages()]))
    shutil.copy(ROOT / "autotb.pth", packages)
    for file in (TEMPLATE / "package").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            put(file, packages / str(file.relative_to(TEMPLATE / "package")).replace("tinypool", NAME))
    assert run(folder, *GENERATE).status == 0
    return folder


def run(folder: Path, *arguments: str) -> programs.Ran:
    return programs.start(
        [str(folder / ".venv" / "bin" / "python"), *arguments], folder, timeout=200, PYTHONDONTWRITEBYTECODE="1"
    )


def differing(one: Path, other: Path) -> set[str]:
    """The files of ``one`` that ``other`` lacks or has otherwise."""
    files = [file for file in one.rglob("*") if file.is_file()]
    paths = [str(file.relative_to(one)) for file in files if not {"__pycache__", ".venv"} & set(file.parts)]
    return {path for path in paths if not (other / path).is_file() or not filecmp.cmp(one / path, other / path, shallow=False)}


def test_two_files_are_written_and_the_others_generated(checkout):
    assert differing(checkout, ROOT) == {
        f"autotb/engines/{NAME}.py",
        f"tests/engines/test_{NAME}.py",
        *("autotb/_triggers.py", "README.md", "pyproject.toml"),
    }
    assert f'  "{NAME}>=1.0",\n' in (checkout / "pyproject.toml").read_text(encoding="utf-8")
    assert f"| {NAME} | 1.0 | Pool: submit |" in (checkout / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("tests", [OWN_TESTS, OTHER_TESTS], ids=["its own", "what reads its declarations"])
def test_its_whole_suite_passes(checkout, tests):
    ran = run(checkout, *tests, "-n", "2", "--dist", "loadscope", "-W", "default")

    assert ran.status == 0, ran.stdout[-6000:]
    assert " passed" in ran.stdout


def test_the_commands_know_it(checkout):
    """``doctor`` of all engines, and the matrix' environment, take longer than a test may: the engine alone, and the row."""
    assert DOCTOR == ["-m", "autotb", "doctor"]
    assert MATRIX == ["-m", "tests.matrix", NAME]
    demo = run(checkout, *DEMO)
    doctor = run(checkout, *DOCTOR, "--engine", NAME, "--import", NAME)
    rows = run(checkout, *MATRIX, "--list")

    assert demo.status == 0, demo.stderr
    assert "in a smallpool worker" in demo.stderr
    assert doctor.status == 0, doctor.stdout + doctor.stderr
    assert f"Success: {NAME}=" in doctor.stdout
    assert "autotb active" in doctor.stdout
    assert rows.stdout == f"{NAME:16} Python 3.11  {NAME}==1.0\n"
